"""Reads the outputs of both programs from Python (factors.h5 with h5py, tables with pyarrow) and checks that they agree."""

import json
import sys
from pathlib import Path

import h5py
import numpy as np
import pyarrow.csv
import pyarrow.parquet

folder = Path(sys.argv[1])

with h5py.File(folder / "run/model/factors.h5") as file:
    users, items = file["users/ids"].asstr()[:], file["items/ids"].asstr()[:]
    assert "用户1" in users and len(items) == 40
    user = list(users).index("u0")
    factors = file["users/factors"][user] @ file["items/factors"][:].T
    ratings = file.attrs["mean"] + file["users/bias"][user] + file["items/bias"][:] + factors
    assert np.isfinite(ratings).all() and ratings.shape == (40,)
    seen = file["seen/items"][file["seen/offsets"][user] : file["seen/offsets"][user + 1]]
    ratings[seen] = -np.inf
    best = [str(items[item]) for item in np.argsort(-ratings, kind="stable")[:5]]

csv = pyarrow.csv.read_csv(folder / "a.csv").to_pylist()
tsv = pyarrow.csv.read_csv(folder / "b.tsv", parse_options=pyarrow.csv.ParseOptions(delimiter="\t")).to_pylist()
jsonl = [json.loads(line) for line in (folder / "c.jsonl").read_text(encoding="utf-8").splitlines()]
parquet = pyarrow.parquet.read_table(folder / "d.parquet").to_pylist()
assert [row["item"] for row in csv if row["user"] == "u0"] == best, (csv[:5], best)
for other in (tsv, jsonl, parquet):
    assert [(row["user"], row["rank"], row["item"]) for row in other] == [
        (row["user"], row["rank"], row["item"]) for row in csv
    ]
    assert np.allclose([row["score"] for row in other], [row["score"] for row in csv], rtol=1e-6)
