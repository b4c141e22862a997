#!/usr/bin/env python3
"""Writes a report on one run, or a comparison of several, as one self-contained HTML file.

    scripts/report.py runs/reviews-en                        writes runs/reviews-en/report.html
    scripts/report.py runs/small runs/large --output both.html
    scripts/report.py runs/reviews-en --tensorboard events   also writes TensorBoard event files

Runs may still be in progress. Plots of regression predictions need pyarrow: use build/venv/bin/python.
"""

import argparse
import os
import sys
from pathlib import Path

from reporting.markup import to_html
from reporting.page import page
from reporting.runs import NoRun, label_runs, read_run
from reporting.tensorboard import write_events


def write(path: Path, text: str) -> None:
    """Writes the file atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.partial-{os.getpid()}")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folders")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="HTML file to write; default: report.html in RUN, or next to the first of several runs",
    )
    parser.add_argument(
        "--tensorboard", type=Path, metavar="DIR", help="also write DIR/NAME/events.out.tfevents... for each run"
    )
    arguments = parser.parse_args()
    try:
        runs = [read_run(folder) for folder in dict.fromkeys(arguments.runs)]
        label_runs(runs)
        first = runs[0].folder
        output = arguments.output or (first if len(runs) == 1 else first.parent) / "report.html"
        write(output, to_html(page(runs)))
        print(output)
        if arguments.tensorboard:
            for run in runs:
                print(write_events(run, arguments.tensorboard / run.name))
    except NoRun as wrong:
        print(f"report: {wrong}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"report: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
