#!/usr/bin/env python3
"""Writes the golden files of the tests, tests/golden/NAME.json, from implementations that are not ours.

    python3 -m venv build/golden && build/golden/bin/pip install numpy==2.4.6 scikit-learn==1.9.1
    build/golden/bin/python scripts/make_golden.py ranking

One function a file. Seeded: a second run writes the same bytes. The tests read only the files.
"""

import argparse
import json
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "golden"


def ranking():
    """Ranking metrics, naively or by scikit-learn: one case a data set, with the metrics expected at its cutoffs."""
    from sklearn.metrics import average_precision_score, ndcg_score

    def ndcg(shown, relevant, items, k):
        # k irrelevant items stand below a short list, and the items not shown below those
        truth, score = np.zeros(items + k), np.zeros(items + k)
        truth[relevant] = 1
        score[:items] = -1
        score[shown] = np.arange(len(shown), 0, -1)
        return ndcg_score([truth], [score], k=k, ignore_ties=True)

    def user_metrics(shown, relevant, items, k):
        labels = [item in relevant for item in shown[:k]]
        hits = sum(labels)
        # scikit-learn divides by the hits in the list
        ap = average_precision_score(labels, -np.arange(len(labels))) * hits / min(k, len(relevant)) if hits else 0
        return {
            "precision": hits / k,
            "recall": hits / len(relevant),
            "ndcg": ndcg(shown, relevant, items, k),
            "map": ap,
            "mrr": 1 / (labels.index(True) + 1) if hits else 0,
            "hit_rate": min(hits, 1),
        }

    def expected(items, popularity, cutoffs, users):
        users = [(u["ranked"] + [-1], u["relevant"]) for u in users if u["relevant"]]
        users = [(ranked[: ranked.index(-1)], relevant) for ranked, relevant in users]
        found = {}
        for k in cutoffs if users else []:
            rows = [user_metrics(shown, relevant, items, k) for shown, relevant in users]
            found |= {f"{name}@{k}": float(np.mean([row[name] for row in rows])) for name in rows[0]}
            shown_items = [item for shown, _ in users for item in shown[:k]]
            found[f"coverage@{k}"] = len(set(shown_items)) / items
            if shown_items:
                counts = np.bincount(shown_items, minlength=items)
                differences = np.abs(counts[:, None] - counts[None, :])  # Gini: half the relative mean difference
                found[f"gini@{k}"] = float(differences.mean() / counts.mean() / 2)
                share = np.maximum(popularity, 1) / max(sum(popularity), 1)
                found[f"novelty@{k}"] = float(np.mean([-np.log2(share[item]) for item in shown_items]))
        return found

    def case(name, items, popularity, cutoffs, users):
        users = [{"ranked": ranked, "relevant": sorted(relevant)} for ranked, relevant in users]
        data = {"items": items, "popularity": popularity, "cutoffs": cutoffs, "users": users}
        return {"name": name, **data, "expected": expected(**data)}

    def random_case(name, items, user_count, length, cutoffs, seed):
        rng = np.random.default_rng(seed)
        weights = 1 / np.arange(1, items + 1)
        weights /= weights.sum()
        users = []
        for _ in range(user_count):
            ranked = rng.choice(items, rng.integers(0, length + 1), replace=False, p=weights).tolist()
            relevant = rng.choice(items, rng.integers(0, min(items, 20)), replace=False, p=weights).tolist()
            users.append((ranked + [-1] * (length - len(ranked)), relevant))
        return case(name, items, rng.poisson(50 * weights).tolist(), cutoffs, users)

    popularity = [5, 4, 3, 2, 1, 0]
    return [
        case("worked example", 6, popularity, [1, 3, 5], [([0, 1, 2, 3, 4], [0, 2])]),
        case("more relevant than k", 6, popularity, [1, 2], [([0, 5, 1], [0, 1, 2, 3, 4]), ([5, 4], [4])]),
        case("cutoff above list and catalogue", 3, [1, 2, 3], [2, 7], [([2, 0], [0, 1])]),
        case("nothing after -1", 6, popularity, [3], [([3, -1, 5], [5]), ([-1, 1], [1]), ([2, 1], [1])]),
        case("users without relevant items", 6, popularity, [2], [([3, 4], []), ([5, 0], [0])]),
        case("no relevant items at all", 6, popularity, [2], [([3, 4], [])]),
        case("empty lists", 6, popularity, [2], [([], [1]), ([-1, -1], [0, 2])]),
        case("one item", 1, [4], [1, 2], [([0], [0]), ([], [0])]),
        case("no training interactions", 2, [0, 0], [1], [([0], [1])]),
        case("one list for all", 4, [9, 0, 0, 1], [1], [([1], [1])] * 3),
        case("no users", 6, popularity, [2], []),
        case("no items", 0, [], [2], []),
        random_case("random, 7 items", 7, 11, 7, [1, 2, 5, 7, 10], seed=1),
        random_case("random, 101 items", 101, 60, 23, [1, 5, 10, 20, 50], seed=2),
    ]


if __name__ == "__main__":
    files = {make.__name__: make for make in (ranking,)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=files)
    name = parser.parse_args().name
    path = GOLDEN / f"{name}.json"
    rows = ",\n".join(json.dumps(row, ensure_ascii=False) for row in files[name]())
    path.write_text(f"[\n{rows}\n]\n", encoding="utf-8")
    print(f"{path}: {path.stat().st_size} bytes")
