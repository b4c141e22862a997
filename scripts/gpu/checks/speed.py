"""Speed beside public peers on the same device, with the shapes of BERT-base and GPT-2."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass

from checks.common import Faults, json_lines, metrics_of, peer_lines
from checks.generators import threads
from checks.inputs import model_folder, prompts, tokenized_classes, word_texts
from session import Session

LEARNING = {"learning_rate": 5e-5, "weight_decay": 0.01, "per_device_batch_size": 32}
IMPORTANT_FIRST = ("bf16", "tf32", "fp32")  # as the time may run out


# ---- BERT-base ----


def train_speed(session: Session) -> None:
    """Fine-tuning on texts of 16 to 128 tokens, 32 a step, optimizer and clipping included."""
    model = model_folder(session, "bert", "base")
    steps = 3 if session.quick else 40
    ids, _, table = word_texts(session, 128 if session.quick else 3000, 16, 24 if session.quick else 128)
    data = tokenized_classes(session, model, table)
    training = LEARNING | {"max_steps": 2 * steps, "logging_steps": steps, "eval_strategy": "no"}
    paths = {"data": {"path": str(data)}, "model": {"path": str(model)}}
    config = {"task": "classify", "training": training, "bootstrap_draws": 0} | paths
    precisions, faults, ours = session.precisions(*IMPORTANT_FIRST), Faults(), {}
    for precision in precisions:
        with faults:
            folder = session.work / precision
            path = session.config(precision, config | {"output": str(folder)})
            session.task("sartor-train", path, device=session.device, precision=precision)
            lines = [line["train"] for line in metrics_of(folder) if "tokens_per_second" in line.get("train", {})]
            session.figures[f"{precision}: tokens/s"] = ours[precision] = lines[-1]["tokens_per_second"]
            session.figures[f"{precision}: mfu"] = lines[-1].get("mfu") or math.nan
    words = ["train", model, ids, session.device, ",".join(precisions), steps, 32]
    for peer in peer_lines(session, faults, "texts", *words):
        compare_tokens(session, "fine-tuning", ours, peer)
    faults.check()


def compare_tokens(session: Session, what: str, ours: dict[str, float], peer: dict) -> None:
    if mine := ours.get(peer["precision"]):
        name = f"{what}, {peer['precision']}"
        session.compare(name, "tokens/s", mine, peer["peer"], peer["tokens_per_second"])


def score_speed(session: Session) -> None:
    """Scoring of texts of 16 to 128 tokens from their ids."""
    model = model_folder(session, "bert", "base")
    rows, passes, budget = (64, 1, 1024) if session.quick else (8000, 3, 16384)
    ids, _, _ = word_texts(session, rows, 16, 24 if session.quick else 128)
    tokens = sum(len(line.split()) for line in ids.read_text().splitlines())
    precisions, faults, ours = session.precisions(*IMPORTANT_FIRST), Faults(), {}
    for precision in precisions:
        with faults:
            words = [model, ids.with_suffix(""), precision, threads(session, session.device), budget, passes]
            (found,) = json_lines(session.run(session.program("bert_classify_bench"), *words))
            session.figures[f"{precision}: tokens/s"] = ours[precision] = tokens / found["seconds"]
            session.figures[f"{precision}: tokens/s from text"] = tokens / found["seconds_from_text"]
    words = ["score", model, ids, session.device, ",".join(precisions), passes, budget]
    for peer in peer_lines(session, faults, "texts", *words):
        compare_tokens(session, "scoring", ours, peer)
    faults.check()


# ---- GPT-2 ----


def generation_speed(session: Session) -> None:
    """Greedy texts in one batch: 64 tokens after prompts of 32."""
    model = model_folder(session, "gpt2", "base")
    vocabulary = json.loads((model / "config.json").read_text())["vocab_size"]
    prompt, new, passes = (4, 4, 1) if session.quick else (32, 64, 3)
    files = [prompts(session, f"batch-{size}.txt", size, prompt, new, vocabulary) for size in (1, 8, 64)]
    precisions, faults, ours = session.precisions("bf16", "fp32"), Faults(), {}
    for precision in precisions:
        with faults:
            words = [model, precision, threads(session, session.device), ",".join(map(str, files)), passes]
            for mine in json_lines(session.run(session.program("generate_bench"), *words)):
                rows = len(mine["texts"])
                ours[precision, rows] = mine
                session.figures[f"{precision}, batch {rows}: tokens/s"] = rows * new / mine["seconds"]
    for peer in peer_lines(session, faults, "generate", model, session.device, ",".join(precisions), passes, *files):
        precision, rows = key = peer["precision"], peer["rows"]
        if key in ours:
            compare_texts(session, f"{precision}, batch {rows}", rows * new, ours[key], peer)
    faults.check()


def compare_texts(session: Session, what: str, tokens: int, ours: dict, peer: dict) -> None:
    mine, theirs = tokens / ours["seconds"], tokens / peer["seconds"]
    session.compare(f"generation, {what}", "tokens/s", mine, peer["peer"], theirs)
    same = sum(a == b for a, b in zip(ours["texts"], peer["texts"])) / peer["rows"]
    session.figures[f"{what}: share of texts equal to the peer's"] = same


# ---- factors ----

PEER_FACTORS = 64  # beyond, the equations of all rows need more memory than many GPUs have


@dataclass(frozen=True)
class Search:
    queries: int
    items: int
    columns: int
    k: int
    passes: int

    def __str__(self) -> str:
        items = f"{self.items // 1000}k" if self.items >= 10_000 else self.items
        return f"top-k {self.queries} x {items} x {self.columns}, k {self.k}"


def topk_speed(session: Session, search: Search, peers: dict[str, dict]) -> None:
    """In each precision that a peer has. Items are made ready before, as the peer's are."""
    isa = "cuda" if session.kernel_device == "cuda" else "best"
    shape = [search.queries, search.items, search.columns, search.k, session.threads, search.passes, isa]
    words = [session.program("topk_bench"), *shape, ",".join(peers), "cosine", "kept"]
    for ours in json_lines(session.run(*session.launcher, *words)):
        what, seconds, peer = f"{search}, {ours['precision']}", ours["seconds"], peers[ours["precision"]]
        rate = 2 * search.queries * search.items * search.columns / seconds / 1e12
        session.figures |= {f"{what}: ms": 1000 * seconds, f"{what}: TFLOP/s": rate}
        session.compare(what, "ms", 1000 * seconds, peer["peer"], 1000 * peer["seconds"], more_is_better=False)


