"""Factorizations against Surprise, scikit-learn, NumPy and SciPy, from the same initial factors."""

import warnings

import numpy as np
from random_numbers import random_bits, random_normal
from sartor import Difference, Ratings, Sartor, difference, made_ratings, worst
from scipy.optimize import minimize
from sklearn.decomposition import non_negative_factorization


class GivenNumbers(np.random.RandomState):
    """Gives arrays in the order in which Surprise asks for its random initial factors."""

    def __init__(self, *arrays: np.ndarray):
        super().__init__(0)
        self.arrays = list(arrays)

    def next(self, size) -> np.ndarray:
        array = self.arrays.pop(0)
        if array.shape != tuple(size):
            raise ValueError(f"Surprise asks for {size}, expected {array.shape}")
        return array.astype(np.float64)

    def normal(self, loc=0.0, scale=1.0, size=None):
        return self.next(size)

    def uniform(self, low=0.0, high=1.0, size=None):
        return self.next(size)


def surprise_trainset(ratings: Ratings):
    import surprise

    data = surprise.Dataset(surprise.Reader(rating_scale=(ratings.values[ratings.rated].min(), ratings.values.max())))
    trainset = data.construct_trainset([(u, i, rating, None) for u, i, rating in ratings.triples()])
    items = ratings.values.shape[1]
    assert [trainset.to_inner_iid(item) for item in range(items)] == list(range(items))
    return trainset


def initial(seed: int, first: int, rows: int, columns: int, scale: float) -> np.ndarray:
    return np.float32(scale) * random_normal(seed, first, rows * columns).reshape(rows, columns).astype(np.float32)


def made_shape(random: np.random.Generator) -> tuple[int, int]:
    return int(random.integers(5, 40)), int(random.integers(4, 30))


def sgd(sartor: Sartor, random: np.random.Generator) -> Difference:
    from surprise import SVD

    (users, items), factors = made_shape(random), int(random.choice([1, 3, 14, 17]))
    ratings, seed, biased = made_ratings(random, users, items), int(random.integers(1000)), bool(random.integers(2))
    rate, bias_rate, regularization, bias_regularization = (float(x) for x in random.uniform(0.001, 0.05, 4))
    epochs, scale = int(random.integers(1, 7)), float(random.choice([0.01, 0.3]))
    sartor.prepare(ratings)
    model = sartor.train(
        {
            "algorithm": "sgd",
            "shuffle": False,
            "factors": factors,
            "biased": biased,
            "learning_rate": rate,
            "bias_learning_rate": bias_rate,
            "regularization": regularization,
            "bias_regularization": bias_regularization,
            "regularization_power": 1,
            "init_scale": scale,
            "epochs": epochs,
            "seed": seed,
        }
    )
    peer = SVD(
        n_factors=factors,
        n_epochs=epochs,
        biased=biased,
        lr_all=rate,
        lr_bu=bias_rate,
        lr_bi=bias_rate,
        reg_all=regularization,
        reg_bu=bias_regularization,
        reg_bi=bias_regularization,
        random_state=GivenNumbers(
            initial(seed, 0, users, factors, scale), initial(seed, users * factors, items, factors, scale)
        ),
    ).fit(surprise_trainset(ratings))
    pairs = [("users/factors", peer.pu), ("items/factors", peer.qi)]
    pairs += [("users/bias", peer.bu), ("items/bias", peer.bi)] if biased else []
    return worst([difference(model[name][:], value, 2e-5, 1e-6) for name, value in pairs])


def svdpp(sartor: Sartor, random: np.random.Generator) -> Difference:
    """Surprise updates everything after each rating, Sartor items after the users of a batch: at a small learning rate both
    take the same steps. Surprise regularizes the implicit factors once for every rating of a user, Sartor once for every
    rating of an item: the same if all users have as many ratings."""
    from surprise import SVDpp

    (users, items), factors, seed = made_shape(random), int(random.integers(1, 9)), int(random.integers(1000))
    each = int(random.integers(2, items))
    values = np.zeros((users, items))
    for user in range(users):
        values[user, random.permutation(items)[:each]] = random.integers(1, 6, each)
    values = values[:, values.sum(axis=0) > 0]
    values = values[:, np.argsort([np.flatnonzero(column)[0] for column in values.T], kind="stable")]
    ratings, items = Ratings(values), values.shape[1]
    rate, regularization, epochs, scale = 2e-4, float(random.uniform(0.1, 1)), 3, 0.3
    sartor.prepare(ratings)
    model = sartor.train(
        {
            "algorithm": "svdpp",
            "factors": factors,
            "learning_rate": rate,
            "regularization": regularization,
            "regularization_power": 1,
            "init_scale": scale,
            "epochs": epochs,
            "seed": seed,
            "batch_users": int(random.choice([1, 8])),
        }
    )
    start = [initial(seed, first * factors, rows, factors, scale).astype(np.float64)
             for first, rows in ((0, users), (users, items), (users + items, items))]  # fmt: skip
    peer = SVDpp(
        n_factors=factors,
        n_epochs=epochs,
        lr_all=rate,
        reg_all=regularization,
        reg_yj=regularization / each,
        random_state=GivenNumbers(*start),
    ).fit(surprise_trainset(ratings))

    def vectors(own: np.ndarray, implicit: np.ndarray) -> np.ndarray:
        return own + ratings.rated @ implicit / np.sqrt(each)

    before = vectors(start[0], start[2])
    moved = [
        (model["users/factors"][:] - before, vectors(peer.pu, peer.yj) - before),
        (model["items/factors"][:] - start[1], peer.qi - start[1]),
        (model["items/implicit"][:] - start[2], peer.yj - start[2]),
        (model["users/bias"][:], peer.bu),
        (model["items/bias"][:], peer.bi),
    ]
    return worst([difference(found, expected, 0.03) for found, expected in moved])


