"""Neighbors and their predictions against Surprise, implicit, irspack, SciPy and dense sums in NumPy."""

import warnings

import numpy as np
from factors import made_shape, surprise_trainset
from sartor import Difference, Ratings, Sartor, difference, made_ratings, worst
from scipy import sparse

RULES = ("sum", "mean", "weighted_mean", "centred", "baseline")
SIMILARITIES = ("cosine", "pearson", "adjusted_cosine", "pearson_baseline", "msd", "jaccard", "dot")


def means(values: np.ndarray, rated: np.ndarray) -> np.ndarray:
    """Of the rows."""
    return values.sum(axis=1) / rated.sum(axis=1)


def baseline(ratings: Ratings) -> tuple[float, np.ndarray, np.ndarray]:
    """Alternating least squares with the default regularization: mean, biases of users and of items."""
    values, rated = ratings.values, ratings.rated
    mean = values.sum() / rated.sum()
    of_users, of_items = np.zeros(values.shape[0]), np.zeros(values.shape[1])
    for _ in range(10):
        of_items = np.where(rated, values - mean - of_users[:, None], 0).sum(axis=0) / (10 + rated.sum(axis=0))
        of_users = np.where(rated, values - mean - of_items, 0).sum(axis=1) / (15 + rated.sum(axis=1))
    return mean, of_users, of_items


def similarities(
    ratings: Ratings, by_user: bool, name: str, missing: str, shrinkage: float, support: int
) -> np.ndarray:
    """All pairs of rows, by the definitions."""
    values, rated = (ratings.values, ratings.rated) if by_user else (ratings.values.T, ratings.rated.T)
    mean, of_users, of_items = baseline(ratings)
    of_rows, of_columns = (of_users, of_items) if by_user else (of_items, of_users)
    co_rated = missing == "co_rated" or name == "msd"
    if name == "adjusted_cosine":
        values = np.where(rated, values - means(values.T, rated.T), 0)
    if name == "pearson_baseline":
        values = np.where(rated, values - mean - of_rows[:, None] - of_columns, 0)
    if name == "pearson" and not co_rated:
        values = np.where(rated, values - means(values, rated)[:, None], 0)
    found = np.zeros((len(values), len(values)))
    for a in range(len(values)):
        for b in range(len(values)):
            common = rated[a] & rated[b]
            n = int(common.sum())
            if a == b or n < max(support, 1):
                continue
            x, y = (values[a][common], values[b][common]) if co_rated else (values[a], values[b])
            if name == "pearson" and co_rated:
                x, y = x - x.mean(), y - y.mean()
            if name == "msd":
                score = 1 / (1 + ((x - y) ** 2).mean())
            elif name == "jaccard":
                score = n / (rated[a] | rated[b]).sum()
            elif name == "dot":
                score = x @ y
            else:
                lengths = np.sqrt((x @ x) * (y @ y))
                score = x @ y / lengths if lengths > 1e-9 else 0
            m = n - 1 if (co_rated and name not in ("jaccard", "dot")) else n
            found[a, b] = score * m / (m + shrinkage) if m + shrinkage > 0 else score
    return found


