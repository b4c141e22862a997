"""Graph filters and EASE with numpy and scipy on prepared data: filter_peers.py filter DATA MODEL | ease DATA LAMBDA.

Prints one line of JSON. Run as a program, because each measurement has a process and a number of BLAS threads of its own.
"""

import json
import resource
import sys
import time

import h5py
import numpy as np
from factor_peers import pairs
from scipy.sparse import diags


def powers(counts, power: float):
    return np.where(counts > 0, np.maximum(counts, 1.0) ** power, 0).astype(np.float32)


def ranked_recall(scores, train, truth, k: int) -> float:
    """Sum of the users' recall at k. Overwrites the scores of items in training."""
    rows = np.repeat(np.arange(len(scores)), np.diff(train.indptr))
    scores[rows, train.indices] = -np.inf
    best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    order = np.take_along_axis(best, np.argsort(-np.take_along_axis(scores, best, 1), axis=1, kind="stable"), 1)
    hits = np.asarray(truth[np.arange(len(scores))[:, None], order].todense()) > 0
    return float((hits.sum(1) / np.diff(truth.indptr)).sum())


def filter_and_rank(data: str, model: str, k: int = 20, block: int = 512) -> dict:
    """GF-CF with the eigenvectors of a trained model: two sparse products and a dense one, then a full ranking."""
    train, truth = pairs(data, "train"), pairs(data, "test")
    with h5py.File(f"{model}/model/factors.h5") as file:
        singular_values = file["singular_values"][:]
        vectors = file["items/vectors"][:].reshape(-1, len(singular_values))
        weight, power = file.attrs["ideal_weight"], file.attrs["ideal_degree_power"]
    start = time.perf_counter()
    items, users = np.diff(train.tocsc().indptr), np.diff(train.indptr)
    normalized = (diags(powers(users, -0.5)) @ train @ diags(powers(items, -0.5))).tocsr().astype(np.float32)
    transposed = normalized.T.tocsr()
    before = vectors * (weight * powers(items, -power))[:, None]
    after = np.ascontiguousarray((vectors * powers(items, power)[:, None]).T)
    with_pairs, recall = np.flatnonzero(np.diff(truth.indptr)), 0.0
    for first in range(0, len(with_pairs), block):
        some = with_pairs[first : first + block]
        histories = train[some]
        scores = ((histories @ transposed) @ normalized).toarray() + (histories @ before) @ after
        recall += ranked_recall(scores, histories, truth[some], k)
    return {"seconds": time.perf_counter() - start, "recall": recall / len(with_pairs)}


def ease(data: str, regularization: float) -> dict:
    train = pairs(data, "train")
    start = time.perf_counter()
    gram = (train.T @ train).toarray()
    gram[np.diag_indices_from(gram)] += regularization
    inverse = np.linalg.inv(gram)
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return {"seconds": time.perf_counter() - start, "sum": float(np.abs(weights).sum())}


if __name__ == "__main__":
    found = filter_and_rank(*sys.argv[2:4]) if sys.argv[1] == "filter" else ease(sys.argv[2], float(sys.argv[3]))
    print(json.dumps({**found, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
