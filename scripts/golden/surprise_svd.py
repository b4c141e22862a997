#!/usr/bin/env python3
"""Writes models that Surprise's SVD learns from small data to tests/golden/surprise_svd.json.

    python3 -m venv build/golden && build/golden/bin/pip install "numpy<2" scikit-surprise==1.1.5
    build/golden/bin/python scripts/golden/surprise_svd.py

Surprise visits the ratings by user, in the order of the data. The first user rates all items, so that both programs number
the items alike.
"""

import json
from pathlib import Path

import numpy as np
import pandas
from surprise import SVD, Dataset, Reader

GOLDEN = Path(__file__).resolve().parents[2] / "tests" / "golden" / "surprise_svd.json"
USERS, ITEMS, FACTORS, EPOCHS = 13, 11, 5, 7

random = np.random.default_rng(3)
ratings = random.integers(1, 6, (USERS, ITEMS)) * (random.random((USERS, ITEMS)) < 0.4)
ratings[0] = random.integers(1, 6, ITEMS)
ratings[:, 0] = random.integers(1, 6, USERS)
rows = [(user, item, ratings[user, item]) for user in range(USERS) for item in range(ITEMS) if ratings[user, item]]
train = Dataset.load_from_df(pandas.DataFrame(rows), Reader(rating_scale=(1, 5))).build_full_trainset()
assert [train.to_inner_iid(item) for item in range(ITEMS)] == list(range(ITEMS))


def learned(biased):
    model = SVD(
        n_factors=FACTORS, n_epochs=EPOCHS, biased=biased, lr_all=0.02, lr_bu=0.01, lr_bi=0.01, reg_all=0.05,
        reg_bu=0.03, reg_bi=0.03, init_std_dev=0.3, random_state=4,
    )  # fmt: skip
    model.fit(train)
    numbers = np.random.mtrand.RandomState(4)  # as Surprise draws them
    initial = [numbers.normal(0, 0.3, (rows, FACTORS)) for rows in (USERS, ITEMS)]
    names = ("initial_users", "initial_items", "users", "items", "user_bias", "item_bias")
    values = (*initial, model.pu, model.qi, model.bu, model.bi)
    return {name: np.asarray(value).round(9).ravel().tolist() for name, value in zip(names, values)}


GOLDEN.write_text(
    json.dumps(
        {
            "ratings": ratings.tolist(),
            "factors": FACTORS,
            "epochs": EPOCHS,
            "biased": learned(True),
            "unbiased": learned(False),
        }
    )
    + "\n"
)
