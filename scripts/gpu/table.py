"""Formats results as a table for the terminal and as the page docs/gpu.md."""

from __future__ import annotations

import json
import math
from pathlib import Path

SPEED = ["speed", "unit", "Sartor", "peer", "times as fast", "the peer"]


def read_results(path: Path) -> dict:
    results = json.loads(path.read_text(encoding="utf-8"))
    if results.get("format") != 1:
        raise SystemExit(f"{path}: format is {results.get('format')}, expected 1; not a results.json of gpu_check.sh")
    return results


def shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return str(value)


def figures(check: dict) -> list[str]:
    found = [f"{name} {shown(value)}" for name, value in check["figures"].items()]
    return [check["reason"], *found] if check["reason"] else found


def comparisons(results: dict) -> list[list[str]]:
    """Rows of: what was measured, unit, ours, that of the peer, how many times as fast ours is, the peer."""
    return [
        [each["what"], each["unit"], shown(float(each["ours"])), shown(float(each["theirs"])), f"{each['speedup']:.2f}"]
        + [each["peer"]]
        for check in results["checks"]
        for each in check.get("comparisons", [])
    ]


def total(results: dict) -> str:
    statuses = [check["status"] for check in results["checks"]]
    counts = ", ".join(f"{statuses.count(status)} {status}" for status in ("passed", "failed", "skipped"))
    return f"{counts}; {results.get('seconds', math.nan):.0f} s"


def aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ["", *("  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip() for row in rows)]


def table(results: dict) -> str:
    lines = [f"{name + ':':14}{value}" for name, value in results["facts"].items()]
    lines += [f"WARNING: {warning}" for warning in results["warnings"]]
    width = max([len(check["name"]) for check in results["checks"]], default=5)
    lines.append(f"\n{'check':{width}}  status      s  findings")
    for check in results["checks"]:
        first, *rest = figures(check) or [""]
        lines.append(f"{check['name']:{width}}  {check['status']:7}  {check['seconds']:5.1f}  {first}")
        lines += [f"{'':{width + 18}}{line}" for line in rest]
    lines += aligned([SPEED, *comparisons(results)]) if comparisons(results) else []
    return "\n".join([*lines, "", total(results)]) + "\n"


def cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def report(results: dict) -> str:
    """The results as Markdown."""
    rehearsal = " (a rehearsal without a GPU)" if results["rehearsal"] else ""
    lines = [
        f"# GPU check{rehearsal}",
        "",
        f"Results of `scripts/gpu_check.sh run` on {results['started'][:10]}: {total(results)}.",
        "This page is written by `scripts/gpu_check.sh report`. Calls per step are those that the dynamic linker sees: the kernels that",
        "cuBLAS, cuDNN and NCCL launch themselves are not among the launches, but each product is counted as a call of cuBLAS.",
        "",
        "| machine | |",
        "|---|---|",
        *(f"| {cell(name)} | {cell(value)} |" for name, value in results["facts"].items()),
        "",
        *(f"- **Warning**: {warning}" for warning in results["warnings"]),
        *([""] if results["warnings"] else []),
        "| check | status | seconds | findings |",
        "|---|---|---|---|",
    ]
    for check in results["checks"]:
        found = "<br>".join(cell(line) for line in figures(check))
        lines.append(f"| {check['name']} | {check['status']} | {check['seconds']} | {found} |")
    if speeds := comparisons(results):
        lines += ["", "The peers ran on the same device; each clock was read after synchronization."]
        lines += ["", f"| {' | '.join(SPEED)} |", "|---|---|---|---|---|---|"]
        lines += [f"| {' | '.join(map(cell, row))} |" for row in speeds]
    return "\n".join(lines) + "\n"
