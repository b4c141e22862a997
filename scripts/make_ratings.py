#!/usr/bin/env python3
"""Generates a synthetic ratings table (userId,movieId,rating,timestamp) with half-star ratings and long-tailed popularity.

    scripts/make_ratings.py ROWS FILE.csv [--users N] [--items N] [--seed N]

The output is a function of the arguments. (user, item) pairs are distinct; rows are sorted by time.
"""

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv


def pairs(random: np.random.Generator, rows: int, users: int, items: int) -> np.ndarray:
    """`rows` distinct values of user * items + item; popularity decays as a power of the rank."""

    def drawn(count: int, size: int) -> np.ndarray:
        weight = (np.arange(size) + size / 50) ** -0.9
        edges = np.cumsum(weight / weight.sum())
        return np.minimum(np.searchsorted(edges, random.random(count)), size - 1)

    found = np.empty(0, np.int64)
    while len(found) < rows:
        more = int((rows - len(found)) * 1.3) + 1000
        found = np.union1d(found, drawn(more, users) * items + drawn(more, items))
    return random.permutation(found)[:rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=int)
    parser.add_argument("file", type=Path)
    parser.add_argument("--users", type=int, help="number of users; default: about one per 145 ratings")
    parser.add_argument("--items", type=int, help="number of items; default: about one per 740 ratings")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rows = arguments.rows
    users, items = arguments.users or rows // 145 + 1, arguments.items or rows // 740 + 1
    if rows > users * items // 2:
        parser.error(f"{rows} ratings do not fit {users} users and {items} items: ask for more of them")

    random = np.random.default_rng(arguments.seed)
    pair = pairs(random, rows, users, items)
    user, item = pair // items, pair % items
    taste = random.normal(3.6, 0.4, users)[user] + random.normal(0, 0.4, items)[item] + random.normal(0, 0.8, rows)
    table = pa.table(
        {
            "userId": user + 1,
            "movieId": item + 1,
            "rating": np.clip(np.round(taste * 2) / 2, 0.5, 5),
            "timestamp": np.sort(random.integers(789_652_009, 1_427_784_002, rows)),
        }
    )
    aside = arguments.file.with_suffix(".partial")
    pyarrow.csv.write_csv(table, aside, pyarrow.csv.WriteOptions(quoting_style="none"))
    aside.replace(arguments.file)


if __name__ == "__main__":
    main()
