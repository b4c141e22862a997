#!/usr/bin/env python3
"""Makes a Hugging Face folder from a GGUF file: a model of the architecture llama with a byte-level BPE tokenizer.

    scripts/setup.sh gguf
    PYTHONPATH=build/gguf build/venv/bin/python scripts/convert_gguf.py FILE FOLDER

Quantized weights become fp32. The rows of query and key projections are put back in the order of transformers: it rotates
the two halves of a head, llama.cpp rotates neighbors. The pre-tokenizer is the one that the file names. transformers' own
conversion always takes GPT-2's, which for SmolLM2 gives other ids to digits behind several whitespace characters and to
numerals other than 0 to 9.
"""

import argparse
import json
import re
import sys
from pathlib import Path

import numpy as np
from gguf import GGUFReader, dequantize
from make_tokenizer import byte_level

TENSORS = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
}
LAYER_TENSORS = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
DIGITS = {"type": "Digits", "individual_digits": True}
PRE_TOKENIZERS = {
    "gpt-2": byte_level(use_regex=True),
    "smollm": {"type": "Sequence", "pretokenizers": [DIGITS, byte_level(use_regex=True)]},
}
CONTROL, USER_DEFINED = 3, 4  # types of tokens


class GgufFile:
    """The fields and tensors of a file. Faults end the program with a message."""

    def __init__(self, path: Path):
        self.path = path
        self.read = set()
        try:
            self.reader = GGUFReader(path)
        except (OSError, ValueError, IndexError, KeyError, UnicodeDecodeError) as error:
            self.refuse(f"cannot be read as GGUF: {error}")

    def refuse(self, message: str) -> None:
        sys.exit(f"convert_gguf: {self.path}: {message}")

    def field(self, name: str, otherwise=None):
        self.read.add(name)
        found = self.reader.get_field(name)
        if found is not None:
            return found.contents()
        if otherwise is None:
            self.refuse(f"lacks the field {name}")
        return otherwise

    def expect(self, name: str, allowed) -> str:
        found = self.field(name)
        if found not in allowed:
            self.refuse(f"{name} is {found}, expected {' or '.join(allowed)}")
        return found

    def refuse_others(self, prefix: str) -> None:
        """Fields that were not read may change what the model computes."""
        if unread := sorted(name for name in self.reader.fields if name.startswith(prefix) and name not in self.read):
            self.refuse(f"the field {unread[0]} is not supported")

    def token(self, name: str) -> int | None:
        found = self.field(f"tokenizer.ggml.{name}_token_id", -1)
        return None if found < 0 else found


def model_config(file: GgufFile) -> dict:
    file.expect("general.architecture", ["llama"])
    heads, hidden = file.field("llama.attention.head_count"), file.field("llama.embedding_length")
    head_dim = file.field("llama.attention.key_length", hidden // heads)
    for name in ["llama.attention.value_length", "llama.rope.dimension_count"]:
        if file.field(name, head_dim) != head_dim:
            file.refuse(f"{name} is {file.field(name)}, expected {head_dim}, the size of a head")
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": file.field("llama.vocab_size", len(file.field("tokenizer.ggml.tokens"))),
        "hidden_size": hidden,
        "intermediate_size": file.field("llama.feed_forward_length"),
        "num_hidden_layers": file.field("llama.block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": file.field("llama.attention.head_count_kv", heads),
        "head_dim": head_dim,
        "hidden_act": "silu",
        "max_position_embeddings": file.field("llama.context_length"),
        "rms_norm_eps": file.field("llama.attention.layer_norm_rms_epsilon"),
        "rope_theta": file.field("llama.rope.freq_base", 10000.0),
        "tie_word_embeddings": all(tensor.name != "output.weight" for tensor in file.reader.tensors),
        "bos_token_id": file.token("bos"),
        "eos_token_id": file.token("eos"),
        "pad_token_id": file.token("padding"),
        "dtype": "float32",
    }
    file.refuse_others("llama.")
    return config


def generation_config(file: GgufFile) -> dict:
    return {f"{name}_token_id": file.token(of) for name, of in [("bos", "bos"), ("eos", "eos"), ("pad", "padding")]}


def tokenizer(file: GgufFile) -> dict:
    file.expect("tokenizer.ggml.model", ["gpt2"])
    tokens, types = file.field("tokenizer.ggml.tokens"), file.field("tokenizer.ggml.token_type")
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": i, "content": tokens[i], **flags, "special": types[i] == CONTROL}
            for i in range(len(tokens))
            if types[i] in (CONTROL, USER_DEFINED)
        ],
        "normalizer": None,
        "pre_tokenizer": PRE_TOKENIZERS[file.expect("tokenizer.ggml.pre", PRE_TOKENIZERS)],
        "post_processor": byte_level(use_regex=True),
        "decoder": byte_level(add_prefix_space=True, trim_offsets=True, use_regex=True),
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: i for i, token in enumerate(tokens)},
            "merges": file.field("tokenizer.ggml.merges"),
        },
    }


