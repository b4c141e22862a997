#!/usr/bin/env python3
"""Tests of scripts/kernel_report.sh with planted counts, and of what scripts/gpu_check.sh does with them: kernel_report_test.py WORK"""

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts" / "kernel_report"), str(ROOT / "scripts" / "gpu")]

import ncu
from cases import CASES, Bar
from checks.kernels import kernel_counts
from counts import Kernel, bounds, short_name
from machines import A100, H100, blocks_at_once, busy_multiprocessors, occupancy
from resources import parse, sources_hash
from session import Failed, Missing, Session
from target import Target

ESTIMATES = ROOT / "scripts" / "gpu" / "estimates.json"
SCORES = "_ZN6sartor4cuda39_GLOBAL__N__a34b1521_7_topk_cu_d9fad3a212score_kernelIfLi4EEEvNS0_4TaskE"
COUNTS = {"kernel": SCORES, "launches": 2, "grid": [54, 1, 1], "block": [256, 1, 1], "threads": 2 * 54 * 256}
COUNTS |= {"warp_insts": 4000, "lane_efficiency": 0.5, "fp32": 1000, "tensor": 500, "tensor_flops": 128_000}
COUNTS |= {"ld_sectors": 3000, "st_sectors": 1000, "ld_bytes": 90_000, "st_bytes": 30_000, "atom_serial": 0}
COUNTS |= {
    "compulsory_ld_bytes": 32_000,
    "compulsory_st_bytes": 32_000,
    "shared_wavefronts": 1100,
    "shared_ideal": 1000,
}
COUNTS |= {"barriers": 2 * 54 * 8 * 7, "static_shared": 1024, "dynamic_shared": 48 << 10}
PTXAS = f"""ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '{SCORES}' for 'sm_80'
ptxas info    : Function properties for {SCORES}
    8 bytes stack frame, 4 bytes spill stores, 12 bytes spill loads
ptxas info    : Used 128 registers, used 1 barriers, 8 bytes cumulative stack size, 520 bytes cmem[0]
ptxas info    : Compiling entry function '{SCORES}' for 'sm_90'
ptxas info    : Function properties for {SCORES}
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 90 registers, used 1 barriers, 520 bytes cmem[0]
"""


def check(condition: bool, what: object) -> None:
    if not condition:
        sys.exit(f"kernel_report_test: {what}")


def knows_how_many_blocks_fit() -> None:
    check(blocks_at_once(A100, 256, 128, 48 << 10) == 2, "registers: 65,536 are 2 blocks of 256 x 128")
    check(blocks_at_once(A100, 256, 32, 48 << 10) == 3, "shared memory: 164 KiB are 3 blocks of 49")
    check(blocks_at_once(H100, 256, 32, 48 << 10) == 4, "shared memory: 228 KiB are 4 blocks of 49")
    check(blocks_at_once(A100, 1024, 32, 0) == 2, "threads: 2,048 are 2 blocks of 1,024")
    check(blocks_at_once(A100, 32, 16, 0) == 32, "no more than 32 blocks")
    check(blocks_at_once(A100, 256, 90, 0) == 2, "registers are given to warps by 256: 90 take 96")
    check(blocks_at_once(A100, 128, 32, 200 << 10) == 0, "a block of 200 KiB does not fit")
    check(occupancy(A100, 256, 2) == 0.25, "2 blocks of 8 warps are a quarter of 64")
    check(busy_multiprocessors(A100, 54) == 54 and busy_multiprocessors(A100, 162) == 81, "blocks that leave some idle")


def bounds_follow_from_counts() -> None:
    kernel = Kernel("score_kernel", COUNTS)
    check((kernel.blocks, kernel.barriers_per_block, kernel.shared) == (54, 7, 50_176), f"{kernel.blocks}")
    found = bounds(kernel, A100, "fp16")
    check(math.isclose(found["memory"], 64_000 / 2.039e12), found)
    check(math.isclose(found["issue"], 4000 / (4 * 54 * 1.41e9)), "54 blocks keep half of the multiprocessors busy")
    check(math.isclose(found["tensor cores"], 128_000 / 156e12), found)
    check(max(found, key=found.get) == "memory", found)
    product = bounds(Kernel("cublas_gemm", {"launches": 1, "flops": 1e12}), A100, "")
    check(math.isclose(product["cuBLAS"], 1e12 / 19.5e12), product)


def reads_what_ptxas_says() -> None:
    found = parse(PTXAS)
    expected = {
        "sm_80": {"stack": 8, "spills": 16, "registers": 128},
        "sm_90": {"stack": 0, "spills": 0, "registers": 90},
    }
    check(found == {"score_kernel<float, 4>": expected}, found)
    check(short_name("void a::(anonymous namespace)::f<b::C, 1>(b::C)") == "f<C, 1>", "names")
    check(short_name("void cub::Sort<Policy<1, 2, (cub::A)0>, x>(int)").startswith("Sort<"), "parentheses in names")


