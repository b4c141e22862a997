#!/usr/bin/env python3
"""Kills trainings at random times, resumes them each time, and compares the models with those of uninterrupted runs.

    kill_at_random.py BUILD [KILLS] [ALGORITHM...]

All algorithms, or those named, with synthetic ratings (scripts/make_ratings.py) or points. Too slow for the test suite, whose
KilledAlgorithm kills at calls on files instead; run it manually after changes to checkpoints.
"""

import hashlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
RATINGS, POINTS = 500_000, 6_000

# Settings that make a training of a few seconds.
MODELS = {
    "als": "factors: 96, epochs: 40",
    "ials": "factors: 64, epochs: 30",
    "bpmf": "factors: 16, epochs: 60, burn_in: 20, keep_every: 10",
    "sgd": "factors: 62, epochs: 150",
    "svdpp": "factors: 30, epochs: 60",
    "nmf": "factors: 48, epochs: 100",
    "svd": "factors: 128, iterations: 40",
    "bpr": "factors: 64, epochs: 40",
    "simplex": "factors: 64, negatives: 512, epochs: 60",
    "item_knn": "similarity: pearson_baseline",
    "user_knn": "similarity: cosine",
    "gfcf": "factors: 256, iterations: 40",
    "turbocf": "filter: cubic",
    "rp3beta": "neighbors: 200",
    "ease": "regularization: 200",
    "elsa": "factors: 128, epochs: 10",
    "kmeans": "n_clusters: 200, n_init: 3, tol: 0",
    "agglomerative": "n_clusters: 20",
}
CLUSTERING = ("kmeans", "agglomerative")


class Training:
    """The command that trains an algorithm with data in `folder`, and its model."""

    def __init__(self, program: str, folder: str, algorithm: str):
        self.program, self.folder, self.algorithm = program, folder, algorithm
        model = f"model: {{algorithm: {algorithm}, {MODELS[algorithm]}}}"
        if algorithm in CLUSTERING:
            data = f"task: cluster\ndata: {{table: {{path: {folder}/points.csv, id: id, columns: [a, b, c, d]}}}}"
        else:
            data = f"task: factorize\ndata: {{path: {folder}/prepared.h5}}\nevaluation: {{at: []}}"
        self.config = Path(folder, f"{algorithm}.yaml")
        self.config.write_text(f"{data}\n{model}\ndevice: cpu\ncheckpoint: {{every: 1}}\n")

    def command(self, output: str) -> list[str]:
        return [self.program, "--config", str(self.config), "--set", f"output={self.folder}/{output}"]

    def model(self, output: str) -> str:
        name = "clusters.h5" if self.algorithm in CLUSTERING else "factors.h5"
        return hashlib.sha256(Path(self.folder, output, "model", name).read_bytes()).hexdigest()


def write_data(program: str, folder: str) -> None:
    ratings = f"{folder}/ratings.csv"
    subprocess.run([sys.executable, ROOT / "scripts/make_ratings.py", str(RATINGS), ratings], check=True)
    settings = [f"source.path={ratings}", f"output={folder}/prepared.h5"]
    words = [word for setting in settings for word in ("--set", setting)]
    subprocess.run([program, "--config", ROOT / "configs/bench/made-prepare.yaml", *words], check=True)
    points = np.random.default_rng(1).standard_normal((POINTS, 4))
    rows = [",".join([f"点{row}", *(f"{x:.6f}" for x in point)]) for row, point in enumerate(points)]
    Path(folder, "points.csv").write_text("id,a,b,c,d\n" + "\n".join(rows) + "\n")


def killed_and_resumed(training: Training, seconds: float, kills: int) -> int:
    """Kills at most `kills` times, then lets the run end. Returns the number of kills."""
    chance, killed, resume = random.Random(1), 0, []
    while True:
        process = subprocess.Popen([*training.command("killed"), *resume], stderr=subprocess.PIPE, text=True)
        try:
            wait = chance.uniform(0, max(1.0, 2 * seconds / kills)) if killed < kills else None
            _, errors = process.communicate(timeout=wait)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            killed += 1
            resume = ["--resume"] if Path(training.folder, "killed").exists() else []
            continue
        if process.returncode:
            sys.exit(errors)
        return killed


def same(program: str, folder: str, algorithm: str, kills: int) -> bool:
    training = Training(program, folder, algorithm)
    start = time.monotonic()
    subprocess.run(training.command("whole"), check=True, stderr=subprocess.DEVNULL)
    seconds = time.monotonic() - start
    killed = killed_and_resumed(training, seconds, kills)
    equal = training.model("whole") == training.model("killed")
    words = "the same, bit for bit" if equal else "ANOTHER"
    print(f"{algorithm}: {seconds:.1f} s uninterrupted, killed {killed} times: the model is {words}", flush=True)
    for output in ("whole", "killed"):
        shutil.rmtree(Path(folder, output))
    return equal


def main() -> None:
    program = str(Path(sys.argv[1]).resolve() / "bin" / "sartor-train")
    kills = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    with tempfile.TemporaryDirectory() as folder:
        write_data(program, folder)
        results = [same(program, folder, algorithm, kills) for algorithm in sys.argv[3:] or MODELS]
    sys.exit(not all(results))


if __name__ == "__main__":
    main()
