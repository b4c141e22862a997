"""Training steps on the device compared with the CPU and with themselves."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

from checks.common import close, metrics_of, said_device
from session import Failed, Session

STEPS = 20
FIGURES = ("tokens_per_second", "mfu", "gpu_memory_mib")


@dataclass
class Trained:
    folder: Path
    losses: list[float]
    weights: str  # hash of the saved ones


def losses(folder: Path) -> list[float]:
    return [line["train"]["loss"] for line in metrics_of(folder) if "loss" in line.get("train", {})]


def figure(folder: Path, name: str) -> float:
    """Median of a training metric over the lines of metrics.jsonl."""
    values = sorted(line["train"][name] for line in metrics_of(folder) if line.get("train", {}).get(name) is not None)
    return values[len(values) // 2] if values else math.nan


def trained(session: Session, name: str, config: dict, device: str, steps: int = STEPS, **settings: object) -> Trained:
    """Trains for some steps, with settings as in Session.task."""
    folder = session.work / "".join(letter if letter.isalnum() else "-" for letter in name)
    training = {"max_steps": steps, "logging_steps": 1, "eval_strategy": "no"} | config.get("training", {})
    fields = config | {"training": training, "output": str(folder)}
    said = session.task("sartor-train", session.config(folder.name, fields), device=device, **settings)
    said_device(session, said, device)
    found = losses(folder)
    if len(found) != steps or not all(math.isfinite(loss) for loss in found):
        raise Failed(f"{name}: {len(found)} losses, expected {steps} finite ones; the last are {found[-3:]}")
    return Trained(folder, found, hashlib.sha256((folder / "model" / "model.safetensors").read_bytes()).hexdigest())


def record_speed(session: Session, name: str, run: Trained) -> None:
    for metric in FIGURES:
        value = figure(run.folder, metric)
        if math.isfinite(value):
            session.figures[f"{name}: {metric}"] = value


def compare_trainings(session: Session, config: dict, without_dropout: dict) -> None:
    """20 steps: fp32 without dropout on the CPU and twice on the GPU; on the GPU also tf32 and bf16 with dropout."""
    exact = without_dropout | {"precision": "fp32"}
    cpu = trained(session, "CPU", config, "cpu", **exact)
    gpu = trained(session, "GPU", config, session.device, **exact)
    again = trained(session, "GPU again", config, session.device, **exact)
    differences = [abs(a - b) for a, b in zip(gpu.losses, cpu.losses)]
    session.figures |= {
        "loss at steps 1 and 20 on the CPU": f"{cpu.losses[0]:.6f} {cpu.losses[-1]:.6f}",
        "loss difference GPU - CPU at step 1": differences[0],
        "largest loss difference in 20 steps": max(differences),
        "same losses in both GPU runs": gpu.losses == again.losses,
        "same weights in both GPU runs": gpu.weights == again.weights,
    }
    if not close(gpu.losses[0], cpu.losses[0], 1e-4, 1e-5):
        raise Failed(f"the first loss is {gpu.losses[0]} on the GPU, {cpu.losses[0]} on the CPU")
    if not max(differences) < 0.02:
        raise Failed(f"losses differ by up to {max(differences):.3g} within 20 steps, expected less than 0.02")
    others = {"CPU": cpu, "GPU": gpu}
    for precision in session.precisions("tf32", "bf16"):
        name = f"GPU in {precision}, with dropout"
        others[name] = trained(session, name, config, session.device, precision=precision)
    for name, run in others.items():
        record_speed(session, name, run)
