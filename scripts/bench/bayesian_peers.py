"""myfm: Bayesian matrix factorization as a factorization machine of user and item (and their features), by Gibbs sampling.

bayesian_peers.py PREPARED FACTORS SWEEPS     prints the seconds per sweep and the RMSE of clipped predictions as JSON
"""

import json
import sys
import time

import h5py
import myfm
import numpy as np
import scipy.sparse


def pairs(part: h5py.Group) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return (
        np.repeat(np.arange(len(part["offsets"]) - 1), np.diff(part["offsets"])),
        part["columns"][:],
        part["values"][:],
    )


def one_hot(users: np.ndarray, items: np.ndarray, shape: tuple[int, int]) -> scipy.sparse.csr_matrix:
    places = np.stack([users, shape[0] + items], 1).ravel()
    offsets = np.arange(0, len(places) + 1, 2)
    return scipy.sparse.csr_matrix((np.ones(len(places)), places, offsets), shape=(len(users), sum(shape)))


def main(path: str, factors: int, sweeps: int) -> dict:
    with h5py.File(path) as file:
        shape, low, high = (
            (len(file["users/ids"]), len(file["items/ids"])),
            file.attrs["rating_min"],
            file.attrs["rating_max"],
        )
        train, test = (pairs(file[f"{part}/by_user"]) for part in ("train", "test"))
    model, rows = myfm.MyFMRegressor(rank=factors, random_seed=42), one_hot(*train[:2], shape)
    targets = train[2].astype(np.float64)
    began = time.perf_counter()
    model.fit(rows, targets, n_iter=1, n_kept_samples=1, group_shapes=list(shape))
    first = time.perf_counter()
    model.fit(rows, targets, n_iter=sweeps, n_kept_samples=sweeps - sweeps // 10, group_shapes=list(shape))
    seconds = (time.perf_counter() - first - (first - began)) / (sweeps - 1)
    predicted = np.clip(model.predict(one_hot(*test[:2], shape)), low, high)
    return {"seconds": seconds, "rmse": float(np.sqrt(np.mean((predicted - test[2]) ** 2)))}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
