"""Benchmarks of graph filters and EASE on Gowalla, against numpy and scipy. GOWALLA as for gowalla.py."""

import gzip
import json
import os
import shutil
from collections import Counter
from functools import partial
from pathlib import Path

from common import BUILD, SKYLAKE, TRAIN, WORK, compare, in_turn, last_json, peak_mib, peer_python, publish, run
from gowalla import prepared, sources, words

SCIPY, NUMPY = "scipy 1.17.1", "numpy 2.4.6"
LAMBDA = 200
GFCF_LINEAR = ("gfcf", "{algorithm: gfcf}")


def train_command(folder: Path, data: Path, threads: int, config: str, model: str | None = None) -> list[object]:
    """configs/bench/gowalla-CONFIG.yaml, if `model` is given with that model."""
    settings = words(data__path=data, threads=threads, output=folder, **({"model": model} if model else {}))
    return [TRAIN, "--config", f"configs/bench/gowalla-{config}.yaml", "--overwrite", *settings]


def train(folder: Path, data: Path, threads: int, *config: str) -> dict:
    """Seconds of training and the metrics on the test split. config: name, and model, as of train_command."""
    shutil.rmtree(folder, ignore_errors=True)
    run(*train_command(folder, data, threads, *config), threads=threads)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return {"seconds": lines[-1]["train"]["seconds"], **json.loads((folder / "results.json").read_text())["test"]}


def theirs(threads: int, *command: object, **environment: str) -> dict:
    program = Path(__file__).with_name("filter_peers.py")
    return last_json(run(peer_python("peers-filters"), program, *command, threads=threads, **environment))


def graph_filter(name: str, threads: int) -> None:
    """Filter and full ranking of all users with test pairs by the same GF-CF model. Stops if Recall@20 differs."""
    data, model, recalls = prepared(), WORK / "gfcf-linear", {}
    if not (model / "results.json").exists():
        train(model, data, len(os.sched_getaffinity(0)), *GFCF_LINEAR)

    def ours() -> float:
        found = last_json(run(BUILD / "bin" / "evaluate_bench", data, model, 20, threads, 1, threads=threads))
        recalls["recall"] = round(found["recall@20"], 4)
        return found["seconds"]

    def scipy() -> float:
        found = theirs(threads, "filter", data, model, **SKYLAKE)
        recalls[f"{SCIPY} recall"] = round(found["recall"], 4)
        return found["seconds"]

    mine, peer = in_turn(ours, scipy, rounds=1)
    compare(name, mine, {SCIPY: peer}, threads, **recalls)


def most_popular(items: int) -> Path:
    """Prepared pairs of the most popular items of Gowalla."""
    path = WORK / f"gowalla-{items}.h5"
    if not path.exists():
        parts, tables = [], [WORK / f"gowalla-{items}-{part}.tsv" for part in ("train", "test")]
        for source in sources():
            with gzip.open(source, "rt") as file:
                parts.append([line.split() for line in file])
        kept = {item for item, _ in Counter(item for _, item in parts[0]).most_common(items)}
        for part, table in zip(parts, tables):
            table.write_text("".join(f"{user}\t{item}\n" for user, item in part if item in kept))
        settings = words(source__path=tables[0], test_path=tables[1], output=path)
        run(TRAIN, "--config", "configs/bench/gowalla-prepare.yaml", *settings)
    return path


def ease(name: str, threads: int, items: int = 10000) -> None:
    """Seconds to solve EASE, and the peak memory of both processes."""
    data, folder, memory = most_popular(items), WORK / "ease", {}
    config = ("ease", f"{{algorithm: ease, regularization: {LAMBDA}}}")

    def ours() -> float:
        return train(folder, data, threads, *config)["seconds"]

    def numpy() -> float:
        found = theirs(threads, "ease", data, LAMBDA, **SKYLAKE)
        memory[f"{NUMPY} peak MiB"] = round(found["peak_mib"])
        return found["seconds"]

    mine, peer = in_turn(ours, numpy, rounds=1)
    memory["peak MiB"] = round(peak_mib(*train_command(folder, data, threads, *config)))
    compare(name, mine, {NUMPY: peer}, threads, items=items, **memory)


def accuracy(name: str, configs: dict[str, tuple[str, ...]]) -> None:
    line = {"name": name, "metric": "recall@20"}
    for title, config in configs.items():
        found = train(WORK / "filters", prepared(), len(os.sched_getaffinity(0)), *config)
        line["value"] = max(line.get("value", 0), round(found["recall@20"], 4))
        line[title] = round(found["recall@20"], 4)
        line[f"{title} ndcg@20"] = round(found["ndcg@20"], 4)
    publish(line)


# Config, and the model where it is another one.
FILTERS = {"gfcf plateau": ("gfcf",), "gfcf linear": GFCF_LINEAR, "rp3beta": ("rp3beta",), "turbocf": ("turbocf",)}
LINEAR = {"ease": ("ease",), "elsa": ("elsa",)}

BENCHES = {
    "accuracy/gowalla-filter": partial(accuracy, configs=FILTERS),
    "accuracy/gowalla-ease": partial(accuracy, configs=LINEAR),
}
for threads in (1, 2):
    BENCHES[f"speed/graph-filter/gowalla-t{threads}"] = partial(graph_filter, threads=threads)
    BENCHES[f"speed/ease/gowalla-10000-t{threads}"] = partial(ease, threads=threads)
