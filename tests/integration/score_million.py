#!/usr/bin/env python3
"""Scores a million texts on two ranks, repeats this with kills at random times and resumes, and compares the outputs.

    score_million.py BUILD [KILLS] [ROWS]

The texts (Chinese and English) and the weights of the small BERT are random. Also prints the peak memory of a rank for all rows and for
a tenth of them. Too slow for the test suite; run it manually after changes to scoring.
"""

import csv
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ENGLISH = [
    "good",
    "bad",
    "great",
    "poor",
    "fine",
    "broken",
    "cheap",
    "love",
    "hate",
    "it",
    "was",
    "not",
    "very",
    "never",
]
CHINESE = "很好不错的坏了太贵便宜质量喜欢失望快慢买再也会物流包装客服满意差"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
HIDDEN, LAYERS, WIDE, POSITIONS = 32, 2, 64, 64
ROWS_PER_PART = 5000


def write_model(folder: Path) -> None:
    """Writes a Hugging Face folder: config.json, vocab.txt, model.safetensors."""
    folder.mkdir()
    vocabulary = [*SPECIAL, *ENGLISH, *sorted(set(CHINESE)), ".", "！"]
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in vocabulary), encoding="utf-8")
    config = {
        "model_type": "bert",
        "vocab_size": len(vocabulary),
        "hidden_size": HIDDEN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 2,
        "intermediate_size": WIDE,
        "max_position_embeddings": POSITIONS,
        "id2label": {"0": "negative", "1": "positive"},
        "label2id": {"negative": 0, "positive": 1},
        "problem_type": "single_label_classification",
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")

    shapes = {
        "bert.embeddings.word_embeddings.weight": (len(vocabulary), HIDDEN),
        "bert.embeddings.position_embeddings.weight": (POSITIONS, HIDDEN),
        "bert.embeddings.token_type_embeddings.weight": (2, HIDDEN),
    }

    def linear(name: str, out: int, inputs: int) -> None:
        shapes.update({f"{name}.weight": (out, inputs), f"{name}.bias": (out,)})

    def norm(name: str) -> None:
        shapes.update({f"{name}.weight": (HIDDEN,), f"{name}.bias": (HIDDEN,)})

    norm("bert.embeddings.LayerNorm")
    for layer in range(LAYERS):
        prefix = f"bert.encoder.layer.{layer}"
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            linear(f"{prefix}.attention.{part}", HIDDEN, HIDDEN)
        norm(f"{prefix}.attention.output.LayerNorm")
        linear(f"{prefix}.intermediate.dense", WIDE, HIDDEN)
        linear(f"{prefix}.output.dense", HIDDEN, WIDE)
        norm(f"{prefix}.output.LayerNorm")
    linear("bert.pooler.dense", HIDDEN, HIDDEN)
    linear("classifier", 2, HIDDEN)

    drawn = np.random.default_rng(1)
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, shape in shapes.items():
        values = (drawn.standard_normal(shape) * 0.3 + name.endswith("LayerNorm.weight")).astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + data)


def write_texts(path: Path, rows: int) -> None:
    """Writes a table of random texts; 1% of the rows have no text."""
    chance = random.Random(1)
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write("id,text\n")
        for row in range(rows):
            words = (
                chance.choices(ENGLISH, k=chance.randint(1, 24))
                if row % 2
                else chance.choices(CHINESE, k=chance.randint(1, 40))
            )
            file.write(f"评论{row},{'' if row % 100 == 42 else (' ' if row % 2 else '').join(words)}\n")


def descendants(pid: int) -> list[int]:
    """The descendants of a child process of this script, including itself."""
    found = [pid]
    for parent in found:
        try:
            found += map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split())
        except OSError:
            continue
    return found