class Predictions:
    """Predictions of unrated pairs by the rules; nan with too few neighbors, or if ties decide which ones count."""

    def __init__(self, ratings: Ratings, by_user: bool, similarity: np.ndarray):
        self.ratings, self.by_user, self.similarity = ratings, by_user, similarity
        self.mean, self.of_users, self.of_items = baseline(ratings)
        values, rated = (ratings.values, ratings.rated) if by_user else (ratings.values.T, ratings.rated.T)
        self.means = means(values, rated)

    def of(self, user: int, item: int, rule: str, k: int | None, least: int) -> float:
        row = self.similarity[user if self.by_user else item]
        candidates = np.flatnonzero(self.ratings.rated[:, item] if self.by_user else self.ratings.rated[user])
        candidates = candidates[row[candidates] > 1e-6]
        candidates = candidates[np.argsort(-row[candidates], kind="stable")]
        if k is not None and len(candidates) > k:
            if row[candidates[k - 1]] - row[candidates[k]] < 1e-5:
                return np.nan
            candidates = candidates[:k]
        if len(candidates) < least:
            return np.nan
        weights = row[candidates]
        rated = self.ratings.values[candidates, item] if self.by_user else self.ratings.values[user, candidates]
        if rule == "sum":
            return float(weights @ rated)
        if rule == "mean":
            return float(rated.mean())
        offset, own = 0.0, np.zeros(len(candidates))
        if rule == "centred":
            offset, own = self.means[user if self.by_user else item], self.means[candidates]
        if rule == "baseline":
            offset = self.mean + self.of_users[user] + self.of_items[item]
            own = self.mean + (self.of_users[candidates] + self.of_items[item] if self.by_user
                               else self.of_users[user] + self.of_items[candidates])  # fmt: skip
        return float(offset + weights @ (rated - own) / weights.sum())

    def all(self, rule: str, k: int | None, least: int) -> np.ndarray:
        found = np.full(self.ratings.values.shape, np.nan)
        for user, item in zip(*np.nonzero(~self.ratings.rated)):
            found[user, item] = self.of(user, item, rule, k, least)
        return found


def compared(found: np.ndarray, expected: np.ndarray) -> Difference:
    known = ~np.isnan(expected)
    return difference(np.nan_to_num(found[known], nan=1e9), expected[known], 1e-5)


def made(random: np.random.Generator) -> Ratings:
    scale = (1, 2, 3, 4, 5) if random.integers(2) else (0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5)
    return made_ratings(random, *made_shape(random), scale, float(random.uniform(0.3, 0.7)))


def ours(sartor: Sartor, ratings: Ratings, by_user: bool, **model) -> np.ndarray:
    sartor.prepare(ratings)
    sartor.train({"algorithm": "user_knn" if by_user else "item_knn", "neighbors": max(ratings.values.shape), **model})
    return sartor.scores(*ratings.values.shape)


def knn(sartor: Sartor, random: np.random.Generator) -> Difference:
    """Every similarity and rule, by the definitions."""
    ratings, by_user, name = made(random), bool(random.integers(2)), str(random.choice(SIMILARITIES))
    missing = str(random.choice(["zero", "co_rated"]))
    shrinkage, support = float(random.choice([0, 10])), int(random.choice([1, 3]))
    rule, k, least = str(random.choice(RULES)), random.choice([None, 3]), int(random.choice([1, 2]))
    settings = {"similarity": name, "missing": missing, "shrinkage": shrinkage, "min_support": support}
    found = ours(sartor, ratings, by_user, **settings, prediction=rule, k=k, min_neighbors=least)
    expected = Predictions(ratings, by_user, similarities(ratings, by_user, name, missing, shrinkage, support))
    return compared(found, expected.all(rule, k, least))


def knn_of_surprise(sartor: Sartor, random: np.random.Generator) -> Difference:
    import surprise

    ratings, by_user = made(random), bool(random.integers(2))
    algorithm, rule = (("KNNBasic", "weighted_mean"), ("KNNWithMeans", "centred"), ("KNNBaseline", "baseline"))[
        random.integers(3)
    ]
    name = str(random.choice(["cosine", "pearson", "pearson_baseline", "msd"]))
    shrinkage = float(random.choice([5, 100])) if name == "pearson_baseline" else 0.0
    k, least, support = int(random.choice([40, 3])), int(random.choice([1, 2])), int(random.choice([1, 3]))
    options = {"name": name, "user_based": by_user, "min_support": support, "shrinkage": shrinkage}
    peer = getattr(surprise, algorithm)(k=k, min_k=least, sim_options=options, verbose=False)
    peer.fit(surprise_trainset(ratings))
    sure = Predictions(ratings, by_user, peer.sim).all(rule, k, least)
    expected = np.full_like(sure, np.nan)
    for user, item in zip(*np.nonzero(~np.isnan(sure))):
        expected[user, item] = peer.predict(int(user), int(item), clip=False).est
    settings = {"similarity": name, "missing": "co_rated", "shrinkage": shrinkage, "min_support": support}
    return compared(ours(sartor, ratings, by_user, **settings, prediction=rule, k=k, min_neighbors=least), expected)


