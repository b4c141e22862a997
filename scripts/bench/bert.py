"""Benchmarks of BERT classifiers: fine-tuning against transformers' Trainer, inference against three engines."""

import csv
import hashlib
import json
import shutil
import statistics
import sys
from functools import partial
from pathlib import Path

import numpy as np
from common import (
    BUILD,
    CUDA,
    INFER,
    ISA,
    PROCESSORS,
    ROOT,
    SKYLAKE,
    WORK,
    Threads,
    compare,
    fetch,
    in_turn,
    last_json,
    peak_mib,
    peer,
    peer_python,
    publish,
    run,
    train,
    train_once,
)

MINILM = ROOT / "data" / "minilm"
TRAINER = "transformers 5.23.0 Trainer"
SEEDS = range(42, 52)  # with only five seeds the 95% interval is about +-1 point
STUDENT = 2.101  # 97.5% quantile of Student's t with 2 x 10 - 2 degrees of freedom
STEPS = 45  # a quarter of an epoch


def tokenized(name: str) -> Path:
    """The public reviews, tokenized by configs/NAME-tokenize.yaml."""
    fetch("minilm", "reviews-en")
    path = WORK / f"{name}.h5"
    train(f"{name}-tokenize", path)
    return path


def text_peer(script: str, *words: object, threads: Threads = PROCESSORS) -> dict:
    return last_json(run(peer_python("peers-text"), Path(__file__).with_name(script), *words, threads=threads))


def rows_of(data: Path) -> str:
    """Short hash of the rows of a tokenized file."""
    import h5py

    digest = hashlib.sha256()
    with h5py.File(data) as file:
        for part in ("train", "test"):
            for name in ("ids", "offsets", "labels"):
                digest.update(file[part][name][:].tobytes())
    return digest.hexdigest()[:12]


def scored(run_folder: Path, data: Path, precision: str) -> float:
    """Accuracy of sartor-infer on the test rows of the film reviews, in percent."""
    import h5py

    output = run_folder / f"{precision}.csv"
    words = [f"model={run_folder}", f"precision={precision}", f"output={output}"]
    changes = [word for each in words for word in ("--set", each)]
    run(INFER, "--config", "configs/reviews-en-score.yaml", "--overwrite", *changes)
    with output.open(encoding="utf-8", newline="") as file:
        rows = {int(row["row"]): row for row in csv.DictReader(file)}
    with h5py.File(data) as file:
        test = [rows[place] for place in file["test/sources"][:]]
        positive = (file["test/labels"][:, [*file["labels"][:]].index(b"positive")] > 0).tolist()
    if [float(row["sentiment"]) > 0 for row in test] != positive:
        sys.exit("bench: the film reviews do not match the tokenized file")
    return 100 * statistics.mean((row["label"] == "positive") == label for row, label in zip(test, positive))


def accuracy_reviews(name: str) -> None:
    """Accuracy on film reviews, ten seeds each. Results of the Trainer are cached by the rows' hash, ours until sartor-train
    or the config is newer."""
    data = tokenized("movies-en")
    folder = WORK / f"movies-en-{rows_of(data)}"
    folder.mkdir(exist_ok=True)

    def ours(seed: int) -> float:
        made = folder / f"ours-{seed}"
        train_once("movies-en-classify", made, data__path=data, training__seed=seed)
        return json.loads((made / "results.json").read_text())["test"]["accuracy"]

    def rounded(seed: int) -> float:
        return scored(folder / f"ours-{seed}", data, "int8")

    def trainer(seed: int) -> float:
        kept = folder / f"trainer-{seed}.json"
        if not kept.exists():
            found = text_peer("trainer_peer.py", "accuracy", data, MINILM, seed)
            kept.write_text(json.dumps(found))
        return last_json(kept.read_text())["accuracy"]

    mine, theirs = ([100 * side(seed) for seed in SEEDS] for side in (ours, trainer))
    int8 = [rounded(seed) for seed in SEEDS]
    difference = statistics.mean(mine) - statistics.mean(theirs)
    # Two-sample t interval over seeds, equal variances. All runs share the test rows, whose sampling error is not included.
    half = STUDENT * ((statistics.variance(mine) + statistics.variance(theirs)) / len(SEEDS)) ** 0.5
    publish(
        {
            "name": name,
            "metric": "accuracy, %",
            "value": round(statistics.mean(mine), 2),
            "seeds": [round(each, 2) for each in mine],
            f"int8 ({ISA})": round(statistics.mean(int8), 2),
            TRAINER: round(statistics.mean(theirs), 2),
            "Trainer seeds": [round(each, 2) for each in theirs],
            "difference": round(difference, 2),
            "95% interval": [round(difference - half, 2), round(difference + half, 2)],
        }
    )


