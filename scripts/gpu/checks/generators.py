"""A GPT-2 on the device compared with the CPU."""

from __future__ import annotations

import array
import random
from pathlib import Path

from checks.common import said_device, table_of
from checks.inputs import model_folder, rows_file, source, tokenized_texts
from checks.texts import compare_logits, runs_of
from checks.trainings import compare_trainings
from session import Failed, Session

GPT_WITHOUT_DROPOUT = {"model__dropout": 0, "model__attention_dropout": 0}


def threads(session: Session, device: str) -> str:
    """The argument of a benchmark program that stands for the device."""
    return "cuda" if device == "cuda" else str(session.threads)


def floats_of(path: Path) -> list[float]:
    values = array.array("f")
    values.frombytes(path.read_bytes())
    return values.tolist()


def gpt_logits(session: Session) -> None:
    """Logits of prompts and of tokens that are decoded one by one."""
    model = model_folder(session, "gpt2", "mini")
    draw = random.Random(3)
    lengths = (5, 6, 16, 17, 40) if session.quick else (5, 6, 16, 17, 40, 61, 128, 200)
    rows = rows_file(session, "rows.txt", [[draw.randrange(399) for _ in range(length)] for length in lengths])
    values = {}
    for name, device, precision in runs_of(session):
        output = session.work / f"{name}.bin"
        session.run(
            session.program("decoder_bench"), "logits", model, precision, threads(session, device), rows, output
        )
        values[name] = [floats_of(output)]
    session.figures["same logits in both GPU runs"] = values["GPU"] == values["GPU again"]
    compare_logits(session, values)


def gpt_training_config(session: Session) -> dict:
    model = model_folder(session, "gpt2", "mini")
    training = {"per_device_batch_size": 16, "learning_rate": 1e-4, "warmup_ratio": 0.1, "weight_decay": 0.01}
    data = tokenized_texts(session, model, source(session))
    return {"task": "finetune", "data": {"path": str(data)}, "model": {"path": str(model)}, "training": training}


def gpt_training(session: Session) -> None:
    compare_trainings(session, gpt_training_config(session), GPT_WITHOUT_DROPOUT)


def gpt_texts(session: Session) -> None:
    """Greedy texts. A few may differ, where rounding decides between two tokens that are almost equally probable."""
    model = model_folder(session, "gpt2", "mini")
    rows = 20 if session.quick else 100
    table = source(session)
    lines = Path(table["path"]).read_text(encoding="utf-8").splitlines(keepends=True)
    some = session.work / "some.tsv"
    some.write_text("".join(lines[:rows]), encoding="utf-8")
    fields = {
        "task": "generate",
        "model": str(model),
        "source": table | {"path": str(some)},
        "prompt": "{text}",
        "other_input": True,
        "long_prompt": "cut_left",
        "decoding": {"max_new_tokens": 8 if session.quick else 48, "ignore_eos": True},
    }
    found = {}
    for name, device, precision in runs_of(session):
        output = session.work / f"{name.replace(' ', '-')}.csv"
        config = session.config("generate", fields | {"output": str(output)})
        said_device(session, session.task("sartor-infer", config, device=device, precision=precision), device)
        found[name] = table_of(output)
    for name, texts in found.items():
        if len(texts) != rows:
            raise Failed(f"{name}: {len(texts)} texts, expected {rows}")
        same = sum(a["text"] == b["text"] for a, b in zip(texts, found["CPU"])) / rows
        if name != "CPU":
            session.figures[f"{name}: share of texts equal to the CPU's"] = same
    session.figures["same texts in both GPU runs"] = found["GPU"] == found["GPU again"]
    same = session.figures["GPU: share of texts equal to the CPU's"]
    if not same >= 0.9:
        raise Failed(f"{same:.0%} of the texts equal the CPU's, expected 90%")
