#!/usr/bin/env python3
"""Selects hyperparameters of a factorization by grid search on validation rows, and prints every result.

    scripts/tune.py ml-100k        the grid behind configs/ml-100k-als.yaml
    scripts/tune.py ml-100k-ials   the grid behind configs/ml-100k-ials.yaml

In each of the five official folds 10% of the training rows become validation rows; test rows are never used. Settings are compared
by their mean over the folds: parameters of als by RMSE, then popularity_weight by NDCG@10; those of ials by NDCG@10.
"""

import argparse
import itertools
import json
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TRAIN = ROOT / "build" / "release" / "bin" / "sartor-train"
WORK = ROOT / "build" / "tune"
FOLDS = range(1, 6)
RATING_GRID = {
    "model.regularization_power": [0, 0.5, 1],
    "model.regularization": {0: [9, 12, 15], 0.5: [0.9, 1.2, 1.5], 1: [0.08, 0.12, 0.16]},
    "model.factors": [32, 64, 96],
}
EVENT_GRID = {
    "model.factors": [24, 32, 48],
    "model.unobserved_weight": [0.5, 1, 2],
    "model.regularization": [0.003, 0.01, 0.03],
}
POPULARITY_WEIGHTS = [0, 0.5, 1, 1.5, 2, 3]


def train(config: str, output: Path, settings: dict[str, object]) -> None:
    words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    done = subprocess.run(
        [TRAIN, "--config", ROOT / "configs" / config, "--overwrite", "--set", f"output={output}", *words],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(f"tune: {done.stderr.strip()}")


def prepare(fold: int) -> Path:
    path = WORK / f"u{fold}.h5"
    train("ml-100k-prepare.yaml", path, {"split.first_test_row": (fold - 1) * 20_000, "split.validation": 0.1})
    return path


def figure(data: list[Path], config: str, settings: dict[str, object], metric: str) -> float:
    """Validation metric after the last epoch, averaged over the folds."""
    found = []
    for path in data:
        run = WORK / "run"
        train(config, run, {"data.path": path, **settings})
        last = (run / "metrics.jsonl").read_text().splitlines()[-1]
        found.append(json.loads(last)["validation"][metric])
    return statistics.mean(found)


def choose(
    data: list[Path], config: str, candidates: list[dict[str, object]], metric: str, better
) -> dict[str, object]:
    scored = []
    for settings in candidates:
        scored.append((figure(data, config, settings, metric), settings))
        print(f"{metric} {scored[-1][0]:.4f}  {settings}", flush=True)
    value, settings = better(scored, key=lambda each: each[0])
    print(f"chosen: {settings} ({metric} {value:.4f})\n", flush=True)
    return settings


def tune_als(data: list[Path]) -> None:
    grid = [
        {"model.regularization_power": power, "model.regularization": regularization, "model.factors": factors}
        for power, factors in itertools.product(RATING_GRID["model.regularization_power"], RATING_GRID["model.factors"])
        for regularization in RATING_GRID["model.regularization"][power]
    ]
    rating = choose(data, "ml-100k-als.yaml", grid, "rmse", min)
    ranking = [{**rating, "model.popularity_weight": weight} for weight in POPULARITY_WEIGHTS]
    choose(data, "ml-100k-als.yaml", ranking, "ndcg@10", max)


def tune_ials(data: list[Path]) -> None:
    grid = [dict(zip(EVENT_GRID, values, strict=True)) for values in itertools.product(*EVENT_GRID.values())]
    choose(data, "ml-100k-ials.yaml", grid, "ndcg@10", max)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=["ml-100k", "ml-100k-ials"])
    arguments = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    data = [prepare(fold) for fold in FOLDS]
    tune_ials(data) if arguments.data == "ml-100k-ials" else tune_als(data)


if __name__ == "__main__":
    main()
