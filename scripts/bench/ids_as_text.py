"""Predicts whether a user likes a film on one fold of ml-100k: BERT on ids as text, popularity, and least squares."""

import json
from collections import Counter

import numpy as np
from common import ROOT, WORK, fetch, publish, train


def roc_auc(liked: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve from rank sums; ties count half."""
    _, group, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[group]
    inside, outside = liked.sum(), (~liked).sum()
    return float((ranks[liked].sum() - inside * (inside + 1) / 2) / (inside * outside))


def factor_scores(folder, users: list[str], items: list[str]) -> np.ndarray:
    """Predicted ratings of a factor model. Unknown users and items have zero bias and factors."""
    import h5py

    with h5py.File(folder / "model" / "factors.h5") as file:
        sides = []
        for side, ids in (("users", users), ("items", items)):
            place = {name: i for i, name in enumerate(file[f"{side}/ids"].asstr()[:])}
            rows = np.array([place.get(each, -1) for each in ids])
            known = rows >= 0
            bias, factors = file[f"{side}/bias"][:], file[f"{side}/factors"][:]
            sides.append((bias[rows] * known, factors[rows] * known[:, None]))
        (user_bias, user_factors), (item_bias, item_factors) = sides
        return file.attrs["mean"] + user_bias + item_bias + (user_factors * item_factors).sum(1)


def ids_as_text(name: str) -> None:
    fetch("ml-100k", "minilm")
    texts, folder, prepared, als = (WORK / each for each in ("ids.h5", "ids", "u1.h5", "u1"))
    train("ml-100k-ids-tokenize", texts)
    train("ml-100k-ids-classify", folder, data__path=texts)
    train("ml-100k-prepare", prepared)
    train("ml-100k-als", als, data__path=prepared)

    rows = [line.split("\t") for line in (ROOT / "data/ml-100k/ml-100k.inter").read_text().splitlines()[1:]]
    test, known = rows[:20_000], rows[20_000:]
    liked = np.array([float(row[2]) >= 4 for row in test])
    popular = Counter(row[1] for row in known)
    found = json.loads((folder / "results.json").read_text())["test"]
    publish(
        {
            "name": name,
            "metric": "roc_auc",
            "value": round(found["roc_auc"], 4),
            "popularity": round(roc_auc(liked, np.array([popular[row[1]] for row in test])), 4),
            "least squares": round(
                roc_auc(liked, factor_scores(als, [row[0] for row in test], [row[1] for row in test])), 4
            ),
            "accuracy": round(found["accuracy"], 4),
            "share of the larger class": round(float(max(liked.mean(), 1 - liked.mean())), 4),
        }
    )
