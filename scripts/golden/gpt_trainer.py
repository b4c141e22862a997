#!/usr/bin/env python3
"""Writes tests/golden/gpt_trainer_*.json: losses, gradient norms and weights of transformers' Trainer on small generators.

    python3 -m venv build/golden-gpt
    build/golden-gpt/bin/pip install torch==2.11.0 transformers==5.23.0 accelerate==1.15.0 trl==1.16.0 numpy
    build/golden-gpt/bin/python scripts/golden/gpt_trainer.py NAME

    gpt2, qwen3                  20 steps: one micro-batch per step, one text per row
    gpt2-packed, qwen3-packed    200 steps: two micro-batches per step with different numbers of counted tokens, texts packed by
                                 TRL into rows of up to 64 tokens

The loss is the mean over all counted tokens of a step; prompts are not counted. Weight decay 0.01, clipping at 1, warm-up. Initial
weights, distances and tolerances are as in trainer.py.
"""

import argparse
import json
import sys

import numpy as np
import torch
import transformers
from trl import pack_dataset

from datasets import Dataset
from trainer import (
    ENGINES,
    GOLDEN,
    AtSteps,
    Moved,
    by_engine,
    distances,
    drawn,
    numbers,
    relative_tolerance,
    train,
    write,
)

VOCABULARY, TEXTS, LONGEST, PACK = 211, 240, 40, 64
COMMON = {"vocab_size": VOCABULARY, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": None}
MODELS = {
    "gpt2": transformers.GPT2Config(
        n_embd=48, n_layer=2, n_head=4, n_positions=PACK, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, **COMMON
    ),
    "qwen3": transformers.Qwen3Config(
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        intermediate_size=80,
        max_position_embeddings=PACK,
        tie_word_embeddings=False,
        rope_parameters={"rope_type": "default", "rope_theta": 1_000_000.0},
        **COMMON,
    ),
}


def model_of(kind: str):
    model = transformers.AutoModelForCausalLM.from_config(MODELS[kind.split("-")[0]])
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(drawn(name, parameter))
    return model


def texts() -> list[dict]:
    """Texts in which each token depends on the one before it, half of them with a prompt that is not counted."""
    random = np.random.default_rng(7)
    rows = []
    for _ in range(TEXTS):
        ids = [1]
        for _ in range(random.integers(1, LONGEST - 1)):
            ids.append(int((ids[-1] * 31 + random.integers(1, 6)) % (VOCABULARY - 3) + 3))
        ids.append(2)
        prompt = int(random.integers(1, len(ids))) if random.random() < 0.5 else 0
        # The first token is never predicted. With its label, the Trainer would count it for GPT2LMHeadModel, unlike for others.
        masked = max(prompt, 1)
        rows.append({"input_ids": ids, "prompt": prompt, "labels": [-100] * masked + ids[masked:]})
    return rows


def packs(rows: list[dict]) -> list[list[int]]:
    """Indices of the texts in each of TRL's packs."""
    columns = {
        "input_ids": [row["input_ids"] for row in rows],
        "text": [[i] * len(row["input_ids"]) for i, row in enumerate(rows)],
    }
    packed = pack_dataset(Dataset.from_dict(columns), seq_length=PACK, strategy="bfd")
    return [list(dict.fromkeys(row)) for row in packed["text"]]


def flat(batch: list[dict]) -> dict[str, torch.Tensor]:
    """All texts of a micro-batch in one row: positions restart at each text, which attends only to itself."""
    parts = [text for row in batch for text in row["texts"]]
    lengths = torch.tensor([len(text["input_ids"]) for text in parts])
    text_of = torch.repeat_interleave(torch.arange(len(parts)), lengths)
    total = len(text_of)
    mask = (text_of[:, None] == text_of[None, :]) & torch.ones(total, total, dtype=torch.bool).tril()
    return {
        "input_ids": torch.tensor([[token for text in parts for token in text["input_ids"]]]),
        "position_ids": torch.cat([torch.arange(length) for length in lengths])[None],
        "attention_mask": mask[None, None],
        "labels": torch.tensor([[label for text in parts for label in text["labels"]]]),
    }


def apart(batch: list[dict]) -> dict[str, torch.Tensor]:
    """One text per row, with padding."""
    parts = [text for row in batch for text in row["texts"]]
    longest = max(len(text["input_ids"]) for text in parts)

    def filled(lists, value):
        return torch.tensor([values + [value] * (longest - len(values)) for values in lists])

    return {
        "input_ids": filled([text["input_ids"] for text in parts], 0),
        "attention_mask": filled([[1] * len(text["input_ids"]) for text in parts], 0),
        "labels": filled([text["labels"] for text in parts], -100),
    }


class Case:
    """Rows (texts or packs), their order and the settings of a case."""

    def __init__(self, kind: str):
        self.texts, self.is_packed = texts(), kind.endswith("-packed")
        self.steps, self.accumulation = (200, 2) if self.is_packed else (20, 1)
        self.micro_batch, self.looks = (2, (50, 100, 200)) if self.is_packed else (8, (5, 10, 20))
        self.rows = packs(self.texts) if self.is_packed else [[i] for i in range(TEXTS)]
        self.settings = {
            "learning_rate": 1e-3,
            "weight_decay": 0.01,
            "max_grad_norm": 1.0,
            "warmup_steps": self.steps // 10,
        }
        random, per_step = np.random.default_rng(8), self.micro_batch * self.accumulation
        epochs = -(-self.steps * per_step // len(self.rows))
        self.order = np.concatenate([random.permutation(len(self.rows)) for _ in range(epochs)])[
            : self.steps * per_step
        ].tolist()


def run(kind: str, engine: str) -> dict:
    torch.set_num_threads(2 if engine == "mkl-any" else 1)
    case, model = Case(kind), model_of(kind)
    if engine == "double":
        model.double()
    moved = Moved(model)
    # The engine in double precision also checks that a pack equals its texts in separate rows.
    log = train(
        model,
        [{"texts": [case.texts[text] for text in case.rows[row]]} for row in case.order],
        AtSteps(case.looks, moved),
        collate=flat if case.is_packed and engine != "double" else apart,
        per_device_train_batch_size=case.micro_batch,
        gradient_accumulation_steps=case.accumulation,
        num_train_epochs=1,
        **case.settings,
    )
    columns = {"losses": "loss", "grad_norms": "grad_norm", "learning_rates": "learning_rate"}
    return {name: [float(line[column]) for line in log] for name, column in columns.items()} | {
        "moved": moved.distances
    }


def golden(kind: str) -> dict:
    found, case = by_engine(__file__, kind), Case(kind)
    mkl = found["mkl"]
    return {
        "config": json.loads(MODELS[kind.split("-")[0]].to_json_string(use_diff=False)),
        "parameters": {name: list(value.shape) for name, value in model_of(kind).named_parameters()},
        "ids": [text["input_ids"] for text in case.texts],
        "prompts": [text["prompt"] for text in case.texts],
        "pack_length": PACK if case.is_packed else 0,
        "rows": case.rows,
        "order": case.order,
        "settings": case.settings
        | {"per_device_batch_size": case.micro_batch, "gradient_accumulation_steps": case.accumulation},
        "losses": numbers(mkl["losses"]),
        "losses_tolerance": relative_tolerance([each["losses"] for each in found.values()]),
        "grad_norms": numbers(mkl["grad_norms"]),
        "grad_norms_tolerance": relative_tolerance([each["grad_norms"] for each in found.values()]),
        "learning_rates": numbers(mkl["learning_rates"]),
        "looks": case.looks,
        **distances(found),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=["gpt2", "qwen3", "gpt2-packed", "qwen3-packed"])
    parser.add_argument("--engine", choices=ENGINES, help="compute with this engine only and print the result")
    words = parser.parse_args()
    if words.engine:
        print(json.dumps(run(words.name, words.engine)))
        sys.exit()
    write(GOLDEN / f"gpt_trainer_{words.name.replace('-', '_')}.json", golden(words.name))