def searches_speed(session: Session, faults: Faults, searches: list[Search]) -> None:
    shapes = {",".join(map(str, dataclasses.astuple(search))): search for search in searches}
    precisions = session.precisions("fp16", "fp32", "tf32", "bf16")
    lines = peer_lines(session, faults, "topk", session.device, ",".join(precisions), *shapes)
    for shape, search in shapes.items():
        with faults:
            topk_speed(session, search, {line["precision"]: line for line in lines if line["shape"] == shape})


def als_speed(
    session: Session, faults: Faults, shape: str, users: int, items: int, ratings: int, factors: int, epochs: int
) -> None:
    isa = "cuda" if session.kernel_device == "cuda" else "v3"
    words = ["made", users, items, ratings, factors, session.threads, isa, epochs]
    (found,) = json_lines(session.run(*session.launcher, session.program("als_bench"), *words))
    # each rating reads a row of factors of the other side, in both halves of an epoch
    traffic = 2 * found["ratings"] * 4 * factors / found["epoch_s"] / 1e9
    session.figures |= {f"{shape}: ms per epoch": 1000 * found["epoch_s"], f"{shape}: TFLOP/s": found["gflops"] / 1e3}
    for ceiling, reached in (("product in fp32, TFLOP/s", found["gflops"] / 1e3), ("copy on the device", traffic)):
        most = session.ceilings.get(next((name for name in session.ceilings if name.startswith(ceiling)), ""))
        if most:
            session.figures[f"{shape}: share of the ceiling, {ceiling}"] = reached / most
    if factors <= PEER_FACTORS:
        for peer in peer_lines(session, faults, "kernels", session.device, 1, "als", users, items, ratings, factors):
            mine, theirs = 1000 * found["epoch_s"], 1000 * peer["seconds"]
            session.compare(shape, "ms per epoch", mine, peer["peer"], theirs, more_is_better=False)


