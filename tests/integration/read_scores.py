"""Reads outputs of sartor-infer for texts from Python (tables with pyarrow, embeddings with h5py) and checks that they agree."""

import json
import sys
from pathlib import Path

import h5py
import numpy as np
import pyarrow.csv
import pyarrow.parquet

folder = Path(sys.argv[1])

csv = pyarrow.csv.read_csv(folder / "out.csv").to_pylist()
tsv = pyarrow.csv.read_csv(folder / "out.tsv", parse_options=pyarrow.csv.ParseOptions(delimiter="\t")).to_pylist()
jsonl = [json.loads(line) for line in (folder / "out.jsonl").read_text(encoding="utf-8").splitlines()]
parquet = pyarrow.parquet.read_table(folder / "out.parquet").to_pylist()
assert len(csv) == 81 and list(csv[0]) == list(parquet[0])
for other in (tsv, jsonl, parquet):
    for a, b in zip(csv, other, strict=True):
        assert all(a[name] == b[name] for name in ("row", "id", "label")), (a, b)
        assert np.isclose(a["probability"], b["probability"], rtol=1e-6), (a, b)
for row in parquet:
    classes = {name: row[f"probability_{name}"] for name in ("负面", "正面")}
    assert np.isclose(sum(classes.values()), 1, atol=1e-6) and row["label"] == max(classes, key=classes.get)
    assert row["probability"] == max(classes.values()) and row["id"] == f"编号{row['row'] - 2}"

with h5py.File(folder / "out.h5") as file:
    vectors, ids, rows = file["vectors"][:], file["ids"].asstr()[:], file["rows"][:]
    assert vectors.shape == (81, 24) and vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert list(rows) == [row["row"] for row in csv] and list(ids) == [row["id"] for row in csv]
    assert file.attrs["pooling"] == "mean" and file.attrs["normalized"] == 1
