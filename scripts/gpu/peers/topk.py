"""Seconds of an exact search with torch.mm and torch.topk: topk.py DEVICE PRECISIONS QUERIES ITEMS COLUMNS K PASSES

PRECISIONS: comma-separated fp32 and tf32. Queries go in the blocks of a few sizes, of which the fastest counts. One line of
JSON for each precision.
"""

from __future__ import annotations

import statistics
import sys

import torch
from common import PLAIN, allow_tf32, say, seconds_of


def main() -> None:
    device, precisions = sys.argv[1:3]
    queries, items, columns, k, passes = map(int, sys.argv[3:])
    torch.manual_seed(1)
    rows, asked = (
        torch.nn.functional.normalize(torch.randn(count, columns, device=device)) for count in (items, queries)
    )

    def search(block: int) -> None:
        for begin in range(0, queries, block):
            torch.topk(torch.mm(asked[begin : begin + block], rows.T), k, dim=1)

    for precision in precisions.split(","):
        allow_tf32(precision)
        found = {}
        for block in sorted({min(size, queries) for size in (64, 256, 1024)}):
            search(block)
            found[block] = statistics.median(seconds_of(lambda b=block: search(b), device) for _ in range(passes))
        best = min(found, key=found.get)
        say(precision, f"{PLAIN}, mm and topk", seconds=found[best], block=best)


if __name__ == "__main__":
    main()
