#!/usr/bin/env python3
"""Writes what scikit-learn and SciPy find for small data to tests/golden/clustering.json.

    python3 -m venv build/peers-clusters && build/peers-clusters/bin/pip install -r scripts/bench/requirements-peers-clusters.txt
    build/peers-clusters/bin/python scripts/golden/clustering.py

Cases of k-means begin with given centroids; in one of them two are so far away that their clusters are empty at first.
"""

import json
from pathlib import Path

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.cluster import KMeans
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score

GOLDEN = Path(__file__).resolve().parents[2] / "tests" / "golden" / "clustering.json"
random = np.random.default_rng(11)


def blobs(rows: int, columns: int, centers: int) -> np.ndarray:
    means = 3 * random.standard_normal((centers, columns))
    x = means[random.integers(centers, size=rows)] + random.standard_normal((rows, columns)) + 5
    return x.round(3).astype(np.float32)


def numbers(x: np.ndarray, digits: int = 9) -> list[float]:
    return [float(f"{value:.{digits}g}") for value in x.ravel()]


def kmeans(x: np.ndarray, start: np.ndarray, max_iter: int, tol: float) -> dict:
    found = KMeans(len(start), init=start, n_init=1, max_iter=max_iter, tol=tol, algorithm="lloyd").fit(x)
    return {
        "columns": x.shape[1],
        "rows": numbers(x),
        "start": numbers(start),
        "max_iter": max_iter,
        "tol": tol,
        "labels": found.labels_.tolist(),
        "centroids": numbers(found.cluster_centers_),
        "inertia": found.inertia_,
        "iterations": found.n_iter_,
        "calinski_harabasz": calinski_harabasz_score(x, found.labels_),
        "davies_bouldin": davies_bouldin_score(x, found.labels_),
    }


def tree(x: np.ndarray, method: str, clusters: int) -> dict:
    matrix = linkage(x.astype(np.float64), method)
    return {
        "method": method,
        "columns": x.shape[1],
        "rows": numbers(x),
        "linkage": numbers(matrix),
        "clusters": clusters,
        "labels": fcluster(matrix, clusters, "maxclust").tolist(),
    }


def main() -> None:
    few, many = blobs(60, 3, 4), blobs(200, 7, 9)
    far = few[:5].copy()
    far[3:] += 1000
    ties = random.integers(0, 3, (30, 2)).astype(np.float32)
    cases = {
        "kmeans": [
            kmeans(few, few[:4], 300, 1e-4),
            kmeans(many, many[:12], 300, 0),
            kmeans(many, many[5:14], 3, 1e-4),
            kmeans(few, far, 300, 1e-4),
        ],
        "linkage": [
            tree(x, method, clusters)
            for method in ("single", "complete", "average", "ward")
            for x, clusters in ((few, 4), (many, 9), (ties, 5))
        ],
    }
    GOLDEN.write_text(json.dumps(cases) + "\n")


if __name__ == "__main__":
    main()
