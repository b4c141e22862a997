"""The checks, in the order in which they run. A check stores its results in session.figures and raises Failed or Missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from checks.calls_per_step import calls_per_step
from checks.device_tests import ceilings, kernel_tests, libraries, nccl, runtime_tests, sanitizer
from checks.factors import factors, factors_whole, neighbors_whole, neighbours
from checks.generators import gpt_logits, gpt_texts, gpt_training
from checks.kernels import attention, decoding_speed, kernel_counts
from checks.speed import factor_speed, generation_speed, recommender_speed, score_speed, train_speed
from checks.steps_twice import deterministic
from checks.texts import bert_logits, bert_training
from session import Session


@dataclass
class Step:
    name: str
    seconds: float  # guaranteed time; what earlier checks left may double it
    check: Callable[[Session], None]


STEPS = [
    Step("libraries", 15, libraries),
    Step("ceilings", 20, ceilings),
    Step("kernel_tests", 45, kernel_tests),
    Step("runtime_tests", 10, runtime_tests),
    Step("nccl", 15, nccl),
    Step("attention", 10, attention),
    Step("factors", 15, factors),
    Step("factors_whole", 15, factors_whole),
    Step("neighbors_whole", 5, neighbors_whole),
    Step("neighbours", 10, neighbours),
    Step("bert_logits", 20, bert_logits),
    Step("bert_training", 25, bert_training),
    Step("gpt_logits", 15, gpt_logits),
    Step("gpt_training", 25, gpt_training),
    Step("gpt_texts", 20, gpt_texts),
    Step("calls_per_step", 25, calls_per_step),
    Step("deterministic", 25, deterministic),
    Step("train_speed", 25, train_speed),
    Step("score_speed", 20, score_speed),
    Step("generation_speed", 20, generation_speed),
    Step("factor_speed", 30, factor_speed),
    Step("recommender_speed", 15, recommender_speed),
    Step("decoding_speed", 10, decoding_speed),
    Step("kernel_counts", 25, kernel_counts),
    Step("sanitizer", 20, sanitizer),  # last: the slowest, and the least informative if all others passed
]
