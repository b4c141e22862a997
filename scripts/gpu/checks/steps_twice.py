"""Training steps with `deterministic: true`, which must give the same bits twice."""

from __future__ import annotations

from checks.generators import gpt_training_config
from checks.texts import bert_training_config
from checks.trainings import figure, trained
from session import Failed, Session

STEPS = 12


def deterministic(session: Session) -> None:
    """With dropout, in the precisions in which people train. A difference is a failure, the cost is a figure."""
    faults = []
    for model, config in (("BERT", bert_training_config(session)), ("GPT", gpt_training_config(session))):
        for precision in session.precisions("fp32", "bf16"):
            name = f"{model} in {precision}"
            settings = {"precision": precision, "deterministic": "true"}
            once, again = (
                trained(session, f"{name}, {run}", config, session.device, STEPS, **settings)
                for run in ("once", "again")
            )
            session.figures[f"{name}: same losses and weights"] = same = (once.losses, once.weights) == (
                again.losses,
                again.weights,
            )
            if not same:
                faults.append(name)
        fast = trained(session, f"{name}, not deterministic", config, session.device, STEPS, precision=precision)
        speed = figure(once.folder, "tokens_per_second") / figure(fast.folder, "tokens_per_second")
        session.figures[f"{name}: deterministic speed / speed"] = speed
    if faults:
        raise Failed(f"deterministic steps differ: {', '.join(faults)}")
