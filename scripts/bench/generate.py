"""Benchmarks of generation with GPT-2 of 124 million random weights, against CTranslate2 and llama.cpp, same prompts, greedy,
end tokens ignored."""

import json
import random
import statistics
import sys
from dataclasses import dataclass, field
from pathlib import Path

from common import BUILD, CUDA, ROOT, WORK, Threads, compare, fetch, in_turn, last_json, peer_python, run

FOLDER = WORK / "generate"
BENCH = BUILD / "bin" / "generate_bench"
SCRIPT = Path(__file__).with_name("generate_peer.py")
PYTHONS = {"ctranslate2": "peers-text", "llama": "peers-generate"}
NAMES = {"ctranslate2": "ctranslate2 4.8.5", "llama": "llama.cpp (llama-cpp-python 0.3.36)"}
LAYERS, WIDTH, VOCABULARY, POSITIONS = 12, 768, 50257, 1024
# CTranslate2 chooses oneDNN on processors of AMD and its instruction set by the processor.
CTRANSLATE2_KERNELS = [
    {},
    {"CT2_USE_MKL": "1"},
    {"CT2_USE_MKL": "1", "CT2_PACKED_GEMM": "1"},
    {"CT2_USE_MKL": "0"},
    {"CT2_FORCE_CPU_ISA": "AVX2"},
]


@dataclass(frozen=True)
class Side:
    """An engine with its settings."""

    engine: str
    settings: dict
    environment: dict = field(default_factory=dict)

    def label(self) -> str:
        words = [f"{key} {value}" for key, value in (self.environment | self.settings).items()]
        return ", ".join([NAMES[self.engine], *words])


def rows_file(name: str, rows: list[tuple[int, list[int]]]) -> Path:
    """Writes rows of (number of new tokens, ids of the prompt)."""
    path = FOLDER / f"{name}.txt"
    FOLDER.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(" ".join(map(str, [new, *ids])) + "\n" for new, ids in rows))
    return path


def ids(source: random.Random, length: int) -> list[int]:
    return [source.randrange(VOCABULARY - 1) for _ in range(length)]


def same_rows(batch: int) -> Path:
    source = random.Random(7)
    return rows_file(f"batch-{batch}", [(64, ids(source, 32)) for _ in range(batch)])


def mixed_rows() -> Path:
    source = random.Random(7)
    return rows_file("mixed", [(source.randint(8, 128), ids(source, source.randint(8, 256))) for _ in range(64)])


def shared_rows() -> Path:
    source = random.Random(7)
    prefix = ids(source, 256)
    return rows_file("shared", [(32, prefix + ids(source, 16)) for _ in range(200)])


def model() -> Path:
    """The folder with the model in the formats of all sides."""
    fetch("gpt2-tokenizer")
    if not (FOLDER / "q8_0.gguf").exists():
        run(peer_python("peers-text"), SCRIPT, "prepare", FOLDER)
        run(peer_python("peers-generate"), SCRIPT, "gguf", FOLDER)
    return FOLDER / "gpt2"


def peer(side: Side, precision: str, rows: Path, threads: int, passes: int) -> dict:
    words = [side.engine, FOLDER, precision, rows, json.dumps(side.settings), passes]
    return last_json(run(peer_python(PYTHONS[side.engine]), SCRIPT, *words, threads=threads, **side.environment))


def ours(precision: str, rows: Path, threads: Threads, passes: int, *words: object) -> dict:
    return last_json(run(BENCH, model(), precision, threads, rows, passes, *words, threads=threads))


def fastest(sides: list[Side], precision: str, rows: Path, threads: int) -> Side:
    """Tries each side once. Figures are kept, so that an interrupted search continues where it ended."""
    path = FOLDER / "tried.json"
    tried = json.loads(path.read_text()) if path.exists() else {}

    def seconds(side: Side) -> float:
        key = f"{rows.stem} {precision} {threads}: {side.label()}"
        if key not in tried:
            tried[key] = peer(side, precision, rows, threads, 1)["seconds"]
            path.write_text(json.dumps(tried, indent=1))
        return tried[key]

    return min(sides, key=seconds)


