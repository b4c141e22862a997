"""Fine-tunes a classifier with transformers' Trainer and prints one line of JSON.

trainer_peer.py accuracy DATA MODEL SEED               accuracy on the test rows after three epochs
trainer_peer.py speed DATA MODEL STEPS STRATEGY PRECISION   rows and tokens per second over the first STEPS steps, optimizer included

DATA is a tokenized file written by sartor-train, MODEL a Hugging Face folder. STRATEGY: group_by_length, or random, the Trainer's
default; PRECISION: fp32, tf32 (on a GPU) or bf16. All other settings are those of configs/reviews-en-classify.yaml.
"""

import json
import sys
import tempfile
import time

import h5py
import torch
import transformers
from place import ON_GPU, finish, place_torch

place_torch()
transformers.logging.set_verbosity_error()


def rows(path: str, part: str) -> list[dict]:
    with h5py.File(path) as file:
        ids, ends = file[part]["ids"][:].tolist(), file[part]["offsets"][:].tolist()
        classes = file[part]["labels"][:].argmax(1).tolist()
    return [{"input_ids": ids[ends[i] : ends[i + 1]], "labels": label} for i, label in enumerate(classes)]


def padded(rows: list[dict]) -> dict[str, torch.Tensor]:
    longest = max(len(row["input_ids"]) for row in rows)
    ids, mask = torch.zeros(len(rows), longest, dtype=torch.long), torch.zeros(len(rows), longest, dtype=torch.long)
    for i, row in enumerate(rows):
        ids[i, : len(row["input_ids"])], mask[i, : len(row["input_ids"])] = torch.tensor(row["input_ids"]), 1
    return {"input_ids": ids, "attention_mask": mask, "labels": torch.tensor([row["labels"] for row in rows])}


def trainer(model: str, train: list[dict], folder: str, seed: int = 42, **more) -> transformers.Trainer:
    transformers.set_seed(seed)  # also seeds the new head
    arguments = {
        "output_dir": folder,
        "seed": seed,
        "num_train_epochs": 3,
        "per_device_train_batch_size": 16,
        "per_device_eval_batch_size": 64,
        "learning_rate": 5e-5,
        "warmup_steps": 0.1,
        "weight_decay": 0.01,
        "use_cpu": not ON_GPU,
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "logging_steps": 1000,
        "remove_unused_columns": False,
    }
    return transformers.Trainer(
        model=transformers.AutoModelForSequenceClassification.from_pretrained(model, num_labels=2),
        args=transformers.TrainingArguments(**arguments | more),
        train_dataset=train,
        data_collator=padded,
    )


def accuracy(data: str, model: str, seed: str, folder: str) -> dict:
    made = trainer(model, rows(data, "train"), folder, int(seed), train_sampling_strategy="group_by_length")
    made.train()
    test = sorted(rows(data, "test"), key=lambda row: len(row["input_ids"]))
    found = made.predict(test)
    return {
        "seed": int(seed),
        "test": len(test),
        "accuracy": float((found.predictions.argmax(1) == found.label_ids).mean()),
    }


class Stamps(transformers.TrainerCallback):
    def on_train_begin(self, *_, **__):
        finish()
        self.begin = time.perf_counter()

    def on_train_end(self, *_, **__):
        finish()
        self.end = time.perf_counter()


def speed(data: str, model: str, steps: str, strategy: str, precision: str, folder: str) -> dict:
    taken, stamps = [], Stamps()
    more = {"max_steps": int(steps), "train_sampling_strategy": strategy, "bf16": precision == "bf16"}
    more |= {"tf32": precision == "tf32"} if ON_GPU else {}
    made = trainer(model, rows(data, "train"), folder, **more)

    def noted(batch: list[dict]) -> dict[str, torch.Tensor]:
        taken.extend(len(row["input_ids"]) for row in batch)
        return padded(batch)

    made.data_collator = noted
    made.add_callback(stamps)
    loss = made.train().training_loss
    taken = taken[: 16 * int(steps)]  # drops the batch that the loader prefetched
    seconds = stamps.end - stamps.begin
    return {"seconds": seconds, "rows": len(taken), "tokens": sum(taken), "loss": loss}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps({"accuracy": accuracy, "speed": speed}[sys.argv[1]](*sys.argv[2:], folder=folder)))
