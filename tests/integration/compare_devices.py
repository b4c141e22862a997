#!/usr/bin/env python3
"""Trains the same factor model on the CPU and on a GPU, and compares: compare_devices.py BUILD [LAUNCHER ...]

ml-100k's first fold (scripts/fetch_data.py ml-100k), 8 factors, 2 epochs. LAUNCHER is put in front of the GPU's run. Fails where a
factor differs by more than fp32 sums in another order explain.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = ["model.factors=8", "model.epochs=2", "evaluation.at=[10]"]


def main() -> None:
    build, *launcher = sys.argv[1:]
    train = str(Path(build).resolve() / "bin" / "sartor-train")
    with tempfile.TemporaryDirectory() as folder:
        prepared = f"{folder}/u1.h5"
        prepare = [train, "--config", "configs/ml-100k-prepare.yaml", "--set", f"output={prepared}"]
        subprocess.run(prepare, check=True, cwd=ROOT)
        models = {}
        for device, before in (("cpu", []), ("cuda", launcher)):
            sets = [*SETTINGS, f"device={device}", f"data.path={prepared}", f"output={folder}/{device}"]
            words = [word for setting in sets for word in ("--set", setting)]
            subprocess.run([*before, train, "--config", "configs/ml-100k-als.yaml", *words], check=True, cwd=ROOT)
            with h5py.File(f"{folder}/{device}/model/factors.h5") as file:
                names = ("users/factors", "users/bias", "items/factors", "items/bias")
                models[device] = {name: file[name][:] for name in names}
    for name, expected in models["cpu"].items():
        difference = np.abs(models["cuda"][name] - expected).max()
        print(f"{name}: largest difference {difference:.2e} of {np.abs(expected).max():.2f}")
        if not np.allclose(models["cuda"][name], expected, rtol=1e-3, atol=1e-4):
            sys.exit(f"compare_devices: {name} differs")


if __name__ == "__main__":
    main()
