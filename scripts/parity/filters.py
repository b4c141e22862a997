"""Models that score by histories, against irspack and dense matrices in NumPy."""

import numpy as np
from factors import made_shape
from neighbors import compared
from sartor import Difference, Ratings, Sartor, made_ratings, worst
from scipy import sparse


def scored(sartor: Sartor, ratings: Ratings, **model) -> np.ndarray:
    sartor.prepare(ratings)
    sartor.train(model)
    return sartor.scores(*ratings.values.shape)


def of_weights(ratings: Ratings, weights: np.ndarray) -> np.ndarray:
    """Scores of the unrated pairs by weights between items."""
    scores = ratings.rated @ weights
    scores[ratings.rated] = np.nan
    return scores


def ease(sartor: Sartor, random: np.random.Generator) -> Difference:
    from irspack.recommenders import DenseSLIMRecommender

    ratings, regularization = made_ratings(random, *made_shape(random)), float(random.uniform(1, 300))
    x = ratings.rated.astype(np.float64)
    inverse = np.linalg.inv(x.T @ x + regularization * np.eye(x.shape[1]))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    found = scored(sartor, ratings, algorithm="ease", regularization=regularization)
    peer = DenseSLIMRecommender(sparse.csr_matrix(x), reg=regularization).learn()
    return worst([compared(found, of_weights(ratings, each)) for each in (weights, np.asarray(peer.W))])


def powers(x: np.ndarray, of_rows: float, of_users: float, of_columns: float) -> np.ndarray:
    """sum over u of n_i^-of_rows n_u^-of_users n_j^-of_columns"""
    users, items = x.sum(axis=1), x.sum(axis=0)
    return (x * items**-of_rows).T @ (x * (users**-of_users)[:, None] * items**-of_columns)


def rp3beta(sartor: Sartor, random: np.random.Generator) -> Difference:
    """irspack raises the interactions to alpha, the article their probabilities: both are the same for alpha = 1."""
    from irspack.recommenders import RP3betaRecommender

    ratings, alpha, beta = made_ratings(random, *made_shape(random)), *(float(x) for x in random.uniform(0.3, 1.5, 2))
    alpha = float(random.choice([1, alpha]))
    x = ratings.rated.astype(np.float64)
    weights = powers(x, alpha, alpha, beta)
    np.fill_diagonal(weights, 0)
    found = scored(sartor, ratings, algorithm="rp3beta", alpha=alpha, beta=beta, neighbors=0)
    differences = [compared(found, of_weights(ratings, weights))]
    if alpha == 1:
        peer = RP3betaRecommender(sparse.csr_matrix(x), beta=beta, n_threads=1).learn()
        weights = np.asarray(peer.W.todense())
        np.fill_diagonal(weights, 0)  # matters for rated items only
        differences.append(compared(found, of_weights(ratings, weights)))
    return worst(differences)


def turbocf(sartor: Sartor, random: np.random.Generator) -> Difference:
    ratings, alpha = made_ratings(random, *made_shape(random)), float(random.uniform(0, 1))
    exponent, kind = float(random.uniform(0.5, 1.5)), str(random.choice(["linear", "quadratic", "cubic"]))
    w = powers(ratings.rated.astype(np.float64), 1 - alpha, 2 * alpha, 1 - alpha) ** exponent
    polynomial = {"linear": w, "quadratic": 2 * w - w @ w, "cubic": 0.71 * w + 0.1 * w @ w - 0.01 * w @ w @ w}[kind]
    found = scored(sartor, ratings, algorithm="turbocf", filter=kind, alpha=alpha, exponent=exponent)
    return compared(found, of_weights(ratings, polynomial))


def gfcf(sartor: Sartor, random: np.random.Generator) -> Difference:
    """With a number of factors whose eigenvalue is not close to the next."""
    ratings = made_ratings(random, *made_shape(random))
    weight, power = float(random.uniform(0, 1)), float(random.uniform(0, 1))
    x = ratings.rated.astype(np.float64)
    p = powers(x, 0.5, 1, 0.5)
    values, vectors = np.linalg.eigh(p)
    values, vectors = values[::-1], vectors[:, ::-1]
    most = min(x.shape) - 1
    factors = next((k for k in range(most, 0, -1) if values[k] < 0.8 * values[k - 1]), 0)
    items = x.sum(axis=0)
    ideal = vectors[:, :factors] @ vectors[:, :factors].T * (items**-power)[:, None] * items**power
    settings = {"factors": factors, "ideal_weight": weight, "ideal_degree_power": power, "iterations": 60}
    return compared(scored(sartor, ratings, algorithm="gfcf", **settings), of_weights(ratings, p + weight * ideal))


CHECKS = {
    "ease = numpy and irspack": ease,
    "rp3beta = numpy and irspack": rp3beta,
    "turbocf = numpy": turbocf,
    "gfcf = numpy eigh": gfcf,
}
