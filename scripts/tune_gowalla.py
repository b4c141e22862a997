#!/usr/bin/env python3
"""Selects hyperparameters of implicit ALS on Gowalla by grid search on validation rows, and prints every result.

    GOWALLA=FOLDER scripts/tune_gowalla.py 64 256      the grid behind scripts/bench/gowalla.py, for these numbers of factors

A tenth of the training rows become validation rows. Settings are compared by Recall@20 after 15 epochs, those of Sartor and of irspack
over the same grid. Test rows are never used.
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
    found = {"Sartor": {}, gowalla.IRSPACK: {}}
    for chosen in itertools.product(UNOBSERVED_WEIGHTS, REGULARIZATIONS):
        settings = gowalla.hyperparameters(factors, chosen)
        ours = gowalla.train(threads, gowalla.WORK / "tune", data, "validation", **settings)["recall@20"]
        theirs = gowalla.irspack(data, threads, factors, 15, "CG", chosen, "validation")["recall"]
        found["Sartor"][chosen], found[gowalla.IRSPACK][chosen] = ours, theirs
        print(f"{factors} factors, {chosen}: {ours:.4f}, irspack {theirs:.4f}", flush=True)
    for side, recalls in found.items():
        best = max(recalls, key=recalls.get)
        print(f"chosen for {side}: {best} (recall@20 {recalls[best]:.4f})", flush=True)


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
