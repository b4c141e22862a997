"""The table of benchmarks; runs those whose names begin with an argument (see scripts/bench.sh)."""

import json
import shutil
import statistics
import sys
import time
from functools import partial
from pathlib import Path

from bert import accuracy_reviews, bert_classify, bert_train
from common import (
    BUILD,
    ROOT,
    SKYLAKE,
    TRAIN,
    WORK,
    compare,
    distinct_lines,
    fetch,
    in_turn,
    last_json,
    peak_mib,
    peer,
    publish,
    run,
)
from generate import continuous_batching, generate_same, shared_prefix
from gpt import byte_bpe, gpt_train, gpt_zh
from ids_as_text import ids_as_text
from reviews_zh import reviews_zh
from two_trainings import two_trainings


def cosine_topk(name: str, queries: int, items: int, columns: int, k: int, threads: int) -> None:
    shape, repeats = (queries, items, columns, k), 3 if queries * items > 10_000_000 else 10
    ours, faiss, torch = in_turn(
        lambda: last_json(run(BUILD / "bin" / "topk_bench", *shape, threads, repeats, threads=threads))["seconds"],
        lambda: peer("faiss", *shape, repeats, threads=threads, **SKYLAKE)["seconds"],
        lambda: peer("torch", *shape, repeats, threads=threads, python=Path(sys.executable))["seconds"],
    )
    compare(name, ours, {"faiss 1.15.1": faiss, "torch 2.11.0": torch}, threads)


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


