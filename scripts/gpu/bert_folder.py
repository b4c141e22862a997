#!/usr/bin/env python3
"""Writes a BERT with random weights as a Hugging Face folder; needs only PyTorch: bert_folder.py FOLDER [--small] [--texts FILE]

The vocabulary is characters and the most frequent words of FILE. The default size is that of MiniLM: 6 layers, hidden size
384. The weights are a function of the arguments.
"""

from __future__ import annotations

import argparse
import collections
import ctypes
import json
import re
import string
import struct
from pathlib import Path

import torch

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def vocabulary(texts: str, words: int) -> list[str]:
    characters = [*string.ascii_lowercase, *string.digits, *string.punctuation, *"好坏很不的"]
    pieces = [*characters, *(f"##{character}" for character in string.ascii_lowercase + string.digits)]
    counts = collections.Counter(re.findall(r"[a-z]{2,}", texts.lower()))
    return [*SPECIAL, *pieces, *sorted(counts, key=lambda word: (-counts[word], word))[:words]]


def shapes(config: dict, classes: int) -> dict[str, list[int]]:
    hidden, wide = config["hidden_size"], config["intermediate_size"]
    found: dict[str, list[int]] = {}

    def layer(name: str, *shape: int) -> None:
        found[name + ".weight"] = list(shape)
        found[name + ".bias"] = [shape[0]]

    embeddings = "bert.embeddings."
    for table, rows in (
        ("word", "vocab_size"),
        ("position", "max_position_embeddings"),
        ("token_type", "type_vocab_size"),
    ):
        found[f"{embeddings}{table}_embeddings.weight"] = [config[rows], hidden]
    layer(embeddings + "LayerNorm", hidden)
    for i in range(config["num_hidden_layers"]):
        here = f"bert.encoder.layer.{i}."
        for part in ("query", "key", "value"):
            layer(f"{here}attention.self.{part}", hidden, hidden)
        layer(here + "attention.output.dense", hidden, hidden)
        layer(here + "attention.output.LayerNorm", hidden)
        layer(here + "intermediate.dense", wide, hidden)
        layer(here + "output.dense", hidden, wide)
        layer(here + "output.LayerNorm", hidden)
    layer("bert.pooler.dense", hidden, hidden)
    layer("classifier", classes, hidden)
    return found


def write_safetensors(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    header, place = {}, 0
    for name, tensor in tensors.items():
        end = place + 4 * tensor.numel()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [place, end]}
        place = end
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            file.write(ctypes.string_at(tensor.data_ptr(), 4 * tensor.numel()))  # without numpy, which may be missing


def write_folder(folder: Path, texts: str, labels: list[str], small: bool = False, regression: bool = False) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    words = vocabulary(texts, 100 if small else 8000)
    config = {
        "architectures": ["BertForSequenceClassification"],
        "model_type": "bert",
        "vocab_size": len(words),
        "hidden_size": 24 if small else 384,
        "num_hidden_layers": 2 if small else 6,
        "num_attention_heads": 3 if small else 12,
        "intermediate_size": 40 if small else 1536,
        "max_position_embeddings": 128,
        "type_vocab_size": 2,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "initializer_range": 0.02,
        "layer_norm_eps": 1e-12,
        "pad_token_id": 0,
        "problem_type": "regression" if regression else "single_label_classification",
        "id2label": {str(i): label for i, label in enumerate(labels)},
        "label2id": {label: i for i, label in enumerate(labels)},
    }
    random = torch.Generator().manual_seed(1)
    tensors = {}
    for name, shape in shapes(config, len(labels)).items():
        spread = 0.3 if small else 0.05
        tensors[name] = torch.randn(shape, generator=random) * spread + (1 if name.endswith("LayerNorm.weight") else 0)
    write_safetensors(folder / "model.safetensors", tensors)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True, "model_max_length": 128}) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--texts", type=Path)
    parser.add_argument("--small", action="store_true", help="2 layers, hidden size 24")
    parser.add_argument(
        "--regression", action="store_true", help="a regression head, whose logits are returned unchanged"
    )
    arguments = parser.parse_args()
    texts = arguments.texts.read_text(encoding="utf-8", errors="replace") if arguments.texts else "good bad very not"
    labels = [f"n{i}" for i in range(8)] if arguments.regression else ["negative", "positive"]
    write_folder(arguments.folder, texts, labels, arguments.small, arguments.regression)


if __name__ == "__main__":
    main()
