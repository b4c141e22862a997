"""Benchmarks of generators: byte-level BPE against tiktoken and tokenizers, training against transformers' Trainer."""

import hashlib
import json
import shutil
import statistics
import sys
from functools import partial
from pathlib import Path

from bert import gemm_gflops
from common import (
    BUILD,
    CUDA,
    PROCESSORS,
    ROOT,
    TRAIN,
    WORK,
    Threads,
    compare,
    device_settings,
    distinct_lines,
    fetch,
    in_turn,
    last_json,
    peer,
    peer_python,
    publish,
    run,
    train,
    train_once,
)

GPT2 = ROOT / "data" / "gpt2-tokenizer"
TRAINER = "transformers 5.23.0 Trainer"
# The tunables keep freed memory in the process, which the Trainer otherwise returns and faults in again at each step.
KEEP_MEMORY = "glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=4294967296"
STEPS = 4


def byte_bpe(name: str, language: str, threads: int) -> None:
    """Token ids of distinct lines with GPT-2's vocabulary."""
    fetch("gpt2-tokenizer")
    lines, bench, found = distinct_lines(language), BUILD / "bin" / "byte_bpe_bench", {}

    def ours() -> float:
        found["ours"] = last_json(run(bench, GPT2, lines, threads, "ids", 7, threads=threads))
        return found["ours"]["seconds"]

    def theirs(engine: str) -> float:
        pool = {"RAYON_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "true" if threads > 1 else "false"}
        found[engine] = peer(engine, GPT2, lines, "ids", threads=threads, **pool)
        return found[engine]["seconds"]

    mine, tiktoken, tokenizers = in_turn(ours, partial(theirs, "tiktoken"), partial(theirs, "gpt2-tokenizers"))
    counts = {side: each["tokens"] for side, each in found.items()}
    if len(set(counts.values())) > 1:
        sys.exit(f"bench: {name}: different numbers of tokens: {counts}")
    megabytes = found["ours"]["bytes"] / 1e6
    rates = {side: megabytes / statistics.median(each) for side, each in (("tiktoken", tiktoken), ("ours", mine))}
    compare(
        name,
        mine,
        {"tiktoken 0.14.0 encode_ordinary": tiktoken, "tokenizers 0.23.3 encode_batch_fast": tokenizers},
        threads,
        mb_per_s=round(rates["ours"], 1),
        tiktoken_mb_per_s=round(rates["tiktoken"], 1),
    )


def training_gflop_per_token(length: int) -> float:
    """GPT-2 with 6 layers of 384: linear layers, head and causal attention, forward plus backward (twice the forward)."""
    layers, hidden, vocabulary = 6, 384, 50257
    return 3 * (2 * layers * 12 * hidden**2 + 2 * vocabulary * hidden + 2 * layers * length * hidden) / 1e9


def gpt_train(name: str, precision: str, threads: Threads) -> None:
    """Milliseconds per 1,000 tokens of reviews, packed into rows of 256 tokens, eight per step, optimizer included."""
    fetch("gpt2-tokenizer", "reviews-en")
    data, folder = WORK / "reviews-en-gpt2.h5", WORK / "gpt-train"
    train("bench/gpt-tokenize", data)
    python, script = peer_python("peers-text"), Path(__file__).with_name("generator_peer.py")
    memory = {"ours": [], "trainer": []}

    def command() -> list:
        shutil.rmtree(folder, ignore_errors=True)
        settings = {"output": folder, "data.path": data, "precision": precision} | device_settings(threads)
        words = [f"{field}={value}" for field, value in settings.items()]
        changes = [word for each in words for word in ("--set", each)]
        return [TRAIN, "--config", "configs/bench/gpt-train.yaml", "--overwrite", *changes]

    def ours() -> float:
        run(*command(), threads=threads)
        lines = [json.loads(line)["train"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
        memory["ours"].append(lines[-1]["gpu_memory_mib" if threads == CUDA else "memory_mib"])
        return 1e6 / statistics.median(line["tokens_per_second"] for line in lines[1:])

    def trainer(optimizer: str, malloc: str) -> float:
        found = last_json(
            run(
                python,
                script,
                "speed",
                data,
                folder / "model" / "config.json",
                STEPS,
                precision,
                optimizer,
                threads=threads,
                **({"GLIBC_TUNABLES": malloc} if malloc else {}),
            )
        )
        memory["trainer"].append(found["peak_mib"])
        return 1e6 / found["tokens_per_second"]

    ours()  # writes the config.json that the peer reads
    settings = [
        (optimizer, malloc) for optimizer in ("adamw_torch", "adamw_torch_fused") for malloc in ("", KEEP_MEMORY)
    ]
    best = min(settings, key=lambda each: trainer(*each))
    memory["ours"].clear(), memory["trainer"].clear()
    mine, theirs = in_turn(ours, partial(trainer, *best), rounds=3)
    work, peak = training_gflop_per_token(256), gemm_gflops(precision, threads)
    rates = [1e6 / statistics.median(each) for each in (mine, theirs)]
    compare(
        name,
        mine,
        {f"{TRAINER}, {best[0]}{', memory kept' if best[1] else ''}": theirs},
        threads,
        unit="ms/1000 tokens",
        tokens_per_second=[round(each) for each in rates],
        gemm_gflops=round(peak),
        flop_utilisation=[round(each * work / peak, 2) for each in rates],
        peak_mib=[round(max(each)) for each in memory.values()],
    )


def hash_of(config: Path, texts: Path) -> str:
    """Short hash of a config and of the rows of a tokenized file."""
    import h5py

    digest = hashlib.sha256(config.read_bytes())
    with h5py.File(texts) as file:
        for part in ("train", "validation"):
            for name in ("ids", "offsets"):
                digest.update(file[part][name][:].tobytes())
    return digest.hexdigest()[:12]


def gpt_zh(name: str) -> None:
    """Bits per byte of the Chinese review generator on the validation rows, and of a model that transformers' Trainer trains with
    the same shape, rows and settings. Results of the Trainer are cached."""
    fetch("reviews-zh")
    folder = WORK / "copy-zh"
    folder.mkdir(exist_ok=True)
    tokenizer, texts, made = folder / "tokenizer", folder / "reviews.h5", folder / "generator"
    train("copy-zh-vocabulary", tokenizer)
    train("copy-zh-tokenize", texts, tokenizer=tokenizer)
    train_once("copy-zh-finetune", made, data__path=texts, model__tokenizer=tokenizer)
    results = json.loads((made / "results.json").read_text())
    kept = folder / f"trainer-{hash_of(ROOT / 'configs' / 'copy-zh-finetune.yaml', texts)}.json"
    if not kept.exists():
        words = ["quality", texts, made, 42]
        # One thread: the Trainer's threads spend most of their time waiting for each other on such small parts.
        found = run(peer_python("peers-text"), Path(__file__).with_name("generator_peer.py"), *words, threads=1)
        kept.write_text(json.dumps(last_json(found)))
    theirs = json.loads(kept.read_text())
    lines = [json.loads(line) for line in (made / "metrics.jsonl").read_text().splitlines()]
    value = results["validation"]["bits_per_byte"]
    publish(
        {
            "name": name,
            "metric": "bits per byte",
            "value": round(value, 4),
            TRAINER: round(theirs["bits_per_byte"], 4),
            "ratio": round(value / theirs["bits_per_byte"], 4),
            "perplexity": round(results["validation"]["perplexity"], 2),
            f"minutes ({PROCESSORS} threads)": round(sum(line["seconds"] for line in lines) / 60, 1),
            "Trainer's minutes (1 thread)": round(theirs["minutes"], 1),
        }
    )