def als_run(path: Path, factors: int, epochs: int, threads: int) -> list:
    """Command line of a training run, after deleting its output folder."""
    folder = WORK / "als"
    shutil.rmtree(folder, ignore_errors=True)
    settings = [
        f"data.path={path}",
        f"model.factors={factors}",
        f"model.epochs={epochs}",
        f"threads={threads}",
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


def prepare(name: str) -> None:
    rows = 20_000_000
    source, output = made_ratings(rows), WORK / "prepare.h5"

    command = [TRAIN, "--config", "configs/bench/made-prepare.yaml", "--overwrite"]
    command += ["--set", f"source.path={source}", "--set", f"output={output}"]

    def once() -> float:
        start = time.perf_counter()
        run(*command)
        return time.perf_counter() - start

    (found,) = in_turn(once)
    peak = peak_mib(*command)
    found = statistics.median(found)
    publish(
        {
            "name": name,
            "value": round(rows / found),
            "unit": "rows/s",
            "ours": round(found, 2),
            "peak_mib": round(peak),
            "csr_mib": round(rows * 24 / 2**20),
        }
    )
    output.unlink()


def wordpiece(name: str, language: str, offsets: bool, threads: int) -> None:
    lines, tokenizer = distinct_lines(language), ROOT / "data" / "minilm" / "tokenizer.json"
    kind = "offsets" if offsets else "ids"
    bench = BUILD / "bin" / "wordpiece_bench"
    found = {}

    def ours() -> float:
        found["ours"] = last_json(run(bench, tokenizer, lines, threads, kind, 7, threads=threads))
        return found["ours"]["seconds"]

    def theirs() -> float:
        pool = {"RAYON_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "true" if threads > 1 else "false"}
        found["theirs"] = peer("tokenizers", tokenizer, lines, kind, threads=threads, **pool)
        return found["theirs"]["seconds"]

    mine, peers = in_turn(ours, theirs)
    if found["ours"]["tokens"] != found["theirs"]["tokens"]:
        sys.exit(f"bench: {name}: we find {found['ours']['tokens']} tokens, the peer {found['theirs']['tokens']}")
    call = "encode_batch" if offsets else "encode_batch_fast"
    megabytes = found["ours"]["bytes"] / 1e6
    compare(
        name,
        mine,
        {f"tokenizers 0.23.3 {call}": peers},
        threads,
        mb_per_s=round(megabytes / statistics.median(mine), 1),
        peer_mb_per_s=round(megabytes / statistics.median(peers), 2),
    )


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


BENCHES = {
    "accuracy/gpt-zh": gpt_zh,
    "accuracy/ids-as-text": ids_as_text,
    "accuracy/ml-100k-als": accuracy_als,
    "accuracy/reviews-en": accuracy_reviews,
    "accuracy/reviews-zh": reviews_zh,
    "speed/prepare": prepare,
    "speed/two-trainings": two_trainings,
}
for factors in (64, 128):
    BENCHES[f"memory/als-explicit/made-10m-f{factors}"] = partial(als_memory, factors=factors)
for threads in (1, 2):
    for label, data in (("ml-100k", prepared_ml100k), ("made-10m", prepared_made)):
        for factors in (64, 128):
            BENCHES[f"speed/als-explicit/{label}-f{factors}-t{threads}"] = partial(
                als_explicit, data=data, factors=factors, threads=threads
            )
    for language in ("en", "zh"):
        for offsets in (False, True):
            BENCHES[f"speed/wordpiece/{language}-{'offsets' if offsets else 'ids'}-t{threads}"] = partial(
                wordpiece, language=language, offsets=offsets, threads=threads
            )
        BENCHES[f"speed/byte-bpe/{language}-ids-t{threads}"] = partial(byte_bpe, language=language, threads=threads)
    fp32 = {
        "ctranslate2 4.8.5": ("ctranslate2", "fp32"),
        "onnxruntime 1.32.0": ("onnxruntime", "fp32"),
        "transformers 5.23.0": ("transformers", "fp32"),
    }
    int8 = {"ctranslate2 4.8.5 int8": ("ctranslate2", "int8"), "onnxruntime 1.32.0 int8": ("onnxruntime", "int8")}
    bf16 = {"transformers 5.23.0 bf16": ("transformers", "bf16")}
    for precision, peers in {"fp32": fp32, "bf16": bf16, "int8": int8}.items():
        BENCHES[f"speed/bert-classify-{precision}/minilm-t{threads}"] = partial(
            bert_classify, precision=precision, peers=peers, threads=threads
        )
    for precision in ("fp32", "bf16"):
        BENCHES[f"speed/bert-train-{precision}/reviews-en-t{threads}"] = partial(
            bert_train, precision=precision, threads=threads
        )
        BENCHES[f"speed/gpt-train-{precision}/6x384-t{threads}"] = partial(
            gpt_train, precision=precision, threads=threads
        )
    for precision in ("fp32", "int8"):
        for batch in (1, 8):
            BENCHES[f"speed/gpt-generate-{precision}/124m-b{batch}-t{threads}"] = partial(
                generate_same, precision=precision, batch=batch, threads=threads
            )
    BENCHES[f"speed/continuous-batching/124m-t{threads}"] = partial(continuous_batching, threads=threads)
    BENCHES[f"speed/gpt-shared-prefix/124m-t{threads}"] = partial(shared_prefix, threads=threads)
    for label, shape in {
        "1000x100k-d128-k10": (1000, 100_000, 128, 10),
        "1000x100k-d128-k100": (1000, 100_000, 128, 100),
        "1x1m-d128-k10": (1, 1_000_000, 128, 10),
    }.items():
        BENCHES[f"speed/cosine-topk/{label}-t{threads}"] = partial(
            cosine_topk, queries=shape[0], items=shape[1], columns=shape[2], k=shape[3], threads=threads
        )


def main() -> None:
    names = sys.argv[1:]
    if not names or names == ["--list"]:
        print("\n".join(sorted(BENCHES)))
        return
    WORK.mkdir(parents=True, exist_ok=True)
    for name in names:
        chosen = [each for each in sorted(BENCHES) if each.startswith(name)]
        if not chosen:
            sys.exit(f"bench: no benchmark begins with {name}; scripts/bench.sh --list prints the names")
        for each in chosen:
            BENCHES[each](each)


if __name__ == "__main__":
    main()
