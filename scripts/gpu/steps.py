"""The checks, in the order in which they run. A check stores its results in session.figures and raises Failed or Missing."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from session import Failed, Missing, Session

GPU_TESTS = "*gpu*:*Gpu*"
# A fast selection that runs each kernel once, for compute-sanitizer and simulators.
SMALL_TESTS = (
    "DeviceBuffer.gpu:*Topk*gpu_1x1x1_k1:*Topk*gpu_7x33x17_k4:*Topk*gpu_15x31x401_k7:*Topk*CosinesOfFourUsers*gpu"
    ":*Penalize*gpu_5x257*:*PenaltyRules*gpu:*SampleShape*gpu_5x31:*SampleShape*gpu_3x65"
    ":DecodeAttentionGpu.OddShapes:DecodeAttentionGpu.NoRows*:DecodeAttentionGpu.TheCache*"
    ":*Als*gpu*:-*Large*:*9001*:*20011*:*530x8200*"
)


@dataclass
class Step:
    name: str
    seconds: float  # time limit
    check: Callable[[Session], None]


def close(found: float, expected: float, relative: float, absolute: float) -> bool:
    """|found - expected| <= absolute + relative |expected|. False for NaN."""
    return abs(found - expected) <= absolute + relative * abs(expected)


# ---- environment ----


def libraries(session: Session) -> None:
    """All programs and modules find their libraries; the programs start."""
    files = [Path(session.program("sartor-train")), Path(session.program("sartor-infer"))]
    modules = sorted((files[0].parents[1] / "lib").glob("libsartor_*.so"))
    if len(modules) != 2:
        raise Failed(f"{len(modules)} GPU modules in {files[0].parents[1] / 'lib'}, expected 2")
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
    session.figures |= reached["found"]
    if reached["faults"]:
        raise Failed("; ".join(reached["faults"]))


# ---- tests on the device ----


def skip_reason(output: str) -> str:
    """Reason of the first skipped test, which GoogleTest prints on the line after its source location."""
    found = re.search(r"^\S+:\d+: Skipped\n(.*)", output, re.MULTILINE)
    return found[1] if found else ""


def run_tests(session: Session, program: str, chosen: str, launched: bool) -> None:
    """Runs tests. Fails if none passes or, on a GPU, if any is skipped."""
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
    if passed == 0 or (skipped and not session.cpu):
        raise Failed(f"{program}: {passed} tests passed, {skipped} were skipped: {skip_reason(output)}")


def kernel_tests(session: Session) -> None:
    simulated = session.cpu and session.kernel_device == "cuda"
    chosen = "*cpu_v3*" if session.kernel_device == "cpu" else SMALL_TESTS if simulated else GPU_TESTS
    try:
        run_tests(session, "cuda_tests", chosen, launched=True)
    except Failed as error:
        if session.cpu:
            raise
        # Run again with synchronous launches, so that the log names the kernel at fault.
        try:
            session.run(
                session.program("cuda_tests"),
                f"--gtest_filter={chosen}",
                "--gtest_fail_fast",
                SARTOR_SYNC="1",
                CUDA_LAUNCH_BLOCKING="1",
            )
        except Failed as again:
            raise Failed(f"{error}; with SARTOR_SYNC=1: {again}") from again
        raise


def runtime_tests(session: Session) -> None:
    chosen = "*TorchModule*:*MakingTheRuntime*" + ("" if session.cpu else ":*Gpu*")
    run_tests(session, "trainer_runtime_test", chosen, launched=False)


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


# ---- factors ----


def factors(session: Session) -> None:
    """Compares all factors of a small model between the GPU and the CPU."""
    session.data("ml-100k")
    build = Path(session.program("sartor-train")).parents[1]
    script = session.root / "tests" / "integration" / "compare_devices.py"
    output = session.run(sys.executable, script, "--device", session.kernel_device, build, *session.launcher)
    for name, difference in re.findall(r"^(\S+): largest difference (\S+)", output, re.MULTILINE):
        session.figures[f"{name}, largest difference"] = float(difference)
    said_device(session, output, session.kernel_device)


def said_device(session: Session, output: str, device: str) -> None:
    """Fails if the task's log names no GPU although one was requested."""
    if device == "cpu" or session.launcher:
        return
    if not re.search(r"device: .*sm_\d", output):
        raise Failed("device: cuda was requested, but the log names no GPU")


