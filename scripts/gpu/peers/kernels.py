"""Seconds of operations of a decoding step and of ALS with torch's own functions:

    kernels.py DEVICE PASSES attend SEQUENCES CONTEXT HEADS KV_HEADS D fp32|bf16
    kernels.py DEVICE PASSES penalize ROWS COLUMNS TOKENS
    kernels.py DEVICE PASSES sample ROWS COLUMNS greedy|top_p
    kernels.py DEVICE PASSES als USERS ITEMS RATINGS FACTORS       one epoch; memory for one side's equations at once

One line of JSON: the median of PASSES after a warm-up.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable

import torch
from common import PLAIN, say, seconds_of

Work = Callable[[], object]


def attend(device: str, words: list[str]) -> tuple[Work, str]:
    """sdpa over a cache that is contiguous, to which a position is written first."""
    sequences, context, heads, kv_heads, d = map(int, words[:5])
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[words[5]]
    keys, values = torch.randn(2, sequences, kv_heads, context, d, device=device, dtype=dtype)
    q = torch.randn(sequences, heads, 1, d, device=device, dtype=dtype)
    new = torch.randn(2, sequences, kv_heads, d, device=device, dtype=dtype)

    def work() -> torch.Tensor:
        keys[:, :, -1], values[:, :, -1] = new[0], new[1]
        return torch.nn.functional.scaled_dot_product_attention(q, keys, values, enable_gqa=heads != kv_heads)

    return work, "scaled_dot_product_attention"


def penalize(device: str, words: list[str]) -> tuple[Work, str]:
    """Repetition and frequency penalties as transformers and vLLM compute them; without the rule against n-grams."""
    rows, columns, tokens = map(int, words)
    logits = torch.randn(rows, columns, device=device)
    history = torch.randint(columns, (rows, tokens), device=device)

    def work() -> torch.Tensor:
        found = logits.gather(1, history)
        changed = logits.scatter(1, history, torch.where(found < 0, found * 1.1, found / 1.1))
        counts = torch.zeros_like(logits).scatter_add_(
            1, history[:, tokens // 2 :], torch.ones_like(found[:, tokens // 2 :])
        )
        return changed - 0.1 * counts

    return work, "gather and scatter"


def sample(device: str, words: list[str]) -> tuple[Work, str]:
    rows, columns = map(int, words[:2])
    logits = torch.randn(rows, columns, device=device)
    if words[2] == "greedy":
        return lambda: (logits.argmax(1), torch.log_softmax(logits, 1)), "argmax and log_softmax"

    def work() -> torch.Tensor:
        ordered, ids = torch.sort(logits / 0.8, dim=1, descending=True)
        probabilities = torch.softmax(ordered, 1)
        kept = probabilities.masked_fill(probabilities.cumsum(1) - probabilities > 0.9, 0)
        chosen = ids.gather(1, torch.multinomial(kept, 1))
        return torch.log_softmax(logits, 1).gather(1, chosen)

    return work, "sort, cumsum and multinomial"


def solved(
    rows: torch.Tensor, columns: torch.Tensor, ratings: torch.Tensor, fixed: torch.Tensor, count: int
) -> torch.Tensor:
    """Rows of factors by normal equations, whose matrices are sums of outer products in the order of the ratings."""
    factors = fixed.shape[1]
    equations = torch.eye(factors, device=fixed.device).mul(0.05).repeat(count, 1, 1)
    right = torch.zeros(count, factors, device=fixed.device)
    for begin in range(0, len(rows), part := max((1 << 28) // factors**2, 1)):
        some = slice(begin, begin + part)
        y = fixed[columns[some]]
        equations.index_add_(0, rows[some], y.unsqueeze(2) * y.unsqueeze(1))
        right.index_add_(0, rows[some], ratings[some, None] * y)
    return torch.cholesky_solve(right.unsqueeze(2), torch.linalg.cholesky(equations)).squeeze(2)


def als(device: str, words: list[str]) -> tuple[Work, str]:
    users, items, ratings, factors = map(int, words)

    def drawn(size: int) -> torch.Tensor:  # popularity falls as 1 / sqrt(rank), as in als_bench
        return (size * torch.rand(ratings, device=device).square()).long().clamp_max(size - 1)

    u, i = drawn(users), drawn(items)
    values = torch.randint(1, 6, (ratings,), device=device).float() - 3
    y = 0.1 * torch.randn(items, factors, device=device)

    def work() -> torch.Tensor:
        return solved(i, u, values, solved(u, i, values, y, users), items)

    return work, "index_add_ and linalg.cholesky"


def main() -> None:
    device, passes, operation, *words = sys.argv[1:]
    torch.manual_seed(1)
    with torch.inference_mode():
        work, name = {"attend": attend, "penalize": penalize, "sample": sample, "als": als}[operation](device, words)
        work()
        seconds = statistics.median(seconds_of(work, device) for _ in range(int(passes)))
    say("fp32", f"{PLAIN}, {name}", seconds=seconds)


if __name__ == "__main__":
    main()