def gemm_gflops(precision: str, threads: Threads) -> float:
    """GFLOP/s of the fastest available 2048^3 matrix product, 8192^3 on a GPU."""
    found = [peer("torch-gemm", precision, threads=threads, python=Path(sys.executable))]
    if precision == "fp32" and threads != CUDA:
        found += [peer("gemm", threads=threads), peer("gemm", threads=threads, **SKYLAKE)]
    return max(each["gflops"] for each in found)


def training_gflop(lengths: np.ndarray) -> float:
    """Mean GFLOP per row: MiniLM's linear layers and attention, forward plus backward (twice the forward), no padding."""
    layers, hidden, inner = 6, 384, 1536
    linear = 2 * layers * (4 * hidden**2 + 2 * hidden * inner)
    attention = 4 * layers * hidden
    return float(3 * (linear * lengths + attention * lengths**2).mean() / 1e9)


def bert_train(name: str, precision: str, threads: Threads) -> None:
    """Milliseconds per row over a quarter of an epoch on product reviews, optimizer step included.

    The quarter is a random sample and longer rows take longer, so the time is measured per token and multiplied by the mean
    number of tokens of all training rows.
    """
    import h5py

    data, folder = tokenized("reviews-en"), WORK / "bert-train"
    with h5py.File(data) as file:
        lengths = np.diff(file["train/offsets"][:])
    mean = float(lengths.mean())

    def ours() -> float:
        shutil.rmtree(folder, ignore_errors=True)
        quarter = {"training__max_steps": STEPS, "training__logging_steps": STEPS, "training__eval_strategy": "no"}
        train("reviews-en-classify", folder, threads, data__path=data, precision=precision, **quarter)
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        return 1000 * mean / next(line["train"]["tokens_per_second"] for line in lines if "train" in line)

    def trainer(strategy: str) -> float:
        found = text_peer("trainer_peer.py", "speed", data, MINILM, STEPS, strategy, precision, threads=threads)
        return 1000 * mean * found["seconds"] / found["tokens"]

    mine, grouped, default = in_turn(ours, partial(trainer, "group_by_length"), partial(trainer, "random"), rounds=3)
    medians = [statistics.median(each) for each in (mine, grouped, default)]
    gflops, peak = training_gflop(lengths), gemm_gflops(precision, threads)
    compare(
        name,
        mine,
        {f"{TRAINER}, group_by_length": grouped},
        threads,
        unit="ms/row",
        speedup_of_default=round(medians[2] / medians[0], 2),
        samples_per_second=round(1000 / medians[0], 1),
        trainers=[round(1000 / each, 1) for each in medians[1:]],
        gemm_gflops=round(peak),
        flop_utilisation=round(gflops / medians[0] * 1000 / peak, 2),
        trainers_utilisation=[round(gflops / each * 1000 / peak, 2) for each in medians[1:]],
    )


def mib_above_start(sides: dict[str, list]) -> dict[str, int]:
    return {label: round(peak_mib(*words, 1) - peak_mib(*words, 0)) for label, words in sides.items()}


def bert_classify(name: str, precision: str, peers: dict[str, tuple[str, str]], threads: Threads) -> None:
    """Classification of 2,000 unsorted, tokenized reviews. `peers`: display name -> (engine, precision).

    Each peer runs with the fastest of the batch sizes that text_peers.py tries.
    """
    folder = WORK / "bert-classify"
    fetch("minilm", "reviews-en")
    if not (folder / "texts.txt").exists():
        text_peer("text_peers.py", "prepare", folder)
    budget = 16384 if threads == CUDA else 1024
    words = [BUILD / "bin" / "bert_classify_bench", folder / "classifier", folder / "texts", precision, threads, budget]
    script, sides = Path(__file__).with_name("text_peers.py"), {"Sartor": words}
    for label, (engine, kind) in peers.items():
        best = text_peer("text_peers.py", "best", folder, engine, kind, threads, threads=threads)["batches"]
        sides[f"{label}, {best}"] = [peer_python("peers-text"), script, "classify", folder, engine, kind, threads, best]
    found = {label: [] for label in sides}

    def once(label: str) -> float:
        found[label].append(last_json(run(*sides[label], 1, threads=threads)))
        return found[label][-1]["seconds"]

    mine, *others = in_turn(*(partial(once, label) for label in sides), rounds=3)
    compare(
        name,
        mine,
        dict(zip([*sides][1:], others)),
        threads,
        texts_per_second=round(2000 / statistics.median(mine)),
        seconds_from_text={
            label: round(statistics.median(each["seconds_from_text"] for each in runs[1:]), 3)
            for label, runs in found.items()
        },
        **({} if threads == CUDA else {"mib_above_start": mib_above_start(sides)}),
    )
