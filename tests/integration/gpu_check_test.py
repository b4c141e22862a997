#!/usr/bin/env python3
"""Tests of scripts/gpu_check.sh: gpu_check_test.py BUILD WORK

A rehearsal of the packed archive without a GPU passes, missing files fail only the checks that need them, and results are formatted as a
table and a page.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "gpu"))

from pack import check_size
from session import telling_line
from steps import STEPS
from table import report, table
from target import glibc_of, gpu_of, torch_of

SKIPPED = 77
GPU_MINUTES = 8


def check(condition: bool, what: str) -> None:
    if not condition:
        sys.exit(f"gpu_check_test: {what}")


def run(pack: Path, out: Path, *words: str) -> tuple[int, dict]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(out), "PYTHON": sys.executable}
    script = pack / "scripts" / "gpu_check.sh"
    done = subprocess.run(
        ["bash", str(script), "run", "--cpu", "--quick", "--out", str(out), *words],
        env=environment,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout, done.stderr)
    return done.returncode, json.loads((out / "results.json").read_text())


def statuses(results: dict) -> dict[str, str]:
    return {each["name"]: each["status"] for each in results["checks"]}


def shows_what_was_found() -> None:
    found = {
        "format": 1,
        "started": "2026-11-28T00:00:00Z",
        "seconds": 61.5,
        "rehearsal": False,
        "facts": {"GPU": "a|b", "driver": "580.1"},
        "warnings": ["PyTorch is 2.9"],
        "checks": [
            {
                "name": "copy",
                "status": "passed",
                "reason": "",
                "seconds": 1.25,
                "figures": {"GB/s": 4312.7, "same": True},
            },
            {"name": "tests", "status": "failed", "reason": "no | device 好", "seconds": 60.0, "figures": {}},
        ],
    }
    lines = table(found).splitlines()
    check("WARNING: PyTorch is 2.9" in lines, "the table lacks the warning")
    check("copy   passed     1.2  GB/s 4313" in lines, "the table lacks a figure:\n" + table(found))
    check(lines[-1] == "1 passed, 1 failed, 0 skipped; 62 s", "the table's end is " + lines[-1])
    check("| tests | failed | 60.0 | no \\| device 好 |" in report(found), "the page is\n" + report(found))


def tells_what_says_most() -> None:
    traceback = "RuntimeError: no driver\nException raised from count at x.cpp:1:\n#8 at::cuda::error() from :0\n"
    check(telling_line(traceback) == "RuntimeError: no driver", telling_line(traceback))
    program = "sartor-train: device is cuda: none\nsubprocess.CalledProcessError: Command 'x' returned 2\n"
    check(telling_line(program) == "sartor-train: device is cuda: none", telling_line(program))
    check(telling_line("one\ntwo\n\n") == "two" and telling_line("") == "no output", "the last line is not told")


def warns_of_what_is_too_old(work: Path) -> None:
    smi = work / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho 'NVIDIA A100, 550.54.14, 81559 MiB, 1410 MHz, 1593 MHz, 400.00 W, Enabled'\n")
    smi.chmod(0o755)
    path = os.environ["PATH"]
    os.environ["PATH"] = f"{work}:{path}"
    facts: dict[str, str] = {}
    warnings = gpu_of(facts)
    os.environ["PATH"] = path
    check(facts["GPU"] == "NVIDIA A100" and "550.54.14" in warnings[0] and "580" in warnings[0], f"{facts}, {warnings}")
    (work / "version.py").write_text("__version__ = '2.10.0+cu128'\ncuda: Optional[str] = '12.8'\n")
    warnings = torch_of(work, facts)
    check("2.10.0" in warnings[0] and "12.8" in warnings[1], f"{warnings}")
    (work / "version.py").write_text("__version__ = '2.11.0+cu130'\ncuda: Optional[str] = '13.0'\n")
    check(torch_of(work, facts) == [], "PyTorch 2.11 with CUDA 13 is warned of")
    check(glibc_of({"glibc": "2.34"}, {"glibc": "2.31"}) != [], "glibc 2.31 is not warned of")
    check(glibc_of({"glibc": "2.9"}, {"glibc": "2.31"}) == [], "glibc 2.31 is taken for older than 2.9")


def refuses_more_than_may_travel(work: Path) -> None:
    (work / "large").write_bytes(bytes(2000))
    check_size(1000, work, most=1000)
    try:
        check_size((60 << 20) + 1, work)
    except SystemExit as refused:
        check("60.0 MiB, at most 60" in str(refused) and "large 0.0 MB" in str(refused), f"said: {refused}")
    else:
        check(False, "a pack of more than 60 MiB was made")


def main() -> int:
    build, work = Path(sys.argv[1]), Path(sys.argv[2])
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    shows_what_was_found()
    tells_what_says_most()
    refuses_more_than_may_travel(work)
    warns_of_what_is_too_old(work)
    check(sum(step.seconds for step in STEPS) <= GPU_MINUTES * 60, "the checks may take more than 8 minutes together")

    wanted = [
        ROOT / "data" / "ml-100k" / "ml-100k.inter",
        ROOT / "data" / "reviews-en" / "amazonReviewSnippets_GroundTruth.txt",
    ]
    if not all(path.exists() for path in wanted):
        print("skipped: scripts/fetch_data.py ml-100k reviews-en has not been run")
        return SKIPPED
    pack = work / "pack"
    words = [
        sys.executable,
        str(ROOT / "scripts" / "gpu" / "main.py"),
        "pack",
        "--build",
        str(build),
        "--folder",
        str(pack),
    ]
    check(subprocess.run(words, check=False).returncode == 0, "the pack is not made")
    check(not list(pack.glob("lib/libtorch_*")) and not list(pack.glob("lib/libcu[db]*")), "libtorch or CUDA travels")

    status, results = run(
        pack,
        work / "whole",
        "--patience",
        "5",
        "--minutes",
        "40",
        "--only",
        "libraries,kernel_tests,factors,factors_whole,neighbours,logits,training",
    )
    check(status == 0 and set(statuses(results).values()) == {"passed"}, f"status {status}, {statuses(results)}")
    training = results["checks"][-1]["figures"]
    check(training["same weights in both GPU runs"] is True, f"training found {training}")

    shutil.rmtree(pack / "data" / "ml-100k")
    (pack / "lib" / "libsartor_kernels.so").unlink()
    status, results = run(pack, work / "missing", "--only", "libraries,factors,kernel_tests")
    found = {"libraries": "failed", "kernel_tests": "passed", "factors": "failed"}
    check(status == 1 and statuses(results) == found, f"status {status}, {statuses(results)}")
    check(results["checks"][2]["reason"] == "data/ml-100k is not in the pack", results["checks"][2]["reason"])

    status, results = run(pack, work / "slow", "--only", "training", "--patience", "0.005")
    reason = results["checks"][0]["reason"]
    check(status == 1 and "out of time" in reason, f"status {status}, {reason}")
    status, results = run(pack, work / "late", "--only", "kernel_tests,logits", "--minutes", "0.0001")
    check(
        status == 1 and {each["reason"] for each in results["checks"]} == {"no time was left"}, f"{results['checks']}"
    )
    shutil.rmtree(work)
    return 0


if __name__ == "__main__":
    sys.exit(main())
