#!/usr/bin/env python3
"""Writes tests/golden/dpo.json: 20 steps of TRL's DPOTrainer on a small Qwen3, with the gradients of the first.

    python3 -m venv build/golden-gpt
    build/golden-gpt/bin/pip install torch==2.11.0 transformers==5.23.0 accelerate==1.15.0 trl==1.16.0 numpy
    build/golden-gpt/bin/python scripts/golden/dpo.py

    sigmoid     loss_type sigmoid
    ipo         loss_type ipo
    smoothed    conservative DPO, label_smoothing 0.2. It was part of `sigmoid` before TRL's DPOTrainer was rewritten (1.0). TRL 1.16
                ignores label_smoothing there, but loss_type aot is the same formula if each micro-batch is a single pair

The texts are words w3, w4, ..., one token each. TRL appends the end-of-text token.
"""

import json
import tempfile

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers
from trl import DPOConfig, DPOTrainer

from datasets import Dataset
from trainer import GOLDEN, MARGIN, Moved, drawn, numbers, write

VOCABULARY, PAIRS, STEPS, MICRO_BATCH, ACCUMULATION = 41, 40, 20, 2, 2
LOOKS = (1, 10, 20)
SETTINGS = {"learning_rate": 2e-3, "weight_decay": 0.01, "max_grad_norm": 1.0, "warmup_steps": 2}
CASES = {
    "sigmoid": {"loss_type": ["sigmoid"], "beta": 0.1},
    "ipo": {"loss_type": ["ipo"], "beta": 0.3},
    "smoothed": {"loss_type": ["aot"], "beta": 0.5, "label_smoothing": 0.2},
}
CONFIG = transformers.Qwen3Config(
    vocab_size=VOCABULARY,
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    num_key_value_heads=1,
    head_dim=12,
    intermediate_size=24,
    max_position_embeddings=64,
    tie_word_embeddings=True,
    rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
    bos_token_id=1,
    eos_token_id=2,
    pad_token_id=None,
)
ENDS = {"prompt": [], "chosen": [2], "rejected": [2]}
METRICS = {"accuracy": "rewards/accuracies", "margin": "rewards/margins", "rewards_chosen": "rewards/chosen"}
METRICS |= {"rewards_rejected": "rewards/rejected", "logps_chosen": "logps/chosen", "logps_rejected": "logps/rejected"}


def model_of(dtype: torch.dtype, prefix: str = ""):
    """The weights are drawn by the parameters' names; those of the reference, by "reference." and the names."""
    model = transformers.AutoModelForCausalLM.from_config(CONFIG)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(drawn(prefix + name, parameter))
    return model.to(dtype)


def tokenizer():
    words = {word: i for i, word in enumerate(["<pad>", "<s>", "</s>"] + [f"w{i}" for i in range(3, VOCABULARY)])}
    made = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, eos_token="</s>", pad_token="<pad>")


def pairs() -> dict[str, list]:
    random = np.random.default_rng(11)

    def words(most: int) -> list[int]:
        return random.integers(3, VOCABULARY, random.integers(1, most)).tolist()

    longest = {"prompt": 9, "chosen": 14, "rejected": 14}
    return {column: [words(most) for _ in range(PAIRS)] for column, most in longest.items()}


def as_text(column: list[list[int]], before: str) -> list[str]:
    return [before + " ".join(f"w{token}" for token in row) for row in column]


class Gradients(transformers.TrainerCallback):
    """Keeps the gradients of the first step."""

    def __init__(self, model):
        self.model, self.found = model, {}

    def on_pre_optimizer_step(self, args, state, control, **_):
        for name, value in self.model.named_parameters():
            self.found.setdefault(name, [float(f"{each:.7g}") for each in value.grad.flatten().tolist()])


class Looks(transformers.TrainerCallback):
    def __init__(self, look):
        self.look = look

    def on_step_end(self, args, state, control, **_):
        if state.global_step in LOOKS:
            self.look(state.global_step)


