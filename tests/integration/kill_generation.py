#!/usr/bin/env python3
"""Kills a generation on two ranks at random times, resumes it each time, and compares its files with those of an uninterrupted one on one rank.

    kill_generation.py BUILD [ROWS] [KILLS]

20,000 rows, three variants of 16 tokens, a model with two layers of 128. Too slow for the test suite; run it manually after changes to generation or jobs.
"""

import hashlib
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TRAIN = """
task: vocabulary
data: {{sources: [{{path: {0}/train.csv}}], label: {{kind: none}}, text: "给{{name}}写{{likes}}："}}
model: byte_bpe
vocab_size: 600
output: {0}/tokenizer
---
task: tokenize
data: {{sources: [{{path: {0}/train.csv}}], label: {{kind: none}}, text: "给{{name}}写{{likes}}：", pair: "{{copy}}"}}
tokenizer: {0}/tokenizer
max_length: 64
generation: {{}}
output: {0}/train.h5
---
task: finetune
device: cpu
data: {{path: {0}/train.h5}}
model:
  tokenizer: {0}/tokenizer
  shape: {{model_type: qwen3, hidden_size: 128, num_hidden_layers: 2, num_attention_heads: 4, num_key_value_heads: 4,
    head_dim: 32, intermediate_size: 384, max_position_embeddings: 64}}
training: {{max_steps: 20, per_device_batch_size: 16, learning_rate: 1.0e-3}}
output: {0}/run
"""
GENERATE = """
task: generate
device: cpu
threads: 1
model: {0}/run
source: {{path: {0}/customers.csv}}
id: id
decoding: {{max_new_tokens: 16, do_sample: true, num_return_sequences: 3, ignore_eos: true}}
review: {{path: {0}/OUTPUT.review.csv}}
output: {0}/OUTPUT.csv
"""


def write_tables(folder: Path, rows: int) -> None:
    chance = random.Random(1)
    things = ["羽绒服", "围巾", "手套", "shoes", "a red hat", "书", "电脑"]
    copies = [f"{name},{thing},{thing}很好，买{chance.randrange(9)}个!" for name in "甲乙丙丁" for thing in things * 9]
    (folder / "train.csv").write_text("name,likes,copy\n" + "\n".join(copies) + "\n")
    customers = [f"{row},{chance.choice('甲乙丙丁')}{row},{chance.choice(things)}" for row in range(rows)]
    customers[rows // 2] = f"{rows // 2},,书"  # rejected
    (folder / "customers.csv").write_text("id,name,likes\n" + "\n".join(customers) + "\n")


def start(words: list[str], ranks: int) -> list[subprocess.Popen]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = []
    for rank in range(ranks):
        names = {"RANK": rank, "WORLD_SIZE": ranks, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": ranks}
        names |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        environment = os.environ | {name: str(value) for name, value in names.items()}
        processes.append(subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True))
    return processes


def digests(folder: Path, name: str) -> dict[str, str]:
    ends = [".csv", ".csv.rejects.tsv", ".csv.results.json", ".review.csv"]
    return {end: hashlib.sha256((folder / (name + end)).read_bytes()).hexdigest() for end in ends}


def run_killed(words: list[str], folder: Path, kills: int, seconds: float) -> int:
    """Kills all ranks `kills` times, each within the time of the whole job on two ranks, and returns the number of kills."""
    chance, killed, resume = random.Random(2), 0, []
    while True:
        processes = start([*words, *resume], 2)
        wait = chance.uniform(1, seconds / kills) if killed < kills else None
        try:
            processes[0].wait(timeout=wait)
        except subprocess.TimeoutExpired:
            for process in processes:
                process.send_signal(signal.SIGKILL)
            killed += 1
        errors = [process.communicate()[1] for process in processes]
        if all(process.returncode == 0 for process in processes):
            return killed
        if any(process.returncode != -signal.SIGKILL for process in processes):
            sys.exit("\n".join(errors))
        resume = ["--resume"] if (folder / "killed.csv.parts").exists() else []


def main() -> None:
    programs = Path(sys.argv[1]).resolve() / "bin"
    rows, kills = (int(sys.argv[2]) if len(sys.argv) > 2 else 20000, int(sys.argv[3]) if len(sys.argv) > 3 else 5)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_tables(folder, rows)
        for step, config in enumerate(TRAIN.format(name).split("---\n")):
            (folder / f"{step}.yaml").write_text(config)
            words = [programs / "sartor-train", "--config", folder / f"{step}.yaml"]
            subprocess.run(words, check=True, stderr=subprocess.DEVNULL)

        def command(output: str) -> list[str]:
            file = folder / f"{output}.yaml"
            file.write_text(GENERATE.format(name).replace("OUTPUT", output))
            return [str(programs / "sartor-infer"), "--config", str(file)]

        begin = time.monotonic()
        subprocess.run(command("whole"), check=True)
        seconds = time.monotonic() - begin
        print(f"uninterrupted on one rank: {seconds:.0f} s", flush=True)
        killed = run_killed(command("killed"), folder, kills, seconds / 2)
        whole, resumed = digests(folder, "whole"), digests(folder, "killed")
        texts = (folder / "whole.csv").read_text().count("\n") - 1
        same = whole == resumed
        print(
            f"{texts} lines; killed {killed} times on two ranks: the files are {'the same, byte for byte' if same else 'OTHERS'}"
        )
        sys.exit(not same)


if __name__ == "__main__":
    main()
