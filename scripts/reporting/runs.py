"""Reads run folders: config, metrics, results and provenance."""

import datetime
import json
from dataclasses import dataclass, field
from pathlib import Path


class NoRun(Exception):
    """The folder is not a valid run; the message says why in one line."""


@dataclass
class Run:
    folder: Path
    name: str  # folder name, made unique by label_runs()
    config: dict[str, str]  # "training.learning_rate" -> "5e-05", in the order of run.yaml
    yaml: str
    lines: list[dict]  # metrics.jsonl
    unit: str  # "epoch" or "step"
    provenance: dict = field(default_factory=dict)
    results: dict = field(default_factory=dict)  # empty until the run is complete
    evaluation: dict = field(default_factory=dict)  # evaluation.json; empty for tasks that write none

    @property
    def task(self) -> str:
        return self.config.get("task", "")

    @property
    def done(self) -> int:
        return max((line[self.unit] for line in self.lines), default=0)

    @property
    def seconds(self) -> float:
        return sum(line.get("seconds") or 0 for line in self.lines)

    @property
    def start(self) -> float:
        """Start of the run in seconds since 1970; 0 if unknown."""
        try:
            time = datetime.datetime.strptime(self.provenance["starts"][0]["time"], "%Y-%m-%dT%H:%M:%SZ")
            return time.replace(tzinfo=datetime.UTC).timestamp()
        except (KeyError, IndexError, TypeError, ValueError):
            return 0.0

    def series(self, part: str, metric: str) -> list[tuple[int, float]]:
        """(epoch or step, value) for each line of metrics.jsonl that has this metric."""
        found = [(line[self.unit], line[part].get(metric)) for line in self.lines if isinstance(line.get(part), dict)]
        return [(at, float(value)) for at, value in found if isinstance(value, (int, float))]

    def metrics(self, part: str) -> list[str]:
        """Names of the metrics of a split, in order of appearance."""
        return list(
            dict.fromkeys(name for line in self.lines if isinstance(line.get(part), dict) for name in line[part])
        )

    def parts(self) -> list[str]:
        """Splits that occur in metrics.jsonl: "train", "validation", ..."""
        return list(dict.fromkeys(key for line in self.lines for key, value in line.items() if isinstance(value, dict)))


def _json(path: Path) -> dict:
    if not path.exists():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise NoRun(f"{path} is invalid: {error}") from None
    if not isinstance(value, dict):
        raise NoRun(f"{path} is invalid: expected an object")
    return value


def _lines(path: Path) -> list[dict]:
    """Complete lines only: the last line is partial if the run is in progress or was killed."""
    if not path.exists():
        return []
    whole, _, _ = path.read_text(encoding="utf-8").rpartition("\n")
    lines = []
    for number, text in enumerate(whole.splitlines(), 1):
        try:
            line = json.loads(text)
        except ValueError as error:
            raise NoRun(f"{path}:{number} is invalid: {error}") from None
        if not isinstance(line, dict) or not any(isinstance(line.get(unit), int) for unit in ("epoch", "step")):
            raise NoRun(f"{path}:{number} is invalid: it has neither epoch nor step")
        lines.append(line)
    return lines


def flatten(yaml: str) -> dict[str, str]:
    """Path and value of each field of a run.yaml, which has two spaces per level and one line per field. A list is one value."""
    found: dict[str, str] = {}
    path: list[str] = []
    dash = None  # indentation of a list's dashes, while in it
    for line in yaml.splitlines():
        text, indent = line.strip(), len(line) - len(line.lstrip(" "))
        if dash is not None and (indent > dash or (indent == dash and text.startswith("-"))):
            found[".".join(path)] += f" {text}"
            continue
        dash = indent if text.startswith("-") else None
        if dash is not None:
            del path[indent // 2 :]
            found[".".join(path)] = text
            continue
        key, colon, value = text.partition(":")
        if not colon:
            continue
        path[indent // 2 :] = [key]
        if value.strip():
            found[".".join(path)] = value.strip()
    return found


def read_run(folder: Path) -> Run:
    """Reads a complete or unfinished run. Raises NoRun if the folder is not a run or a file is invalid."""
    if not (folder / "run.yaml").is_file():
        raise NoRun(f"{folder} is not a run folder: it has no run.yaml")
    yaml = (folder / "run.yaml").read_text(encoding="utf-8", errors="replace")
    lines = _lines(folder / "metrics.jsonl")
    return Run(
        folder=folder,
        name=folder.resolve().name,
        config=flatten(yaml),
        yaml=yaml,
        lines=lines,
        unit="step" if lines and "step" in lines[0] else "epoch",
        provenance=_json(folder / "provenance.json"),
        results=_json(folder / "results.json"),
        evaluation=_json(folder / "evaluation" / "evaluation.json"),
    )


def label_runs(runs: list[Run]) -> None:
    """Prefixes runs of the same name with as much of their path as is needed to distinguish them."""
    for depth in range(2, 12):
        names = [run.name for run in runs]
        for run in runs:
            if names.count(run.name) > 1:
                run.name = "/".join(run.folder.resolve().parts[-depth:])


def differences(runs: list[Run]) -> list[tuple[str, list[str]]]:
    """Config fields that differ between runs, `output` aside."""
    paths = list(dict.fromkeys(path for run in runs for path in run.config))
    rows = [(path, [run.config.get(path, "–") for run in runs]) for path in paths if path != "output"]
    return [(path, values) for path, values in rows if len(set(values)) > 1]
