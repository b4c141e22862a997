"""Programs, libraries and tests on the device, without the tasks."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from session import Failed, Missing, Session

# Tests of operations, then of device functions, which run only on a GPU. Their figures are added up.
KERNEL_PROGRAMS = ("cuda_tests", "kernel_tests", "cuda_device_tests")
GPU_TESTS = "*gpu*:*Gpu*"
# A fast selection that runs each kernel once, and each way in which top-k searches, for compute-sanitizer and simulators.
SMALL_TESTS = (
    "DeviceBuffer.gpu:*Topk*gpu_1x1x1_k1:*Topk*gpu_7x33x17_k4:*Topk*gpu_15x31x401_k7:*Topk*CosinesOfFourUsers*gpu"
    ":*TopkKindsOfShape.Equal*gpu_5x1009*:*TopkKindsOfShape.Find*gpu_17x257*:*TopkKindsOfShape.Find*gpu_20x3001*"
    ":*Penalize*gpu_5x257*:*PenaltyRules*gpu:*SampleShape*gpu_5x31:*SampleShape*gpu_3x65"
    ":DecodeAttentionGpu.OddShapes:DecodeAttentionGpu.NoRows*:DecodeAttentionGpu.TheCache*"
    ":*ImplicitShape*gpu_7_*:*ImplicitShape*gpu_100_*:Implicit.RowsAlone*gpu:Implicit.GramIs*gpu"
    ":*RowSimilarity*DoubleLoop*gpu_2x3*:*RowSimilarity*DoubleLoop*gpu_61x37*"
    ":*Sgd*gpu_f15_b5_adagrad:*Sgd*gpu_f64_b3:*Sgd*gpu_f112_b17:*Sgd*gpu_f300_b3_adagrad"
    ":*PosteriorShape*gpu_columns_7_*:*PosteriorShape*gpu_columns_33_*:*PosteriorShape*gpu_columns_131_*"
    ":*BprTest*gpu*:*ContrastiveTest*gpu*:*KMeansOperations*gpu_5x3*:*KMeansOperations*gpu_97x17*"
    ":FiltersGpu.*:LinearGpu.*"
    ":*Als*gpu*:-*Large*:*9001*:*20011*:*530x8200*"
)


def libraries(session: Session) -> None:
    """All programs and modules find their libraries; the programs start."""
    files = [Path(session.program("sartor-train")), Path(session.program("sartor-infer"))]
    modules = [Path(session.library(f"libsartor_{name}.so")) for name in ("kernels", "torch_cuda")]
    if lacking := [str(module) for module in modules if not module.exists()]:
        raise Failed(f"no {' and no '.join(lacking)}")
    missing: dict[str, None] = {}
    for file in [*files, *modules]:
        for line in session.run("ldd", "-r", file, accept=(0, 1)).splitlines():
            if "not found" in line or "undefined symbol" in line:
                missing[line.strip()] = None
            found = re.search(r"(libtorch_cuda|libcudart|libcublas|libcudnn|libnccl)\.so\.?\d* => (\S+)", line)
            if found:
                session.figures[found[1]] = found[2]
    for file in files:
        session.run(file, "--version")
    if missing:
        raise Failed("; ".join(missing)[:600])


def ceilings(session: Session) -> None:
    output = session.python("ceilings.py", session.device, *(["--quick"] if session.quick else []))
    reached = json.loads(output.strip().splitlines()[-1])
    session.ceilings = reached["found"]
    session.figures |= session.ceilings
    if reached["faults"]:
        raise Failed("; ".join(reached["faults"]))


def skip_reason(output: str) -> str:
    """Reason of the first skipped test, which GoogleTest prints on the line after its source location."""
    found = re.search(r"^\S+:\d+: Skipped\n(.*)", output, re.MULTILINE)
    return found[1] if found else ""


def run_tests(session: Session, program: str, chosen: str, launched: bool) -> None:
    """Runs tests. Fails if none passes or, on a GPU, if any is skipped. A rehearsal whose tests are all skipped is, too."""
    before = session.launcher if launched else []
    try:
        session.run(*before, session.program(program), f"--gtest_filter={chosen}", "--gtest_brief=0")
    finally:
        output = session.log.read_text(errors="replace") if session.log.exists() else ""
        for name, mark in (("passed", "       OK "), ("failed", "  FAILED  "), ("skipped", "  SKIPPED ")):
            names = list(dict.fromkeys(re.findall(rf"^\[{mark}\] (\S+?)(?:,| \()", output, re.MULTILINE)))
            session.figures[name] = len(names)
            if name == "failed" and names:  # later failures may be consequences of the first
                session.figures["first to fail"] = " ".join(names[:5])
    passed, skipped = session.figures["passed"], session.figures["skipped"]
    if passed == 0 and skipped and session.cpu:
        raise Missing(f"a rehearsal: {skip_reason(output)}")
    if passed == 0 or (skipped and not session.cpu):
        raise Failed(f"{program}: {passed} tests passed, {skipped} were skipped: {skip_reason(output)}")


def kernel_tests(session: Session) -> None:
    simulated = session.cpu and session.kernel_device == "cuda"
    chosen = "*cpu_v3*" if session.kernel_device == "cpu" else SMALL_TESTS if simulated else GPU_TESTS
    for program in KERNEL_PROGRAMS[: 1 if session.kernel_device == "cpu" else None]:
        try:
            run_tests(session, program, chosen, launched=True)
        except Failed as error:
            if session.cpu:
                raise
            # Run again with synchronous launches, so that the log names the kernel at fault.
            try:
                session.run(
                    session.program(program),
                    f"--gtest_filter={chosen}",
                    "--gtest_fail_fast",
                    SARTOR_SYNC="1",
                    CUDA_LAUNCH_BLOCKING="1",
                )
            except Failed as again:
                raise Failed(f"{error}; with SARTOR_SYNC=1: {again}") from again
            raise


def runtime_tests(session: Session) -> None:
    chosen = "*TorchModule*:*MakingTheRuntime*" + ("" if session.cpu else ":*Gpu*:-*Nccl*")
    run_tests(session, "trainer_runtime_test", chosen, launched=False)


def nccl(session: Session) -> None:
    """Collectives of a group of one process."""
    run_tests(session, "trainer_runtime_test", "*Nccl*", launched=False)


def find_sanitizer() -> str:
    name = "compute-sanitizer"
    places = [path for folder in ("bin", name) for path in sorted(Path("/usr/local").glob(f"cuda*/{folder}/{name}"))]
    found = shutil.which(name) or next(map(str, places), "")
    if not found:
        raise Missing("compute-sanitizer is not installed on this machine")
    return found


def sanitizer(session: Session) -> None:
    command = [find_sanitizer(), "--error-exitcode", 99, "--print-limit", 20]
    if session.cpu:
        raise Missing("a rehearsal has no GPU for compute-sanitizer to check")
    faults = []
    for tool in ("memcheck", "racecheck", "initcheck", "synccheck"):
        try:
            session.run(*command, "--tool", tool, session.program("cuda_tests"), f"--gtest_filter={SMALL_TESTS}")
            session.figures[tool] = "clean"
        except Failed as error:
            session.figures[tool] = "faults"
            faults.append(f"{tool}: {error}")
            if "Device not supported" in session.log.read_text(errors="replace"):
                raise Missing("compute-sanitizer does not support this device") from error
    if faults:
        raise Failed("; ".join(faults))
