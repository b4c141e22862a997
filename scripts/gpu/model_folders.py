#!/usr/bin/env python3
"""Writes a model with random weights as a Hugging Face folder; needs only PyTorch:

    model_folders.py bert|gpt2 FOLDER [--size small|mini|base] [--texts FILE] [--regression]

Sizes: small is tiny, mini has 6 layers of 384, base the shape of BERT-base or GPT-2 (12 layers of 768). BERT's vocabulary is
characters and words: the most frequent ones of FILE, or w0, w1, ... that fill the vocabulary. GPT-2's is bytes and pairs of
bytes. The weights are a function of the arguments.
"""

from __future__ import annotations

import argparse
import collections
import ctypes
import itertools
import json
import re
import string
import struct
from pathlib import Path

import torch

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
END = "<|endoftext|>"
# layers, heads, width, inner width
SIZES = {"small": (2, 3, 24, 40), "mini": (6, 12, 384, 1536), "base": (12, 12, 768, 3072)}
VOCABULARIES = {
    "bert": {"small": 300, "mini": 8096, "base": 30522},
    "gpt2": {"small": 400, "mini": 8000, "base": 50257},
}


def words_of_bert(texts: str, size: int) -> list[str]:
    """`size` pieces at most."""
    characters = [*string.ascii_lowercase, *string.digits, *string.punctuation, *"好坏很不的"]
    pieces = [*SPECIAL, *characters, *(f"##{character}" for character in string.ascii_lowercase + string.digits)]
    counts = collections.Counter(re.findall(r"[a-z]{2,}", texts.lower()))
    frequent = sorted(counts, key=lambda word: (-counts[word], word))
    return [*pieces, *(frequent or [f"w{i}" for i in range(size)])][:size]


def letters_of_bytes() -> list[str]:
    """The character that stands for each byte in GPT-2's vocabulary: itself if it is printable."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]


def bpe_of_gpt2(size: int) -> tuple[dict[str, int], list[str]]:
    """vocab.json and merges.txt: bytes, then pairs of bytes, those of lower-case letters and spaces first."""
    letters = letters_of_bytes()
    frequent = [letters[ord(character)] for character in " etaoinshrdlucmfwypvbgkjqxz"]
    order = [*frequent, *(letter for letter in letters if letter not in frequent)]
    pairs = itertools.islice(itertools.product(order, repeat=2), size - 257)
    merges = [f"{first} {second}" for first, second in pairs]
    tokens = [*letters, *(merge.replace(" ", "") for merge in merges), END]
    return {token: i for i, token in enumerate(tokens)}, merges


def bert_shapes(config: dict, classes: int) -> dict[str, list[int]]:
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


def gpt2_shapes(config: dict) -> dict[str, list[int]]:
    width = config["n_embd"]
    found = {"wte.weight": [config["vocab_size"], width], "wpe.weight": [config["n_positions"], width]}
    for i in range(config["n_layer"]):
        for name, inner, outer in (  # weights are (in, out)
            ("attn.c_attn", width, 3 * width),
            ("attn.c_proj", width, width),
            ("mlp.c_fc", width, config["n_inner"]),
            ("mlp.c_proj", config["n_inner"], width),
        ):
            found |= {f"h.{i}.{name}.weight": [inner, outer], f"h.{i}.{name}.bias": [outer]}
        for norm in ("ln_1", "ln_2"):
            found |= {f"h.{i}.{norm}.weight": [width], f"h.{i}.{norm}.bias": [width]}
    found |= {"ln_f.weight": [width], "ln_f.bias": [width]}
    return {f"transformer.{name}": shape for name, shape in found.items()}


def write_safetensors(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    header, place = {}, 0
    for name, tensor in tensors.items():
        end = place + 4 * tensor.numel()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [place, end]}
        place = end
    text = json.dumps({"__metadata__": {"format": "pt"}} | header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            file.write(ctypes.string_at(tensor.data_ptr(), 4 * tensor.numel()))  # without numpy, which may be missing


def write_weights(folder: Path, shapes: dict[str, list[int]], spread: float) -> None:
    random = torch.Generator().manual_seed(1)
    tensors = {
        name: torch.randn(shape, generator=random) * spread
        + (1 if re.search(r"(LayerNorm|ln_\w)\.weight$", name) else 0)
        for name, shape in shapes.items()
    }
    write_safetensors(folder / "model.safetensors", tensors)


def write_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def write_bert(folder: Path, texts: str, size: str, regression: bool) -> None:
    words = words_of_bert(texts, VOCABULARIES["bert"][size])
    labels = [f"n{i}" for i in range(8)] if regression else ["negative", "positive"]
    layers, heads, width, inner = SIZES[size]
    longest = 512 if size == "base" else 128
    config = {
        "architectures": ["BertForSequenceClassification"],
        "model_type": "bert",
        "vocab_size": len(words),
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": inner,
        "max_position_embeddings": longest,
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
    write_weights(folder, bert_shapes(config, len(labels)), 0.3 if size == "small" else 0.05)
    write_json(folder / "config.json", config)
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    write_json(folder / "tokenizer_config.json", {"do_lower_case": True, "model_max_length": longest})


def write_gpt2(folder: Path, size: str) -> None:
    vocabulary, merges = bpe_of_gpt2(VOCABULARIES["gpt2"][size])
    layers, heads, width, inner = SIZES[size]
    config = {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "activation_function": "gelu_new",
        "vocab_size": len(vocabulary),
        "n_embd": width,
        "n_head": heads,
        "n_layer": layers,
        "n_inner": inner,
        "n_positions": 1024 if size == "base" else 256,
        "layer_norm_epsilon": 1e-5,
        "bos_token_id": vocabulary[END],
        "eos_token_id": vocabulary[END],
        "tie_word_embeddings": True,
    }
    # large enough that a text is not one token repeated
    write_weights(folder, gpt2_shapes(config), 0.3 if size == "small" else 0.05)
    write_json(folder / "config.json", config)
    write_json(folder / "vocab.json", vocabulary)
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=("bert", "gpt2"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", choices=SIZES, default="mini")
    parser.add_argument("--texts", type=Path, help="texts whose words are BERT's vocabulary")
    parser.add_argument(
        "--regression", action="store_true", help="a regression head, whose logits are returned unchanged"
    )
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    if arguments.model == "gpt2":
        write_gpt2(arguments.folder, arguments.size)
        return
    texts = arguments.texts.read_text(encoding="utf-8", errors="replace") if arguments.texts else ""
    write_bert(arguments.folder, texts, arguments.size, arguments.regression)


if __name__ == "__main__":
    main()