def divisions(threads: int, batch: int) -> list[dict]:
    """CTranslate2's ways to use the threads: together on one batch, or each on one of its own."""
    made = [{"threads": threads}]
    if threads > 1 and batch > 1:
        made.append({"threads": 1, "workers": threads, "batch": -(-batch // threads)})
    return made


def ctranslate2_same(precision: str, rows: Path, batch: int, threads: int) -> Side:
    sides = [
        Side("ctranslate2", settings, kernels)
        for settings in divisions(threads, batch)
        for kernels in (CTRANSLATE2_KERNELS if precision == "fp32" else CTRANSLATE2_KERNELS[::4])
    ]
    return fastest(sides, precision, rows, threads)


def llama_same(rows: Path, threads: int) -> Side:
    sides = [
        Side("llama", {"threads": threads, "flash": flash, "unified": unified, "cache": cache})
        for flash in (True, False)
        for unified in (True, False)
        for cache in ("f16", "f32")
    ]
    return fastest(sides, "int8", rows, threads)


def ctranslate2_mixed(rows: Path, threads: int) -> Side:
    """The best static batching: one setting after the other is improved."""
    best = Side(
        "ctranslate2", {**divisions(threads, 64)[-1], "batch": 8, "unit": "rows", "order": "both", "leave": True}
    )

    def improve(sides: list[Side]) -> Side:
        return fastest([best, *sides], "fp32", rows, threads)

    def changed(**settings) -> Side:
        return Side("ctranslate2", best.settings | settings, best.environment)

    best = improve([Side("ctranslate2", best.settings, kernels) for kernels in CTRANSLATE2_KERNELS])
    best = improve([changed(batch=size) for size in (4, 16, 32, 64)])
    best = improve([changed(batch=size, unit="tokens") for size in (1024, 2048, 4096, 8192)])
    best = improve([changed(order=order) for order in ("prompt", "new")])
    best = improve([changed(leave=False)])
    return improve([changed(threads=threads, workers=1)]) if threads > 1 else best


def weight_bytes(precision: str) -> float:
    """Bytes of weights that one step reads: the layers and the head."""
    weights = LAYERS * 12 * WIDTH**2 + VOCABULARY * WIDTH
    return weights * {"fp32": 4, "int8": 1}[precision]


def bandwidth(threads: int) -> float:
    """GB/s of reading memory with the given number of threads."""
    found = run(BUILD / "bin" / "decode_products_bench", "int8", threads, 1, threads=threads)
    return json.loads(found.splitlines()[0])["read_gb_per_s"]


def check_tokens(name: str, rows: Path, *sides: list) -> int:
    """Number of new tokens; exits if a side has another number of them than a row asks for."""
    wanted = [int(line.split()[0]) for line in rows.read_text().splitlines()]
    for texts in sides:
        if [len(each) for each in texts] != wanted:
            sys.exit(f"bench: {name}: a text has another number of tokens than it should")
    return sum(wanted)


def memory(side: Side, precision: str, rows: Path, threads: int, found: dict) -> dict[str, list[int]]:
    """Peak MiB of both processes, and how much of it is above that before the model is loaded."""
    base = peer(side, precision, rows, threads, 0)["peak_mib"]
    own = ours(precision, rows, threads, 0)["peak_mib"]
    return {
        "peak_mib": [round(found["ours"]["peak_mib"]), round(found["peer"]["peak_mib"])],
        "mib_above_start": [round(found["ours"]["peak_mib"] - own), round(found["peer"]["peak_mib"] - base)],
    }


def race(
    name: str,
    side: Side,
    precision: str,
    rows: Path,
    threads: int,
    *,
    steps: int = 0,
    limits: tuple[int, ...] = (),
    rounds: int = 3,
    passes: int = 2,
) -> None:
    """Ours and the peer in turn. `steps`: how often the peer reads the weights, if that is known. `limits`: sequences and
    MiB of our cache."""
    found = {}

    def mine() -> float:
        found["ours"] = ours(precision, rows, threads, passes, *limits)
        return found["ours"]["seconds"]

    def theirs() -> float:
        found["peer"] = peer(side, precision, rows, threads, passes)
        return found["peer"]["seconds"]

    before = bandwidth(threads)
    figures = in_turn(mine, theirs, rounds=rounds)
    reached = max(before, bandwidth(threads))
    tokens = check_tokens(name, rows, *(each["texts"] for each in found.values()))
    times = [statistics.median(each) for each in figures]
    counts = [found["ours"]["steps"], steps or found["ours"]["steps"]]
    rates = [count * weight_bytes(precision) / seconds / 1e9 for count, seconds in zip(counts, times)]
    compare(
        name,
        figures[0],
        {side.label(): figures[1]},
        threads,
        tokens_per_second=[round(tokens / each, 1) for each in times],
        weights_gb_per_s=[round(each, 1) for each in (rates if steps else rates[:1])],
        read_gb_per_s=round(reached, 1),
        share_of_bandwidth=round(rates[0] / reached, 2),
        same_texts=found["ours"]["texts"] == found["peer"]["texts"],
        **memory(side, precision, rows, threads, found),
    )


def generate_same(name: str, precision: str, batch: int, threads: int) -> None:
    """64 tokens after prompts of 32."""
    model()
    rows = same_rows(batch)
    sides = [ctranslate2_same(precision, rows, batch, threads)]
    if precision == "int8":
        sides.append(llama_same(rows, threads))
    race(name, fastest(sides, precision, rows, threads), precision, rows, threads, steps=64)


def generate_on_gpu(name: str, precision: str, batch: int) -> None:
    """The same on a GPU, against transformers' generate."""
    model()
    rows, found = same_rows(batch), {}
    script = ROOT / "scripts" / "gpu" / "peers" / "generate.py"

    def mine() -> float:
        found["ours"] = ours(precision, rows, CUDA, 2)
        return found["ours"]["seconds"]

    def theirs() -> float:
        words = [script, FOLDER / "gpt2", CUDA, precision, 2, rows]
        found["peer"] = last_json(run(peer_python("peers-text"), *words, threads=CUDA))
        return found["peer"]["seconds"]

    figures = in_turn(mine, theirs, rounds=3)
    tokens = check_tokens(name, rows, *(each["texts"] for each in found.values()))
    compare(
        name,
        figures[0],
        {found["peer"]["peer"]: figures[1]},
        CUDA,
        tokens_per_second=[round(tokens / statistics.median(each), 1) for each in figures],
        same_texts=found["ours"]["texts"] == found["peer"]["texts"],
    )


def continuous_batching(name: str, threads: int) -> None:
    """64 rows with prompts of 8 to 256 tokens, 8 to 128 new ones."""
    model()
    rows = mixed_rows()
    race(name, ctranslate2_mixed(rows, threads), "fp32", rows, threads, limits=(32, 640), rounds=2, passes=1)


def shared_prefix(name: str, threads: int) -> None:
    """200 rows that share 256 tokens and have 16 of their own, 32 new ones, with and without sharing."""
    model()
    rows, found = shared_rows(), {}

    def mine(words: str, *limits: object) -> float:
        found[words] = ours("fp32", rows, threads, 1, *limits)
        return found[words]["seconds"]

    best = Side("ctranslate2", {**divisions(threads, 200)[-1], "batch": 32, "shared": 256})
    sides = [Side("ctranslate2", best.settings | {"batch": size}, best.environment) for size in (8, 16, 64, 200)]
    best = fastest([best, *sides], "fp32", rows, threads)
    peers = [Side("ctranslate2", best.settings, kernels) for kernels in CTRANSLATE2_KERNELS]
    best = fastest(peers, "fp32", rows, threads)
    before = bandwidth(threads)
    figures = in_turn(
        lambda: mine("shared", 64, 1024),
        lambda: mine("unshared", 64, 2048, "unshared"),
        lambda: peer(best, "fp32", rows, threads, 1)["seconds"],
        rounds=2,
    )
    reached = max(before, bandwidth(threads))
    if found["shared"]["texts"] != found["unshared"]["texts"]:
        sys.exit(f"bench: {name}: sharing changes the texts")
    tokens = check_tokens(name, rows, found["shared"]["texts"])
    times = [statistics.median(each) for each in figures]
    compare(
        name,
        figures[0],
        {"without sharing": figures[1]},
        threads,
        tokens_per_second=[round(tokens / each, 1) for each in times],
        static_prompt={best.label(): round(times[2], 3)},
        speedup_of_static_prompt=round(times[2] / times[0], 2),
        weights_gb_per_s=round(found["shared"]["steps"] * weight_bytes("fp32") / times[0] / 1e9, 1),
        read_gb_per_s=round(reached, 1),
        peak_mib=[round(found[each]["peak_mib"]) for each in ("shared", "unshared")],
    )
