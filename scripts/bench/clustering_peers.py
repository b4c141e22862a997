"""Times public peers of clustering on random rows and prints one line of JSON. Run by clustering.py.

clustering_peers.py kmeans ROWS COLUMNS CLUSTERS ITERATIONS    scikit-learn: seconds per iteration, and of the seeding
clustering_peers.py METHOD ROWS COLUMNS                        fastcluster: seconds
"""

import json
import sys
import time

import numpy as np


def seconds(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def kmeans(x: np.ndarray, clusters: int, iterations: int) -> dict:
    from sklearn.cluster import KMeans, kmeans_plusplus

    def fit(count: int) -> float:
        model = KMeans(clusters, init=x[:clusters], n_init=1, max_iter=count, tol=0, algorithm="lloyd")
        return seconds(lambda: model.fit(x))

    fit(1)
    short, long = min(fit(1) for _ in range(3)), min(fit(iterations + 1) for _ in range(3))
    seeding = seconds(lambda: kmeans_plusplus(x, clusters, random_state=1))
    return {"seconds": (long - short) / iterations, "seeding": seeding}


def linkage(x: np.ndarray, method: str) -> dict:
    import fastcluster

    return {"seconds": seconds(lambda: fastcluster.linkage(x, method))}


def main() -> None:
    method, rows, columns, *more = sys.argv[1:]
    x = np.random.default_rng(1).standard_normal((int(rows), int(columns)))
    found = kmeans(x.astype(np.float32), *map(int, more)) if method == "kmeans" else linkage(x, method)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
