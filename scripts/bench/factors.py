"""Benchmarks of factor models: cosine top-k and ALS, their speed, memory and accuracy."""

import json
import shutil
import statistics
import sys
from pathlib import Path

from common import (
    BUILD,
    CUDA,
    ROOT,
    SKYLAKE,
    TRAIN,
    WORK,
    Threads,
    compare,
    device_settings,
    fetch,
    in_turn,
    last_json,
    machine,
    peak_mib,
    peer,
    publish,
    run,
)


def cosine_topk(name: str, queries: int, items: int, columns: int, k: int, threads: Threads) -> None:
    shape, repeats = (queries, items, columns, k), 3 if queries * items > 10_000_000 else 10
    bench = [BUILD / "bin" / "topk_bench", *shape, *((1, repeats, CUDA) if threads == CUDA else (threads, repeats))]
    sides = {
        "faiss 1.15.1": lambda: peer("faiss", *shape, repeats, threads=threads, **SKYLAKE)["seconds"],
        "torch 2.11.0": lambda: peer("torch", *shape, repeats, threads=threads, python=Path(sys.executable))["seconds"],
    }
    if threads == CUDA:
        del sides["faiss 1.15.1"]  # its wheel is for CPUs
    ours, *peers = in_turn(lambda: last_json(run(*bench, threads=threads))["seconds"], *sides.values())
    compare(name, ours, dict(zip(sides, peers)), threads)


def prepared_ml100k() -> Path:
    fetch("ml-100k")
    path = WORK / "ml-100k.h5"
    if not path.exists():
        run(
            TRAIN,
            "--config",
            "configs/ml-100k-prepare.yaml",
            "--set",
            f"output={path}",
            "--set",
            "split={method: random, test: 0}",
        )
    return path


def made_ratings(rows: int) -> Path:
    path = WORK / f"made-{rows}.csv"
    if not path.exists():
        run(sys.executable, ROOT / "scripts" / "make_ratings.py", rows, path)
    return path


def prepared_made() -> Path:
    path = WORK / "made-10m.h5"
    if not path.exists():
        run(
            TRAIN,
            "--config",
            "configs/bench/made-prepare.yaml",
            "--set",
            f"source.path={made_ratings(10_000_000)}",
            "--set",
            f"output={path}",
        )
    return path


def als_run(path: Path, factors: int, epochs: int, threads: Threads) -> list:
    """Command line of a training run, after deleting its output folder."""
    folder = WORK / "als"
    shutil.rmtree(folder, ignore_errors=True)
    settings = [
        f"data.path={path}",
        f"model.factors={factors}",
        f"model.epochs={epochs}",
        *(f"{field}={value}" for field, value in device_settings(threads).items()),
        f"output={folder}",
    ]
    return [TRAIN, "--config", "configs/bench/als.yaml", *(word for each in settings for word in ("--set", each))]


def sizes(path: Path) -> tuple[int, int, int]:
    """Numbers of users, items and training ratings of a prepared file."""
    import h5py

    with h5py.File(path) as file:
        return len(file["users/ids"]), len(file["items/ids"]), len(file["train/by_user/columns"])


def als_explicit(name: str, data, factors: int, threads: int) -> None:
    path, epochs, rounds = data(), *((6, 5) if data is prepared_ml100k else (2, 3))

    def ours() -> float:
        run(*als_run(path, factors, epochs, threads), threads=threads)
        lines = [json.loads(line) for line in (WORK / "als" / "metrics.jsonl").read_text().splitlines()]
        return statistics.median([line["train"]["seconds"] for line in lines[1:]])

    def theirs() -> float:
        one = {"OPENBLAS_NUM_THREADS": "1"}  # as implicit recommends: its own threads call OpenBLAS
        return peer("implicit", path, factors, epochs, threads=threads, **one)["seconds"]

    mine, implicit = in_turn(ours, theirs, rounds=rounds)
    users, items, ratings = sizes(path)
    work = 2 * ratings * factors**2 + (users + items) * factors**3 / 3
    gemm = max(
        peer("gemm", threads=threads)["gflops"],
        peer("gemm", threads=threads, **SKYLAKE)["gflops"],
        peer("torch-gemm", "fp32", threads=threads, python=Path(sys.executable))["gflops"],
    )
    rate = work / statistics.median(mine) / 1e9
    compare(
        name,
        mine,
        {"implicit 0.7.3, Cholesky": implicit},
        threads,
        gflops=round(rate),
        gemm_gflops=round(gemm),
        gemm_share=round(rate / gemm, 2),
    )


def als_on_gpu(name: str, data, factors: int) -> None:
    """Seconds per epoch beside the card's matrix products; no peer solves the same equations on a GPU."""
    path, epochs = data(), 6
    rates = {kind: peer("torch-gemm", kind, threads=CUDA, python=Path(sys.executable)) for kind in ("fp32", "tf32")}

    def ours() -> float:
        run(*als_run(path, factors, epochs, CUDA), threads=CUDA)
        lines = [json.loads(line) for line in (WORK / "als" / "metrics.jsonl").read_text().splitlines()]
        return statistics.median([line["train"]["seconds"] for line in lines[1:]])

    (mine,) = in_turn(ours, rounds=3)
    users, items, ratings = sizes(path)
    rate = (2 * ratings * factors**2 + (users + items) * factors**3 / 3) / statistics.median(mine) / 1e9
    publish(
        {
            "name": name,
            "ours": round(statistics.median(mine), 5),
            "ours_spread": [round(min(mine), 5), round(max(mine), 5)],
            "unit": "s",
            "threads": CUDA,
            **machine(CUDA),
            "gflops": round(rate),
            **{f"{kind}_gemm_gflops": round(each["gflops"]) for kind, each in rates.items()},
        }
    )


def als_memory(name: str, factors: int) -> None:
    """Peak memory of a whole run, evaluation and saving included, above that of the program after reading its config."""
    path = prepared_made()
    users, items, ratings = sizes(path)
    data = (
        2 * 8 * ratings + (users + items) * (8 + 4 * (factors + 1))
    ) / 2**20  # ratings in both CSR orientations, factors, biases
    command = als_run(path, factors, 2, 2)
    above = peak_mib(*command) - peak_mib(*command, "--dry-run")
    publish({"name": name, "value": round(above / data, 2), "peak_mib": round(above), "data_mib": round(data)})


def accuracy_als(name: str) -> None:
    folds = []
    for fold in range(1, 6):
        data, folder = WORK / f"u{fold}.h5", WORK / f"u{fold}"
        first = (fold - 1) * 20_000
        fetch("ml-100k")
        run(
            TRAIN,
            "--config",
            "configs/ml-100k-prepare.yaml",
            "--overwrite",
            "--set",
            f"split.first_test_row={first}",
            "--set",
            f"output={data}",
        )
        run(
            TRAIN,
            "--config",
            "configs/ml-100k-als.yaml",
            "--overwrite",
            "--set",
            f"data.path={data}",
            "--set",
            f"output={folder}",
        )
        folds.append(json.loads((folder / "results.json").read_text()))

    def mean(*keys: str) -> float:
        found = []
        for fold in folds:
            for key in keys:
                fold = fold[key]
            found.append(fold)
        return round(statistics.mean(found), 4)

    line = {
        "name": name,
        "metric": "rmse",
        "value": mean("test", "rmse"),
        "folds": [round(fold["test"]["rmse"], 4) for fold in folds],
    }
    for metric in ("recall@10", "ndcg@10"):
        line[metric] = mean("test", metric)
        line[f"popularity {metric}"] = mean("baselines", "popularity", metric)
    publish(line)
