"""Greedy generation with a GPT-2 folder by transformers' generate(), or by a plain torch loop if transformers is missing:

    generate.py FOLDER DEVICE PRECISIONS PASSES ROWS...

Each line of a file ROWS is a number of new tokens and the ids of a prompt; all lines of a file have as many of both, and are one
batch. End tokens are ignored. One line of JSON for each precision and file: the median seconds of PASSES after a warm-up, and
the new ids. PRECISIONS: comma-separated fp32, tf32 and bf16.
"""

from __future__ import annotations

import json
import statistics
import struct
import sys
from pathlib import Path

import torch
from common import PLAIN, allow_tf32, has_transformers, hugging_face, rows_of_ids, say, seconds_of
from torch import nn

TYPES = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16}


class HuggingFace:
    def __init__(self, folder: Path, device: str, precision: str):
        import transformers

        self.name = f"{hugging_face()} generate"
        model = transformers.AutoModelForCausalLM.from_pretrained(folder)
        self.model = model.to(device, TYPES[precision]).eval()

    def generate(self, prompts: torch.Tensor, new: int) -> torch.Tensor:
        lengths = {"max_new_tokens": new, "min_new_tokens": new}
        found = self.model.generate(
            input_ids=prompts, attention_mask=torch.ones_like(prompts), do_sample=False, pad_token_id=0, **lengths
        )
        return found[:, prompts.shape[1] :]


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """A safetensors file of fp32."""
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    header, data = json.loads(content[8 : 8 + size]), memoryview(bytearray(content[8 + size :]))
    header.pop("__metadata__", None)
    return {
        name.removeprefix("transformer."): torch.frombuffer(
            data, dtype=torch.float32, count=(facts["data_offsets"][1] - facts["data_offsets"][0]) // 4,
            offset=facts["data_offsets"][0],
        ).reshape(facts["shape"])
        for name, facts in header.items()
    }  # fmt: skip


class PlainLoop:
    """GPT-2 from torch's functions, with keys and values in tensors of the final length."""

    def __init__(self, folder: Path, device: str, precision: str):
        self.name = f"{PLAIN}, plain loop"
        self.config = json.loads((folder / "config.json").read_text())
        tensors = read_tensors(folder / "model.safetensors")
        self.weights = {name: tensor.to(device, TYPES[precision]) for name, tensor in tensors.items()}

    def norm(self, x: torch.Tensor, name: str) -> torch.Tensor:
        return nn.functional.layer_norm(
            x, x.shape[-1:], self.weights[name + ".weight"], self.weights[name + ".bias"], 1e-5
        )

    def product(self, x: torch.Tensor, name: str) -> torch.Tensor:
        bias, weight = self.weights[name + ".bias"], self.weights[name + ".weight"]
        return torch.addmm(bias, x.flatten(0, 1), weight).view(*x.shape[:2], -1)

    def attend(self, x: torch.Tensor, layer: int, first: int) -> torch.Tensor:
        heads = self.product(x, f"h.{layer}.attn.c_attn").unflatten(-1, (3, self.config["n_head"], -1)).transpose(1, 3)
        query, key, value = heads.unbind(2)
        end = first + x.shape[1]
        for kept, new in zip(self.cache[layer], (key, value)):
            kept[:, :, first:end] = new
        keys, values = (kept[:, :, :end] for kept in self.cache[layer])
        found = nn.functional.scaled_dot_product_attention(query, keys, values, is_causal=first == 0)
        return self.product(found.transpose(1, 2).flatten(2), f"h.{layer}.attn.c_proj")

    def next_ids(self, ids: torch.Tensor, first: int) -> torch.Tensor:
        x = self.weights["wte.weight"][ids] + self.weights["wpe.weight"][first : first + ids.shape[1]]
        for layer in range(self.config["n_layer"]):
            x = x + self.attend(self.norm(x, f"h.{layer}.ln_1"), layer, first)
            inner = self.product(self.norm(x, f"h.{layer}.ln_2"), f"h.{layer}.mlp.c_fc")
            x = x + self.product(nn.functional.gelu(inner, approximate="tanh"), f"h.{layer}.mlp.c_proj")
        return (self.norm(x[:, -1:], "ln_f") @ self.weights["wte.weight"].T).argmax(-1)

    @torch.inference_mode()
    def generate(self, prompts: torch.Tensor, new: int) -> torch.Tensor:
        rows, length = prompts.shape
        words = self.weights["wte.weight"]
        shape = rows, self.config["n_head"], length + new, words.shape[1] // self.config["n_head"]
        self.cache = [(words.new_empty(shape), words.new_empty(shape)) for _ in range(self.config["n_layer"])]
        made = [self.next_ids(prompts, 0)]
        for i in range(new - 1):
            made.append(self.next_ids(made[-1], length + i))
        return torch.cat(made, 1)


def measure(engine: HuggingFace | PlainLoop, rows: list[list[int]], device: str, passes: int) -> dict:
    new, prompts = rows[0][0], torch.tensor([row[1:] for row in rows]).to(device)

    def work() -> torch.Tensor:
        return engine.generate(prompts, new)

    texts = work().tolist()
    return {
        "rows": len(rows),
        "seconds": statistics.median(seconds_of(work, device) for _ in range(passes)),
        "texts": texts,
    }


def main() -> None:
    folder, device, precisions, passes, *files = sys.argv[1:]
    for precision in precisions.split(","):
        allow_tf32(precision)
        engine = (HuggingFace if has_transformers() else PlainLoop)(Path(folder), device, precision)
        for file in files:
            say(precision, engine.name, **measure(engine, rows_of_ids(Path(file)), device, int(passes)))


if __name__ == "__main__":
    main()
