#!/usr/bin/env python3
"""Writes factors that implicit and irspack find for small data to tests/golden/implicit_als.json.

    python3 -m venv build/golden && build/golden/bin/pip install numpy==2.4.6 implicit==0.7.3 irspack==0.5.2
    OPENBLAS_NUM_THREADS=1 build/golden/bin/python scripts/golden/implicit_als.py

All cases start from the same factors and train two epochs, users first. The last user and the last item have no events;
they start from zero, their exact solution, which the steps of CG and iALS++ keep.
"""

import json
from pathlib import Path

import numpy as np
from scipy import sparse

GOLDEN = Path(__file__).resolve().parents[2] / "tests" / "golden" / "implicit_als.json"
USERS, ITEMS, FACTORS, EPOCHS = 23, 17, 6, 2

random = np.random.default_rng(5)
counts = random.poisson(2.0, (USERS, ITEMS)) * (random.random((USERS, ITEMS)) < 0.3)
counts[-1], counts[:, -1], counts[0, :-1] = 0, 0, 1
counts = sparse.csr_matrix(counts, dtype=np.float32)
users = (0.2 * random.standard_normal((USERS, FACTORS))).astype(np.float32)
items = (0.2 * random.standard_normal((ITEMS, FACTORS))).astype(np.float32)
users[-1], items[-1] = 0, 0


def by_implicit(use_cg, alpha, regularization):
    """implicit takes the confidence 1 + alpha v of an event as its value."""
    from implicit.cpu.als import AlternatingLeastSquares

    confidence = counts.copy()
    confidence.data = 1 + alpha * confidence.data
    model = AlternatingLeastSquares(
        factors=FACTORS, regularization=regularization, alpha=1, iterations=EPOCHS, num_threads=1, use_cg=use_cg
    )
    model.user_factors, model.item_factors = users.copy(), items.copy()
    model.fit(confidence, show_progress=False)
    return model.user_factors, model.item_factors


def by_irspack(solver, alpha, alpha0, regularization, nu, block=64):
    from irspack.recommenders import _ials_core as core

    model = (
        core.IALSModelConfigBuilder()
        .set_K(FACTORS)
        .set_alpha0(alpha0)
        .set_reg(regularization)
        .set_nu(nu)
        .set_loss_type(core.LossType.IALSPP)
        .build()
    )
    steps = (
        core.IALSSolverConfigBuilder()
        .set_n_threads(1)
        .set_solver_type(getattr(core.SolverType, solver))
        .set_max_cg_steps(3)
        .set_ialspp_iteration(1)
        .set_ialspp_subspace_dimension(block)
        .build()
    )
    trainer = core.IALSTrainer(model, alpha * counts)
    trainer.user, trainer.item = users, items
    for _ in range(EPOCHS):
        trainer.step(steps)
    return trainer.user, trainer.item


def case(peer, found, **params):
    return {"peer": peer, **params, "users": rounded(found[0]), "items": rounded(found[1])}


def rounded(array):
    return [float(f"{value:.7g}") for value in np.asarray(array).ravel().tolist()]


def main():
    hu_koren = {"objective": "hu_koren", "alpha": 2, "unobserved_weight": 1, "regularization": 0.5, "power": 0}
    ials = {"objective": "ials", "alpha": 1.5, "unobserved_weight": 0.2, "regularization": 0.02, "power": 0.75}
    weights = (ials["alpha"], ials["unobserved_weight"], ials["regularization"], ials["power"])
    cases = [
        case("implicit", by_implicit(False, 2, 0.5), solver="cholesky", **hu_koren),
        case("implicit", by_implicit(True, 2, 0.5), solver="cg", **hu_koren),
        case("irspack", by_irspack("CHOLESKY", *weights), solver="cholesky", **ials),
        case("irspack", by_irspack("CG", *weights), solver="cg", **ials),
        case("irspack", by_irspack("IALSPP", *weights, block=2), solver="block", block=2, **ials),
    ]
    golden = {
        "factors": FACTORS,
        "epochs": EPOCHS,
        "offsets": counts.indptr.tolist(),
        "columns": counts.indices.tolist(),
        "values": counts.data.tolist(),
        "start_users": rounded(users),
        "start_items": rounded(items),
    }
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in golden.items()]
    lines.append('"cases": [\n' + ",\n".join(json.dumps(each) for each in cases) + "\n]")
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
