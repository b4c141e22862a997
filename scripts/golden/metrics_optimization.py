#!/usr/bin/env python3
"""Writes reference values of metrics, learning rate schedules and AdamW to tests/golden/NAME.json.

    python3 -m venv build/golden && build/golden/bin/pip install numpy==2.4.6 scikit-learn==1.9.1
    build/golden/bin/python scripts/golden/metrics_optimization.py NAME

schedules and adamw also need torch==2.11.0 and transformers==5.23.0. Deterministic: a second run writes the same bytes.
"""

import argparse
import json
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).resolve().parents[2] / "tests" / "golden"


def ranking():
    """Ranking metrics, computed naively or by scikit-learn: one case per data set, with the expected metrics per cutoff."""
    from sklearn.metrics import average_precision_score, ndcg_score

    def ndcg(shown, relevant, items, k):
        # Pads a short list with k irrelevant items; items that were not recommended rank below those.
        truth, score = np.zeros(items + k), np.zeros(items + k)
        truth[relevant] = 1
        score[:items] = -1
        score[shown] = np.arange(len(shown), 0, -1)
        return ndcg_score([truth], [score], k=k, ignore_ties=True)

    def user_metrics(shown, relevant, items, k):
        labels = [item in relevant for item in shown[:k]]
        hits = sum(labels)
        # scikit-learn divides by the number of hits, we by min(k, relevant items)
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


def classification():
    """Classification metrics by scikit-learn, calibration error computed naively; probabilities are fp32."""
    from sklearn import metrics

    def calibration_error(labels, probabilities):
        top, right = probabilities.max(1), probabilities.argmax(1) == labels
        error = 0
        for k in range(15):
            inside = (top > k / 15) & (top <= (k + 1) / 15)
            if inside.any():
                error += inside.mean() * abs(top[inside].mean() - right[inside].mean())
        return error

    def case(name, labels, probabilities):
        labels, probabilities = np.asarray(labels), np.asarray(probabilities, np.float32)
        classes = probabilities.shape[1]
        exact, predicted = probabilities.astype(np.float64), probabilities.argmax(1)
        found = {"accuracy": metrics.accuracy_score(labels, predicted)}
        for suffix, average in [("", "binary")] * (classes == 2) + [("_macro", "macro"), ("_weighted", "weighted")]:
            three = metrics.precision_recall_fscore_support(labels, predicted, average=average, zero_division=0)[:3]
            found |= {f"{name}{suffix}": value for name, value in zip(("precision", "recall", "f1"), three)}
        if len(set(labels.tolist())) == classes:
            if classes == 2:
                found["roc_auc"] = metrics.roc_auc_score(labels, exact[:, 1])
            else:
                each = [metrics.roc_auc_score(labels == k, exact[:, k]) for k in range(classes)]
                found["roc_auc"] = np.mean(each)
        least = np.finfo(np.float64).eps
        found["log_loss"] = -np.log(np.maximum(exact[np.arange(len(labels)), labels], least)).mean()
        found["calibration_error"] = calibration_error(labels, exact)
        return {
            "name": name,
            "classes": classes,
            "labels": labels.tolist(),
            "probabilities": [float(p) for p in probabilities.ravel()],
            "confusion": metrics.confusion_matrix(labels, predicted, labels=range(classes)).ravel().tolist(),
            "expected": {key: float(value) for key, value in found.items()},
        }

    def random_case(name, rows, classes, sharpness, seed, steps=None):
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, classes, rows)
        logits = rng.normal(size=(rows, classes)) + sharpness * np.eye(classes)[labels]
        probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        if steps:  # ties
            probabilities = np.round(probabilities[:, :1] * steps) / steps
            probabilities = np.hstack([probabilities, 1 - probabilities])
        return case(name, labels, probabilities)

    return [
        case("worked example", [0, 1, 1, 0], [[0.75, 0.25], [0.375, 0.625], [0.875, 0.125], [0.25, 0.75]]),
        case("all right", [0, 1, 2], np.eye(3)),
        case("sure and wrong", [1, 0], [[1, 0], [0, 1]]),
        case("one class only", [1, 1, 1], [[0.4, 0.6], [0.6, 0.4], [0.2, 0.8]]),
        case("a class that never occurs", [0, 1, 0], [[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.25, 0.5, 0.25]]),
        random_case("random, 2 classes", 101, 2, 1.0, seed=1),
        random_case("ties, 2 classes", 60, 2, 1.0, seed=2, steps=5),
        random_case("random, 5 classes", 97, 5, 1.5, seed=3),
    ]