class Job:
    """A run of sartor-infer on two ranks."""

    def __init__(self, build: Path, folder: Path, texts: str, output: str, resume: bool) -> None:
        config = {
            "task": "classify",
            "device": "cpu",
            "threads": 1,
            "model": str(folder / "model"),
            "source": {"path": str(folder / texts)},
            "keep": ["id"],
            "rows_per_part": ROWS_PER_PART,
            "output": str(folder / output),
        }
        (folder / "config.yaml").write_text(json.dumps(config), encoding="utf-8")
        torchrun = Path(sys.executable).parent / "torchrun"
        words = [
            torchrun,
            "--no-python",
            "--nproc-per-node",
            "2",
            build / "bin" / "sartor-infer",
            "--config",
            folder / "config.yaml",
        ]
        self.log = (folder / "log").open("wb")
        self.process = subprocess.Popen([*words, *(["--resume"] if resume else [])], stdout=self.log, stderr=self.log)
        self.peak = 0  # peak memory of the largest rank, KiB

    def wait(self, seconds: float) -> bool:
        """Waits for the run. Returns whether it ended by itself."""
        end = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < end:
            for pid in descendants(self.process.pid):
                try:
                    status = Path(f"/proc/{pid}/status").read_text()
                except OSError:
                    continue
                if status.startswith("Name:\tsartor-infer"):
                    self.peak = max(self.peak, int(status.split("VmHWM:")[1].split()[0]) if "VmHWM:" in status else 0)
            time.sleep(0.05)
        return self.process.poll() is not None

    def kill(self) -> None:
        """Kills torchrun and all ranks, which would outlive it."""
        pids = descendants(self.process.pid)
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()
        while any(Path(f"/proc/{pid}").exists() for pid in pids):
            time.sleep(0.01)


def uninterrupted(build: Path, folder: Path, texts: str, output: str) -> tuple[float, int]:
    """Runs the task; returns the seconds and the peak memory of a rank in KiB."""
    start = time.monotonic()
    job = Job(build, folder, texts, output, resume=False)
    job.wait(float("inf"))
    if job.process.returncode:
        sys.exit((folder / "log").read_text())
    return time.monotonic() - start, job.peak


def digests(output: Path) -> list[str]:
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in (output, Path(f"{output}.rejects.tsv"))]


def main() -> None:
    build = Path(sys.argv[1]).resolve()
    kills = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    rows = int(sys.argv[3]) if len(sys.argv) > 3 else 1_000_000
    chance = random.Random(2)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_model(folder / "model")
        write_texts(folder / "texts.csv", rows)
        write_texts(folder / "fewer.csv", rows // 10)

        seconds, peak = uninterrupted(build, folder, "fewer.csv", "fewer-scores.csv")
        print(f"{rows // 10} rows on 2 ranks: {seconds:.0f} s, peak memory of a rank {peak / 1024:.0f} MiB", flush=True)
        seconds, peak = uninterrupted(build, folder, "texts.csv", "whole.csv")
        print(f"{rows} rows on 2 ranks: {seconds:.0f} s, peak memory of a rank {peak / 1024:.0f} MiB", flush=True)

        with (folder / "whole.csv").open(encoding="utf-8", newline="") as file:
            scored = [(int(line["row"]), line["id"]) for line in csv.DictReader(file)]
        expected = [(row + 2, f"评论{row}") for row in range(rows) if row % 100 != 42]
        print(
            f"each row once, in order: {'yes' if scored == expected else 'NO'}; {rows - len(scored)} rejected",
            flush=True,
        )

        killed, parts = 0, folder / "killed.csv.parts"
        for share in sorted(chance.random() for _ in range(kills)):
            job = Job(build, folder, "texts.csv", "killed.csv", resume=parts.exists())
            while len(list(parts.glob("*.parquet"))) < share * rows / ROWS_PER_PART and not job.wait(0.01):
                pass
            if job.wait(chance.uniform(0, 0.2)):
                break
            job.kill()
            killed += 1
            print(f"killed with {len(list(parts.glob('*.parquet')))} parts done", flush=True)
        if killed == kills:
            job = Job(build, folder, "texts.csv", "killed.csv", resume=parts.exists())
            job.wait(float("inf"))
        if job.process.returncode:
            sys.exit((folder / "log").read_text())
        same = digests(folder / "whole.csv") == digests(folder / "killed.csv")
        left = [path.name for path in folder.iterdir() if "part" in path.name]
        print(
            f"killed {killed} times: the outputs are {'the same, byte for byte' if same else 'DIFFERENT'}; left behind: {left or 'nothing'}"
        )
        sys.exit(not (same and scored == expected and killed >= kills and not left))


if __name__ == "__main__":
    main()
