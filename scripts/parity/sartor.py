"""Runs Sartor's programs on small made data, and what a comparison needs besides."""

import csv
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np


@dataclass
class Difference:
    """The largest difference between two results as a share of what is tolerated, and how many numbers were compared."""

    share: float
    compared: int


def difference(found, expected, relative: float, absolute: float = 0.0) -> Difference:
    """Of arrays of the same shape; tolerated is `absolute` plus `relative` times the largest expected number."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    if found.shape != expected.shape:
        raise ValueError(f"the shape is {found.shape}, expected {expected.shape}")
    if found.size == 0:
        return Difference(0.0, 0)
    tolerated = absolute + relative * np.abs(expected).max()
    largest = np.abs(found - expected).max()
    return Difference(float("inf") if np.isnan(largest) else float(largest / max(tolerated, 1e-300)), found.size)


def worst(differences: list[Difference]) -> Difference:
    return Difference(max(each.share for each in differences), sum(each.compared for each in differences))


@dataclass
class Ratings:
    """A dense table of ratings, 0 where there is none. Rows and columns are numbered as Sartor numbers users and items."""

    values: np.ndarray

    @property
    def rated(self) -> np.ndarray:
        return self.values > 0

    def triples(self) -> list[tuple[int, int, float]]:
        return [(int(u), int(i), float(self.values[u, i])) for u, i in zip(*np.nonzero(self.rated))]


def made_ratings(random: np.random.Generator, users: int, items: int, scale=(1, 2, 3, 4, 5), density=0.4) -> Ratings:
    """The first user has all items and the first item all users, so that ids are numbered in their order."""
    rated = random.random((users, items)) < density
    rated[0], rated[:, 0] = True, True
    return Ratings(np.where(rated, random.choice(scale, (users, items)), 0).astype(np.float64))


class Sartor:
    def __init__(self, programs: Path, folder: Path):
        self.programs, self.folder = programs, folder
        folder.mkdir(parents=True, exist_ok=True)

    def run(self, program: str, config: dict) -> None:
        # JSON is YAML.
        path = self.folder / "config.yaml"
        path.write_text(json.dumps({"device": "cpu", "threads": 2, **config}, ensure_ascii=False))
        command = [self.programs / program, "--config", path, "--overwrite"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{json.dumps(config, ensure_ascii=False)}: {done.stderr}")

    def prepare(self, ratings: Ratings) -> None:
        rows = "".join(f"用户{u},i{i},{rating}\n" for u, i, rating in ratings.triples())
        (self.folder / "ratings.csv").write_text("user,item,rating\n" + rows)
        columns = {"user": "user", "item": "item", "value": "rating"}
        self.run(
            "sartor-train",
            {
                "task": "prepare",
                "source": {"path": str(self.folder / "ratings.csv"), "columns": columns},
                "split": {"method": "random", "test": 0},
                "output": str(self.folder / "prepared.h5"),
            },
        )

    def train(self, model: dict) -> h5py.File:
        """The model trained on the prepared ratings."""
        self.run(
            "sartor-train",
            {
                "task": "factorize",
                "data": {"path": str(self.folder / "prepared.h5")},
                "model": model,
                "evaluation": {"at": []},
                "output": str(self.folder / "run"),
            },
        )
        return h5py.File(self.folder / "run" / "model" / "factors.h5")

    def scores(self, users: int, items: int) -> np.ndarray:
        """Scores of all unrated items by the model trained last; nan for others and for those without a score."""
        output = self.folder / "lists.csv"
        settings = {"model": str(self.folder / "run"), "k": 2 * items, "output": str(output)}
        self.run("sartor-infer", {"task": "recommend", **settings})
        found = np.full((users, items), np.nan)
        with open(output, encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                found[int(row["user"].removeprefix("用户")), int(row["item"].removeprefix("i"))] = float(row["score"])
        return found

    def cluster(self, rows: np.ndarray, model: dict, output: str = "clusters") -> h5py.File:
        path, names = self.folder / "points.csv", [f"x{column}" for column in range(rows.shape[1])]
        lines = [f"点{row}," + ",".join(repr(float(x)) for x in values) for row, values in enumerate(rows)]
        path.write_text("\n".join([",".join(["id", *names]), *lines]) + "\n")
        table = {"path": str(path), "id": "id", "columns": names}
        folder = self.folder / output
        self.run("sartor-train", {"task": "cluster", "data": {"table": table}, "model": model, "output": str(folder)})
        return h5py.File(folder / "model" / "clusters.h5")

    def results(self, output: str) -> dict:
        return json.loads((self.folder / output / "results.json").read_text())
