#!/usr/bin/env python3
"""Tests the option --device of scripts/bench.sh, with stand-ins for torch and nvidia-smi: bench_device_test.py WORK"""

import importlib
import os
import subprocess
import sys
import types
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BENCH = ROOT / "scripts" / "bench"
sys.path.insert(0, str(BENCH))


def check(condition: bool, what: str) -> None:
    if not condition:
        sys.exit(f"bench_device_test: {what}")


def bench(*words: str) -> subprocess.CompletedProcess:
    command = [sys.executable, BENCH / "main.py", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def each_device_has_its_benches() -> None:
    cpu, gpu = (bench("--device", device, "--list").stdout.split() for device in ("cpu", "cuda"))
    check(bench("--list").stdout.split() == cpu and cpu and gpu, f"{cpu}, {gpu}")
    check(all(name.endswith("-cuda") for name in gpu) and not any(name.endswith("-cuda") for name in cpu), f"{gpu}")
    for family in ("cosine-topk", "als-explicit", "bert-train-tf32", "bert-classify-bf16", "gpt-train-bf16"):
        check(any(name.startswith(f"speed/{family}/") for name in gpu), f"{family} is not measured on a GPU")
    refused = bench("--device", "cuda", "accuracy")
    check(refused.returncode == 1 and "no benchmark for cuda begins with accuracy" in refused.stderr, refused.stderr)


def gowalla_needs_its_folder(work: Path) -> None:
    for folder in ({}, {"GOWALLA": ""}, {"GOWALLA": str(work)}):
        environment = {key: value for key, value in os.environ.items() if key != "GOWALLA"} | folder
        command = [sys.executable, BENCH / "main.py", "speed/evaluate/gowalla-f64-t1"]
        refused = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        check(
            refused.returncode == 1 and "GOWALLA must be a folder with train.tsv.gz" in refused.stderr, refused.stderr
        )


def programs_are_told_where(work: Path) -> None:
    smi = work / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho NVIDIA H200\necho NVIDIA H200\n")
    smi.chmod(0o755)
    os.environ["PATH"] = f"{work}:{os.environ['PATH']}"
    import common

    check(common.machine(common.CUDA) == {"gpu": "NVIDIA H200"} and "cpu" in common.machine(2), "machine()")
    check(common.device_settings(common.CUDA) == {"device": "cuda"}, "settings of a GPU")
    check(common.device_settings(2) == {"device": "cpu", "threads": 2}, "settings of two threads")
    shown = "echo ${BENCH_DEVICE:-none} ${OMP_NUM_THREADS:-none}"
    check(common.run("sh", "-c", shown, threads=common.CUDA).split() == ["cuda", "none"], "environment of a GPU")
    check(common.run("sh", "-c", shown, threads=1).split() == ["none", "1"], "environment of one thread")


def clocks_are_read_when_the_gpu_has_finished() -> None:
    """Each time between two clock readings must contain the work and a synchronization after it."""
    events = []
    torch = types.ModuleType("torch")
    torch.cuda = types.SimpleNamespace(synchronize=lambda: events.append("finished"))
    sys.modules["torch"] = torch
    os.environ["BENCH_DEVICE"] = "cuda"
    for name in ("place", "peers", "text_peers"):
        module = importlib.import_module(name)
        if name == "place":
            continue
        events.clear()
        module.time = types.SimpleNamespace(perf_counter=lambda: events.append("clock") or 0.0)
        module.seconds(lambda: events.append("work"), 2)
        timed = events[events.index("clock") :]
        check(timed == ["clock", "work", "finished", "clock"] * 2, f"{name}: {events}")


def main() -> None:
    work = Path(sys.argv[1])
    work.mkdir(parents=True, exist_ok=True)
    each_device_has_its_benches()
    gowalla_needs_its_folder(work)
    programs_are_told_where(work)
    clocks_are_read_when_the_gpu_has_finished()


if __name__ == "__main__":
    main()
