"""Command line of scripts/kernel_report.sh."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from cases import CASES, PICTURES, Case
from figures import Counted, read_counts
from page import Earlier, page
from resources import resources
from simulator import Refused, count, simulator

ROOT = Path(__file__).resolve().parents[2]
EARLIER = Path(__file__).with_name("earlier.json")
ESTIMATES = ROOT / "scripts" / "gpu" / "estimates.json"  # for gpu_check.sh, where there is no simulator


def chosen(beginnings: list[str]) -> list[Case]:
    found = [case for case in CASES if not beginnings or case.name.startswith(tuple(beginnings))]
    if unknown := [word for word in beginnings if not any(case.name.startswith(word) for case in CASES)]:
        raise Refused(f"no case begins with {unknown[0]}; --list prints their names")
    return found


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def estimates(counted: list[Counted], old: list[dict]) -> list[dict]:
    """Of all cases. Those that have not been counted keep their old ones."""
    known = {one["name"]: one for one in old} | {one.case.name: one.estimate() for one in counted}
    return [known[case.name] for case in CASES if case.name in known]


def report(arguments: argparse.Namespace) -> None:
    cases = chosen(arguments.cases)
    arguments.kept.mkdir(parents=True, exist_ok=True)
    if not arguments.page:
        launcher = simulator()
        for case in cases:
            count(case, launcher, arguments.build, arguments.kept)
    counted = [found for case in CASES if (found := read_counts(case, arguments.kept))]
    if not counted:
        raise Refused(f"{arguments.kept} has no counts; run without --page first")
    earlier = json.loads(text_of(EARLIER) or "{}")
    if arguments.keep_as_earlier:
        earlier |= {one.case.name: one.summary() for one in counted}
        EARLIER.write_text(json.dumps(earlier, indent=1) + "\n")
    used = resources(ROOT, arguments.build, arguments.kept / "resources.json")
    old = Earlier(text_of(arguments.output))
    arguments.output.write_text(page(CASES, counted, used, earlier, PICTURES, old), encoding="utf-8")
    found = estimates(counted, json.loads(text_of(arguments.estimates) or "[]"))
    arguments.estimates.write_text(json.dumps(found, indent=1) + "\n")
    print(arguments.output)


def main() -> int:
    parser = argparse.ArgumentParser(prog="kernel_report.sh")
    parser.add_argument("cases", nargs="*", help="beginnings of the names of cases")
    parser.add_argument("--list", action="store_true", help="print the names of the cases")
    parser.add_argument("--page", action="store_true", help="write the page from the last counts")
    parser.add_argument("--keep-as-earlier", action="store_true", help="later pages compare with these counts")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "release")
    parser.add_argument("--kept", type=Path, default=ROOT / "build" / "kernel_report", help="folder of the counts")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "kernels.md")
    parser.add_argument("--estimates", type=Path, default=ESTIMATES)
    arguments = parser.parse_args()
    if arguments.list:
        print(*(case.name for case in CASES), sep="\n")
        return 0
    try:
        report(arguments)
    except Refused as error:
        print(f"kernel_report: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
