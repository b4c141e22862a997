"""Benchmarks of neighborhood methods and of similarities of sparse rows."""

import json
import shutil
import statistics
from functools import partial
from pathlib import Path

from common import BUILD, TRAIN, WORK, compare, fetch, in_turn, last_json, peer_python, publish, run
from factors import prepared_ml100k
from gowalla import prepared as prepared_gowalla

IMPLICIT, SPARSE_DOT_TOPN = "implicit 0.7.3", "sparse-dot-topn 1.2.0"
K = 20


def sparse_topk(name: str, data, side: str, threads: int) -> None:
    """Cosines of all rows with the most similar ones, from sparse rows with lengths other than 1, which all sides normalize."""
    path, sums = data(), {}

    def ours() -> float:
        found = last_json(run(BUILD / "bin" / "row_similarity_bench", path, side, K, threads, 3, threads=threads))
        sums["Sartor"] = round(found["sum"], 1)
        return found["seconds"]

    def theirs(library: str):
        def once() -> float:
            script = Path(__file__).with_name("neighbors_peers.py")
            found = last_json(run(peer_python("peers-neighbors"), script, library, path, side, K, threads=threads))
            sums[library] = round(found["sum"], 1)
            return found["seconds"]

        return once

    mine, *others = in_turn(ours, theirs("implicit"), theirs("sparse_dot_topn"), rounds=3)
    compare(name, mine, dict(zip((IMPLICIT, SPARSE_DOT_TOPN), others)), threads, sums=list(sums.values()))


def train(config: str, data: Path, output: Path) -> dict:
    shutil.rmtree(output, ignore_errors=True)
    run(TRAIN, "--config", f"configs/{config}.yaml", "--set", f"data.path={data}", "--set", f"output={output}")
    return json.loads((output / "results.json").read_text())["test"]


def accuracy_ml100k(name: str) -> None:
    fetch("ml-100k")
    folds = []
    for fold in range(5):
        data = WORK / f"u{fold + 1}.h5"
        settings = ["--set", f"split.first_test_row={fold * 20_000}", "--set", f"output={data}"]
        run(TRAIN, "--config", "configs/ml-100k-prepare.yaml", "--overwrite", *settings)
        folds.append(round(train("ml-100k-knn", data, WORK / "knn")["rmse"], 4))
    publish({"name": name, "metric": "rmse", "value": round(statistics.mean(folds), 4), "folds": folds})


def accuracy_gowalla(name: str) -> None:
    found = train("bench/gowalla-knn", prepared_gowalla(), WORK / "knn")
    publish({"name": name, "metric": "recall@20"} | {key: round(found[key], 4) for key in ("recall@20", "ndcg@20")})


BENCHES = {"accuracy/ml-100k-knn": accuracy_ml100k, "accuracy/gowalla-knn": accuracy_gowalla}
for threads in (1, 2):
    for label, data in (("ml-100k", prepared_ml100k), ("gowalla", prepared_gowalla)):
        for side in ("users", "items"):
            BENCHES[f"speed/sparse-topk/{label}-{side}-t{threads}"] = partial(
                sparse_topk, data=data, side=side, threads=threads
            )
