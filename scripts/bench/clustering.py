"""Benchmarks of k-means and of agglomerative clustering."""

from functools import partial
from pathlib import Path

from common import BUILD, SKYLAKE, compare, in_turn, last_json, peer_python, run

PEERS = Path(__file__).with_name("clustering_peers.py")
SCIKIT_LEARN, FASTCLUSTER = "scikit-learn 1.9.1", "fastcluster 1.3.0"


def ours(*words: object, threads: int) -> dict:
    return last_json(run(BUILD / "bin" / "clustering_bench", *words, threads=threads))


def theirs(*words: object, threads: int, **environment: str) -> dict:
    return last_json(run(peer_python("peers-clusters"), PEERS, *words, threads=threads, **environment))


def kmeans(name: str, rows: int, columns: int, clusters: int, threads: int) -> None:
    """Seconds per iteration of Lloyd's algorithm."""
    shape, iterations, seeding = (rows, columns, clusters), 10, {}

    def timed(side: str, work) -> float:
        found = work()
        seeding[side] = min(found["seeding"], seeding.get(side, found["seeding"]))
        return found["seconds"]

    sides = {
        SCIKIT_LEARN: partial(theirs, "kmeans", *shape, iterations, threads=threads),
        f"{SCIKIT_LEARN}, SkylakeX": partial(theirs, "kmeans", *shape, iterations, threads=threads, **SKYLAKE),
    }
    own = partial(ours, "kmeans", *shape, threads, iterations, threads=threads)
    mine, *others = in_turn(
        partial(timed, "Sartor", own), *(partial(timed, side, work) for side, work in sides.items()), rounds=3
    )
    more = {f"{side} seeding": round(value, 4) for side, value in seeding.items()}
    compare(name, mine, dict(zip(sides, others)), threads, **more)


def agglomerative(name: str, method: str, rows: int, columns: int, threads: int) -> None:
    """Seconds for the whole tree, distances included."""
    mine, others = in_turn(
        lambda: ours(method, rows, columns, threads, threads=threads)["seconds"],
        lambda: theirs(method, rows, columns, threads=threads)["seconds"],
        rounds=3,
    )
    compare(name, mine, {FASTCLUSTER: others}, threads)


BENCHES = {}
for threads in (1, 2):
    BENCHES[f"speed/kmeans/100k-d64-k100-t{threads}"] = partial(
        kmeans, rows=100_000, columns=64, clusters=100, threads=threads
    )
    for method in ("single", "complete", "average", "ward"):
        BENCHES[f"speed/agglomerative/{method}-5k-d64-t{threads}"] = partial(
            agglomerative, method=method, rows=5000, columns=64, threads=threads
        )
