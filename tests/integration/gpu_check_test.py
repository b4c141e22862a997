#!/usr/bin/env python3
"""Tests of scripts/gpu_check.sh: gpu_check_test.py BUILD WORK

A rehearsal of the packed archive without a GPU passes, missing files fail only the checks that need them, and results are formatted as a
table and a page.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "gpu"))

from checks.speed import FILTERS, RECOMMENDERS
from pack import check_size
from run import all_checks
from session import Session, telling_line
from steps import STEPS, Step
from table import report, table
from target import Target, find_target, glibc_of, gpu_of, torch_of

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
                "comparisons": [
                    {"what": "top-k", "unit": "ms", "ours": 2.0, "peer": "torch|mm", "theirs": 3, "speedup": 1.5}
                ],
            },
            {"name": "tests", "status": "failed", "reason": "no | device 好", "seconds": 60.0, "figures": {}},
        ],
    }
    lines = table(found).splitlines()
    check("WARNING: PyTorch is 2.9" in lines, "the table lacks the warning")
    check("copy   passed     1.2  GB/s 4313" in lines, "the table lacks a figure:\n" + table(found))
    check(lines[-1] == "1 passed, 1 failed, 0 skipped; 62 s", "the table's end is " + lines[-1])
    check("top-k  ms    2       3     1.50           torch|mm" in lines, "the table lacks the speed:\n" + table(found))
    check("| top-k | ms | 2 | 3 | 1.50 | torch\\|mm |" in report(found), "the page is\n" + report(found))
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


def planted_failures_leave_the_others(work: Path) -> None:
    """Of checks that fail, have a bug, and hang, each with its own clock."""

    def passes(session: Session) -> None:
        session.figures["found"] = 1
        session.compare("what", "s", 1, "peer", 2, more_is_better=False)

    def breaks(session: Session) -> None:
        session.figures["found before"] = 1
        raise ZeroDivisionError("planted")

    def hangs(session: Session) -> None:
        session.run("sleep", "60")

    steps = [Step("first", 1, passes), Step("broken", 1, breaks), Step("late", 0.5, hangs), Step("last", 9, passes)]
    arguments = argparse.Namespace(cpu=True, quick=True, patience=1)
    session = Session(ROOT, work / "planted", work / "scratch", Target(), arguments)
    session.out.mkdir()
    results = {"checks": []}
    all_checks(session, steps, time.monotonic() + 60, results)
    found = statuses(results)
    check(found == {"first": "passed", "broken": "failed", "late": "failed", "last": "passed"}, f"{found}")
    reasons = [each["reason"] for each in results["checks"]]
    check(reasons[1] == "ZeroDivisionError: planted" and "out of time" in reasons[2], f"{reasons}")
    check(results["checks"][1]["figures"] == {"found before": 1}, "figures of a failed check are lost")
    check(results["checks"][3]["comparisons"][0]["speedup"] == 2, f"{results['checks'][3]}")
    # what the first two left doubles the time of the third, but takes none of the last one's
    check(0.9 < results["checks"][2]["seconds"] < 3, f"the hanging check took {results['checks'][2]['seconds']} s")
    check(results["checks"][3]["limit"] >= 9, f"the last check had {results['checks'][3]['limit']} s")


def refuses_more_than_may_travel(work: Path) -> None:
    (work / "large").write_bytes(bytes(2000))
    check_size(1000, work, most=1000)
    try:
        check_size((60 << 20) + 1, work)
    except SystemExit as refused:
        check("60.0 MiB, at most 60" in str(refused) and "large 0.0 MB" in str(refused), f"said: {refused}")
    else:
        check(False, "a pack of more than 60 MiB was made")


def benches_refuse_a_missing_gpu(pack: Path) -> None:
    if shutil.which("nvidia-smi"):
        return
    rows = pack / "scripts" / "gpu_check.sh"  # is not read
    commands = {
        "topk_bench": [1, 1, 1, 1, 1, 1, "cuda"],
        "als_bench": ["made", 9, 9, 9, 2, 1, "cuda", 1],
        "implicit_bench": ["made", 9, 9, 9, 2, "cg", 1, 1, "cuda", 1],
        "recommender_bench": ["cuda", 1, "kmeans,9,2,3"],
        "decoding_bench": ["cuda", 1, "sample", 1, 9, "greedy"],
        "filter_bench": ["cuda", "weights", 9, 9, 9, 2],
        "generate_bench": [pack, "fp32", "cuda", rows, 1],
        "decoder_bench": ["logits", pack, "fp32", "cuda", rows, rows],
        "bert_classify_bench": [pack, rows, "fp32", "cuda", 1, 1],
    }
    environment = find_target(pack, cpu=True).environment
    for name, words in commands.items():
        command = [str(word) for word in (pack / "bin" / name, *words)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        said = done.stderr.strip()
        expected = (
            done.returncode == 1 and said.startswith(f"{name}: ") and "\n" not in said and "no NVIDIA driver" in said
        )
        check(expected, f"{name} on a GPU that is not there: status {done.returncode}, {said}")


def rehearses_every_check(pack: Path, work: Path) -> None:
    status, results = run(pack, work / "whole", "--patience", "8", "--minutes", "40")
    needing_a_gpu = dict.fromkeys(("nccl", "calls_per_step", "kernel_counts", "sanitizer"), "skipped")
    expected = {step.name: "passed" for step in STEPS} | needing_a_gpu
    check(status == 0 and statuses(results) == expected, f"status {status}, {statuses(results)}")
    figures = {each["name"]: each["figures"] for each in results["checks"]}
    check(figures["bert_training"]["same weights in both GPU runs"] is True, f"{figures['bert_training']}")
    check(figures["gpt_training"]["same weights in both GPU runs"] is True, f"{figures['gpt_training']}")
    check(figures["gpt_texts"]["GPU: share of texts equal to the CPU's"] == 1, f"{figures['gpt_texts']}")
    check(figures["generation_speed"]["fp32, batch 8: share of texts equal to the peer's"] == 1, "texts differ")
    measured = [name for name, value in figures["recommender_speed"].items() if value > 0]
    check(measured == [*RECOMMENDERS, *FILTERS], f"{measured}")
    compared = [each["what"] for found in results["checks"] for each in found["comparisons"]]
    for what in (
        "fine-tuning, fp32",
        "scoring, fp32",
        "generation, fp32, batch 64",
        "top-k 7 x 300 x 16, k 4, fp16",
        "ALS of",
        "sample 2 100",
    ):
        check(any(each.startswith(what) for each in compared), f"no speed of {what} among {compared}")


def missing_files_fail_their_checks(pack: Path, work: Path) -> None:
    shutil.rmtree(pack / "data" / "ml-100k")
    (pack / "lib" / "libsartor_kernels.so").unlink()
    (pack / "bin" / "generate_bench").unlink()
    some = "libraries,factors,kernel_tests,generation_speed,factor_speed"
    status, results = run(pack, work / "missing", "--patience", "8", "--only", some)
    expected = dict(zip(some.split(","), ("failed", "failed", "passed", "failed", "passed")))
    check(status == 1 and statuses(results) == expected, f"status {status}, {statuses(results)}")
    reasons = {each["name"]: each["reason"] for each in results["checks"]}
    check(reasons["factors"] == "data/ml-100k is not in the pack", reasons["factors"])
    check("bin/generate_bench is not in the pack" in reasons["generation_speed"], reasons["generation_speed"])


def unknown_checks_are_refused(work: Path) -> None:
    main = [sys.executable, ROOT / "scripts" / "gpu" / "main.py", "run", "--cpu", "--only", "logits,factors"]
    done = subprocess.run([*main, "--out", work / "none"], capture_output=True, text=True, check=False)
    expected = done.returncode == 2 and "there is no check logits; expected some of libraries, " in done.stderr
    check(expected and done.stderr.count("\n") == 1 and not (work / "none").exists(), f"said: {done.stderr}")


def time_limits_hold(pack: Path, work: Path) -> None:
    status, results = run(pack, work / "slow", "--only", "bert_training", "--patience", "0.005")
    reason = results["checks"][0]["reason"]
    check(status == 1 and "out of time" in reason, f"status {status}, {reason}")
    status, results = run(pack, work / "late", "--only", "kernel_tests,bert_logits", "--minutes", "0.0001")
    reasons = {each["reason"] for each in results["checks"]}
    check(status == 1 and reasons == {"no time was left"}, f"status {status}, {reasons}")


def packed(build: Path, pack: Path) -> Path:
    words = [sys.executable, ROOT / "scripts" / "gpu" / "main.py", "pack", "--build", build, "--folder", pack]
    check(subprocess.run(words, check=False).returncode == 0, "the pack is not made")
    check(not list(pack.glob("lib/libtorch_*")) and not list(pack.glob("lib/libcu[db]*")), "libtorch or CUDA travels")
    return pack


def main() -> int:
    build, work = Path(sys.argv[1]), Path(sys.argv[2])
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    shows_what_was_found()
    tells_what_says_most()
    refuses_more_than_may_travel(work)
    warns_of_what_is_too_old(work)
    planted_failures_leave_the_others(work)
    unknown_checks_are_refused(work)
    check(sum(step.seconds for step in STEPS) <= GPU_MINUTES * 60, "the checks may take more than 8 minutes together")

    data = ROOT / "data"
    wanted = [data / "ml-100k" / "ml-100k.inter", data / "reviews-en" / "amazonReviewSnippets_GroundTruth.txt"]
    if not all(path.exists() for path in wanted):
        print("skipped: scripts/fetch_data.py ml-100k reviews-en has not been run")
        return SKIPPED
    pack = packed(build, work / "pack")
    benches_refuse_a_missing_gpu(pack)
    rehearses_every_check(pack, work)
    missing_files_fail_their_checks(pack, work)
    time_limits_hold(pack, work)
    shutil.rmtree(work)
    return 0


if __name__ == "__main__":
    sys.exit(main())