def train(case: dict, dtype: torch.dtype, callback, model, **settings):
    """Returns the trainer's rows and its log of each step."""
    words = {column: as_text(rows, "" if column == "prompt" else " ") for column, rows in pairs().items()}
    single = case["loss_type"] == ["aot"]
    with tempfile.TemporaryDirectory() as folder:
        arguments = DPOConfig(
            output_dir=folder,
            per_device_train_batch_size=1 if single else MICRO_BATCH,
            gradient_accumulation_steps=ACCUMULATION * (MICRO_BATCH if single else 1),
            train_sampling_strategy="sequential",
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            precompute_ref_log_probs=True,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            logging_steps=1,
            pad_to_multiple_of=None,
            **(SETTINGS | case | settings),
        )
        trainer = DPOTrainer(
            model=model,
            ref_model=model_of(dtype, "reference."),
            args=arguments,
            train_dataset=Dataset.from_dict(words),
            processing_class=tokenizer(),
            callbacks=[callback],
        )
        trainer.train()
    for column, end in ENDS.items():
        assert [list(ids) for ids in trainer.train_dataset[f"{column}_ids"]] == [
            ids + end for ids in pairs()[column]
        ], column
    return trainer.train_dataset, [line for line in trainer.state.log_history if "grad_norm" in line]


def run(case: dict, dtype: torch.dtype) -> dict:
    model = model_of(dtype)
    gradients = Gradients(model)
    train(case, dtype, gradients, model, max_steps=1, max_grad_norm=1e9)
    model = model_of(dtype)
    moved = Moved(model)
    rows, log = train(case, dtype, Looks(moved), model, max_steps=STEPS)
    return {
        "losses": [float(line["loss"]) for line in log],
        "grad_norms": [float(line["grad_norm"]) for line in log],
        **{name: [float(line[column]) for line in log] for name, column in METRICS.items()},
        "reference_chosen": numbers(rows["ref_chosen_logps"]),
        "reference_rejected": numbers(rows["ref_rejected_logps"]),
        "gradients": gradients.found,
        "moved": moved.distances,
    }


def tolerance(found: list[dict], name: str) -> float:
    """Absolute; a multiple of the largest difference between single and double precision."""
    single, double = (np.array(each[name]) for each in found)
    return float(f"{MARGIN * max(np.abs(single - double).max(), 1e-7 * np.abs(double).max()):.2g}")


def compared(case: dict) -> dict:
    found = [run(case, dtype) for dtype in (torch.float32, torch.float64)]
    names = ["losses", "grad_norms", *METRICS, "reference_chosen", "reference_rejected"]
    golden = {key: value for key, value in case.items() if key != "loss_type"}
    for name in names:
        golden[name] = numbers(found[0][name])
        golden[f"{name}_tolerance"] = tolerance(found, name)
    golden["gradients"] = found[0]["gradients"]
    single, double = (np.concatenate([np.array(values) for values in each["gradients"].values()]) for each in found)
    golden["gradients_tolerance"] = float(
        f"{MARGIN * max(np.abs(single - double).max(), 3e-7 * np.abs(double).max()):.2g}"
    )
    golden["moved"] = {name: numbers(values) for name, values in found[0]["moved"].items()}
    golden["moved_tolerance"] = {
        name: float(f"{MARGIN * max(np.abs(np.array(values) - found[1]['moved'][name]).max(), 3e-6 * max(values)):.2g}")
        for name, values in found[0]["moved"].items()
    }
    return golden


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    golden = {
        "config": json.loads(CONFIG.to_json_string(use_diff=False)),
        "parameters": {name: list(value.shape) for name, value in model_of(torch.float32).named_parameters()},
        **{column: [ids + ENDS[column] for ids in rows] for column, rows in pairs().items()},
        "settings": SETTINGS
        | {"per_device_batch_size": MICRO_BATCH, "gradient_accumulation_steps": ACCUMULATION, "max_steps": STEPS},
        "looks": LOOKS,
        **{name: compared(case) for name, case in CASES.items()},
    }
    write(GOLDEN / "dpo.json", golden)
