#!/usr/bin/env python3
"""Compares factor models trained on a GPU with those trained on the CPU: compare_devices.py [--device cuda] BUILD [LAUNCHER ...]

Trains explicit ALS, implicit ALS with each of its solvers, and graph filters on the first fold of ml-100k (scripts/fetch_data.py ml-100k) with 8 factors for 2 epochs. LAUNCHER is a command that runs
the GPU's program. Fails if factors differ by more than fp32 rounding explains. Needs no Python packages, because GPU machines may lack h5py.
"""

import argparse
import contextlib
import ctypes
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ALS = ["model.factors=8", "model.epochs=2"]
FACTORS = ("users/factors", "items/factors")
BIASES = ("users/bias", "items/bias")
# name -> config, settings and what is compared
MODELS = {
    "als": ("ml-100k-als", ALS, FACTORS + BIASES),
    "ials-cg": ("ml-100k-ials", [*ALS, "model.solver=cg"], FACTORS),
    "ials-cholesky": ("ml-100k-ials", [*ALS, "model.solver=cholesky"], FACTORS),
    "ials-block": ("ml-100k-ials", [*ALS, "model.solver=block", "model.block=3"], FACTORS),
    "gfcf": ("ml-100k-gfcf", ["model.factors=8"], ("singular_values", "items/vectors")),
    "turbocf": ("ml-100k-turbocf", [], ("weights/values",)),
}


class Hdf5:
    """Reads floats with the HDF5 library that the program is linked to."""

    def __init__(self, program: str):
        linked = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
        paths = [Path(path) for path in re.findall(r"=> (/\S+)", linked)]
        found = [path for path in paths if path.name.startswith("libhdf5")]
        if not found:
            sys.exit(f"compare_devices: {program} finds no HDF5 library")
        self.library = self.load(found[0], [path for path in paths if path.parent == found[0].parent])
        self.call("H5open")

    def load(self, path: Path, neighbours: list[Path]) -> ctypes.CDLL:
        """Loads a library. Its dependencies are loaded first, because the program's RPATH does not apply here."""
        for _ in neighbours:
            try:
                return ctypes.CDLL(str(path))
            except OSError:
                for neighbour in neighbours:
                    with contextlib.suppress(OSError):
                        ctypes.CDLL(str(neighbour))
        return ctypes.CDLL(str(path))

    def call(self, name: str, *arguments: object) -> int:
        function = getattr(self.library, name)
        function.restype = ctypes.c_int64  # for identifiers; 32-bit statuses fit, too
        status = function(*arguments)
        if ctypes.c_int32(status).value < 0:
            sys.exit(f"compare_devices: {name} fails: {arguments}")
        return status

    def read(self, path: str, name: str) -> list[float]:
        file = ctypes.c_int64(self.call("H5Fopen", path.encode(), 0, ctypes.c_int64(0)))
        dataset = ctypes.c_int64(self.call("H5Dopen2", file, name.encode(), ctypes.c_int64(0)))
        space = ctypes.c_int64(self.call("H5Dget_space", dataset))
        values = (ctypes.c_float * self.call("H5Sget_simple_extent_npoints", space))()
        floats = ctypes.c_int64.in_dll(self.library, "H5T_NATIVE_FLOAT_g")
        whole = ctypes.c_int64(0)
        self.call("H5Dread", dataset, floats, whole, whole, whole, values)
        self.call("H5Fclose", file)
        return list(values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("launcher", nargs=argparse.REMAINDER)
    parser.add_argument("--device", default="cuda", help="of the second run")
    arguments = parser.parse_args()
    train = str(Path(arguments.build).resolve() / "bin" / "sartor-train")
    hdf5 = Hdf5(train)
    with tempfile.TemporaryDirectory() as folder:
        prepared = f"{folder}/u1.h5"
        prepare = [train, "--config", "configs/ml-100k-prepare.yaml", "--set", f"output={prepared}"]
        subprocess.run(prepare, check=True, cwd=ROOT)
        for model, (config, settings, names) in MODELS.items():
            runs = []
            for device, before in (("cpu", []), (arguments.device, arguments.launcher)):
                output = f"{folder}/{model}-{len(runs)}"
                sets = [
                    "evaluation.at=[10]",
                    *settings,
                    f"device={device}",
                    f"data.path={prepared}",
                    f"output={output}",
                ]
                words = [word for setting in sets for word in ("--set", setting)]
                subprocess.run([*before, train, "--config", f"configs/{config}.yaml", *words], check=True, cwd=ROOT)
                runs.append({name: hdf5.read(f"{output}/model/factors.h5", name) for name in names})
            compare(model, *runs)


def compare(model: str, first: dict[str, list[float]], second: dict[str, list[float]]) -> None:
    for name, expected in first.items():
        pairs = list(zip(second[name], expected, strict=True))
        difference = max(abs(found - other) for found, other in pairs)
        print(f"{model}/{name}: largest difference {difference:.2e} of {max(map(abs, expected)):.2f}", flush=True)
        if not all(abs(found - other) <= 1e-4 + 1e-3 * abs(other) for found, other in pairs):
            sys.exit(f"compare_devices: {model}/{name} differs")


if __name__ == "__main__":
    main()