def metrics_of(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def factors_whole(session: Session) -> None:
    """Trains configs/ml-100k-als.yaml on both devices and compares test metrics and seconds per epoch."""
    session.data("ml-100k")
    configs = session.root / "configs"
    prepared = session.work / "u1.h5"
    session.task("sartor-train", configs / "ml-100k-prepare.yaml", output=prepared)
    small = {"model__factors": 4, "model__epochs": 1} if session.cpu else {}
    test = {}
    for name, device in (("CPU", "cpu"), ("GPU", session.kernel_device)):
        folder = session.work / name
        said_device(
            session,
            session.task(
                "sartor-train",
                configs / "ml-100k-als.yaml",
                True,
                device=device,
                data__path=prepared,
                output=folder,
                **small,
            ),
            device,
        )
        test[name] = json.loads((folder / "results.json").read_text())["test"]
        seconds = sorted(line["seconds"] for line in metrics_of(folder) if "seconds" in line)
        if seconds:
            session.figures[f"{name}: ms per epoch, median"] = 1000 * seconds[len(seconds) // 2]
    for metric in ("rmse", "recall@10", "ndcg@10"):
        ours, theirs = test["GPU"][metric], test["CPU"][metric]
        session.figures[f"{metric} on GPU and CPU"] = f"{ours:.5f} {theirs:.5f}"
        if not close(ours, theirs, 0, 1e-3 if metric == "rmse" else 5e-3):
            raise Failed(f"{metric} is {ours} on the GPU, {theirs} on the CPU")


def table_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def neighbours(session: Session) -> None:
    """Compares the nearest films of one model between the GPU and the CPU."""
    session.data("ml-100k")
    model = session.scratch / "factors_whole" / "CPU"
    if not (model / "results.json").exists():
        raise Failed("no model found; the check factors_whole must run first")
    config = session.root / "configs" / "ml-100k-similar.yaml"
    found = {}
    for name, device in (("CPU", "cpu"), ("GPU", session.kernel_device)):
        output = session.work / f"{name}.csv"
        said = session.task("sartor-infer", config, True, device=device, model=model, output=output)
        said_device(session, said, device)
        found[name] = table_of(output)
    ours, theirs = found["GPU"], found["CPU"]
    if len(ours) != len(theirs):
        raise Failed(f"{len(ours)} rows on the GPU, {len(theirs)} on the CPU")
    number = next(name for name in ours[0] if name in ("score", "similarity", "cosine"))
    largest = max(abs(float(a[number]) - float(b[number])) for a, b in zip(ours, theirs))
    session.figures |= {"rows": len(ours), "largest score difference": largest}
    others = [{**a, number: ""} != {**b, number: ""} for a, b in zip(ours, theirs)]
    session.figures["rows with a different film (ties)"] = sum(others)
    if not largest < 1e-4:
        raise Failed(f"scores differ by {largest:.2e}")


# ---- texts ----


def texts(session: Session) -> Path:
    whole = session.data("reviews-en") / "amazonReviewSnippets_GroundTruth.txt"
    if not session.cpu and not session.quick:
        return whole
    few = session.work / "texts.txt"
    lines = whole.read_text(encoding="utf-8").splitlines(keepends=True)
    few.write_text("".join(lines[: 200 if session.quick else 1000]), encoding="utf-8")
    return few


def bert_folder(session: Session, *words: str) -> Path:
    folder = session.work / "model"
    session.python(
        "bert_folder.py",
        folder,
        "--texts",
        texts(session),
        *words,
        *(["--small"] if session.quick else []),
    )
    return folder


def largest_difference(a: list[list[float]], b: list[list[float]]) -> float:
    return max(abs(x - y) if math.isfinite(x) else math.inf for one, other in zip(a, b) for x, y in zip(one, other))


def logits(session: Session) -> None:
    """Compares a BERT's logits: fp32 on the CPU, fp32 twice on the GPU, bf16 on the GPU."""
    model = bert_folder(session, "--regression")
    config = session.work / "logits.yaml"
    config.write_text(
        "task: classify\nsource:\n  format: tsv\n  quote: ''\n  header: false\n  column_names: [id, sentiment, text]\nmodel: x\noutput: x\n"
    )
    values, files = {}, {}
    runs = [("CPU", "cpu", "fp32"), ("GPU", session.device, "fp32"), ("GPU again", session.device, "fp32")]
    if not session.cpu:
        runs.append(("GPU in bf16", session.device, "bf16"))
    for name, device, precision in runs:
        output = session.work / f"{name.replace(' ', '-')}.csv"
        said = session.task(
            "sartor-infer",
            config,
            device=device,
            precision=precision,
            model=model,
            output=output,
            source__path=texts(session),
        )
        said_device(session, said, device)
        files[name] = output.read_bytes()
        values[name] = [
            [float(value) for key, value in row.items() if key.startswith("value")] for row in table_of(output)
        ]
        speed = re.search(r"([\d.]+) rows/s, ([\d.]+) tokens/s", said)
        session.figures[f"{name}: tokens/s"] = float(speed[2]) if speed else math.nan
    spread = max(abs(value) for row in values["CPU"] for value in row)
    differences = {name: largest_difference(rows, values["CPU"]) for name, rows in values.items() if name != "CPU"}
    session.figures |= {"rows": len(values["CPU"]), "largest logit": spread}
    session.figures |= {f"{name}: largest difference": difference for name, difference in differences.items()}
    session.figures["same bytes in both GPU runs"] = files["GPU"] == files["GPU again"]
    for name, difference in differences.items():
        most = (0.1 if "bf16" in name else 1e-3) * spread
        if not difference <= most:
            raise Failed(f"{name}: logits differ from the CPU's by {difference:.2e}, expected at most {most:.2e}")


def losses(folder: Path) -> list[float]:
    return [line["train"]["loss"] for line in metrics_of(folder) if "loss" in line.get("train", {})]


def figure(folder: Path, name: str) -> float:
    """Median of a training metric over the lines of metrics.jsonl."""
    values = sorted(line["train"][name] for line in metrics_of(folder) if line.get("train", {}).get(name) is not None)
    return values[len(values) // 2] if values else math.nan


def training(session: Session) -> None:
    """Compares 20 training steps: fp32 without dropout on the CPU and twice on the GPU; bf16 with dropout on the GPU."""
    model = bert_folder(session)
    data = session.work / "texts.h5"
    configs = session.root / "configs"
    tokenize = json.dumps(
        [
            {
                "path": str(texts(session)),
                "format": "tsv",
                "quote": "",
                "header": False,
                "column_names": ["id", "sentiment", "text"],
            }
        ]
    )
    session.task(
        "sartor-train", configs / "reviews-en-tokenize.yaml", tokenizer=model, output=data, data__sources=tokenize
    )
    steps = {
        "training__max_steps": 20,
        "training__logging_steps": 1,
        "training__eval_strategy": "no",
        "bootstrap_draws": 0,
    }
    exact = {"model__dropout": 0, "model__classifier_dropout": 0, "precision": "fp32"}
    runs = [("CPU", "cpu", exact), ("GPU", session.device, exact), ("GPU again", session.device, exact)]
    if not session.cpu:
        runs.append(("GPU in bf16, with dropout", session.device, {"precision": "bf16"}))
    found, weights = {}, {}
    for name, device, settings in runs:
        folder = session.work / re.sub(r"[ ,]+", "-", name)
        said = session.task(
            "sartor-train",
            configs / "reviews-en-classify.yaml",
            device=device,
            data__path=data,
            model__path=model,
            output=folder,
            **steps,
            **settings,
        )
        said_device(session, said, device)
        found[name] = losses(folder)
        weights[name] = hashlib.sha256((folder / "model" / "model.safetensors").read_bytes()).hexdigest()
        for metric in ("tokens_per_second", "mfu", "gpu_memory_mib"):
            value = figure(folder, metric)
            if math.isfinite(value):
                session.figures[f"{name}: {metric}"] = value
        if len(found[name]) != 20 or not all(math.isfinite(loss) for loss in found[name]):
            raise Failed(f"{name}: {len(found[name])} losses, expected 20 finite ones; the last are {found[name][-3:]}")
    differences = [abs(a - b) for a, b in zip(found["GPU"], found["CPU"])]
    session.figures |= {
        "loss at steps 1 and 20 on the CPU": f"{found['CPU'][0]:.6f} {found['CPU'][-1]:.6f}",
        "loss difference GPU - CPU at step 1": differences[0],
        "largest loss difference in 20 steps": max(differences),
        "same losses in both GPU runs": found["GPU"] == found["GPU again"],
        "same weights in both GPU runs": weights["GPU"] == weights["GPU again"],
    }
    if not close(found["GPU"][0], found["CPU"][0], 1e-4, 1e-5):
        raise Failed(f"the first loss is {found['GPU'][0]} on the GPU, {found['CPU'][0]} on the CPU")
    if not max(differences) < 0.02:
        raise Failed(f"losses differ by up to {max(differences):.3g} within 20 steps, expected less than 0.02")


STEPS = [
    Step("libraries", 40, libraries),
    Step("ceilings", 50, ceilings),
    Step("kernel_tests", 90, kernel_tests),
    Step("runtime_tests", 25, runtime_tests),
    Step("factors", 30, factors),
    Step("factors_whole", 30, factors_whole),
    Step("neighbours", 15, neighbours),
    Step("logits", 60, logits),
    Step("training", 80, training),
    Step("sanitizer", 60, sanitizer),  # last: the slowest, and the least informative if all others passed
]
