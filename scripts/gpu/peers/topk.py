"""Seconds of exact searches with torch.mm and torch.topk: topk.py DEVICE PRECISIONS QUERIES,ITEMS,COLUMNS,K,PASSES...

PRECISIONS: comma-separated fp32, tf32, fp16 and bf16; torch's products in 16 bits give scores in 16 bits. Queries go in the blocks
of a few sizes, of which the fastest counts. One line of JSON for each shape and precision.
"""

from __future__ import annotations

import functools
import statistics
import sys

import torch
from common import PLAIN, allow_tf32, say, seconds_of

TYPES = {"fp16": torch.float16, "bf16": torch.bfloat16}


def search(block: int, k: int, asked: torch.Tensor, rows: torch.Tensor) -> None:
    for begin in range(0, len(asked), block):
        torch.topk(torch.mm(asked[begin : begin + block], rows.T), k, dim=1)


def measure(device: str, precisions: list[str], shape: str) -> None:
    queries, items, columns, k, passes = map(int, shape.split(","))
    torch.manual_seed(1)
    made = [torch.nn.functional.normalize(torch.randn(count, columns, device=device)) for count in (queries, items)]
    for precision in precisions:
        allow_tf32(precision)
        both = [each.to(TYPES.get(precision, torch.float32)) for each in made]
        found = {}
        for block in sorted({min(size, queries) for size in (64, 256, 1024)}):
            search(block, k, *both)
            seconds = [seconds_of(functools.partial(search, block, k, *both), device) for _ in range(passes)]
            found[block] = statistics.median(seconds)
        best = min(found, key=found.get)
        say(precision, f"{PLAIN}, mm and topk", shape=shape, seconds=found[best], block=best)


def main() -> None:
    device, precisions, *shapes = sys.argv[1:]
    for shape in shapes:
        measure(device, precisions.split(","), shape)


if __name__ == "__main__":
    main()
