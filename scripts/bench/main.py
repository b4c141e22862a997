"""The table of benchmarks; runs those whose names begin with an argument (see scripts/bench.sh)."""

import argparse
import statistics
import sys
import time
from functools import partial

from bayesian import BENCHES as BAYESIAN
from bert import accuracy_reviews, bert_classify, bert_train
from clustering import BENCHES as CLUSTERING
from common import (
    BUILD,
    CUDA,
    ROOT,
    TRAIN,
    WORK,
    compare,
    distinct_lines,
    in_turn,
    last_json,
    peak_mib,
    peer,
    publish,
    run,
)
from factors import (
    accuracy_als,
    als_explicit,
    als_memory,
    als_on_gpu,
    cosine_topk,
    made_ratings,
    prepared_made,
    prepared_ml100k,
)
from filters import BENCHES as FILTERS
from generate import continuous_batching, generate_on_gpu, generate_same, shared_prefix
from gowalla import BENCHES as GOWALLA
from gpt import byte_bpe, gpt_train, gpt_zh
from ids_as_text import ids_as_text
from neighbors import BENCHES as NEIGHBORS
from ranking import BENCHES as RANKING
from reviews_zh import reviews_zh
from sgd import BENCHES as SGD
from two_trainings import two_trainings


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


TOPK_SHAPES = {
    label: dict(zip(("queries", "items", "columns", "k"), shape))
    for label, shape in {
        "1000x100k-d128-k10": (1000, 100_000, 128, 10),
        "1000x100k-d128-k100": (1000, 100_000, 128, 100),
        "1x1m-d128-k10": (1, 1_000_000, 128, 10),
    }.items()
}
BENCHES = (
    GOWALLA
    | CLUSTERING
    | NEIGHBORS
    | SGD
    | RANKING
    | FILTERS
    | BAYESIAN
    | {
        "accuracy/gpt-zh": gpt_zh,
        "accuracy/ids-as-text": ids_as_text,
        "accuracy/ml-100k-als": accuracy_als,
        "accuracy/reviews-en": accuracy_reviews,
        "accuracy/reviews-zh": reviews_zh,
        "speed/prepare": prepare,
        "speed/two-trainings": two_trainings,
    }
)
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
    for label, shape in TOPK_SHAPES.items():
        BENCHES[f"speed/cosine-topk/{label}-t{threads}"] = partial(cosine_topk, **shape, threads=threads)

ON_GPU = {}
for label, shape in TOPK_SHAPES.items():
    ON_GPU[f"speed/cosine-topk/{label}-cuda"] = partial(cosine_topk, **shape, threads=CUDA)
for factors in (64, 128):
    ON_GPU[f"speed/als-explicit/made-10m-f{factors}-cuda"] = partial(als_on_gpu, data=prepared_made, factors=factors)
for precision in ("fp32", "tf32", "bf16"):
    ON_GPU[f"speed/bert-train-{precision}/reviews-en-cuda"] = partial(bert_train, precision=precision, threads=CUDA)
    ON_GPU[f"speed/gpt-train-{precision}/6x384-cuda"] = partial(gpt_train, precision=precision, threads=CUDA)
    ON_GPU[f"speed/bert-classify-{precision}/minilm-cuda"] = partial(
        bert_classify,
        precision=precision,
        peers={f"transformers 5.23.0 {precision}": ("transformers", precision)},
        threads=CUDA,
    )
for precision in ("fp32", "bf16"):
    for batch in (1, 8, 64):
        ON_GPU[f"speed/gpt-generate-{precision}/124m-b{batch}-cuda"] = partial(
            generate_on_gpu, precision=precision, batch=batch
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.sh")
    parser.add_argument("--device", choices=("cpu", CUDA), default="cpu")
    parser.add_argument("--list", action="store_true", help="print the names of the device's benchmarks")
    parser.add_argument("names", nargs="*", metavar="NAME", help="beginning of a name")
    arguments = parser.parse_args()
    benches = ON_GPU if arguments.device == CUDA else BENCHES
    if arguments.list or not arguments.names:
        print("\n".join(sorted(benches)))
        return
    WORK.mkdir(parents=True, exist_ok=True)
    for name in arguments.names:
        chosen = [each for each in sorted(benches) if each.startswith(name)]
        if not chosen:
            sys.exit(
                f"bench: no benchmark for {arguments.device} begins with {name}; "
                f"scripts/bench.sh --device {arguments.device} --list prints the names"
            )
        for each in chosen:
            benches[each](each)


if __name__ == "__main__":
    main()
