"""Clustering against scikit-learn and SciPy."""

import numpy as np
from sartor import Difference, Sartor, difference, worst
from scipy.cluster.hierarchy import linkage
from sklearn.cluster import KMeans


def blobs(random: np.random.Generator, least: int) -> np.ndarray:
    rows, columns, centers = int(random.integers(least, 150)), int(random.integers(1, 9)), int(random.integers(1, 8))
    means = 3 * random.standard_normal((centers, columns))
    return (means[random.integers(centers, size=rows)] + random.standard_normal((rows, columns))).astype(np.float32)


def kmeans(sartor: Sartor, random: np.random.Generator) -> Difference:
    """From the same centroids, to the same ones."""
    x = blobs(random, 20)
    clusters = int(random.integers(1, 15))
    start = random.permutation(x)[:clusters]
    first = sartor.cluster(start, {"n_clusters": clusters}, "start")["centroids"][:]
    iterations, tolerance = int(random.choice([2, 300])), float(random.choice([0, 1e-4]))
    settings = {"n_clusters": clusters, "max_iter": iterations, "tol": tolerance}
    found = sartor.cluster(x, {**settings, "centroids": str(sartor.folder / "start")})
    peer = KMeans(clusters, init=first, n_init=1, max_iter=iterations, tol=tolerance, algorithm="lloyd").fit(x)
    inertia = sartor.results("clusters")["train"]["inertia"]
    return worst(
        [
            difference(found["labels"][:], peer.labels_, 0, 0.5),
            difference(found["centroids"][:], peer.cluster_centers_, 1e-5),
            difference([inertia], [peer.inertia_], 1e-4, 1e-4),
        ]
    )


def agglomerative(sartor: Sartor, random: np.random.Generator) -> Difference:
    """The linkage matrix."""
    x, method = blobs(random, 2), str(random.choice(["single", "complete", "average", "ward"]))
    found = sartor.cluster(x, {"algorithm": "agglomerative", "linkage": method, "n_clusters": 1})["linkage"][:]
    expected = linkage(x.astype(np.float64), method)
    return worst([difference(found[:, [0, 1, 3]], expected[:, [0, 1, 3]], 0, 0.5),
                  difference(found[:, 2], expected[:, 2], 1e-6)])  # fmt: skip


CHECKS = {"kmeans = scikit-learn KMeans": kmeans, "agglomerative = scipy linkage": agglomerative}
