"""A BERT on the device compared with the CPU."""

from __future__ import annotations

import math
import re

from checks.common import largest_difference, said_device, table_of
from checks.inputs import COLUMNS, bert_of_texts, source, texts, tokenized_classes
from checks.trainings import compare_trainings
from session import Failed, Session

# Largest difference of a logit, as a share of the largest logit. tf32 has 10 bits of a number, bf16 8.
TOLERANCES = {"fp32": 1e-3, "tf32": 0.02, "bf16": 0.1}


def runs_of(session: Session) -> list[tuple[str, str, str]]:
    """Name, device and precision of what is compared; the first one is the reference."""
    runs = [("CPU", "cpu", "fp32"), ("GPU", session.device, "fp32"), ("GPU again", session.device, "fp32")]
    others = session.precisions("tf32", "bf16")
    return [*runs, *((f"GPU in {precision}", session.device, precision) for precision in others)]


def compare_logits(session: Session, values: dict[str, list[list[float]]]) -> None:
    """Fails if a run of runs_of() differs too much from the first."""
    spread = max(abs(value) for row in values["CPU"] for value in row)
    session.figures |= {"logits": sum(map(len, values["CPU"])), "largest logit": spread}
    for name, _, precision in runs_of(session)[1:]:
        difference, most = largest_difference(values[name], values["CPU"]), TOLERANCES[precision] * spread
        session.figures[f"{name}: largest difference"] = difference
        if not difference <= most:
            raise Failed(f"{name}: logits differ from the CPU's by {difference:.2e}, expected at most {most:.2e}")


def bert_logits(session: Session) -> None:
    model = bert_of_texts(session, "--regression")
    fields = {"task": "classify", "source": {"path": str(texts(session)), **COLUMNS}, "model": str(model)}
    values, files = {}, {}
    for name, device, precision in runs_of(session):
        output = session.work / f"{name.replace(' ', '-')}.csv"
        config = session.config("logits", fields | {"output": str(output)})
        said = session.task("sartor-infer", config, device=device, precision=precision)
        said_device(session, said, device)
        files[name] = output.read_bytes()
        values[name] = [
            [float(value) for key, value in row.items() if key.startswith("value")] for row in table_of(output)
        ]
        speed = re.search(r"([\d.]+) rows/s, ([\d.]+) tokens/s", said)
        session.figures[f"{name}: tokens/s"] = float(speed[2]) if speed else math.nan
    session.figures["same bytes in both GPU runs"] = files["GPU"] == files["GPU again"]
    compare_logits(session, values)


def bert_training_config(session: Session) -> dict:
    model = bert_of_texts(session)
    training = {"per_device_batch_size": 16, "learning_rate": 5e-5, "warmup_ratio": 0.1, "weight_decay": 0.01}
    data = tokenized_classes(session, model, source(session))
    paths = {"data": {"path": str(data)}, "model": {"path": str(model)}}
    return {"task": "classify", "training": training, "bootstrap_draws": 0} | paths


BERT_WITHOUT_DROPOUT = {"model__dropout": 0, "model__classifier_dropout": 0}


def bert_training(session: Session) -> None:
    compare_trainings(session, bert_training_config(session), BERT_WITHOUT_DROPOUT)
