#!/usr/bin/env python3
"""Writes predictions of Surprise and scores of implicit for small data to tests/golden/neighbors.json.

    python3 -m venv build/golden && build/golden/bin/pip install numpy==2.4.6 implicit==0.7.3 scikit-surprise==1.1.5
    OPENBLAS_NUM_THREADS=1 build/golden/bin/python scripts/golden/neighbors.py

Surprise's predictions are of pairs that are not rated, null where it has no neighbors. implicit's scores are of all pairs that are not
rated; it keeps as many neighbors as there are items.
"""

import json
from pathlib import Path

import numpy as np
from scipy import sparse

GOLDEN = Path(__file__).resolve().parents[2] / "tests" / "golden" / "neighbors.json"
USERS, ITEMS = 14, 12

random = np.random.default_rng(11)
rated = random.random((USERS, ITEMS)) < 0.45
rated[0], rated[:, 0] = True, True  # so that ids are numbered in their order
rated[0, 1:4] = True
ratings = np.where(rated, random.integers(1, 6, (USERS, ITEMS)), 0)


def by_surprise(algorithm, similarity, user_based, k, min_k, min_support):
    import surprise

    data = surprise.Dataset(surprise.Reader(rating_scale=(1, 5)))
    rows = [(f"用户{u}", f"i{i}", float(ratings[u, i]), None) for u, i in zip(*np.nonzero(rated))]
    trainset = data.construct_trainset(rows)
    options = {"name": similarity, "user_based": user_based, "min_support": min_support}
    model = getattr(surprise, algorithm)(k=k, min_k=min_k, sim_options=options, verbose=False).fit(trainset)
    found = []
    for u, i in zip(*np.nonzero(~rated)):
        prediction = model.predict(f"用户{u}", f"i{i}")
        enough = prediction.details.get("actual_k", 0) >= min_k
        found.append(round(float(prediction.est), 6) if enough else None)
    return found


def by_implicit(name):
    from implicit import nearest_neighbours

    counts = sparse.csr_matrix(ratings, dtype=np.float64)
    model = getattr(nearest_neighbours, name)(K=ITEMS, num_threads=1)
    model.fit(counts, show_progress=False)
    scores = (counts @ model.similarity).toarray()
    return [round(float(scores[u, i]), 5) for u, i in zip(*np.nonzero(~rated))]


RULES = {"KNNBasic": "weighted_mean", "KNNWithMeans": "centred", "KNNBaseline": "baseline"}
WEIGHTS = {
    "CosineRecommender": ("none", "cosine"),
    "TFIDFRecommender": ("tfidf", "cosine"),
    "BM25Recommender": ("bm25", "dot"),
}


def main():
    cases = []
    for algorithm, rule in RULES.items():
        for similarity in ("cosine", "pearson", "pearson_baseline", "msd"):
            for user_based in (True, False):
                for k, min_k, min_support in ((40, 1, 1), (3, 2, 2)):
                    cases.append(
                        {
                            "peer": f"Surprise {algorithm}",
                            "by_user": user_based,
                            "prediction": rule,
                            "similarity": similarity,
                            "shrinkage": 100 if similarity == "pearson_baseline" else 0,
                            "k": k,
                            "min_neighbors": min_k,
                            "min_support": min_support,
                            "found": by_surprise(algorithm, similarity, user_based, k, min_k, min_support),
                        }
                    )
    for name, (weights, similarity) in WEIGHTS.items():
        cases.append(
            {"peer": f"implicit {name}", "weights": weights, "similarity": similarity, "found": by_implicit(name)}
        )
    lines = [f'"users": {USERS}', f'"items": {ITEMS}', f'"ratings": {json.dumps(ratings.ravel().tolist())}']
    lines.append('"cases": [\n' + ",\n".join(json.dumps(case) for case in cases) + "\n]")
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
