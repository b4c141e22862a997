"""Checks a report and its TensorBoard events against the files of the runs: check_report.py HTML EVENTS RUN [RUN ...]"""

import json
import re
import struct
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pyarrow.parquet

html, events = Path(sys.argv[1]), Path(sys.argv[2])
folders = [Path(name) for name in sys.argv[3:]]
text = html.read_text(encoding="utf-8")
page = ET.fromstring(text.removeprefix("<!DOCTYPE html>"))
words = [word.strip() for word in page.itertext()]


def lines_of(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def results_of(run: Path) -> dict:
    return json.loads((run / "results.json").read_text(encoding="utf-8"))


def near(a: float, b: float, tolerance: float) -> bool:
    return abs(a - b) <= tolerance * max(abs(a), abs(b), 1e-30)


def alone() -> None:
    """The page has no scripts and no external resources, and labels are escaped."""
    for element in page.iter():
        assert element.tag not in ("script", "link", "img", "iframe", "object", "image"), element.tag
        for name, value in element.attrib.items():
            assert not name.startswith("on") and not value.strip().startswith(("http", "//", "javascript")), (
                name,
                value,
            )
            assert name not in ("href", "src"), name
    assert "<script" not in text and "url(" not in text and "@import" not in text


def scale(chart: ET.Element) -> tuple[float, float]:
    """Coefficients of value = a + b * y coordinate, from the tick labels of the y axis."""
    ticks = []
    for label in chart.iter("text"):
        if label.get("text-anchor") == "end":
            shown = label.text.replace("k", "e3").replace("M", "e6")
            ticks.append((float(label.get("y")) - 3.5, float(shown)))
    (y1, v1), (y2, v2) = ticks[0], ticks[-1]
    b = (v2 - v1) / (y2 - y1)
    return v1 - b * y1, b


def curves(name: str) -> list[list[float]]:
    """The values of a chart's curves, computed from their coordinates."""
    found = []
    for chart in page.iter("svg"):
        if chart.get("aria-label") == name:
            a, b = scale(chart)
            for path in chart.iter("path"):
                places = re.findall(r"[\d.]+,([\d.]+)", path.get("d"))
                found.append([a + b * float(y) for y in places])
    return found


def check_curve(title: str, part: str, metric: str) -> None:
    drawn = curves(title)
    expected = [
        [line[part][metric] for line in lines_of(run) if isinstance(line.get(part, {}).get(metric), (int, float))]
        for run in folders
    ]
    for values in expected:
        if len(values) < 2:
            continue
        room = (max(map(max, filter(None, expected))) - min(map(min, filter(None, expected)))) * 0.01 + 1e-3 * abs(
            values[0]
        )
        matches = [curve for curve in drawn if len(curve) == len(values)]
        assert any(all(abs(a - b) <= room for a, b in zip(curve, values)) for curve in matches), (title, values, drawn)


def check_table() -> None:
    for run in folders:
        results = results_of(run)
        for values in [results.get("validation", {}), results.get("test", {}), *results.get("baselines", {}).values()]:
            for name, value in values.items():
                assert name in words, name
                if value is not None and (value == 0 or 1e-3 <= abs(value) < 1000):
                    assert f"{value:.4f}" in words, (name, value)


def check_predictions(run: Path) -> None:
    """The table of predictions, evaluation.json and the report agree for each split."""
    folder = run / "evaluation"
    if not folder.exists():
        return
    evaluation, results = json.loads((folder / "evaluation.json").read_text(encoding="utf-8")), results_of(run)
    for part in ("validation", "test"):
        found, rows = evaluation[part], pyarrow.parquet.read_table(folder / f"{part}.parquet").to_pylist()
        assert found["rows"] == len(rows) > 0 and len({row["row"] for row in rows}) == len(rows)
        for name, value in results[part].items():
            assert found["metrics"][name]["value"] == value, name
            several = "confusion_matrices" in found
            plain = (
                name == "loss"
                or name.endswith("_calibrated")
                or (several and name in ("log_loss", "calibration_error"))
            )
            assert ("low" in found["metrics"][name]) != plain, name
            if not plain:
                low, high = found["metrics"][name]["low"], found["metrics"][name]["high"]
                assert low <= high and f"{low:.4f} – {high:.4f}" in words or abs(low) < 1e-3 or abs(high) < 1e-3, name
        classes = found["classes"]
        if "confusion_matrix" in found:
            counts = [[0] * len(classes) for _ in classes]
            for row in rows:
                counts[classes.index(row["label"])][classes.index(row["predicted"])] += 1
                shares = [row[f"probability_{name}"] for name in classes]
                assert near(sum(shares), 1, 1e-5) and classes[shares.index(max(shares))] == row["predicted"]
            assert counts == found["confusion_matrix"]
            right = sum(row["label"] == row["predicted"] for row in rows)
            assert near(right / len(rows), results[part]["accuracy"], 1e-12)
            assert sum(each["rows"] for each in found["calibration"]) == len(rows)
            if part == "test":
                for t, name in enumerate(classes):
                    for p, other in enumerate(classes):
                        tip = f"{name} predicted as {other}: {counts[t][p]} of {sum(counts[t])}, "
                        assert any(word.startswith(tip) for word in words), tip
        elif "confusion_matrices" in found:
            for name, ((_, wrong), (missed, right)) in zip(classes, found["confusion_matrices"]):
                pairs = [(row[f"label_{name}"], row[f"probability_{name}"] > 0.5) for row in rows]
                assert (pairs.count((0, True)), pairs.count((1, False)), pairs.count((1, True))) == (
                    wrong,
                    missed,
                    right,
                )
        else:
            mae = sum(abs(row["label"] - row["predicted"]) for row in rows) / len(rows)
            assert near(mae, results[part]["mae"], 1e-6)
            if part == "test":
                assert len([dot for dot in page.iter("circle") if dot.get("class") == "cloud"]) >= len(rows)


def crc(data: bytes) -> int:
    """Masked CRC-32C, computed bitwise."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 * (value & 1))
    value ^= 0xFFFFFFFF
    return (value >> 15 | value << 17 & 0xFFFFFFFF) + 0xA282EAD8 & 0xFFFFFFFF


def fields(data: bytes) -> list[tuple[int, object]]:
    """Fields of a protocol buffer by number; values with a length are bytes."""

    def varint(at: int) -> tuple[int, int]:
        value = shift = 0
        while True:
            value |= (data[at] & 127) << shift
            at, shift = at + 1, shift + 7
            if data[at - 1] < 128:
                return value, at

    found, at = [], 0
    while at < len(data):
        key, at = varint(at)
        if key & 7 == 0:
            value, at = varint(at)
        elif key & 7 == 2:
            length, at = varint(at)
            value, at = data[at : at + length], at + length
        else:
            size, form = {1: (8, "<d"), 5: (4, "<f")}[key & 7]
            value, at = struct.unpack(form, data[at : at + size])[0], at + size
        found.append((key >> 3, value))
    return found


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    (path,) = folder.glob("events.out.tfevents.*")
    data, at, found = path.read_bytes(), 0, {}
    while at < len(data):
        (length,) = struct.unpack("<Q", data[at : at + 8])
        record = data[at + 12 : at + 12 + length]
        sums = struct.unpack("<I", data[at + 8 : at + 12]) + struct.unpack(
            "<I", data[at + 12 + length : at + 16 + length]
        )
        assert sums == (crc(data[at : at + 8]), crc(record))
        event = dict(fields(record))
        if 5 in event:
            value = dict(fields(dict(fields(event[5]))[1]))
            found.setdefault(value[1].decode(), []).append((event[2], value[2]))
        else:
            assert event[3] == b"brain.Event:2"
        at += 16 + length
    return found


def check_events(run: Path, folder: Path) -> None:
    expected: dict[str, list[tuple[int, float]]] = {}
    for line in lines_of(run):
        for part, metrics in line.items():
            if isinstance(metrics, dict):
                for name, value in metrics.items():
                    if value is not None:
                        expected.setdefault(f"{part}/{name}", []).append((line.get("step", line.get("epoch")), value))
    found = scalars(folder)
    for tag, points in expected.items():
        assert len(found[tag]) == len(points), tag
        for (step, value), (at, said) in zip(points, found[tag]):
            assert step == at and near(value, said, 1e-6), (tag, step, value, said)
    for name, value in results_of(run).get("test", {}).items():
        assert near(found[f"final/test/{name}"][0][1], value, 1e-6)


alone()
check_table()
for title, part, metric in (
    ("Loss", "train", "loss"),
    ("Loss", "validation", "loss"),
    ("Learning rate", "train", "learning_rate"),
    ("Gradient norm", "train", "grad_norm"),
    ("Samples per second", "train", "samples_per_second"),
    ("Peak memory, MiB", "train", "memory_mib"),
    ("Model FLOP utilization", "train", "mfu"),
    ("Validation rmse", "validation", "rmse"),
    ("Validation accuracy", "validation", "accuracy"),
):
    check_curve(title, part, metric)
names = [folder.name for folder in folders]
for run in folders:
    check_predictions(run)
    check_events(run, events / (run.name if names.count(run.name) == 1 else "/".join(run.parts[-2:])))
    assert json.loads((run / "provenance.json").read_text(encoding="utf-8"))["data_hash"] in words