def nmf_start(seed: int, users: int, items: int, factors: int, scale: float) -> tuple[np.ndarray, np.ndarray]:
    of_items = int(random_bits(seed, np.uint64(1)) >> np.uint64(1))
    return tuple(
        (scale * np.abs(random_normal(each, 0, rows * factors).reshape(rows, factors)))
        .astype(np.float32)
        .astype(np.float64)
        for each, rows in ((seed, users), (of_items, items))
    )


def nmf(sartor: Sartor, random: np.random.Generator) -> Difference:
    """Of all pairs: scikit-learn."""
    (users, items), seed = made_shape(random), int(random.integers(1000))
    factors, scale = int(random.integers(1, 6)), float(random.uniform(0.3, 1))
    ratings, epochs = made_ratings(random, users, items), int(random.integers(1, 9))
    solver, regularization = random.choice(["projected", "multiplicative"]), float(random.choice([0, 0.3, 2]))
    sartor.prepare(ratings)
    model = sartor.train(
        {
            "algorithm": "nmf",
            "missing": "zero",
            "solver": str(solver),
            "factors": factors,
            "regularization": regularization,
            "regularization_power": 0,
            "init_scale": scale,
            "epochs": epochs,
            "seed": seed,
        }
    )
    start = nmf_start(seed, users, items, factors, scale)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # not converged
        of_users, of_items, _ = non_negative_factorization(
            ratings.values,
            W=start[0].copy(),
            H=start[1].T.copy(),
            n_components=factors,
            init="custom",
            solver={"projected": "cd", "multiplicative": "mu"}[solver],
            tol=0,
            max_iter=epochs,
            alpha_W=regularization / items,  # which scikit-learn multiplies by the number of columns, and
            alpha_H=regularization / users,  # by that of rows
            l1_ratio=0,
        )
    return worst(
        [
            difference(model["users/factors"][:], of_users, 1e-5),
            difference(model["items/factors"][:], of_items.T, 1e-5),
        ]
    )


def nmf_of_ratings(sartor: Sartor, random: np.random.Generator) -> Difference:
    """Of the ratings: Surprise, whose epoch updates items for the old users. The first update of the users is the same."""
    from surprise import NMF

    (users, items), seed = made_shape(random), int(random.integers(1000))
    factors, scale = int(random.integers(1, 6)), float(random.uniform(0.3, 1))
    ratings, regularization = made_ratings(random, users, items), float(random.choice([0, 0.06, 0.5]))
    sartor.prepare(ratings)
    model = sartor.train(
        {
            "algorithm": "nmf",
            "solver": "multiplicative",
            "factors": factors,
            "regularization": regularization,
            "regularization_power": 1,
            "init_scale": scale,
            "epochs": 1,
            "seed": seed,
        }
    )
    numbers = GivenNumbers(*nmf_start(seed, users, items, factors, scale))
    peer = NMF(n_factors=factors, n_epochs=1, reg_pu=regularization, reg_qi=regularization, random_state=numbers)
    return difference(model["users/factors"][:], peer.fit(surprise_trainset(ratings)).pu, 1e-5)


