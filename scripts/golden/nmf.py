#!/usr/bin/env python3
"""Writes tests/golden/nmf.json: factors of scikit-learn's NMF after a few epochs from given starts. Needs scikit-learn 1.9.1."""

import json
import warnings
from pathlib import Path

import numpy as np
from sklearn.decomposition import non_negative_factorization

ROWS, COLUMNS, FACTORS, EPOCHS = 9, 7, 3, 5


def main() -> None:
    warnings.simplefilter("ignore")  # not converged
    random = np.random.default_rng(1)
    values = random.integers(0, 6, (ROWS, COLUMNS)).astype(float)
    start_rows, start_columns = random.random((ROWS, FACTORS)) + 0.1, random.random((COLUMNS, FACTORS)) + 0.1
    cases = []
    for solver, name in (("cd", "projected"), ("mu", "multiplicative")):
        for regularization in (0, 0.5):
            w, h, _ = non_negative_factorization(
                values,
                W=start_rows.copy(),
                H=start_columns.T.copy(),
                n_components=FACTORS,
                init="custom",
                solver=solver,
                tol=0,
                max_iter=EPOCHS,
                alpha_W=regularization / COLUMNS,  # which scikit-learn multiplies by the number of columns, and
                alpha_H=regularization / ROWS,  # by that of rows
                l1_ratio=0,
            )
            cases.append(
                {
                    "solver": name,
                    "regularization": regularization,
                    "rows": w.ravel().tolist(),
                    "columns": h.T.ravel().tolist(),
                }
            )
    golden = {
        "rows": ROWS,
        "columns": COLUMNS,
        "factors": FACTORS,
        "epochs": EPOCHS,
        "values": values.ravel().tolist(),
        "start_rows": start_rows.ravel().tolist(),
        "start_columns": start_columns.ravel().tolist(),
        "cases": cases,
    }
    path = Path(__file__).resolve().parents[2] / "tests" / "golden" / "nmf.json"
    path.write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()
