#!/usr/bin/env python3
"""Writes tests/golden/trainer_*.json: losses and weights of transformers' Trainer on fixed rows without dropout.

    python3 -m venv build/golden-trainer
    build/golden-trainer/bin/pip install -r scripts/bench/requirements-peers-text.txt
    scripts/fetch_data.py minilm reviews-en
    build/golden-trainer/bin/python scripts/golden/trainer.py finetune   20 steps of MiniLM on product reviews
    build/golden-trainer/bin/python scripts/golden/trainer.py small      200 steps of a BERT of 2 layers
    build/golden-trainer/bin/python scripts/golden/trainer.py minilm     200 steps of MiniLM; written to build/, too large to commit

The 200 steps are masked language modelling with learning rate 5e-4, 20 warm-up steps, weight decay 0.1 and two micro-batches per
step with different numbers of masked tokens. For each parameter the file has the distance from its initial value after some
steps, and a tolerance: a multiple of the largest difference between MKL, MKL in compatible mode, and double precision.
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers
from random_numbers import random_normal
from tokenizers import Tokenizer

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"
MINILM = ROOT / "data" / "minilm"
STEPS, MICRO_BATCH, ACCUMULATION = 200, 4, 2
LOOKS = (50, 100, 200)  # steps after which the parameters are compared
ENGINES = {"mkl": {}, "mkl-any": {"MKL_CBWR": "COMPATIBLE"}, "double": {}}
MARGIN = 4
transformers.logging.set_verbosity_error()


def numbers(values) -> list[float]:
    return [float(f"{value:.9g}") for value in np.asarray(values, np.float64).flatten()]


def reviews() -> list[tuple[int, int, str]]:
    """The 2,880 training reviews of configs/reviews-en-tokenize.yaml as (index, label, text): for each label the first 80%
    in the order of the text's SHA-256, then all sorted by the SHA-256 of "order" + text."""
    lines = (ROOT / "data/reviews-en/amazonReviewSnippets_GroundTruth.txt").read_text("utf-8").splitlines()
    scored = [(float(line.split("\t")[1]), " ".join(line.split("\t")[2].split())) for line in lines]
    usable = [(place, int(score > 0), text) for place, (score, text) in enumerate(scored) if score != 0]
    labels = {}
    for _, label, text in usable:
        labels.setdefault(text, set()).add(label)
    once = {row[2]: row for row in reversed(usable) if len(labels[row[2]]) == 1}

    def hashed(words: str) -> str:
        return hashlib.sha256(words.encode()).hexdigest()

    train = []
    for wanted in (0, 1):
        rows = sorted((row for row in once.values() if row[1] == wanted), key=lambda row: hashed(row[2]))
        train += rows[: len(rows) * 8 // 10]
    return sorted(train, key=lambda row: hashed("order" + row[2]))


def tokenized(texts: list[str], tokenizer: Path) -> list[list[int]]:
    made = Tokenizer.from_file(str(tokenizer))
    made.no_padding()
    made.enable_truncation(128)
    return [encoding.ids for encoding in made.encode_batch(texts)]


def padded(rows: list[dict]) -> dict[str, torch.Tensor]:
    """Collates rows into a batch. Labels are one number per row or one per token."""
    longest = max(len(row["ids"]) for row in rows)

    def filled(lists: list[list[int]], value: int) -> torch.Tensor:
        return torch.tensor([row + [value] * (longest - len(row)) for row in lists])

    labels = [row["labels"] for row in rows]
    return {
        "input_ids": filled([row["ids"] for row in rows], 0),
        "attention_mask": filled([[1] * len(row["ids"]) for row in rows], 0),
        "labels": filled(labels, -100) if isinstance(labels[0], list) else torch.tensor(labels),
    }


class AtSteps(transformers.TrainerCallback):
    """Calls look(step) after each of `steps` and stops training after the last of them."""

    def __init__(self, steps, look):
        self.steps, self.look = steps, look

    def on_step_end(self, args, state, control, **_):
        if state.global_step in self.steps:
            self.look(state.global_step)
        control.should_training_stop = state.global_step == max(self.steps)
        return control


def train(model, rows: list[dict], at: AtSteps, loss=None, collate=padded, **settings) -> list[dict]:
    """Trains on the rows in the given order and returns the Trainer's log of each step."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            output_dir=folder,
            train_sampling_strategy="sequential",
            use_cpu=True,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            logging_steps=1,
            remove_unused_columns=False,
            **settings,
        )
        trainer = transformers.Trainer(
            model=model,
            args=arguments,
            train_dataset=rows,
            data_collator=collate,
            compute_loss_func=loss,
            callbacks=[at],
        )
        trainer.remove_callback(transformers.PrinterCallback)
        trainer.train()
        return [line for line in trainer.state.log_history if "grad_norm" in line]


def finetune() -> dict:
    """The first 20 of 540 steps with the settings of configs/reviews-en-classify.yaml, in batches of 16 without shuffling."""
    rows = reviews()
    ids = tokenized([text for _, _, text in rows], MINILM / "tokenizer.json")
    torch.manual_seed(42)
    model = transformers.BertForSequenceClassification.from_pretrained(
        MINILM, num_labels=2, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
    )
    start = {name: numbers(value.detach()) for name, value in model.classifier.named_parameters(prefix="classifier")}
    log = train(
        model,
        [{"ids": row, "labels": label} for row, (_, label, _) in zip(ids, rows)],
        AtSteps([20], lambda step: None),
        per_device_train_batch_size=16,
        num_train_epochs=3,
        learning_rate=5e-5,
        weight_decay=0.01,
        warmup_steps=0.1,
    )
    names = {"loss": "losses", "grad_norm": "grad_norms", "learning_rate": "learning_rates"}
    return {
        "rows": [place for place, _, _ in rows[:320]],  # the dataset "sources" of the tokenized file, minus 1
        "start": start,
        **{plural: [float(f"{float(line[name]):.9g}") for line in log] for name, plural in names.items()},
    }


def drawn(name: str, parameter: torch.Tensor) -> torch.Tensor:
    """Initial value of a parameter, seeded by its name: normal, standard deviation 0.05, mean 1 for weights of norms."""
    values = 0.05 * random_normal(sum(name.encode()), 0, parameter.numel())
    values += re.search(r"(norm|ln_.)\.weight$", name.lower()) is not None
    return torch.from_numpy(values.astype(np.float32)).view_as(parameter)


class Moved:
    """Distance of each parameter from its initial value, at each call."""

    def __init__(self, model):
        self.model = model
        self.start = {name: value.detach().clone() for name, value in model.named_parameters()}
        self.distances = {name: [] for name in self.start}

    def __call__(self, _):
        for name, value in self.model.named_parameters():
            self.distances[name].append(float((value.detach().double() - self.start[name].double()).norm()))


def masked_lm_model(kind: str) -> transformers.BertForMaskedLM:
    """MiniLM with a random head, or a small model with random weights."""
    none = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    if kind == "minilm":
        model = transformers.BertForMaskedLM.from_pretrained(MINILM, **none)
    else:
        sizes = {"vocab_size": 3000, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
        sizes |= {"intermediate_size": 256, "max_position_embeddings": 128}
        model = transformers.BertForMaskedLM(transformers.BertConfig(**sizes, **none))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if kind == "small" or name.startswith("cls."):
                parameter.copy_(drawn(name, parameter))
    return model


def masked_rows(kind: str) -> tuple[list[dict], list[int]]:
    """256 reviews with about a fifth of their tokens masked, and the order in which the steps use them. Each step's shorter
    rows form its first micro-batch."""
    tokenizer = MINILM / "tokenizer.json" if kind == "minilm" else GOLDEN / "text" / "tokenizer.json"
    mask = Tokenizer.from_file(str(tokenizer)).token_to_id("[MASK]")
    random, rows = np.random.default_rng(1), []
    for ids in tokenized([text for _, _, text in reviews()[:256]], tokenizer):
        inside = np.arange(1, len(ids) - 1)
        places = sorted(random.choice(inside, max(1, len(inside) // 5), replace=False).tolist())
        labels = [ids[at] if at in places else -100 for at in range(len(ids))]
        rows.append({"ids": [mask if at in places else token for at, token in enumerate(ids)], "labels": labels})
    per_step = MICRO_BATCH * ACCUMULATION
    order = np.concatenate([random.permutation(256) for _ in range(STEPS * per_step // 256 + 1)])[: STEPS * per_step]
    steps = [sorted(step, key=lambda row: len(rows[row]["ids"])) for step in order.reshape(STEPS, per_step).tolist()]
    return rows, [row for step in steps for row in step]


def mean_of_the_step(outputs, labels, num_items_in_batch):
    """Mean over all masked tokens of the step. (BertForMaskedLM's own loss is the mean over one micro-batch.)"""
    logits = outputs.logits.flatten(0, 1)
    return torch.nn.functional.cross_entropy(logits, labels.flatten(), reduction="sum") / num_items_in_batch


def run(kind: str, engine: str) -> dict:
    """Losses, and for each parameter its distance from the initial value after each of LOOKS."""
    torch.set_num_threads(2 if engine == "mkl-any" else 1)
    rows, order = masked_rows(kind)
    model = masked_lm_model(kind)
    if engine == "double":
        model.double()
    moved = Moved(model)
    log = train(
        model,
        [rows[row] for row in order],
        AtSteps(LOOKS, moved),
        loss=mean_of_the_step,
        per_device_train_batch_size=MICRO_BATCH,
        gradient_accumulation_steps=ACCUMULATION,
        num_train_epochs=1,
        learning_rate=5e-4,
        weight_decay=0.1,
        warmup_steps=20,
    )
    return {"losses": [line["loss"] for line in log], "moved": moved.distances}


def by_engine(script: str, kind: str) -> dict[str, dict]:
    """The JSON that `script KIND --engine ENGINE` prints, for each engine."""
    found = {}
    for engine, environment in ENGINES.items():
        command = [sys.executable, script, kind, "--engine", engine]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=os.environ | environment, text=True)
        found[engine] = json.loads(done.stdout.splitlines()[-1])
    return found


def relative_tolerance(series: list) -> float:
    values = [np.array(each) for each in series]
    return float(f"{MARGIN * np.max([np.abs(each / values[0] - 1) for each in values]):.2g}")


def distances(found: dict[str, dict]) -> dict:
    """The parameters' distances from their initial values, and their tolerances."""
    names = list(found["mkl"]["moved"])
    moved = {engine: np.array([each["moved"][name] for name in names]) for engine, each in found.items()}
    apart = np.max([np.abs(each - moved["mkl"]) for each in moved.values()], axis=0)
    common = np.quantile(apart / moved["mkl"], 0.9)
    # The gradient of the key biases is zero up to rounding, so their tolerance may be as large as the distance itself.
    tolerances = MARGIN * np.maximum(apart, common * moved["mkl"])
    print(
        f"90% of the distances differ by less than {common:.1e} between engines; the tolerance is at least {MARGIN} times that"
    )
    for name, mine in zip(names, tolerances / moved["mkl"]):
        if mine.max() > MARGIN * common:
            print(f"{name}: relative tolerance {', '.join(f'{each:.1e}' for each in mine)}")
    return {
        "moved": {name: numbers(mine) for name, mine in zip(names, moved["mkl"])},
        "tolerances": {name: [float(f"{each:.2g}") for each in mine] for name, mine in zip(names, tolerances)},
    }


def masked_lm(kind: str) -> dict:
    found = by_engine(__file__, kind)
    rows, order = masked_rows(kind)
    model = masked_lm_model(kind)
    return {
        "config": json.loads(model.config.to_json_string(use_diff=False)) | {"architectures": ["BertForMaskedLM"]},
        "drawn": [name for name, _ in model.named_parameters() if kind == "small" or name.startswith("cls.")],
        "ids": [row["ids"] for row in rows],
        "labels": [[[at, label] for at, label in enumerate(row["labels"]) if label >= 0] for row in rows],
        "order": order,
        "losses": numbers(found["mkl"]["losses"]),
        "losses_tolerance": relative_tolerance([each["losses"] for each in found.values()]),
        "looks": LOOKS,
        **distances(found),
    }


def write(path: Path, golden: dict):
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in golden.items())
    path.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=["finetune", "small", "minilm"])
    parser.add_argument("--engine", choices=ENGINES, help="compute with this engine only and print the result")
    words = parser.parse_args()
    if words.engine:
        print(json.dumps(run(words.name, words.engine)))
        sys.exit()
    golden = finetune() if words.name == "finetune" else masked_lm(words.name)
    write((ROOT / "build" if words.name == "minilm" else GOLDEN) / f"trainer_{words.name}.json", golden)
