"""Benchmarks of implicit ALS and of full-ranking evaluation on Gowalla. The environment variable GOWALLA is the folder of its files."""

import json
import os
import shutil
import statistics
import sys
from functools import partial
from pathlib import Path

from common import (
    BUILD,
    SKYLAKE,
    TRAIN,
    WORK,
    compare,
    in_turn,
    last_json,
    peer,
    peer_python,
    publish,
    run,
)

IALS = "configs/bench/gowalla-ials.yaml"
IRSPACK, IMPLICIT, RECBOLE = "irspack 0.5.2", "implicit 0.7.3", "RecBole 1.2.1"
# By number of factors: unobserved_weight (alpha0 of irspack) and regularization (reg). The best on validation rows of the grid of
# configs/bench/gowalla-ials-tune.yaml, which scripts/tune_gowalla.py searches for irspack; of 128 and 1,024 factors by hand, for both.
CHOSEN = {64: (0.01, 0.002), 128: (0.01, 0.002), 256: (0.01, 0.003), 1024: (0.01, 0.003)}
IRSPACK_CHOSEN = CHOSEN | {256: (0.01, 0.002)}
HU_KOREN = {64: (40, 40), 128: (40, 40), 256: (40, 40)}  # alpha, regularization of implicit


def sources() -> tuple[Path, Path]:
    folder = os.environ.get("GOWALLA")
    files = [Path(folder or ".") / f"{part}.tsv.gz" for part in ("train", "test")]
    if not folder or not all(file.exists() for file in files):
        sys.exit(
            "bench: GOWALLA must be a folder with train.tsv.gz and test.tsv.gz, pairs of user and item of LightGCN's split of Gowalla"
        )
    return files[0], files[1]


def words(**settings: object) -> list[str]:
    return [word for key, value in settings.items() for word in ("--set", f"{key.replace('__', '.')}={value}")]


def prepared(validation: float = 0) -> Path:
    train, test = sources()
    path = WORK / (f"gowalla-{validation}.h5" if validation else "gowalla.h5")
    if not path.exists():
        settings = words(source__path=train, test_path=test, split__validation=validation, output=path)
        run(TRAIN, "--config", "configs/bench/gowalla-prepare.yaml", *settings)
    return path


def train(threads: int, folder: Path, data: Path, part: str = "test", **settings: object) -> dict:
    """Median seconds per epoch, and the metrics on a part, of a run of ials."""
    shutil.rmtree(folder, ignore_errors=True)
    run(TRAIN, "--config", IALS, *words(data__path=data, threads=threads, output=folder, **settings), threads=threads)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return {
        "seconds": statistics.median(line["train"]["seconds"] for line in lines),
        **json.loads((folder / "results.json").read_text())[part],
    }


def hyperparameters(factors: int, chosen: tuple[float, float] | None = None) -> dict[str, object]:
    unobserved_weight, regularization = chosen or CHOSEN[factors]
    return {
        "model__factors": factors,
        "model__unobserved_weight": unobserved_weight,
        "model__regularization": regularization,
    }


def irspack(
    data: Path, threads: int, factors: int, epochs: int, solver: str, chosen: tuple, part: str = "test", seed: int = 42
) -> dict:
    python = peer_python("peers-factors")
    return peer("irspack-ials", data, factors, epochs, *chosen, solver, 64, part, seed, threads=threads, python=python)


