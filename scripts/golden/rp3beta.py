#!/usr/bin/env python3
"""Writes weights between items that irspack's RP3beta finds for small data to tests/golden/rp3beta.json.

    python3 -m venv build/golden && build/golden/bin/pip install numpy==2.4.6 scipy==1.17.1 irspack==0.5.2
    build/golden/bin/python scripts/golden/rp3beta.py

irspack raises the interactions to the power alpha, which are all 1, and not their probabilities: its results are those of alpha = 1.
It keeps the largest weights to each item (top_k), Sartor those from each item. The last item has one user.
"""

import json
from pathlib import Path

import numpy as np
from irspack.recommenders import RP3betaRecommender
from scipy import sparse

GOLDEN = Path(__file__).resolve().parents[2] / "tests" / "golden" / "rp3beta.json"
USERS, ITEMS = 19, 13


def weights(interactions: np.ndarray, beta: float) -> list[float]:
    model = RP3betaRecommender(sparse.csr_matrix(interactions), alpha=1, beta=beta, n_threads=1).learn()
    return [float(f"{value:.9g}") for value in np.asarray(model.W.todense()).ravel()]


def main() -> None:
    random = np.random.default_rng(8)
    interactions = (random.random((USERS, ITEMS)) < np.linspace(0.7, 0.1, ITEMS)).astype(np.float64)
    interactions[0], interactions[:, 0] = 1, 1  # so that ids are numbered in their order
    interactions[1:, -1] = 0
    golden = {
        "users": USERS,
        "items": ITEMS,
        "interactions": interactions.astype(int).ravel().tolist(),
        "cases": [{"beta": beta, "weights": weights(interactions, beta)} for beta in (0, 0.3, 0.6, 1, 1.7)],
    }
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in golden.items() if name != "cases"]
    lines.append('"cases": [\n' + ",\n".join(json.dumps(case) for case in golden["cases"]) + "\n]")
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
