"""Shared by the peers: their clock, their number formats, and which library they use."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import time
from collections.abc import Callable
from pathlib import Path

import torch

PLAIN = f"torch {torch.__version__.split('+')[0]}"


def finish(device: str) -> None:
    """Waits until the device has done all work."""
    if device == "cuda":
        torch.cuda.synchronize()


def seconds_of(work: Callable[[], object], device: str) -> float:
    finish(device)
    begin = time.perf_counter()
    work()
    finish(device)
    return time.perf_counter() - begin


def has_transformers() -> bool:
    return importlib.util.find_spec("transformers") is not None


def hugging_face() -> str:
    """Name and version of transformers, without its progress bars."""
    import transformers

    transformers.logging.set_verbosity_error()
    with contextlib.suppress(AttributeError):
        transformers.utils.logging.disable_progress_bar()
    return f"transformers {transformers.__version__}"


def allow_tf32(precision: str) -> None:
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.allow_tf32 = precision == "tf32"


def say(precision: str, peer: str, **found: object) -> None:
    """Prints a line of JSON, so that what was measured before a failure is known."""
    print(json.dumps({"precision": precision, "peer": peer} | found), flush=True)


def rows_of_ids(path: Path) -> list[list[int]]:
    return [[int(word) for word in line.split()] for line in path.read_text().splitlines()]