def schedules():
    """Learning rates of the schedules of transformers, relative to the peak learning rate."""
    import torch
    from transformers import get_scheduler

    cases = [
        ("linear", 0, 10, {}),
        ("linear", 3, 10, {}),
        ("linear", 10, 10, {}),
        ("linear", 1, 1, {}),
        ("cosine", 4, 23, {}),
        ("cosine", 0, 20, {"num_cycles": 1.5}),
        ("constant", 0, 5, {}),
        ("constant_with_warmup", 3, 7, {}),
        ("polynomial", 2, 15, {"power": 2.0, "lr_end": 0.1}),
        ("polynomial", 0, 9, {"power": 0.5, "lr_end": 0.0}),
        ("inverse_sqrt", 4, 30, {}),
        ("inverse_sqrt", 0, 12, {}),
    ]
    rows = []
    for name, warmup, steps, more in cases:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        scheduler = get_scheduler(name, optimizer, warmup, steps, more)
        rates = []
        for _ in range(steps):
            rates.append(scheduler.get_last_lr()[0])
            optimizer.step()
            scheduler.step()
        kind = name.removesuffix("_with_warmup")
        rows.append({"type": kind, "warmup": warmup, "steps": steps, "more": more, "rates": rates})
    return rows


def adamw():
    """Weights and gradient norms of torch.optim.AdamW with gradient clipping over a few steps, in double precision."""
    import torch

    rows = []
    for name, decay, most in [("plain", 0.0, 0.0), ("decay", 0.1, 0.0), ("clipped", 0.01, 0.5)]:
        random = np.random.default_rng(7)
        shapes = {"dense.weight": (3, 2), "dense.bias": (3,), "LayerNorm.weight": (2,)}
        start = {key: random.normal(size=shape) for key, shape in shapes.items()}
        weights = {key: torch.nn.Parameter(torch.tensor(value)) for key, value in start.items()}
        groups = [
            {"params": [weights["dense.weight"]], "weight_decay": decay},
            {"params": [weights["dense.bias"], weights["LayerNorm.weight"]], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, lr=0.01)
        steps = []
        for step in range(5):
            gradients = {key: random.normal(size=shape) for key, shape in shapes.items()}
            for key, weight in weights.items():
                weight.grad = torch.tensor(gradients[key])
            norm = float(torch.nn.utils.clip_grad_norm_(list(weights.values()), most or np.inf))
            for group in optimizer.param_groups:
                group["lr"] = 0.01 * (step + 1)
            optimizer.step()
            steps.append(
                {
                    "gradients": {key: value.ravel().tolist() for key, value in gradients.items()},
                    "norm": norm,
                    "weights": {key: value.detach().ravel().tolist() for key, value in weights.items()},
                }
            )
        start = {key: value.ravel().tolist() for key, value in start.items()}
        shapes = {key: list(shape) for key, shape in shapes.items()}
        rows.append({"name": name, "decay": decay, "max_norm": most, "shapes": shapes, "start": start, "steps": steps})
    return rows


if __name__ == "__main__":
    files = {make.__name__: make for make in (ranking, classification, schedules, adamw)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=files)
    name = parser.parse_args().name
    path = GOLDEN / f"{name}.json"
    rows = ",\n".join(json.dumps(row, ensure_ascii=False) for row in files[name]())
    path.write_text(f"[\n{rows}\n]\n", encoding="utf-8")
    print(f"{path}: {path.stat().st_size} bytes")
