"""Shared by the checks: comparisons and the files that tasks write."""

from __future__ import annotations

import csv
import json
import math
import re
from pathlib import Path

from session import Failed, Session


def close(found: float, expected: float, relative: float, absolute: float) -> bool:
    """|found - expected| <= absolute + relative |expected|. False for NaN."""
    return abs(found - expected) <= absolute + relative * abs(expected)


def said_device(session: Session, output: str, device: str) -> None:
    """Fails if the task's log names no GPU although one was requested."""
    if device == "cpu" or session.launcher:
        return
    if not re.search(r"device: .*sm_\d", output):
        raise Failed("device: cuda was requested, but the log names no GPU")


def metrics_of(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def table_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def largest_difference(a: list[list[float]], b: list[list[float]]) -> float:
    return max(abs(x - y) if math.isfinite(x) else math.inf for one, other in zip(a, b) for x, y in zip(one, other))


def json_lines(output: str) -> list[dict]:
    """The lines of a program's output that are JSON objects."""
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


class Faults:
    """Collects failures, so that what comes after them is still measured."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> bool:
        if not isinstance(error, Failed):
            return False
        self.reasons.append(str(error))
        return True

    def check(self) -> None:
        if self.reasons:
            raise Failed("; ".join(dict.fromkeys(self.reasons)))


def peer_lines(session: Session, faults: Faults, script: str, *words: object) -> list[dict]:
    """What a peer measured, also if it failed later."""
    try:
        return json_lines(session.python(f"peers/{script}.py", *words))
    except Failed as fault:
        faults.reasons.append(str(fault))
        return json_lines(fault.output)
