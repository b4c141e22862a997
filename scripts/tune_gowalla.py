#!/usr/bin/env python3
"""Selects hyperparameters of irspack's implicit ALS on Gowalla on validation rows, and prints every result.

    GOWALLA=FOLDER scripts/tune_gowalla.py 64 256      the grid of configs/bench/gowalla-ials-tune.yaml, for these numbers of factors

A tenth of the training rows become validation rows, in build/bench/gowalla-0.1.h5. Settings are compared by Recall@20 after 15 epochs.
Test rows are never used.
"""

import argparse
import itertools
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "bench"))

import gowalla

UNOBSERVED_WEIGHTS, REGULARIZATIONS = [0.005, 0.01, 0.02, 0.04], [0.0005, 0.001, 0.002, 0.003]


def search(factors: int, data: Path, threads: int) -> None:
    recalls = {}
    for chosen in itertools.product(UNOBSERVED_WEIGHTS, REGULARIZATIONS):
        recalls[chosen] = gowalla.irspack(data, threads, factors, 15, "CG", chosen, "validation")["recall"]
        print(f"{factors} factors, {chosen}: {recalls[chosen]:.4f}", flush=True)
    best = max(recalls, key=recalls.get)
    print(f"chosen: {best} (recall@20 {recalls[best]:.4f})", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("factors", type=int, nargs="*", default=[64, 256], help="numbers of factors")
    sizes = parser.parse_args().factors
    gowalla.WORK.mkdir(parents=True, exist_ok=True)
    data = gowalla.prepared(validation=0.1)
    for factors in sizes:
        search(factors, data, len(os.sched_getaffinity(0)))


if __name__ == "__main__":
    main()
