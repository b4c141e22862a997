"""Benchmarks of Bayesian and non-negative matrix factorization on MovieLens 100K."""

import json
import statistics
from functools import partial
from pathlib import Path

from common import TRAIN, WORK, compare, fetch, in_turn, last_json, peer_python, publish, run, train

MYFM = "myfm 0.4.0"
FACTORS, SWEEPS = 10, 300
NO_FEATURES = {"model": f"{{algorithm: bpmf, factors: {FACTORS}, epochs: {SWEEPS}}}"}


def folds() -> list[Path]:
    """The five official splits."""
    fetch("ml-100k")
    paths = [WORK / f"ml-100k-u{fold}.h5" for fold in range(1, 6)]
    for fold, path in enumerate(paths):
        if not path.exists():
            settings = (f"split.first_test_row={20_000 * fold}", f"output={path}")
            run(
                TRAIN,
                "--config",
                "configs/ml-100k-prepare.yaml",
                *(word for each in settings for word in ("--set", each)),
            )
    return paths


def ours(config: str, data: Path, threads: int, **settings: object) -> dict:
    """RMSE and median seconds per epoch."""
    folder = WORK / config
    train(config, folder, threads, data__path=data, **settings)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return {
        "seconds": statistics.median(line["train"]["seconds"] for line in lines),
        **json.loads((folder / "results.json").read_text())["test"],
    }


def myfm(data: Path, threads: int) -> dict:
    script = Path(__file__).with_name("bayesian_peers.py")
    return last_json(run(peer_python("peers-bayesian"), script, data, FACTORS, SWEEPS, threads=threads))


def mean(figures: list[float]) -> float:
    return round(statistics.mean(figures), 4)


def accuracy_bpmf(name: str) -> None:
    """Mean RMSE of the five folds, without and with features of users and items."""
    plain = [ours("ml-100k-bpmf", path, 1, **NO_FEATURES) for path in folds()]
    with_features = [ours("ml-100k-bpmf", path, 1) for path in folds()]
    peers = [myfm(path, 1)["rmse"] for path in folds()]
    publish(
        {
            "name": name,
            "metric": "rmse",
            "value": mean([each["rmse"] for each in with_features]),
            "folds": [round(each["rmse"], 4) for each in with_features],
            "without features": mean([each["rmse"] for each in plain]),
            MYFM: mean(peers),
        }
    )


def accuracy_nmf(name: str) -> None:
    found = [ours("ml-100k-nmf", path, 1) for path in folds()]
    line = {"name": name, "metric": "rmse", "value": mean([each["rmse"] for each in found])}
    publish(line | {"folds": [round(each["rmse"], 4) for each in found]})


def speed_bpmf(name: str, threads: int) -> None:
    """Seconds per sweep without features, and the RMSE on fold u1 of both sides."""
    data, more = folds()[0], {}

    def mine() -> float:
        found = ours("ml-100k-bpmf", data, threads, **NO_FEATURES)
        more["rmse"] = round(found["rmse"], 4)
        return found["seconds"]

    def theirs() -> float:
        found = myfm(data, threads)
        more[f"{MYFM} rmse"] = round(found["rmse"], 4)
        return found["seconds"]

    own, peers = in_turn(mine, theirs, rounds=3)
    compare(name, own, {MYFM: peers}, threads, **more)


BENCHES = {"accuracy/ml-100k-bpmf": accuracy_bpmf, "accuracy/ml-100k-nmf": accuracy_nmf}
for threads in (1, 2):
    BENCHES[f"speed/bpmf/ml-100k-t{threads}"] = partial(speed_bpmf, threads=threads)
