"""Measurements of public peers of factor models on prepared data; peers.py runs them.

Ids of users and items are the rows of the prepared file. Users without test pairs are left out of evaluations, as by Sartor.
"""

import itertools
import os
import statistics
import time

THREADS = int(os.environ.get("OMP_NUM_THREADS", "1"))


def pairs(path: str, part: str):
    """Matrix of users and items with 1 for each pair of a part: train, validation or test."""
    import h5py
    import numpy as np
    import scipy.sparse

    with h5py.File(path) as file:
        shape = len(file["users/ids"]), len(file["items/ids"])
        rows = file[f"{part}/by_user"]
        columns, offsets = rows["columns"][:], rows["offsets"][:]
    return scipy.sparse.csr_matrix((np.ones(len(columns), np.float32), columns, offsets), shape=shape)


class Factors:
    """Users with test pairs, as a model of irspack: scores are products of factors."""

    def __init__(self, path: str, users, items, part: str = "test"):
        import numpy as np

        truth, train = pairs(path, part), pairs(path, "train")
        with_pairs = np.flatnonzero(np.diff(truth.indptr))
        self.truth, self.X_train_all = truth[with_pairs], train[with_pairs]
        self.users = np.ascontiguousarray(users[with_pairs], np.float32)
        self.items = np.ascontiguousarray(items, np.float32)
        self.n_users, self.n_items = self.truth.shape

    def get_score_block(self, begin: int, end: int):
        return self.users[begin:end] @ self.items.T


def stored(path: str, model: str) -> Factors:
    """A factors.h5 file of a run."""
    import h5py

    with h5py.File(f"{model}/model/factors.h5") as file:
        return Factors(path, file["users/factors"][:], file["items/factors"][:])


def irspack_metrics(factors: Factors, k: int) -> dict:
    import irspack

    evaluator = irspack.Evaluator(factors.truth, cutoff=k, n_threads=THREADS)
    start = time.perf_counter()
    found = evaluator.get_scores(factors, [k])
    return {"seconds": time.perf_counter() - start, "recall": found[f"recall@{k}"]}


def irspack_evaluate(path: str, model: str, k: int) -> dict:
    return irspack_metrics(stored(path, model), k)


def recbole_evaluate(path: str, model: str, k: int) -> dict:
    import collections

    import numpy as np
    import torch

    np.float = float  # RecBole 1.2.1 uses the alias, which NumPy 1.24 removed
    from recbole.evaluator import Collector, Evaluator
    from recbole.utils import EvaluatorType

    torch.set_num_threads(THREADS)
    config = collections.defaultdict(
        lambda: None,
        metrics=["Recall", "NDCG", "MAP", "MRR", "Precision", "Hit"],
        topk=[k],
        eval_args={"mode": "full"},
        device="cpu",
        metric_decimal_place=12,
        eval_type=EvaluatorType.RANKING,
    )
    factors = stored(path, model)
    users, items = torch.from_numpy(factors.users), torch.from_numpy(factors.items)
    collector, evaluator, batch = Collector(config), Evaluator(config), 1024

    def places(matrix, begin: int, end: int):
        rows = np.repeat(np.arange(end - begin), np.diff(matrix.indptr[begin : end + 1]))
        columns = matrix.indices[matrix.indptr[begin] : matrix.indptr[end]]
        return torch.from_numpy(rows), torch.from_numpy(columns.astype(np.int64))

    start = time.perf_counter()
    for begin in range(0, factors.n_users, batch):  # as recbole.trainer.Trainer.evaluate
        end = min(begin + batch, factors.n_users)
        scores = torch.mm(users[begin:end], items.T)
        scores[places(factors.X_train_all, begin, end)] = -np.inf
        collector.eval_batch_collect(scores, None, *places(factors.truth, begin, end))
    found = evaluator.evaluate(collector.get_data_struct())
    return {"seconds": time.perf_counter() - start, "recall": float(found[f"recall@{k}"])}


def irspack_ials(
    path: str,
    factors: int,
    epochs: int,
    unobserved_weight: str,
    regularization: str,
    solver: str,
    block: int,
    part: str,
    seed: int,
) -> dict:
    import irspack

    trained = irspack.IALSRecommender(
        pairs(path, "train"),
        n_components=factors,
        alpha0=float(unobserved_weight),
        reg=float(regularization),
        nu=1.0,
        solver_type=solver,
        ialspp_subspace_dimension=block,
        n_threads=THREADS,
        train_epochs=epochs,
        random_seed=seed,
    )
    trained.trainer = trainer = trained._create_trainer()
    stamps = [time.perf_counter()]
    for _ in range(epochs):
        trainer.run_epoch()
        stamps.append(time.perf_counter())
    return {
        "seconds": statistics.median(after - before for before, after in itertools.pairwise(stamps)),
        "recall": irspack_metrics(Factors(path, trained.get_user_embedding(), trained.get_item_embedding(), part), 20)[
            "recall"
        ],
    }


def implicit_ials(path: str, factors: int, epochs: int, alpha: str, regularization: str) -> dict:
    """Conjugate gradients on the objective of Hu, Koren and Volinsky."""
    from implicit.cpu.als import AlternatingLeastSquares

    stamps = [time.perf_counter()]
    model = AlternatingLeastSquares(
        factors=factors,
        alpha=float(alpha),
        regularization=float(regularization),
        iterations=epochs,
        use_cg=True,
        num_threads=THREADS,
        random_state=1,
    )
    model.fit(pairs(path, "train"), show_progress=False, callback=lambda *_: stamps.append(time.perf_counter()))
    return {
        "seconds": statistics.median(after - before for before, after in itertools.pairwise(stamps[1:])),
        "recall": irspack_metrics(Factors(path, model.user_factors, model.item_factors), 20)["recall"],
    }
