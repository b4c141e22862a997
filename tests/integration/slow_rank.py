#!/usr/bin/env python3
"""Classifies, embeds and writes texts on several ranks, the last of which waits after each part, and compares the time with the ideal one.

    slow_rank.py BUILD [PARTS]

Also compares the outputs of 1, 2 and 4 ranks. In the ideal time all ranks are busy to the end, each at its own speed. Models and texts are random
and small: waiting (20 ms per part, 120 ms for the last rank) takes most of the time.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from kill_generation import TRAIN, start, write_tables
from score_million import write_model, write_texts

ROWS_PER_PART, FAST, SLOW = 10, 20, 120
OUTPUTS = {"classify": "out.csv", "embed": "out.h5", "generate": "out.jsonl"}


def write_inputs(folder: Path, programs: Path, rows: int) -> None:
    write_model(folder / "bert")
    write_texts(folder / "texts.csv", rows)
    write_tables(folder, rows)
    for step, config in enumerate(TRAIN.format(folder).split("---\n")):
        (folder / f"{step}.yaml").write_text(config)
        words = [programs / "sartor-train", "--config", folder / f"{step}.yaml"]
        subprocess.run(words, check=True, stderr=subprocess.DEVNULL)


def config_of(task: str, folder: Path) -> dict:
    config = {"task": task, "device": "cpu", "threads": 1, "output": str(folder / OUTPUTS[task])}
    config |= {"id": "id"} if task != "classify" else {}
    if task == "generate":
        decoding = {"max_new_tokens": 4, "ignore_eos": True}
        config |= {
            "model": str(folder / "run"),
            "source": {"path": str(folder / "customers.csv")},
            "decoding": decoding,
        }
        config |= {"limits": {"max_sequences": 8}}
    else:
        config |= {"model": str(folder / "bert"), "source": {"path": str(folder / "texts.csv")}}
    return config | {"rows_per_part": ROWS_PER_PART}


def run(task: str, folder: Path, programs: Path, ranks: int, environment: dict[str, str]) -> str:
    """Runs the task on the ranks and returns the hash of its output."""
    (folder / "task.yaml").write_text(json.dumps(config_of(task, folder)))
    os.environ.update(environment)
    words = [str(programs / "sartor-infer"), "--config", str(folder / "task.yaml"), "--overwrite"]
    processes = start(words, ranks)
    errors = [process.communicate()[1] for process in processes]
    for name in environment:
        del os.environ[name]
    if any(process.returncode for process in processes):
        sys.exit("\n".join(errors))
    return hashlib.sha256((folder / OUTPUTS[task]).read_bytes()).hexdigest()


def times(log: Path) -> tuple[list[int], float, float]:
    """The parts of each rank, the ideal and the total time in seconds."""
    ends: dict[int, list[float]] = {}
    for line in log.read_text().splitlines():
        rank, milliseconds = line.split()
        ends.setdefault(int(rank), []).append(float(milliseconds) / 1000)
    seconds = {rank: (each[-1] - each[0]) / (len(each) - 1) for rank, each in ends.items()}
    begin = min(each[0] - seconds[rank] for rank, each in ends.items())
    parts = [len(ends[rank]) for rank in sorted(ends)]
    total = max(each[-1] for each in ends.values()) - begin
    return parts, sum(parts) / sum(1 / each for each in seconds.values()), total


def main() -> None:
    build = Path(sys.argv[1]).resolve()
    parts = int(sys.argv[2]) if len(sys.argv) > 2 else 240
    programs, library = build / "bin", build / "lib" / "libsartor_delays_preload.so"
    if not library.exists():
        sys.exit(f"{library} does not exist: build the tests first")
    good = True
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder, programs, parts * ROWS_PER_PART)
        for task in OUTPUTS:
            hashes = {run(task, folder, programs, ranks, {}) for ranks in (1, 2, 4)}
            for ranks in (2, 4):
                log = folder / "log"
                delays = ",".join(str(SLOW if rank == ranks - 1 else FAST) for rank in range(ranks))
                environment = {"LD_PRELOAD": str(library), "SARTOR_DELAYS": delays, "SARTOR_DELAY_LOG": str(log)}
                hashes.add(run(task, folder, programs, ranks, environment))
                shares, ideal, total = times(log)
                log.unlink()
                good = good and total <= 1.15 * ideal
                print(
                    f"{task:8} {ranks} ranks: parts {shares}, {total:.2f} s, ideal {ideal:.2f} s, {100 * (total / ideal - 1):+.1f}%",
                    flush=True,
                )
            good = good and len(hashes) == 1
            print(
                f"{task:8} outputs of 1, 2 and 4 ranks: {'the same bytes' if len(hashes) == 1 else 'DIFFERENT'}",
                flush=True,
            )
    sys.exit(not good)


if __name__ == "__main__":
    main()
