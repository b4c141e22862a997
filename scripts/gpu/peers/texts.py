"""Fine-tunes or runs a BERT classifier with Hugging Face's model, or with plain torch if transformers is missing:

    texts.py train FOLDER IDS DEVICE PRECISIONS STEPS ROWS     tokens per second of STEPS optimizer steps of ROWS rows
    texts.py score FOLDER IDS DEVICE PRECISIONS PASSES TOKENS  seconds to score all rows, in batches of at most TOKENS tokens

IDS has the token ids of a text in each line. PRECISIONS: comma-separated fp32, tf32 and bf16. One line of JSON for each.
Batches are padded to their longest row, rows of similar length are together as in the Trainer's group_by_length, and tensors
wait in pinned memory. Times are taken after synchronization, after as many steps, or a pass, to warm up.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
from pathlib import Path

import torch
from common import PLAIN, allow_tf32, finish, has_transformers, hugging_face, rows_of_ids, say, seconds_of
from torch import nn


class PlainBert(nn.Module):
    """A classifier of BERT's shape from torch's own modules, whose attention is scaled_dot_product_attention."""

    def __init__(self, config: dict):
        super().__init__()
        width, dropout = config["hidden_size"], config["hidden_dropout_prob"]
        self.words = nn.Embedding(config["vocab_size"], width)
        self.positions = nn.Embedding(config["max_position_embeddings"], width)
        self.norm, self.dropout = nn.LayerNorm(width), nn.Dropout(dropout)
        layer = nn.TransformerEncoderLayer(
            width, config["num_attention_heads"], config["intermediate_size"], dropout, "gelu", batch_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, config["num_hidden_layers"])
        self.pooler, self.classifier = nn.Linear(width, width), nn.Linear(width, len(config["id2label"]))

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        places = torch.arange(ids.shape[1], device=ids.device)
        x = self.dropout(self.norm(self.words(ids) + self.positions(places)))
        x = self.encoder(x, src_key_padding_mask=mask == 0)
        return self.classifier(self.dropout(torch.tanh(self.pooler(x[:, 0]))))


class HuggingFaceBert(nn.Module):
    def __init__(self, folder: Path):
        super().__init__()
        import transformers

        self.model = transformers.AutoModelForSequenceClassification.from_pretrained(folder, attn_implementation="sdpa")

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self.model(input_ids=ids, attention_mask=mask).logits


def open_model(folder: Path) -> tuple[nn.Module, str]:
    if has_transformers():
        return HuggingFaceBert(folder), hugging_face()
    return PlainBert(json.loads((folder / "config.json").read_text())), f"{PLAIN}, nn.TransformerEncoder"


def padded(rows: list[list[int]], device: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, int]:
    """ids, mask and labels in pinned memory, and the number of tokens without padding."""
    longest = max(map(len, rows))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    labels = torch.tensor([row[1] % 2 for row in rows])
    tensors = [each.pin_memory() if device == "cuda" else each for each in (ids, mask, labels)]
    return *tensors, sum(map(len, rows))


def training_batches(rows: list[list[int]], size: int, count: int, device: str) -> list:
    """Batches of similar length in random order."""
    made: list = []
    order = random.Random(1)
    while len(made) < count:
        shuffled = order.sample(rows, len(rows))
        for at in range(0, len(rows), 50 * size):
            near = sorted(shuffled[at : at + 50 * size], key=len, reverse=True)
            made += [near[i : i + size] for i in range(0, len(near) - size + 1, size)]
    order.shuffle(made)
    return [padded(each, device) for each in made[:count]]


def train(folder: Path, rows: list[list[int]], device: str, precision: str, steps: int, size: int) -> None:
    model, peer = open_model(folder)
    model.to(device).train()
    allow_tf32(precision)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5, weight_decay=0.01, fused=device == "cuda")
    batches = training_batches(rows, size, 2 * steps, device)

    def run(part: list) -> None:
        for *tensors, _ in part:
            ids, mask, labels = (tensor.to(device, non_blocking=True) for tensor in tensors)
            with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
                logits = model(ids, mask)
            nn.functional.cross_entropy(logits.float(), labels).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()

    run(batches[:steps])
    seconds = seconds_of(lambda: run(batches[steps:]), device)
    tokens = sum(batch[-1] for batch in batches[steps:])
    say(precision, peer, tokens_per_second=tokens / seconds, steps_per_second=steps / seconds)


def scoring_batches(rows: list[list[int]], budget: int) -> list[list[list[int]]]:
    made: list[list[list[int]]] = [[]]
    for row in sorted(rows, key=len):
        if made[-1] and (len(made[-1]) + 1) * len(row) > budget:
            made.append([])
        made[-1].append(row)
    return made


def score(folder: Path, rows: list[list[int]], device: str, precision: str, passes: int, budget: int) -> None:
    model, peer = open_model(folder)
    model.to(device, torch.bfloat16 if precision == "bf16" else torch.float32).eval()
    allow_tf32(precision)

    def run() -> None:
        found = []
        with torch.inference_mode():
            for batch in scoring_batches(rows, budget):
                ids, mask, _, _ = padded(batch, device)
                found.append(model(ids.to(device, non_blocking=True), mask.to(device, non_blocking=True)))
            torch.cat(found).float().cpu()

    run()
    finish(device)
    seconds = statistics.median(seconds_of(run, device) for _ in range(passes))
    say(precision, peer, seconds=seconds, tokens_per_second=sum(map(len, rows)) / seconds)


def main() -> None:
    action, folder, ids, device, precisions, first, second = sys.argv[1:]
    rows = rows_of_ids(Path(ids))
    for precision in precisions.split(","):
        torch.manual_seed(1)
        {"train": train, "score": score}[action](Path(folder), rows, device, precision, int(first), int(second))


if __name__ == "__main__":
    main()