def knn_of_implicit(sartor: Sartor, random: np.random.Generator) -> Difference:
    from implicit import nearest_neighbours

    ratings = made(random)
    name, weights, similarity = (
        ("CosineRecommender", "none", "cosine"),
        ("TFIDFRecommender", "tfidf", "cosine"),
        ("BM25Recommender", "bm25", "dot"),
    )[random.integers(3)]
    counts = sparse.csr_matrix(ratings.values)
    peer = getattr(nearest_neighbours, name)(K=ratings.values.shape[1], num_threads=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the format of a matrix of its own
        peer.fit(counts, show_progress=False)
    expected = (counts @ peer.similarity).toarray()
    expected[ratings.rated | (expected <= 1e-9)] = np.nan
    settings = {"similarity": similarity, "weights": weights, "prediction": "sum", "direction": "reverse"}
    return compared(ours(sartor, ratings, False, **settings), expected)


def knn_of_irspack(sartor: Sartor, random: np.random.Generator) -> Difference:
    from irspack.recommenders import CosineKNNRecommender, JaccardKNNRecommender

    ratings, jaccard = made(random), bool(random.integers(2))
    recommender = JaccardKNNRecommender if jaccard else CosineKNNRecommender
    settings = {} if jaccard else {"normalize": True, "feature_weighting": "NONE"}
    values = sparse.csr_matrix(ratings.values if not jaccard else ratings.rated.astype(np.float64))
    peer = recommender(values, shrinkage=0.0, top_k=ratings.values.shape[1], n_threads=1, **settings).learn()
    similarity = np.asarray(peer.W.todense())
    np.fill_diagonal(similarity, 0)
    expected = ratings.values @ similarity
    expected[ratings.rated | (expected <= 1e-9)] = np.nan
    name = "jaccard" if jaccard else "cosine"
    return compared(ours(sartor, ratings, False, similarity=name, prediction="sum", direction="reverse"), expected)


def sparse_similarity(sartor: Sartor, random: np.random.Generator) -> Difference:
    """The similarities in the lists of the nearest rows, by sparse products."""
    ratings, by_user, cosine = made(random), bool(random.integers(2)), bool(random.integers(2))
    rows = ratings.values if by_user else ratings.values.T
    matrix, k = sparse.csr_matrix(rows), int(random.integers(1, len(rows)))
    if cosine:
        matrix = sparse.diags(1 / np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())) @ matrix
    expected = np.asarray((matrix @ matrix.T).todense())
    np.fill_diagonal(expected, 0)
    sartor.prepare(ratings)
    name = "user_knn" if by_user else "item_knn"
    model = sartor.train({"algorithm": name, "similarity": "cosine" if cosine else "dot", "neighbors": k})
    offsets, ids, found = (model[f"neighbors/{part}"][:] for part in ("offsets", "ids", "similarities"))
    differences = []
    for row in range(len(rows)):
        some = slice(offsets[row], offsets[row + 1])
        best = np.sort(expected[row])[::-1][:k]
        differences.append(difference(found[some], best[best > 0], 1e-5))
        differences.append(difference(found[some], expected[row, ids[some]], 1e-5))
    return worst(differences)


CHECKS = {
    "knn = definitions in numpy": knn,
    "knn = Surprise KNN": knn_of_surprise,
    "knn = implicit": knn_of_implicit,
    "knn = irspack": knn_of_irspack,
    "sparse similarity = scipy": sparse_similarity,
}
