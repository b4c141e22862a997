"""Benchmarks of bpr and simplex on Gowalla."""

import json
import shutil
import statistics
from functools import partial
from pathlib import Path

from common import PROCESSORS, TRAIN, WORK, compare, in_turn, peer, peer_python, publish, run
from gowalla import IMPLICIT, prepared, words


def train(algorithm: str, threads: int, folder: Path, **settings: object) -> dict:
    """Median seconds per epoch, and the metrics on the test pairs."""
    shutil.rmtree(folder, ignore_errors=True)
    config = f"configs/bench/gowalla-{algorithm}.yaml"
    settings = {"data__path": prepared(), "threads": threads, "output": folder, **settings}
    run(TRAIN, "--config", config, *words(**settings), threads=threads)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return {
        "seconds": statistics.median(line["train"]["seconds"] for line in lines),
        **json.loads((folder / "results.json").read_text())["test"],
    }


def accuracy(name: str, algorithm: str) -> None:
    found = train(algorithm, PROCESSORS, WORK / algorithm)
    rounded = {metric: round(found[metric], 4) for metric in ("ndcg@20", "coverage@20")}
    publish({"name": name, "metric": "recall@20", "value": round(found["recall@20"], 4), **rounded})


def bpr(name: str, threads: int) -> None:
    """Seconds per epoch with one uniform negative per pair, and Recall@20 after 20 epochs of each side, untuned."""
    epochs, rate, regularization, recalls = 20, 0.05, 0.002, {}

    def ours() -> float:
        settings = {"learning_rate": rate, "regularization": regularization, "candidates": 1, "schedule": "constant"}
        found = train(
            "bpr", threads, WORK / "bpr", model__epochs=epochs, **{f"model__{k}": v for k, v in settings.items()}
        )
        recalls["recall@20"] = round(found["recall@20"], 4)
        return found["seconds"]

    def theirs() -> float:
        python = peer_python("peers-factors")
        found = peer(
            "implicit-bpr", prepared(), 64, epochs, str(rate), str(regularization), threads=threads, python=python
        )
        recalls[f"{IMPLICIT} recall@20"] = round(found["recall"], 4)
        return found["seconds"]

    mine, others = in_turn(ours, theirs, rounds=3)
    compare(name, mine, {IMPLICIT: others}, threads, **recalls)


BENCHES = {
    "accuracy/gowalla-bpr": partial(accuracy, algorithm="bpr"),
    "accuracy/gowalla-simplex": partial(accuracy, algorithm="simplex"),
}
for threads in (1, 2):
    BENCHES[f"speed/bpr/gowalla-f64-t{threads}"] = partial(bpr, threads=threads)
