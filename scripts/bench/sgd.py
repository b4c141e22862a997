"""Benchmarks of stochastic gradient descent: accuracy of sgd and svdpp on the folds of ml-100k, speed of sgd against LIBMF."""

import json
import os
import statistics
from functools import partial
from pathlib import Path

from common import BUILD, WORK, compare, fetch, in_turn, last_json, peer_python, publish, run, train

FOLDS = range(1, 6)
# LIBMF's flags (factors, iterations, regularization, learning rate), and settings of sgd that reach its RMSE: factors, epochs,
# learning_rate, learning_rate_decay, regularization with regularization_power 0.5.
SETTINGS = {
    "k16": ((16, 20, 0.1, 0.1), (30, 13, 0.03, 0.95, 0.8)),
    "k100": ((100, 100, 0.1, 0.05), (62, 16, 0.03, 0.95, 0.8)),
}


def prepared(fold: int) -> Path:
    path = WORK / f"u{fold}.h5"
    if not path.exists():
        fetch("ml-100k")
        train("ml-100k-prepare", path, split__first_test_row=(fold - 1) * 20_000)
    return path


def accuracy(name: str, config: str) -> None:
    found = []
    for fold in FOLDS:
        folder = WORK / f"{config}-u{fold}"
        train(config, folder, data__path=prepared(fold))
        found.append(json.loads((folder / "results.json").read_text())["test"]["rmse"])
    publish(
        {
            "name": name,
            "metric": "mean RMSE of the official folds",
            "value": round(statistics.mean(found), 4),
            "folds": [round(each, 4) for each in found],
        }
    )


def libmf() -> Path:
    """Python with LIBMF compiled as its Makefile does. The package alone would compile it without SSE and optimization."""
    flags = "-O3 -march=native -DUSESSE -DUSEOMP -fopenmp"
    os.environ |= {"CFLAGS": flags, "CXXFLAGS": flags, "PIP_NO_CACHE_DIR": "1"}
    return peer_python("peers-sgd")


def speed(name: str, label: str, threads: int) -> None:
    """Training from ratings in memory (LIBMF) or in the prepared file (Sartor), mean of the folds."""
    theirs, ours = SETTINGS[label]
    python, program = libmf(), Path(__file__).with_name("sgd_peers.py")
    files, rmse = [prepared(fold) for fold in FOLDS], {}

    def trained(side: str, *commands: tuple) -> float:
        found = [last_json(run(*command, threads=threads)) for command in commands]
        rmse[side] = round(statistics.mean(each["rmse"] for each in found), 4)
        return statistics.mean(each["seconds"] for each in found)

    mine, peers = in_turn(
        partial(trained, "ours", *((BUILD / "bin" / "sgd_bench", file, threads, *ours) for file in files)),
        partial(trained, "peer", (python, program, *theirs, threads, *files)),
    )
    compare(name, mine, {"LIBMF 2 (libmf 0.9.2)": peers}, threads, rmse=rmse["ours"], peer_rmse=rmse["peer"])


BENCHES = {f"accuracy/ml-100k-{name}": partial(accuracy, config=f"ml-100k-{name}") for name in ("sgd", "svdpp")} | {
    f"speed/sgd/ml-100k-{label}-t{threads}": partial(speed, label=label, threads=threads)
    for label in SETTINGS
    for threads in (1, 2)
}
