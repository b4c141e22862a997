"""Measures memory bandwidth and matrix product throughput with PyTorch; prints one line of JSON: ceilings.py DEVICE [--quick]"""

from __future__ import annotations

import json
import sys
import time

import torch


def best_seconds(work, device: str, tries: int) -> float:
    """Shortest of `tries` runs, after two warm-up runs."""
    best = float("inf")
    for i in range(tries + 2):
        if device == "cuda":
            torch.cuda.synchronize()
        begin = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        if i >= 2:
            best = min(best, time.perf_counter() - begin)
    return best


def copies(device: str, mib: int, tries: int) -> dict[str, float]:
    source = torch.ones(mib << 18, device=device)
    to = torch.empty_like(source)
    size = source.numel() * 4
    found = {
        "copy on the device, read and written, GB/s": 2
        * size
        / best_seconds(lambda: to.copy_(source), device, tries)
        / 1e9
    }
    if device == "cuda":
        host = torch.empty(mib << 18, pin_memory=True)
        found["to the device, GB/s"] = (
            size / best_seconds(lambda: to.copy_(host, non_blocking=True), device, tries) / 1e9
        )
        found["from the device, GB/s"] = (
            size / best_seconds(lambda: host.copy_(to, non_blocking=True), device, tries) / 1e9
        )
    return found


def products(device: str, size: int, tries: int) -> dict[str, float]:
    found = {}
    kinds = [("fp32", torch.float32, False), ("bf16", torch.bfloat16, False)]
    if device == "cuda":
        kinds.insert(1, ("tf32", torch.float32, True))
    for name, dtype, tf32 in kinds:
        torch.backends.cuda.matmul.allow_tf32 = tf32
        x = torch.randn(size, size, device=device).to(dtype)
        seconds = best_seconds(lambda x=x: torch.mm(x, x), device, tries)
        found[f"product in {name}, TFLOP/s"] = 2 * size**3 / seconds / 1e12
    return found


def main() -> None:
    device, quick = sys.argv[1], "--quick" in sys.argv
    large = device == "cuda" and not quick
    tries = 10 if large else 3
    found: dict[str, object] = {}
    faults = []
    if device == "cuda":
        properties = torch.cuda.get_device_properties(0)
        print(properties, torch.cuda.mem_get_info(0), file=sys.stderr)
        found |= {"device": properties.name, "multiprocessors": properties.multi_processor_count}
    for part, size in ((copies, 2048 if large else 64), (products, 8192 if large else 512)):
        try:
            found |= part(device, size, tries)
        except RuntimeError as error:  # still measure the others
            faults.append(f"{part.__name__}: {str(error).splitlines()[0]}")
    print(json.dumps({"found": found, "faults": faults}))


if __name__ == "__main__":
    main()
