"""Trains LIBMF on prepared files and prints the mean seconds and the mean RMSE of the test ratings as one line of JSON.

    sgd_peers.py FACTORS ITERATIONS REGULARIZATION LEARNING_RATE THREADS FILE...

LIBMF_OBJ may name a LIBMF that was compiled otherwise, with the interface of the package. The package's own predict() reads
the factors in a wrong layout, so predictions are computed here, from the factors.
"""

import json
import os
import sys
import time

import h5py
import numpy as np

factors, iterations, regularization, rate, threads = (float(number) for number in sys.argv[1:6])
saved = os.dup(1)
os.dup2(2, 1)  # the library prints to standard output
from libmf import mf


def ratings(path: str, part: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    with h5py.File(path) as file:
        group = file[f"{part}/by_user"]
        users = np.repeat(np.arange(len(group["offsets"]) - 1), np.diff(group["offsets"][:]))
        return users, group["columns"][:], group["values"][:]


def trained(path: str) -> tuple[float, float]:
    train = np.stack(ratings(path, "train"), 1).astype(np.float32)
    model = mf.MF(
        k=int(factors), nr_bins=20, nr_iters=int(iterations), nr_threads=int(threads), eta=rate, quiet=True,
        lambda_p1=0, lambda_q1=0, lambda_p2=regularization, lambda_q2=regularization,
    )  # fmt: skip
    start = time.perf_counter()
    model.fit(train)
    seconds = time.perf_counter() - start

    users, items, values = ratings(path, "test")
    p, q = model.p_factors(), model.q_factors()
    predicted = (p[np.minimum(users, len(p) - 1)] * q[np.minimum(items, len(q) - 1)]).sum(1)
    unknown = (users >= len(p)) | (items >= len(q)) | np.isnan(predicted)
    predicted = np.clip(np.where(unknown, model.model.b, predicted), 1, 5)
    return seconds, float(np.sqrt(np.mean((predicted - values) ** 2)))


seconds, rmse = np.mean([trained(path) for path in sys.argv[6:]], axis=0).tolist()
os.write(saved, (json.dumps({"seconds": seconds, "rmse": rmse}) + "\n").encode())