def has_three_sizes_of_each() -> None:
    sizes: dict[str, int] = {}
    for case in CASES:
        sizes[case.operation] = sizes.get(case.operation, 0) + 1
        check(case.least_bytes({"ratings": 1000}) > 0, case.name)
    check(min(sizes.values()) >= 3, sizes)
    check(len({case.file for case in CASES}) == len(CASES), "two cases have the same file")
    check(Bar("launches", 3).holds(3) and not Bar("tensor share", 0.8, most=False).holds(0.79), "limits")


def has_a_page_of_these_cases() -> None:
    found = {each["name"]: each["command"] for each in json.loads(ESTIMATES.read_text())}
    page = (ROOT / "docs" / "kernels.md").read_text(encoding="utf-8")
    for case in CASES:
        check(found.get(case.name) == case.command, f"{case.name} is not in {ESTIMATES}: run kernel_report.sh")
        check(f"| {case.shape} |" in page, f"{case.name} is not on the page: run kernel_report.sh")


def report(work: Path, *words: str, **environment: str) -> subprocess.CompletedProcess:
    places = {"kept": work / "kept", "output": work / "kernels.md", "estimates": work / "estimates.json", "build": work}
    options = [word for name, path in places.items() for word in (f"--{name}", str(path))]
    without = {name: value for name, value in os.environ.items() if not name.startswith("GPUSIM")}
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "kernel_report" / "main.py"), *words, *options],
        env=without | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def planted(work: Path, status: int = 0, counts: dict = COUNTS) -> dict[str, str]:
    """A simulator that counts the same for every program, and programs that do nothing."""
    for name in ("topk_bench", "als_bench", "implicit_bench", "recommender_bench", "decoding_bench"):
        (work / "bin").mkdir(exist_ok=True)
        (work / "bin" / name).touch()
    run = work / "run"
    line, printed = json.dumps(counts), '{"ratings": 1000, "seconds": 1}'
    run.write_text(
        f"#!/bin/sh\necho '{line}' >>$GPUSIM_REPORT\necho '{printed}'\necho 'no such device 好' >&2\nexit {status}\n"
    )
    run.chmod(0o755)
    (work / "kept").mkdir(exist_ok=True)
    kept = {"sources": sources_hash(ROOT), "resources": parse(PTXAS)}
    (work / "kept" / "resources.json").write_text(json.dumps(kept))
    return {"GPUSIM": str(work)}


def writes_a_page(work: Path) -> None:
    done = report(work, "sampling", **planted(work))
    check(done.returncode == 0, done.stderr)
    page = (work / "kernels.md").read_text(encoding="utf-8")
    check("**Estimates.** No figure on this page was measured on a GPU." in page, page)
    check("## Sampling" in page and "## Penalties" not in page, "operations that were not run are on the page")
    row = next(line for line in page.splitlines() if line.startswith("| 1 x 50,257, greedy |"))
    # 128,000 bytes of 201,036; 120,000 asked for; 64,000 multiply-adds on tensor cores and 16,000 outside
    check(row.startswith("| 1 x 50,257, greedy | 2 | 0.64 | 0.94 | 1.10 | 0.80 | 7 | 4,000 |"), row)
    kernel = next(line for line in page.splitlines() if line.startswith("| `score_kernel<float, 4>` |"))
    check("| 54 x 256 | 50,176 | 2 | 1.10 | 50% | 128 / 90 | 16 / 0 | 2, 25%, 0.25 | 2, 25%, 0.20 |" in kernel, kernel)
    (estimate, *_) = json.loads((work / "estimates.json").read_text())
    check(estimate["requested bytes"] == 128_000 and estimate["tensor instructions"] == 500, estimate)

    again = report(work, "penalties", **planted(work))
    page = (work / "kernels.md").read_text(encoding="utf-8")
    check(again.returncode == 0 and "## Sampling" in page and "## Penalties" in page, "earlier counts are lost")
    check(report(work, "--page").returncode == 0, "--page needs a simulator")


def keeps_what_it_does_not_count(work: Path) -> None:
    """In a clone that has the page but no counts."""
    before = (ROOT / "docs" / "kernels.md").read_text(encoding="utf-8")
    (work / "kernels.md").write_text(before, encoding="utf-8")
    shutil.copy2(ESTIMATES, work / "estimates.json")
    done = report(work, "sampling", **planted(work))
    check(done.returncode == 0, done.stderr)
    after = (work / "kernels.md").read_text(encoding="utf-8")
    start, end = "\n## Sampling\n", "\n## Limits\n"
    check(after.split(start)[0] == before.split(start)[0], "the operations before are not kept")
    check(after.split(end)[1] == before.split(end)[1], "limits and comparisons are not kept")
    check("| 1 x 50,257, greedy | 2 | 0.64 |" in after, "the new counts are missing")
    names = [each["name"] for each in json.loads((work / "estimates.json").read_text())]
    check(names == [case.name for case in CASES], f"{names}")