def ials(name: str, factors: int, threads: int, solver: str = "cg") -> None:
    """Seconds per epoch at the same number of epochs, with the Recall@20 that each side reaches."""
    data, epochs, recalls = prepared(), 3 if factors > 256 else 15, {}

    def ours() -> float:
        settings = {**hyperparameters(factors), "model__solver": solver, "model__epochs": epochs}
        found = train(threads, WORK / "ials", data, **settings)
        recalls["recall@20"] = round(found["recall@20"], 4)
        return found["seconds"]

    def theirs() -> float:
        found = irspack(data, threads, factors, epochs, "CG" if solver == "cg" else "IALSPP", IRSPACK_CHOSEN[factors])
        recalls[f"{IRSPACK} recall@20"] = round(found["recall"], 4)
        return found["seconds"]

    def implicit() -> float:
        one = {"OPENBLAS_NUM_THREADS": "1"}  # as implicit recommends: its own threads call OpenBLAS
        python = peer_python("peers-factors")
        found = peer("implicit-ials", data, factors, epochs, *HU_KOREN[factors], threads=threads, python=python, **one)
        recalls[f"{IMPLICIT} recall@20"] = round(found["recall"], 4)
        return found["seconds"]

    sides = {IRSPACK: theirs} | ({IMPLICIT: implicit} if solver == "cg" else {})
    mine, *others = in_turn(ours, *sides.values(), rounds=2)
    compare(name, mine, dict(zip(sides, others)), threads, **recalls)


def evaluate(name: str, factors: int, threads: int) -> None:
    """Evaluation of one model on all sides: every item is ranked for each user with test pairs. Stops if Recall@20 differs."""
    data, model, k, recalls = prepared(), WORK / f"ials-{factors}", 20, {}
    if not (model / "results.json").exists():
        train(len(os.sched_getaffinity(0)), model, data, model__epochs=8, **hyperparameters(factors))

    def ours() -> float:
        found = last_json(run(BUILD / "bin" / "evaluate_bench", data, model, k, threads, 3, threads=threads))
        recalls["Sartor"] = found[f"recall@{k}"]
        return found["seconds"]

    def theirs(side: str, words: str, python: str, **environment: str):
        def once() -> float:
            found = peer(words, data, model, k, threads=threads, python=peer_python(python), **environment)
            recalls[side] = found["recall"]
            return found["seconds"]

        return once

    sides = {
        IRSPACK: theirs(IRSPACK, "irspack-evaluate", "peers-factors"),
        f"{IRSPACK}, SkylakeX": theirs(IRSPACK, "irspack-evaluate", "peers-factors", **SKYLAKE),
        RECBOLE: theirs(RECBOLE, "recbole-evaluate", "peers-recbole"),
    }
    mine, *others = in_turn(ours, *sides.values(), rounds=3)
    if max(recalls.values()) - min(recalls.values()) > 1e-5:
        sys.exit(f"bench: {name}: recall@{k} differs: {recalls}")
    compare(name, mine, dict(zip(sides, others)), threads, recall=round(recalls["Sartor"], 4))


def accuracy(name: str) -> None:
    """Means over seeds, which differ by some 0.0003."""
    data, threads, line = prepared(), len(os.sched_getaffinity(0)), {"name": name, "metric": "recall@20"}
    seeds = (1, 2, 3)
    for factors in (64, 256):
        settings = hyperparameters(factors)
        found = [train(threads, WORK / "ials", data, model__seed=seed, **settings) for seed in seeds]
        theirs = [irspack(data, threads, factors, 15, "CG", IRSPACK_CHOSEN[factors], seed=seed) for seed in seeds]
        line["value"] = line[f"f{factors}"] = round(statistics.mean(each["recall@20"] for each in found), 4)
        line[f"f{factors} ndcg@20"] = round(statistics.mean(each["ndcg@20"] for each in found), 4)
        line[f"{IRSPACK} f{factors}"] = round(statistics.mean(each["recall"] for each in theirs), 4)
    publish(line)


BENCHES = {"accuracy/gowalla-ials": accuracy}
for threads in (1, 2):
    for factors in (64, 128, 256):
        BENCHES[f"speed/ials/gowalla-f{factors}-t{threads}"] = partial(ials, factors=factors, threads=threads)
    BENCHES[f"speed/ials/gowalla-block-f1024-t{threads}"] = partial(ials, factors=1024, threads=threads, solver="block")
    for factors in (64, 256):
        BENCHES[f"speed/evaluate/gowalla-f{factors}-t{threads}"] = partial(evaluate, factors=factors, threads=threads)