def svd(sartor: Sartor, random: np.random.Generator) -> Difference:
    """Singular values, and the approximation if its last singular value is not close to the next."""
    users, items = made_shape(random)
    ratings = made_ratings(random, users, items)
    factors = int(random.integers(1, min(users, items)))
    missing = str(random.choice(["zero", "user_mean", "item_mean"]))
    degrees = bool(random.integers(2))
    sartor.prepare(ratings)
    model = sartor.train(
        {
            "algorithm": "svd",
            "factors": factors,
            "missing": missing,
            "normalization": "degrees" if degrees else "none",
            "iterations": 60,
        }
    )
    rated, values = ratings.rated, ratings.values
    axis = {"user_mean": 1, "item_mean": 0}.get(missing)
    base = np.zeros_like(values)
    if axis is not None:
        base += values.sum(axis=axis, keepdims=True) / rated.sum(axis=axis, keepdims=True)
    rest = np.where(rated, values - base, 0)
    of_users, of_items = np.ones(users), np.ones(items)
    if degrees:
        of_users, of_items = rated.sum(axis=1) ** -0.5, rated.sum(axis=0) ** -0.5
    left, singular, right = np.linalg.svd(of_users[:, None] * rest * of_items)
    differences = [difference(model["singular_values"][:], singular[:factors], 1e-3)]
    if factors == len(singular) or singular[factors] < 0.9 * singular[factors - 1]:
        approximation = (left[:, :factors] * singular[:factors]) @ right[:factors]
        expected = base + approximation / of_users[:, None] / of_items
        found = model["users/factors"][:] @ model["items/factors"][:].T
        found += model.attrs["mean"] + model["users/bias"][:][:, None] + model["items/bias"][:]
        differences.append(difference(found, expected, 1e-4))
    return worst(differences)


def bpr(sartor: Sartor, random: np.random.Generator) -> Difference:
    """If every user has chosen all items but one, that one is the negative of all pairs and the loss is a closed form. Its
    minimum by SciPy from the same start."""
    users, items, factors = int(random.integers(3, 12)), int(random.integers(3, 8)), int(random.integers(2, 6))
    seed, scale, regularization = int(random.integers(1000)), 0.5, float(random.uniform(0.05, 0.2))
    negative = random.permutation(np.arange(users) % items)
    negative[0] = items - 1  # so that ids are numbered in their order
    values = np.ones((users, items))
    values[np.arange(users), negative] = 0
    order = np.argsort([np.flatnonzero(column)[0] for column in values.T], kind="stable")
    ratings = Ratings(values[:, order])
    negative = np.argmin(ratings.values, axis=1)
    sartor.prepare(ratings)
    model = sartor.train(
        {
            "algorithm": "bpr",
            "factors": factors,
            "candidates": 1,
            "blocks": 1,
            "learning_rate": 0.05,
            "regularization": regularization,
            "init_scale": scale,
            "epochs": 3000,
            "seed": seed,
        }
    )
    pairs = [(u, i) for u, i, _ in ratings.triples()]
    u, i = np.array(pairs).T
    j = negative[u]

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        p, q = x[: users * factors].reshape(users, factors), x[users * factors : -items].reshape(items, factors)
        b = x[-items:]
        margin = b[i] - b[j] + (p[u] * (q[i] - q[j])).sum(axis=1)
        squares = (p[u] ** 2).sum() + (q[i] ** 2).sum() + (q[j] ** 2).sum() + (b[i] ** 2).sum() + (b[j] ** 2).sum()
        slope = -1 / (1 + np.exp(margin))
        of_p, of_q, of_b = np.zeros_like(p), np.zeros_like(q), np.zeros_like(b)
        np.add.at(of_p, u, slope[:, None] * (q[i] - q[j]) + regularization * p[u])
        np.add.at(of_q, i, slope[:, None] * p[u] + regularization * q[i])
        np.add.at(of_q, j, -slope[:, None] * p[u] + regularization * q[j])
        np.add.at(of_b, i, slope + regularization * b[i])
        np.add.at(of_b, j, -slope + regularization * b[j])
        return np.logaddexp(0, -margin).sum() + regularization / 2 * squares, np.concatenate(
            [of_p.ravel(), of_q.ravel(), of_b]
        )

    def numbers(which: int, rows: int) -> np.ndarray:
        of_side = int(random_bits(seed, np.uint64(which)) >> np.uint64(1))
        return random_normal(of_side, 0, rows * factors) * scale / np.sqrt(factors)

    start = np.concatenate([numbers(0, users), numbers(1, items), np.zeros(items)])
    best = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 5000, "ftol": 1e-12}).fun
    parts = [model[name][:].ravel() for name in ("users/factors", "items/factors", "items/bias")]
    return difference([loss(np.concatenate(parts).astype(np.float64))[0]], [best], 5e-4)


CHECKS = {
    "sgd = Surprise SVD": sgd,
    "svdpp = Surprise SVDpp": svdpp,
    "nmf = scikit-learn NMF": nmf,
    "nmf = Surprise NMF": nmf_of_ratings,
    "svd = numpy svd": svd,
    "bpr = minimum by scipy": bpr,
}