def implicit_speed(
    session: Session, users: int, items: int, ratings: int, factors: int, solver: str, epochs: int
) -> None:
    isa = "cuda" if session.kernel_device == "cuda" else "v3"
    words = ["made", users, items, ratings, factors, solver, 64, session.threads, isa, epochs]
    (found,) = json_lines(session.run(*session.launcher, session.program("implicit_bench"), *words))
    shape = f"implicit ALS of {ratings} ratings, {factors} factors, {solver}"
    session.figures[f"{shape}: ms per epoch"] = 1000 * found["epoch_s"]


def factor_speed(session: Session) -> None:
    if session.quick:
        searches = [Search(7, 300, 16, 4, 1), Search(20, 300, 16, 4, 1), Search(20, 300, 16, 250, 1)]
        solutions = {"ALS of 500 ratings, 8 factors": (60, 30, 500, 8, 1)}
        implicit = [(60, 30, 500, 8, "cg", 1), (60, 30, 500, 8, "cholesky", 1), (60, 30, 500, 8, "block", 1)]
    else:
        few = [Search(1, 1_000_000, 128, 10, 10), Search(16, 1_000_000, 128, 100, 10)]
        large_k = [Search(512, 100_000, 128, 10_000, 3), Search(1, 1_000_000, 128, 10_000, 10)]
        searches = [Search(4096, 200_000, 128, 10, 5), *few, Search(4096, 200_000, 128, 100, 5), *large_k]
        made = (200_000, 20_000, 5_000_000)
        solutions = {f"ALS of 5m ratings, {factors} factors": (*made, factors, 5) for factors in (64, 128)}
        implicit = [(*made, 64, "cg", 3), (*made, 64, "cholesky", 3), (*made, 256, "block", 3)]
    faults = Faults()
    searches_speed(session, faults, searches)
    for shape, numbers in solutions.items():
        with faults:
            als_speed(session, faults, shape, *numbers)
    for numbers in implicit:
        with faults:
            implicit_speed(session, *numbers)
    faults.check()


# Of recommender_bench. Ratings are drawn once for all that have the same.
MADE = "100000,20000,2000000"
RECOMMENDERS = {
    "SGD, 126 factors: ms per epoch": f"sgd,{MADE},126,adagrad",
    "Bayesian factors, 33 columns: ms per sweep": f"bpmf,{MADE},33",
    "BPR, 64 factors: ms per epoch": f"bpr,{MADE},64,1",
    "SimpleX, 64 factors: ms per epoch": f"simplex,{MADE},64,1024,1024",
    "neighbors by cosine of all items: ms": f"similarity,{MADE},cosine,50",
    "neighbors by dot product of all items: ms": f"similarity,{MADE},dot,50",
    "k-means of 200k rows of 64, 1,000 clusters: ms per iteration": "kmeans,200000,64,1000",
}

# Of filter_bench.
FILTERS = {
    "graph filter of 1,024 users, order 2: ms": "graph 100000 20000 2000000 1024 2",
    "256 leading vectors, 3 iterations: ms": "vectors 100000 20000 2000000 256 3",
    "20 largest weights between all items: ms": "weights 100000 20000 2000000 20",
}
SMALL_FILTERS = ["graph 60 50 500 8 2", "vectors 60 50 500 4 2", "weights 60 50 500 5"]


def recommender_speed(session: Session) -> None:
    """Recommenders and k-means, in one process, and graph filters, of a size at which a GPU is busy."""
    place = "cuda" if session.kernel_device == "cuda" else session.threads
    small = [shape.replace(MADE, "60,50,500").replace("200000,64,1000", "200,16,8") for shape in RECOMMENDERS.values()]
    words = [place, 1, *(small if session.quick else RECOMMENDERS.values())]
    found = json_lines(session.run(*session.launcher, session.program("recommender_bench"), *words))
    for name, one in zip(RECOMMENDERS, found, strict=True):
        session.figures[name] = 1000 * one["seconds"]
    for name, shape in zip(FILTERS, SMALL_FILTERS if session.quick else FILTERS.values(), strict=True):
        (one,) = json_lines(session.run(*session.launcher, session.program("filter_bench"), place, *shape.split()))
        session.figures[name] = 1000 * one["seconds"]
