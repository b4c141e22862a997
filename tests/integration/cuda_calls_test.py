#!/usr/bin/env python3
"""Tests scripts/gpu/cuda_calls.cpp with stand-ins for CUDA: cuda_calls_test.py COUNTER MODULE WORK

MODULE is loaded as the programs load their GPU modules, with dlopen and without making its symbols global.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "gpu"))

from calls import per_step, read_calls

CALL = "import ctypes, sys; sys.exit(ctypes.CDLL(sys.argv[1]).call_cuda(int(sys.argv[2])))"


def check(condition: bool, what: str) -> None:
    if not condition:
        sys.exit(f"cuda_calls_test: {what}")


def counted(counter: str, module: str, file: Path, launches: int) -> dict[str, int]:
    environment = {"PATH": os.environ["PATH"], "LD_PRELOAD": counter, "SARTOR_CUDA_CALLS": str(file)}
    done = subprocess.run([sys.executable, "-c", CALL, module, str(launches)], env=environment, check=False)
    check(done.returncode == 0, f"{done.returncode} calls had wrong results")
    return read_calls(file)


def main() -> None:
    counter, module, work = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    work.mkdir(parents=True, exist_ok=True)
    first = counted(counter, module, work / "first.txt", 3)
    expected = {
        "__cudaLaunchKernel": 3,
        "cuLaunchKernel": 1,
        "cublasGemmEx": 1,
        "cudaMemcpy": 1,
        "cudaMemcpyAsync to device": 1,
        "cudaMemcpyAsync from device": 2,
        "cudaMemcpyAsync on device": 1,
        "cudaStreamSynchronize": 1,
        "cudaDeviceSynchronize": 1,
        "cudaEventSynchronize": 1,
    }
    check(first == expected, f"counted {first}, expected {expected}")

    second = counted(counter, module, work / "second.txt", 23)
    steps = per_step(first, second, 10)
    check(steps["kernel launches"] == 2, f"{steps}")
    check({value for name, value in steps.items() if name != "kernel launches"} == {0}, f"{steps}")

    environment = {"PATH": os.environ["PATH"], "LD_PRELOAD": counter}
    silent = subprocess.run([sys.executable, "-c", CALL, module, "1"], env=environment, check=False)
    check(silent.returncode == 0, "a program without SARTOR_CUDA_CALLS is disturbed")


if __name__ == "__main__":
    main()
