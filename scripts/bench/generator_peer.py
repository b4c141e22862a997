"""Trains a generator with transformers' Trainer on a tokenized file and prints one line of JSON.

generator_peer.py speed DATA CONFIG STEPS PRECISION OPTIMIZER   tokens per second of each of STEPS steps of 8 x 256 tokens after a warm-up
                                                    step, optimizer included; peak memory. The texts are concatenated and cut into
                                                    full blocks, as in transformers' run_clm.py
generator_peer.py quality DATA RUN SEED             validation bits per byte after training a new model with the shape, rows and
                                                    settings of the run folder RUN of sartor-train

DATA is a file written by task tokenize, CONFIG a config.json. PRECISION: fp32, tf32 (on a GPU) or bf16; OPTIMIZER: adamw_torch or adamw_torch_fused.
"""

import itertools
import json
import math
import resource
import sys
import tempfile
import time

import h5py
import numpy as np
import torch
import transformers
from place import ON_GPU, finish, place_torch

place_torch()
transformers.logging.set_verbosity_error()
BLOCK, BLOCKS = 256, 8


def new_model(config: str, seed: int) -> transformers.PreTrainedModel:
    transformers.set_seed(seed)
    return transformers.AutoModelForCausalLM.from_config(transformers.AutoConfig.from_pretrained(config))


def arguments(folder: str, **more) -> transformers.TrainingArguments:
    fixed = {
        "output_dir": folder,
        "use_cpu": not ON_GPU,
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "remove_unused_columns": False,
        "logging_steps": 100000,
    }
    return transformers.TrainingArguments(**fixed | more)


class Stamps(transformers.TrainerCallback):
    def __init__(self):
        self.stamps = []

    def stamp(self, *_, **__):
        finish()
        self.stamps.append(time.perf_counter())

    on_train_begin = on_step_end = stamp


def blocks(path: str) -> list[torch.Tensor]:
    with h5py.File(path) as file:
        ids = file["train/ids"][:].astype(np.int64)
    full = len(ids) // BLOCK
    return list(torch.from_numpy(ids[: full * BLOCK].reshape(full, BLOCK)))


def stacked(rows: list[torch.Tensor]) -> dict[str, torch.Tensor]:
    ids = torch.stack(rows)
    return {"input_ids": ids, "labels": ids}


def peak_resident_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def speed(data: str, config: str, steps: str, precision: str, optimizer: str, folder: str) -> dict:
    stamps = Stamps()
    trainer = transformers.Trainer(
        model=new_model(config, 42),
        args=arguments(
            folder,
            max_steps=int(steps) + 1,
            per_device_train_batch_size=BLOCKS,
            learning_rate=3e-4,
            weight_decay=0.01,
            bf16=precision == "bf16",
            optim=optimizer,
            **({"tf32": precision == "tf32"} if ON_GPU else {}),
        ),
        train_dataset=blocks(data),
        data_collator=stacked,
        callbacks=[stamps],
    )
    loss = trainer.train().training_loss
    seconds = np.diff(stamps.stamps)[1:]
    peak = torch.cuda.max_memory_allocated() / 2**20 if ON_GPU else peak_resident_mib()
    return {"tokens_per_second": float(np.median(BLOCK * BLOCKS / seconds)), "peak_mib": peak, "loss": loss}


def rows(file: h5py.File, part: str) -> list[dict]:
    ids, ends = file[part]["ids"][:].tolist(), file[part]["offsets"][:].tolist()
    return [{"input_ids": ids[begin:end]} for begin, end in itertools.pairwise(ends)]


def padded(rows: list[dict]) -> dict[str, torch.Tensor]:
    longest = max(len(row["input_ids"]) for row in rows)
    ids, mask, labels = (torch.full((len(rows), longest), value) for value in (0, 0, -100))
    for i, row in enumerate(rows):
        size = len(row["input_ids"])
        ids[i, :size] = labels[i, :size] = torch.tensor(row["input_ids"])
        mask[i, :size] = 1
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def bits_per_byte(model: transformers.PreTrainedModel, file: h5py.File) -> float:
    model.eval()
    nats, held = 0.0, sorted(rows(file, "validation"), key=lambda row: len(row["input_ids"]))
    with torch.inference_mode():
        for at in range(0, len(held), 32):
            batch = padded(held[at : at + 32])
            labels = batch.pop("labels")[:, 1:]
            logits = model(**batch).logits[:, :-1].float()
            nats += torch.nn.functional.cross_entropy(logits.transpose(1, 2), labels, reduction="sum").item()
    return nats / math.log(2) / float(file["validation/bytes"][:].sum())


class LittlePadding(transformers.Trainer):
    """Computes the loss of a batch in parts of similar length. The loss is the same, but most of the padding is saved."""

    PARTS = 8

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        lengths = inputs["attention_mask"].sum(1)
        losses = []
        for rows in lengths.argsort().tensor_split(self.PARTS):
            part = {name: values[rows, : lengths[rows].max()] for name, values in inputs.items()}
            losses.append(super().compute_loss(model, part, num_items_in_batch=num_items_in_batch))
        return sum(losses)


def quality(data: str, run: str, seed: str, folder: str) -> dict:
    import yaml

    with open(f"{run}/run.yaml", encoding="utf-8") as text:
        chosen = yaml.safe_load(text)["training"]
    with h5py.File(data) as file:
        trainer = LittlePadding(
            model=new_model(f"{run}/model", int(seed)),
            args=arguments(
                folder,
                seed=int(seed),
                num_train_epochs=chosen["num_train_epochs"],
                per_device_train_batch_size=chosen["per_device_batch_size"],
                gradient_accumulation_steps=chosen["gradient_accumulation_steps"],
                learning_rate=chosen["learning_rate"],
                weight_decay=chosen["weight_decay"],
                adam_beta2=chosen["adam_beta2"],
                lr_scheduler_type=chosen["lr_scheduler_type"],
                warmup_steps=chosen["warmup_ratio"] or chosen["warmup_steps"],
                train_sampling_strategy="group_by_length" if chosen["group_by_length"] else "random",
            ),
            train_dataset=rows(file, "train"),
            data_collator=padded,
        )
        seconds = time.perf_counter()
        trainer.train()
        return {"minutes": (time.perf_counter() - seconds) / 60, "bits_per_byte": bits_per_byte(trainer.model, file)}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps({"speed": speed, "quality": quality}[sys.argv[1]](*sys.argv[2:], folder=folder)))
