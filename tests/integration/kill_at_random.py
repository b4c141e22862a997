#!/usr/bin/env python3
"""Kills a training run of about a minute at random times, resumes it each time, and compares the model with that of an uninterrupted run.

    kill_at_random.py BUILD [KILLS]

Synthetic ratings (scripts/make_ratings.py), 96 factors. Too slow for the test suite; run it manually after changes to checkpoints.
"""

import hashlib
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    train = str(Path(sys.argv[1]).resolve() / "bin" / "sartor-train")
    kills = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    chance = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        ratings, prepared = f"{folder}/ratings.csv", f"{folder}/prepared.h5"
        subprocess.run([sys.executable, ROOT / "scripts/make_ratings.py", "2000000", ratings], check=True)
        prepare = [
            "--config",
            "configs/bench/made-prepare.yaml",
            "--set",
            f"source.path={ratings}",
            "--set",
            f"output={prepared}",
        ]
        subprocess.run([train, *prepare], check=True, cwd=ROOT)

        def words(output: str) -> list[str]:
            sets = [
                f"data.path={prepared}",
                f"output={output}",
                "model.factors=96",
                "model.epochs=240",
                "checkpoint.every=1",
            ]
            return [train, "--config", "configs/bench/als.yaml", *(word for each in sets for word in ("--set", each))]

        def model(output: str) -> str:
            return hashlib.sha256(Path(output, "model", "factors.h5").read_bytes()).hexdigest()

        start = time.monotonic()
        subprocess.run(words(f"{folder}/whole"), check=True, cwd=ROOT, stderr=subprocess.DEVNULL)
        seconds = time.monotonic() - start
        print(f"uninterrupted: {seconds:.0f} s")

        killed, resume = 0, []
        while True:
            process = subprocess.Popen(
                [*words(f"{folder}/killed"), *resume], cwd=ROOT, stderr=subprocess.PIPE, text=True
            )
            try:
                wait = chance.uniform(0, 2 * seconds / kills) if killed < kills else None
                _, errors = process.communicate(timeout=wait)
                break
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
                killed += 1
            resume = ["--resume"] if Path(folder, "killed").exists() else []
        if process.returncode:
            sys.exit(errors)
        same = model(f"{folder}/whole") == model(f"{folder}/killed")
        print(f"killed {killed} times: the model is {'the same, bit for bit' if same else 'ANOTHER'}")
        sys.exit(not same)


if __name__ == "__main__":
    main()
