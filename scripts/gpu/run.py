"""Runs the checks in order, each with its own time limit, and saves their results."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tarfile
import tempfile
import time
import traceback
from pathlib import Path

from session import Failed, Missing, Session
from steps import STEPS, Step
from table import table
from target import command_output, find_target


def write_results(out: Path, results: dict) -> None:
    partial = out / ".results.json.partial"
    partial.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(out / "results.json")


def one_check(session: Session, step: Step, seconds: float) -> dict:
    session.begin(step.name, seconds)
    start = time.monotonic()
    status, reason = "passed", ""
    try:
        step.check(session)
    except Failed as error:
        status, reason = "failed", str(error)
    except Missing as error:
        status, reason = "skipped", str(error)
    except Exception as error:  # noqa: BLE001 — a bug in one check must not stop the others
        status, reason = "failed", f"{type(error).__name__}: {error}"
        with session.log.open("a") as log:
            traceback.print_exc(file=log)
    return {
        "name": step.name,
        "status": status,
        "reason": reason,
        "seconds": round(time.monotonic() - start, 1),
        "limit": round(seconds),
        "figures": session.figures,
        "comparisons": session.comparisons,
    }


def log_end(out: Path, name: str, lines: int = 25) -> str:
    path = out / "logs" / f"{name}.log"
    text = path.read_text(errors="replace") if path.exists() else ""
    return "\n".join(f"  | {line[:300]}" for line in text.splitlines()[-lines:])


def interrupted(number: int, _frame: object) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)


def all_checks(session: Session, chosen: list[Step], end: float, results: dict) -> None:
    """Appends each check's outcome to `results`, which is written to disk after every check."""
    spare = 0.0  # time that earlier checks did not need, of which a check may take as much as its own
    for step in chosen:
        left, own = end - time.monotonic(), step.seconds * session.patience
        seconds = max(min(own + min(spare, own), left), 0)
        print(f"== {step.name} (at most {seconds:.0f} s)", flush=True)
        if left < 1:
            check = {"name": step.name, "status": "failed", "reason": "no time was left", "seconds": 0.0, "limit": 0}
            check["figures"] = {}
        else:
            check = one_check(session, step, seconds)
        spare = max(spare + own - check["seconds"], 0)
        results["checks"].append(check)
        write_results(session.out, results)
        print(
            f"   {check['status']} in {check['seconds']} s{': ' if check['reason'] else ''}{check['reason']}",
            flush=True,
        )
        if check["status"] == "failed":
            print(log_end(session.out, step.name), flush=True)
            if not session.cpu:
                print(command_output("nvidia-smi", seconds=10), flush=True)  # shows whether the GPU is still reachable


def keep(out: Path, results: dict) -> str:
    """Writes results.json, table.txt and an archive of the logs. Returns the table."""
    write_results(out, results)
    text = table(results)
    (out / "table.txt").write_text(text, encoding="utf-8")
    if (out / "logs").is_dir():
        with tarfile.open(out / "logs.tar.gz", "w:gz") as logs:
            logs.add(out / "logs", "logs")
    return text


def run(root: Path, out: Path, arguments: argparse.Namespace) -> int:
    names = arguments.only.split(",") if arguments.only else [step.name for step in STEPS]
    if unknown := sorted(set(names) - {step.name for step in STEPS}):
        known = ", ".join(step.name for step in STEPS)
        print(f"gpu_check: --only: there is no check {', '.join(unknown)}; expected some of {known}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, interrupted)
    start = time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    target = find_target(root, arguments.cpu)
    for name, value in target.facts.items():
        print(f"{name}: {value}", flush=True)
    for warning in target.warnings:
        print(f"WARNING: {warning}", flush=True)
    chosen = [step for step in STEPS if step.name in names]
    results = {
        "format": 1,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "rehearsal": arguments.cpu,
        "quick": arguments.quick,
        "facts": target.facts,
        "warnings": target.warnings,
        "checks": [],
    }
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as scratch:
        session = Session(root, out, Path(scratch), target, arguments)
        try:
            all_checks(session, chosen, start + arguments.minutes * 60, results)
        except KeyboardInterrupt as stop:
            results["warnings"].append(f"stopped by {stop or 'SIGINT'} after {len(results['checks'])} checks")
    results["seconds"] = round(time.monotonic() - start, 1)
    print(f"\n{keep(out, results)}\n{out}: results.json, table.txt, logs.tar.gz")
    complete = len(results["checks"]) == len(chosen)
    return 0 if complete and all(check["status"] != "failed" for check in results["checks"]) else 1
