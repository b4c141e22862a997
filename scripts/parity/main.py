#!/usr/bin/env python3
"""Compares Sartor with Surprise, scikit-learn, SciPy, implicit, irspack and NumPy on random cases.

    main.py [--seeds N] [--first SEED] [--build BUILD] [CHECK...]

Each seed makes one case of every check, or of those whose names begin with one of the arguments: other data, shapes and options.
Prints the largest difference of each check as a share of what it tolerates; the exit status is 1 if one is above 1. The
libraries are installed under build/peers-parity on first use; with --installed, the exit status is 77 if they are not there.
"""

import argparse
import os
import sys
import tempfile
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAME = "peers-parity"


def continue_with_peers(installed: bool) -> None:
    """Replaces this process by one in the environment of the peers."""
    if Path(sys.prefix).resolve() == (ROOT / "build" / NAME).resolve():
        return
    if installed and not (ROOT / "build" / NAME / "complete").exists():
        print(f"build/{NAME} is missing: run scripts/parity/main.py")
        sys.exit(77)
    sys.path.insert(0, str(ROOT / "scripts" / "bench"))
    from common import peer_python

    python = str(peer_python(NAME))
    os.execv(python, [python, *sys.argv])


def compare(checks: dict, seeds: range, programs: Path) -> bool:
    import numpy as np
    from sartor import Sartor

    equal = True
    for name, check in checks.items():
        largest, compared, of = 0.0, 0, seeds[0]
        with tempfile.TemporaryDirectory() as folder:
            for seed in seeds:
                random = np.random.default_rng([zlib.crc32(name.encode()), seed])
                found = check(Sartor(programs, Path(folder)), random)
                compared += found.compared
                if found.share >= largest:
                    largest, of = found.share, seed
        right = largest <= 1 and compared > 0
        equal &= right
        words = f"largest difference {largest:.2g} of what is tolerated (seed {of})"
        print(f"{'' if right else 'DIFFERENT: '}{name}: {compared} numbers, {words}", flush=True)
    return equal


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checks", nargs="*")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "release")
    parser.add_argument("--installed", action="store_true")
    arguments = parser.parse_args()
    continue_with_peers(arguments.installed)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.path.append(str(ROOT / "scripts" / "golden"))  # random_numbers

    import clusters
    import factors
    import filters
    import neighbors

    every = {**factors.CHECKS, **neighbors.CHECKS, **filters.CHECKS, **clusters.CHECKS}
    chosen = {name: check for name, check in every.items()
              if not arguments.checks or name.startswith(tuple(arguments.checks))}  # fmt: skip
    if not chosen:
        parser.error(f"no check begins with {', '.join(arguments.checks)}: {', '.join(every)}")
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    sys.exit(not compare(chosen, seeds, arguments.build / "bin"))


if __name__ == "__main__":
    main()
