"""Kernels one by one: attention of the fused kernels, speed beside torch, and what a profiler counts beside the estimates."""

from __future__ import annotations

import json

from checks.common import Faults, json_lines, peer_lines
from checks.device_tests import run_tests
from ncu import counted, find_ncu, known_metrics
from session import Failed, Missing, Session
from table import shown


def attention(session: Session) -> None:
    """Packed attention against scaled_dot_product_attention on a padded batch: values and gradients in fp32 and bf16."""
    run_tests(session, "trainer_attention_test", "*cpu*" if session.cpu else "*gpu*", launched=False)


# ---- speed ----

DECODING = [
    "attend 8 1024 12 12 64 bf16",
    "attend 64 1024 32 8 128 bf16",
    "penalize 64 50257 512",
    "sample 64 50257 greedy",
    "sample 64 50257 top_p",
]
SMALL_DECODING = ["attend 2 33 4 2 16 fp32", "penalize 2 100 10", "sample 2 100 greedy", "sample 2 100 top_p"]


def decoding_speed(session: Session) -> None:
    """Operations of a decoding step."""
    passes, faults = 1 if session.quick else 30, Faults()
    place = "cuda" if session.kernel_device == "cuda" else session.threads
    for shape in SMALL_DECODING if session.quick else DECODING:
        with faults:
            words = [*session.launcher, session.program("decoding_bench"), place, passes, *shape.split()]
            (ours,) = json_lines(session.run(*words))
            session.figures[f"{shape}: us"] = 1e6 * ours["seconds"]
            for peer in peer_lines(session, faults, "kernels", session.device, passes, *shape.split()):
                mine, theirs = 1e6 * ours["seconds"], 1e6 * peer["seconds"]
                session.compare(shape, "us", mine, peer["peer"], theirs, more_is_better=False)
    faults.check()


# ---- counts ----

COUNTED = ("requested bytes", "distinct bytes", "tensor instructions")


def estimates(session: Session) -> list[dict]:
    path = session.root / "scripts" / "gpu" / "estimates.json"
    if not path.exists():
        raise Failed("scripts/gpu/estimates.json is not in the pack")
    return json.loads(path.read_text())


def beside(measured: float, estimate: float) -> str:
    ratio = f" ({measured / estimate:.2f})" if estimate else ""
    return f"{shown(measured)} / {shown(estimate)}{ratio}"


def kernel_counts(session: Session) -> None:
    """What ncu counts for the largest case of each operation, "measured / estimated"; bytes in millions. A GPU whose caches keep
    what several kernels or blocks read moves fewer bytes than estimated."""
    cases = list({case["operation"]: case for case in estimates(session)}.values())
    if session.cpu:
        raise Missing("a rehearsal has no GPU for ncu to profile")
    ncu, faults = find_ncu(), Faults()
    metrics = known_metrics(session, ncu)
    for case in cases:
        program, *words = case["command"]
        with faults:
            found = counted(session, ncu, metrics, session.program(program), *words)
            for figure in COUNTED:
                estimate, scale = case[figure], 1e-6 if figure.endswith("bytes") else 1
                if figure in found and estimate is not None:
                    session.figures[f"{case['name']}: {figure}"] = beside(scale * found[figure], scale * estimate)
            if "seconds" in found:
                session.figures[f"{case['name']}: us, bounds"] = f"{shown(1e6 * found['seconds'])}, " + ", ".join(
                    f"{name} {shown(1e6 * seconds)}" for name, seconds in case["seconds"].items()
                )
    faults.check()
