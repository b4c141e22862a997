#!/usr/bin/env python3
"""Makes a tokenizer folder in Hugging Face's format from a file of ranks in the format of tiktoken.

    scripts/make_tokenizer.py llama3 data/llama3-tokenizer/tokenizer.model FOLDER
    scripts/make_tokenizer.py qwen2 data/qwen-tokenizer/qwen.tiktoken FOLDER

A line of the file has a token in base 64 and its rank, which is its id. The pattern, special tokens and templates are those
of the published tokenizers: Llama 3.2, and Qwen3, whose special tokens include those of Qwen2 and Qwen2.5.
"""

import argparse
import base64
import json
from pathlib import Path

CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
BEGIN = "<|begin_of_text|>"

LLAMA3 = [BEGIN, "<|end_of_text|>", "<|reserved_special_token_0|>", "<|reserved_special_token_1|>"]
LLAMA3 += ["<|finetune_right_pad_id|>", "<|reserved_special_token_2|>", "<|start_header_id|>", "<|end_header_id|>"]
LLAMA3 += ["<|eom_id|>", "<|eot_id|>", "<|python_tag|>", *(f"<|reserved_special_token_{i}|>" for i in range(3, 248))]

QWEN = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>"]
QWEN += ["<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>"]
QWEN += ["<|image_pad|>", "<|video_pad|>", "<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>"]
QWEN += ["<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>"]
QWEN += ["<tool_response>", "</tool_response>", "<think>", "</think>"]


def alphabet() -> list[str]:
    """The characters for the 256 bytes in byte-level vocabularies."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte if byte in printable else 0x100 + others.index(byte)) for byte in range(256)]


def read_ranks(path: Path) -> dict[bytes, int]:
    lines = (line.split() for line in path.read_bytes().splitlines() if line)
    return {base64.b64decode(token): int(rank) for token, rank in lines}


def merges_of(ranks: dict[bytes, int]) -> list[tuple[bytes, bytes]]:
    """Every pair of tokens that makes up another token, in the order of that token's rank: tiktoken merges any of them."""
    found = []
    for token in sorted(ranks, key=ranks.get):
        pairs = [(token[:at], token[at:]) for at in range(1, len(token))]
        known = [pair for pair in pairs if pair[0] in ranks and pair[1] in ranks]
        found += sorted(known, key=lambda pair: (ranks[pair[0]], ranks[pair[1]]))
    return found


def byte_level(**flags: bool) -> dict:
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False} | flags


def split_by(pattern: str) -> dict:
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return {"type": "Sequence", "pretokenizers": [split, byte_level()]}


def begin_template(begin_id: int) -> dict:
    def row(name: str, type_id: int) -> list[dict]:
        return [{"SpecialToken": {"id": BEGIN, "type_id": type_id}}, {"Sequence": {"id": name, "type_id": type_id}}]

    special = {BEGIN: {"id": BEGIN, "ids": [begin_id], "tokens": [BEGIN]}}
    return {
        "type": "TemplateProcessing",
        "single": row("A", 0),
        "pair": row("A", 0) + row("B", 1),
        "special_tokens": special,
    }


def tokenizer(family: str, ranks: dict[bytes, int]) -> dict:
    characters, llama = alphabet(), family == "llama3"

    def text(token: bytes) -> str:
        return "".join(characters[byte] for byte in token)

    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    processors = [byte_level(add_prefix_space=llama, use_regex=True)]
    if llama:
        processors.append(begin_template(len(ranks)))
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": len(ranks) + i, "content": name, **flags, "special": name.startswith("<|")}
            for i, name in enumerate(LLAMA3 if llama else QWEN)
        ],
        "normalizer": None if llama else {"type": "NFC"},
        "pre_tokenizer": split_by(rf"{CONTRACTIONS}|\p{{N}}{'{1,3}' if llama else ''}|{REST}"),
        "post_processor": {"type": "Sequence", "processors": processors} if llama else processors[0],
        "decoder": byte_level(add_prefix_space=True, trim_offsets=True, use_regex=True),
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None if llama else "",
            "end_of_word_suffix": None if llama else "",
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": llama,
            "vocab": {text(token): rank for token, rank in ranks.items()},
            "merges": [f"{text(left)} {text(right)}" for left, right in merges_of(ranks)],
        },
    }


def config(family: str) -> dict:
    named = {"bos_token": BEGIN, "eos_token": "<|end_of_text|>", "model_max_length": 131072}
    if family == "qwen2":
        named = {"bos_token": None, "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "model_max_length": 32768}
    return {"tokenizer_class": "PreTrainedTokenizerFast", **named}


def write_folder(family: str, ranks: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    made = {"tokenizer_config.json": config(family), "tokenizer.json": tokenizer(family, read_ranks(ranks))}
    for name, content in made.items():
        aside = folder / f"{name}.partial"
        aside.write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")
        aside.replace(folder / name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("family", choices=["llama3", "qwen2"])
    parser.add_argument("ranks", type=Path)
    parser.add_argument("folder", type=Path)
    write_folder(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()
