#!/usr/bin/env python3
"""Writes reference values of decoders computed with transformers and peft to tests/golden/NAME.json.

    gpt         small models of every family with every variation: logits, loss, gradients
    gpt_lora    small models with peft's LoRA adapters
    gpt_dropout mean and deviation of logits over 200,000 dropout masks
    gpt_rotary  inverse frequencies and attention factors of rotary embeddings
    gpt_large   logits of a model of the size of GPT-2 (124 million parameters)

    python3 -m venv build/golden-bert
    build/golden-bert/bin/pip install torch==2.11.0 transformers==5.23.0 tokenizers==0.23.3 peft==0.21.2
    build/golden-bert/bin/python scripts/golden/gpt.py NAME

The weights are a function of the parameter's name (see `formula`), so that the tests can compute the same weights. It
applies to weights of linear layers as (out, in), also where transformers stores them as (in, out).
"""

import argparse
import json

import numpy as np
import torch
import transformers
from bert import ROOT, numbers, probed, small_rows
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.pytorch_utils import Conv1D

GPT2 = {
    "vocab_size": 61,
    "n_positions": 70,
    "n_embd": 24,
    "n_layer": 2,
    "n_head": 3,
    "n_inner": 40,
    "resid_pdrop": 0.0,
    "embd_pdrop": 0.0,
    "attn_pdrop": 0.0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
LLAMA = {
    "vocab_size": 61,
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "num_key_value_heads": 3,
    "max_position_embeddings": 70,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def rope(kind: str, theta: float = 10000.0, **fields) -> dict:
    return {"rope_parameters": {"rope_type": kind, "rope_theta": theta, **fields}}


def scattered(name: str, size: int) -> np.ndarray:
    """Numbers from -1 to 1: a hash of the index (MurmurHash3's finalizer) that begins at a hash of the name (FNV-1a)."""
    start = 2166136261
    for letter in name.encode():
        start = (start ^ letter) * 16777619 % 2**32
    x = np.arange(size, dtype=np.uint32) + np.uint32(start)
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    x = (x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return (x ^ (x >> np.uint32(16))) / 2.0**31 - 1


def formula(name: str, parameter: torch.Tensor, scale: float) -> torch.Tensor:
    values = scale * scattered(name, parameter.numel())
    if name.endswith("norm.weight") or ".ln_" in name and name.endswith(".weight"):
        values += 1
    return torch.from_numpy(values.astype(np.float32)).view(parameter.shape)


class Decoder:
    """A model of transformers with the weights of the formula."""

    def __init__(self, family: str, config: dict, scale: float = 0.3):
        made = transformers.AutoConfig.for_model(family, **config)
        self.model = transformers.AutoModelForCausalLM.from_config(made, attn_implementation="eager").float().eval()
        self.transposed = {
            f"{name}.weight" for name, module in self.model.named_modules() if isinstance(module, Conv1D)
        }
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                target = parameter.t() if name in self.transposed else parameter
                target.copy_(formula(name, target, scale))

    def config(self) -> dict:
        return json.loads(self.model.config.to_json_string(use_diff=False))

    def gradients(self, parameters) -> dict:
        found = {name: parameter.grad for name, parameter in parameters if parameter.grad is not None}
        return {name: grad.t().contiguous() if name in self.transposed else grad for name, grad in found.items()}


def run(model, rows: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of all tokens, and the mean loss of all tokens but each row's first. Each row is a batch of its own."""
    logits = [model(torch.tensor([row])).logits[0] for row in rows]
    losses = [
        torch.nn.functional.cross_entropy(of_row[:-1], torch.tensor(row[1:]), reduction="sum")
        for of_row, row in zip(logits, rows, strict=True)
        if len(row) > 1
    ]
    return torch.cat(logits), torch.stack(losses).sum() / sum(len(row) - 1 for row in rows)


def small(name: str, family: str, config: dict) -> dict:
    decoder = Decoder(family, {**(GPT2 if family == "gpt2" else LLAMA), **config})
    rows = small_rows(name, 1)[0]
    logits, loss = run(decoder.model, rows)
    loss.backward()
    return {
        "name": name,
        "config": decoder.config(),
        "ids": rows,
        "logits": numbers(logits[::7]),
        "largest": float(logits.abs().max()),
        "loss": loss.item(),
        "gradients": probed(decoder.gradients(decoder.model.named_parameters())),
    }


def gpt() -> list[dict]:
    grouped = {"num_attention_heads": 6, "num_key_value_heads": 2}
    short = {"max_position_embeddings": 40}
    yarn = {"factor": 4.0, "original_max_position_embeddings": 20}
    return [
        small("gpt2", "gpt2", {}),
        small("gpt2, other scales", "gpt2", {"scale_attn_by_inverse_layer_idx": True, "n_inner": None}),
        small(
            "gpt2, untied and unscaled",
            "gpt2",
            {"scale_attn_weights": False, "tie_word_embeddings": False, "activation_function": "relu"},
        ),
        small("gpt2, other epsilon", "gpt2", {"layer_norm_epsilon": 1e-3, "activation_function": "gelu"}),
        small("llama", "llama", {}),
        small("llama, grouped and tied", "llama", {**grouped, "tie_word_embeddings": True, **rope("default", 5e5)}),
        small("llama, biases and wide heads", "llama", {"head_dim": 10, "attention_bias": True, "mlp_bias": True}),
        small("llama, padding token", "llama", {"pad_token_id": 7, "hidden_act": "gelu", "rms_norm_eps": 1e-2}),
        small("llama, linear", "llama", {**short, **rope("linear", factor=2.5)}),
        small("llama, dynamic", "llama", {**short, **rope("dynamic", factor=2.0)}),
        small("llama, yarn", "llama", {"head_dim": 16, **rope("yarn", 1e4, **yarn)}),
        small(
            "llama, yarn with scales",
            "llama",
            {"head_dim": 16, **rope("yarn", 1e3, **yarn, mscale=0.7, mscale_all_dim=1.2, beta_fast=8, beta_slow=0.5)},
        ),
        small(
            "llama, yarn with a factor",
            "llama",
            {"head_dim": 16, **rope("yarn", 1e3, **yarn, attention_factor=0.8, truncate=False)},
        ),
        small(
            "llama, llama3",
            "llama",
            {
                "head_dim": 16,
                **rope(
                    "llama3",
                    1e3,
                    factor=8.0,
                    low_freq_factor=1.0,
                    high_freq_factor=4.0,
                    original_max_position_embeddings=30,
                ),
            },
        ),
        small("qwen2", "qwen2", {**grouped, **rope("default", 1e6)}),
        small("qwen2, tied", "qwen2", {"tie_word_embeddings": True, "num_key_value_heads": 1}),
        small("qwen3", "qwen3", {**grouped, "head_dim": 8, **rope("default", 1e6)}),
        small("qwen3, biases and tied", "qwen3", {"head_dim": 6, "attention_bias": True, "tie_word_embeddings": True}),
        small("mistral", "mistral", {**grouped, "sliding_window": None}),
        small("mistral, wide window", "mistral", {"head_dim": 12, "sliding_window": 70, **rope("default", 1e5)}),
    ]


def adapted(name: str, family: str, config: dict, adapters: dict) -> dict:
    import peft

    decoder = Decoder(family, {**(GPT2 if family == "gpt2" else LLAMA), **config})
    lora = peft.LoraConfig(task_type="CAUSAL_LM", fan_in_fan_out=family == "gpt2", **adapters)
    model = peft.get_peft_model(decoder.model, lora).eval()
    trained = {
        each.replace("base_model.model.", "").replace(".default", ""): parameter
        for each, parameter in model.named_parameters()
        if parameter.requires_grad
    }
    with torch.no_grad():
        for each, parameter in trained.items():
            parameter.copy_(formula(each, parameter, 0.3))
    rows = small_rows(name, 1)[0]
    logits, loss = run(model, rows)
    loss.backward()
    return {
        "name": name,
        "config": decoder.config(),
        "adapters": {**adapters, "target_modules": sorted(lora.target_modules)},
        "ids": rows,
        "logits": numbers(logits[::7]),
        "loss": loss.item(),
        "gradients": probed({each: parameter.grad for each, parameter in trained.items()}),
    }


def gpt_lora() -> list[dict]:
    layers = {"layers_to_transform": [0, 1]}
    return [
        adapted("gpt2, default", "gpt2", {}, {"r": 3, "lora_alpha": 6, "layers_pattern": "h", **layers}),
        adapted(
            "gpt2, both projections",
            "gpt2",
            {},
            {"r": 2, "lora_alpha": 1, "target_modules": ["c_proj"], "layers_pattern": "h", "layers_to_transform": [1]},
        ),
        adapted("llama, default", "llama", {}, {"r": 3, "lora_alpha": 6, "layers_pattern": "layers", **layers}),
        adapted(
            "qwen3, all",
            "qwen3",
            {"head_dim": 8, "num_attention_heads": 4, "num_key_value_heads": 2},
            {
                "r": 4,
                "lora_alpha": 2,
                "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
                "layers_pattern": "layers",
                **layers,
            },
        ),
    ]


def dropped(name: str, family: str, config: dict) -> dict:
    """Mean and standard deviation of the last token's first logits over 200,000 dropout masks."""
    decoder = Decoder(family, {**(GPT2 if family == "gpt2" else LLAMA), **config})
    decoder.model.train()
    ids = small_rows(name, 1)[0][0]
    torch.manual_seed(1)
    with torch.no_grad():
        batch = torch.tensor([ids] * 1000)
        logits = torch.cat([decoder.model(batch).logits[:, -1, :4].double() for _ in range(200)])
    return {
        "name": name,
        "config": decoder.config(),
        "ids": ids,
        "draws": len(logits),
        "mean": numbers(logits.mean(0)),
        "deviation": numbers(logits.std(0)),
    }


def gpt_dropout() -> list[dict]:
    return [
        dropped("gpt2, embeddings", "gpt2", {"embd_pdrop": 0.2}),
        dropped("gpt2, sublayers", "gpt2", {"resid_pdrop": 0.2}),
        dropped("gpt2, attention", "gpt2", {"attn_pdrop": 0.3}),
        dropped("gpt2, all", "gpt2", {"embd_pdrop": 0.1, "resid_pdrop": 0.1, "attn_pdrop": 0.1}),
        dropped("qwen3, attention", "qwen3", {"head_dim": 8, "attention_dropout": 0.3}),
    ]


def frequencies(name: str, fields: dict, length: int | None = None) -> dict:
    config = transformers.AutoConfig.for_model("llama", **{**LLAMA, **fields})
    kind = config.rope_parameters["rope_type"]
    if kind == "default":
        model = transformers.models.llama.modeling_llama.LlamaRotaryEmbedding
        found, factor = model.compute_default_rope_parameters(config)
    else:
        found, factor = ROPE_INIT_FUNCTIONS[kind](config, seq_len=None if length is None else torch.tensor(length))
    return {
        "name": name,
        "config": json.loads(config.to_json_string(use_diff=False)),
        "length": length or 0,
        "frequencies": numbers(found),
        "factor": float(factor),
    }


def gpt_rotary() -> list[dict]:
    llama3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
    long = {"max_position_embeddings": 131072}
    yarn = {"factor": 4.0, "original_max_position_embeddings": 32768}
    dynamic = {"head_dim": 64, "max_position_embeddings": 2048, **rope("dynamic", factor=2.7)}
    return [
        frequencies("default", {"head_dim": 64}),
        frequencies("qwen", {"head_dim": 128, **rope("default", 1e6)}),
        frequencies("linear", {"head_dim": 80, **rope("linear", factor=3.0)}),
        frequencies("llama 3.1", {"head_dim": 128, **long, **rope("llama3", 5e5, factor=8.0, **llama3)}),
        frequencies("llama 3.2", {"head_dim": 64, **long, **rope("llama3", 5e5, factor=32.0, **llama3)}),
        frequencies("dynamic", dynamic),
        frequencies("dynamic, one more", dynamic, 2049),
        frequencies("dynamic, longer", dynamic, 5000),
        frequencies("yarn", {"head_dim": 128, **long, **rope("yarn", 1e6, **yarn)}),
        frequencies("yarn, not truncated", {"head_dim": 64, **long, **rope("yarn", 1e6, **yarn, truncate=False)}),
        frequencies("yarn, scales", {"head_dim": 64, **long, **rope("yarn", **yarn, mscale=0.707, mscale_all_dim=1.0)}),
        frequencies("yarn, one scale", {"head_dim": 64, **long, **rope("yarn", **yarn, mscale=0.707)}),
        frequencies("yarn, steep", {"head_dim": 8, **long, **rope("yarn", **yarn, beta_fast=2.0, beta_slow=2.0)}),
    ]


def gpt_large() -> list[dict]:
    decoder = Decoder("gpt2", {}, 0.05)
    random = np.random.default_rng(1)
    rows = [random.integers(0, 50257, length).tolist() for length in (100, 1, 29)]
    with torch.no_grad():
        logits, loss = run(decoder.model, rows)
    return [
        {
            "name": "gpt2",
            "config": decoder.config(),
            "ids": rows,
            "logits": numbers(logits[::13, ::997]),
            "largest": float(logits.abs().max()),
            "loss": loss.item(),
        }
    ]


if __name__ == "__main__":
    files = {make.__name__: make for make in (gpt, gpt_lora, gpt_dropout, gpt_rotary, gpt_large)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=files)
    name = parser.parse_args().name
    path = ROOT / "tests" / "golden" / f"{name}.json"
    rows = ",\n".join(json.dumps(row, ensure_ascii=False) for row in files[name]())
    path.write_text(f"[\n{rows}\n]\n", encoding="utf-8")
    print(f"{path}: {path.stat().st_size} bytes")
