"""Measurements of public peers of ranking losses on prepared data; peers.py runs them."""

import itertools
import statistics
import time

from factor_peers import THREADS, Factors, irspack_metrics, pairs


def implicit_bpr(path: str, factors: int, epochs: int, learning_rate: str, regularization: str) -> dict:
    """As many samples per epoch as there are pairs, negatives drawn uniformly and checked, as by Sartor with one candidate."""
    import numpy as np
    from implicit.cpu.bpr import BayesianPersonalizedRanking

    stamps = [time.perf_counter()]
    model = BayesianPersonalizedRanking(
        factors=factors,
        learning_rate=float(learning_rate),
        regularization=float(regularization),
        iterations=epochs,
        num_threads=THREADS,
        verify_negative_samples=True,
        random_state=1,
    )
    model.fit(pairs(path, "train"), show_progress=False, callback=lambda *_: stamps.append(time.perf_counter()))
    users, items = np.asarray(model.user_factors), np.asarray(model.item_factors)
    return {
        "seconds": statistics.median(after - before for before, after in itertools.pairwise(stamps[1:])),
        "recall": irspack_metrics(Factors(path, users, items), 20)["recall"],
    }