def says_what_is_missing(work: Path) -> None:
    def said(expected: str, *words: str, **environment: str) -> None:
        done = report(work, *words, **environment)
        good = done.returncode == 2 and done.stderr.startswith("kernel_report: ") and expected in done.stderr
        check(good and done.stderr.count("\n") == 1, f"status {done.returncode}, {done.stderr}")

    said("GPUSIM is not set")
    said("has no program run", GPUSIM="/nonexistent")
    said("has no counts; run without --page first", "--page")
    said("no case begins with nothing", "nothing")
    simulator = planted(work, status=1)
    said("no such device 好", "sampling", **simulator)
    (work / "bin" / "decoding_bench").unlink()
    said("has no bin/decoding_bench", "sampling", **simulator)
    check(not (work / "kernels.md").exists(), "a page was written")


def session_with(work: Path, script: str) -> Session:
    """On a machine whose ncu is the shell script."""
    shutil.rmtree(work, ignore_errors=True)
    (work / "bin").mkdir(parents=True)
    (work / "scripts" / "gpu").mkdir(parents=True)
    for name in ("sartor-train", "topk_bench"):
        (work / "bin" / name).touch()
    case = {"operation": "top-k", "name": "top-k 1", "command": ["topk_bench", "1"], "seconds": {"A100": 2e-6}}
    counts = {"requested bytes": 2e6, "distinct bytes": 1e6, "tensor instructions": None}
    (work / "scripts" / "gpu" / "estimates.json").write_text(json.dumps([case | counts]))
    (work / "ncu").write_text("#!/bin/sh\n" + script)
    (work / "ncu").chmod(0o755)
    arguments = argparse.Namespace(cpu=False, quick=True, patience=1)
    session = Session(work, work / "out", work / "scratch", Target(environment={"PATH": "/usr/bin:/bin"}), arguments)
    session.begin("kernel_counts", 30)
    return session


QUERIED = """if [ "$1" = --query-metrics ]; then
  echo 'dram__bytes  Counter  byte  # of bytes'; echo 'lts__t_bytes  Counter  byte  bytes'; exit; fi
"""
COUNTED = """echo '==PROF== Connected to process 7'
echo '{"queries": 1}'
echo '"ID","Kernel Name","Metric Name","Metric Unit","Metric Value"'
echo '"0","f(int, int)","dram__bytes.sum","byte","1,000,000"'
echo '"1","g","dram__bytes.sum","byte","500,000"'
echo '"1","g","lts__t_bytes.sum","byte","1000000"'
"""
FORBIDDEN = "echo '==ERROR== ERR_NVGPUCTRPERM - The user does not have permission'; exit 1\n"


def compares_with_ncu(work: Path) -> None:
    path = os.environ["PATH"]
    try:
        os.environ["PATH"] = f"{work / 'ncu'}:{path}"
        session = session_with(work / "ncu", QUERIED + COUNTED)
        kernel_counts(session)
        check(session.figures["top-k 1: distinct bytes"] == "1.5 / 1 (1.50)", session.figures)
        check(session.figures["top-k 1: requested bytes"] == "1 / 2 (0.50)", session.figures)
        check(len(session.figures) == 2, "figures without a metric are shown")
        for script, kind, reason in (
            (QUERIED + FORBIDDEN, Missing, "ncu: ERROR== ERR_NVGPUCTRPERM"),
            (QUERIED + "echo 'topk_bench: broken'; exit 3\n", Failed, "ncu: status 3"),
        ):
            try:
                kernel_counts(session_with(work / "ncu", script))
            except (Missing, Failed) as error:
                check(type(error) is kind and reason in str(error), f"{type(error)}: {error}")
            else:
                check(False, f"{reason} is not told")
        os.environ["PATH"] = "/nonexistent"
        if not list(Path("/usr/local").glob("cuda*/bin/ncu")) + list(Path("/opt/nvidia/nsight-compute").glob("*/ncu")):
            try:
                ncu.find_ncu()
            except Missing as error:
                check(str(error) == "ncu is not installed on this machine", error)
            else:
                check(False, "an ncu was found")
    finally:
        os.environ["PATH"] = path


def main() -> int:
    work = Path(sys.argv[1])
    shutil.rmtree(work, ignore_errors=True)
    for name in ("page", "kept", "missing"):
        (work / name).mkdir(parents=True)
    knows_how_many_blocks_fit()
    bounds_follow_from_counts()
    reads_what_ptxas_says()
    has_three_sizes_of_each()
    has_a_page_of_these_cases()
    writes_a_page(work / "page")
    keeps_what_it_does_not_count(work / "kept")
    says_what_is_missing(work / "missing")
    compares_with_ncu(work)
    shutil.rmtree(work)
    return 0


if __name__ == "__main__":
    sys.exit(main())
