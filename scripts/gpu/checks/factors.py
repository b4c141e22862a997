"""Factor models on the device compared with the CPU."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from checks.common import close, metrics_of, said_device, table_of
from session import Failed, Session


def factors(session: Session) -> None:
    """Compares all factors of small models between the GPU and the CPU."""
    session.data("ml-100k")
    build = Path(session.program("sartor-train")).parents[1]
    script = session.root / "tests" / "integration" / "compare_devices.py"
    output = session.run(sys.executable, script, "--device", session.kernel_device, build, *session.launcher)
    for name, difference in re.findall(r"^(\S+): largest difference (\S+)", output, re.MULTILINE):
        session.figures[f"{name}, largest difference"] = float(difference)
    said_device(session, output, session.kernel_device)


def on_both_devices(session: Session, config: str, tolerances: dict[str, float], **settings: object) -> None:
    """Trains a config on both devices and compares test metrics and seconds per epoch."""
    session.data("ml-100k")
    configs = session.root / "configs"
    prepared = session.work / "u1.h5"
    session.task("sartor-train", configs / "ml-100k-prepare.yaml", output=prepared)
    test = {}
    for name, device in (("CPU", "cpu"), ("GPU", session.kernel_device)):
        folder = session.work / name
        said_device(
            session,
            session.task(
                "sartor-train", configs / config, True, device=device, data__path=prepared, output=folder, **settings
            ),
            device,
        )
        test[name] = json.loads((folder / "results.json").read_text())["test"]
        seconds = sorted(line["seconds"] for line in metrics_of(folder) if "seconds" in line)
        if seconds:
            session.figures[f"{name}: ms per epoch, median"] = 1000 * seconds[len(seconds) // 2]
    for metric, tolerance in tolerances.items():
        ours, theirs = test["GPU"][metric], test["CPU"][metric]
        session.figures[f"{metric} on GPU and CPU"] = f"{ours:.5f} {theirs:.5f}"
        if not close(ours, theirs, 0, tolerance):
            raise Failed(f"{metric} is {ours} on the GPU, {theirs} on the CPU")


def factors_whole(session: Session) -> None:
    """Compares configs/ml-100k-als.yaml between the GPU and the CPU."""
    small = {"model__factors": 4, "model__epochs": 1} if session.cpu else {}
    on_both_devices(session, "ml-100k-als.yaml", {"rmse": 1e-3, "recall@10": 5e-3, "ndcg@10": 5e-3}, **small)


def neighbors_whole(session: Session) -> None:
    """Compares configs/ml-100k-knn.yaml between the GPU and the CPU."""
    on_both_devices(session, "ml-100k-knn.yaml", {"rmse": 1e-4})


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
