"""Seconds that a public library takes for the cosine top-k of sparse rows: neighbors_peers.py implicit|sparse_dot_topn PREPARED users|items K

Both keep a row among its own neighbors. Times include normalizing and transposing; the first call is not timed. Prints one line of JSON.
"""

import json
import os
import statistics
import sys
import time
import warnings

import h5py
import numpy as np
import scipy.sparse as sp

THREADS = int(os.environ["OMP_NUM_THREADS"])


def rows_of(path: str, side: str):
    with h5py.File(path) as file:
        shape = len(file["users/ids"]), len(file["items/ids"])
        part = file["train/by_user"]
        rows = sp.csr_matrix((part["values"][:], part["columns"][:], part["offsets"][:]), shape=shape)
    return rows if side == "users" else rows.T.tocsr()


def by_implicit(rows, k: int):
    from implicit.nearest_neighbours import CosineRecommender

    turned = rows.T.tocsr()  # it compares columns
    model = CosineRecommender(K=k, num_threads=THREADS)
    start = time.perf_counter()
    model.fit(turned, show_progress=False)
    return time.perf_counter() - start, model.similarity.sum()


def by_sparse_dot_topn(rows, k: int):
    from sparse_dot_topn import sp_matmul_topn

    start = time.perf_counter()
    lengths = np.sqrt(np.asarray(rows.multiply(rows).sum(1)).ravel())
    lengths[lengths == 0] = 1
    unit = (sp.diags((1 / lengths).astype(np.float32)) @ rows).tocsr()
    found = sp_matmul_topn(unit, unit.T.tocsr(), top_n=k, sort=True, n_threads=THREADS)
    return time.perf_counter() - start, found.sum()


def main() -> None:
    warnings.filterwarnings("ignore")
    library, path, side, k = sys.argv[1:]
    rows = rows_of(path, side)
    search = {"implicit": by_implicit, "sparse_dot_topn": by_sparse_dot_topn}[library]
    found = [search(rows, int(k)) for _ in range(4)][1:]
    print(json.dumps({"seconds": statistics.median(seconds for seconds, _ in found), "sum": float(found[0][1])}))


if __name__ == "__main__":
    main()
