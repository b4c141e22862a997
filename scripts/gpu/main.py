"""Command line of scripts/gpu_check.sh."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    parser = argparse.ArgumentParser(prog="gpu_check.sh")
    verbs = parser.add_subparsers(dest="verb", required=True)

    pack = verbs.add_parser("pack", help="write one archive with everything that the target machine needs")
    pack.add_argument("file", type=Path, nargs="?", default=ROOT / "build" / "gpu-check.tar.xz")
    pack.add_argument("--build", type=Path, default=ROOT / "build" / "release")
    pack.add_argument("--folder", action="store_true", help="write FILE as a folder instead of an archive")

    run = verbs.add_parser("run", help="run the checks on the target machine")
    run.add_argument(
        "--out", type=Path, help="folder for the results; default: gpu-check-results-TIME in the current folder"
    )
    run.add_argument("--cpu", action="store_true", help="rehearse without a GPU")
    run.add_argument("--quick", action="store_true", help="use small shapes")
    run.add_argument("--minutes", type=float, default=8, help="time limit of all checks together, in minutes")
    run.add_argument(
        "--patience", type=float, default=1, help="factor on the time limit of each check, for slow simulators"
    )
    run.add_argument("--only", help="comma-separated names of the checks to run")

    report = verbs.add_parser("report", help="print the page docs/gpu.md for a results.json")
    report.add_argument("results", type=Path)

    arguments = parser.parse_args()
    if arguments.verb == "pack":
        from pack import pack as make

        return make(arguments.file, arguments.build, arguments.folder)
    if arguments.verb == "report":
        from table import read_results
        from table import report as page

        print(page(read_results(arguments.results)), end="")
        return 0
    from run import run as check

    out = arguments.out or Path(time.strftime("gpu-check-results-%Y%m%d-%H%M%S"))
    return check(ROOT, out.absolute(), arguments)


if __name__ == "__main__":
    sys.exit(main())
