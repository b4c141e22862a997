"""Runs cases on the simulator that the environment variable GPUSIM names, and keeps what it counted."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

from cases import Case


class Refused(Exception):
    """What the user has to change, in one line."""


def simulator() -> list[str]:
    """The command that runs a program on the simulated GPU."""
    folder = os.environ.get("GPUSIM", "")
    if not folder:
        raise Refused("GPUSIM is not set; it names the folder of a simulator of CUDA (see kernel_report.sh)")
    command = Path(folder) / "run"
    if not os.access(command, os.X_OK):
        raise Refused(f"GPUSIM is {folder}, which has no program run")
    return [str(command)]


def last_object(output: str) -> dict:
    lines = [line for line in output.splitlines() if line.startswith("{")]
    return json.loads(lines[-1]) if lines else {}


def count(case: Case, launcher: list[str], build: Path, kept: Path) -> None:
    """Writes the counts of a case to the folder `kept`."""
    found = kept / case.file
    lines = found.with_suffix(".lines")
    lines.unlink(missing_ok=True)
    program, *arguments = case.command
    if not (build / "bin" / program).exists():
        raise Refused(f"{build} has no bin/{program}; scripts/build.sh --target {program} builds it")
    start = time.monotonic()
    done = subprocess.run(
        [*launcher, str(build / "bin" / program), *arguments],
        env={**os.environ, "GPUSIM_REPORT": str(lines)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or not lines.exists():
        reason = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        raise Refused(f"{case.name}: {reason if done.returncode else 'nothing was counted'}")
    kernels = [json.loads(line) for line in lines.read_text().splitlines()]
    partial = found.with_suffix(".partial")
    partial.write_text(json.dumps({"name": case.name, "printed": last_object(done.stdout), "kernels": kernels}) + "\n")
    partial.replace(found)
    lines.unlink()
    print(f"{case.name}: {time.monotonic() - start:.0f} s", flush=True)