def tokenizer_config(file: GgufFile) -> dict:
    if file.field("tokenizer.ggml.add_bos_token", False):
        file.refuse("tokenizer.ggml.add_bos_token is true, expected false")
    tokens = file.field("tokenizer.ggml.tokens")
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": file.field("llama.context_length")}
    for name, of in {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}.items():
        if (found := file.token(of)) is not None:
            config[f"{name}_token"] = tokens[found]
    template = file.field("tokenizer.chat_template", "")
    return config | ({"chat_template": template} if template else {})


def hf_name(file: GgufFile, name: str) -> str:
    layer = re.fullmatch(r"blk\.(\d+)\.(\w+)\.(weight|bias)", name)
    if layer and layer[2] in LAYER_TENSORS:
        return f"model.layers.{layer[1]}.{LAYER_TENSORS[layer[2]]}.{layer[3]}"
    stem, _, kind = name.rpartition(".")
    if stem not in TENSORS or kind != "weight":
        file.refuse(f"unknown tensor {name}")
    return f"{TENSORS[stem]}.{kind}"


def rows_of_halves(values: np.ndarray, heads: int) -> np.ndarray:
    """Rows 0, 2, 4, ... of each head, then rows 1, 3, 5, ..."""
    return values.reshape(heads, -1, 2, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)


def values_of(tensor, config: dict) -> np.ndarray:
    values = dequantize(tensor.data, tensor.tensor_type).astype("<f4", copy=False)
    if ".attn_q." in tensor.name:
        values = rows_of_halves(values, config["num_attention_heads"])
    if ".attn_k." in tensor.name:
        values = rows_of_halves(values, config["num_key_value_heads"])
    return values


def write_tensors(file: GgufFile, config: dict, path: Path) -> None:
    """A file in the format safetensors, written tensor by tensor: the model may be larger than memory."""
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for tensor in file.reader.tensors:
        begin, end = end, end + 4 * int(tensor.n_elements)
        shape = [int(size) for size in reversed(tensor.shape)]
        header[hf_name(file, tensor.name)] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}
    names = json.dumps(header).encode()
    names += b" " * (-len(names) % 8)
    with path.open("wb") as out:
        out.write(len(names).to_bytes(8, "little") + names)
        for tensor in file.reader.tensors:
            out.write(np.ascontiguousarray(values_of(tensor, config)).data)


def convert(path: Path, folder: Path) -> None:
    file = GgufFile(path)
    config = model_config(file)
    texts = {
        "config.json": config,
        "generation_config.json": generation_config(file),
        "tokenizer.json": tokenizer(file),
        "tokenizer_config.json": tokenizer_config(file),
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_tensors(file, config, folder / "model.safetensors.partial")
    for name, content in texts.items():
        text = json.dumps(content, ensure_ascii=False, indent=None if name == "tokenizer.json" else 2)
        (folder / f"{name}.partial").write_text(text + "\n", encoding="utf-8")
    for name in [*texts, "model.safetensors"]:
        (folder / f"{name}.partial").replace(folder / name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="GGUF file")
    parser.add_argument("folder", type=Path, help="folder to write, created if missing")
    arguments = parser.parse_args()
    convert(arguments.file, arguments.folder)


if __name__ == "__main__":
    main()
