"""Two concurrent trainings on the same processors: their slowdown, and the cost of limited spinning to one alone."""

import json
import shutil
import statistics
from concurrent.futures import ThreadPoolExecutor

from bert import tokenized
from common import PROCESSORS, TRAIN, WORK, compare, in_turn, run

STEPS, ROWS = 30, 16
UNLIMITED = {"GOMP_SPINCOUNT": "300000"}  # libgomp's default


def seconds_a_step(number: int, environment: dict[str, str]) -> float:
    """Seconds per step of fine-tuning MiniLM on product reviews, without the first steps."""
    folder = WORK / f"two-trainings-{number}"
    shutil.rmtree(folder, ignore_errors=True)
    settings = {
        "data.path": tokenized("reviews-en"),
        "output": folder,
        "threads": PROCESSORS,
        "training.max_steps": STEPS,
        "training.per_device_batch_size": ROWS,
        "training.logging_steps": STEPS // 3,
        "training.eval_strategy": "no",
    }
    changes = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    run(TRAIN, "--config", "configs/reviews-en-classify.yaml", *changes, **environment)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    rows = [line["train"] for line in lines if "train" in line]
    return statistics.median(ROWS / row["samples_per_second"] for row in rows[1:])


def together(environment: dict[str, str]) -> float:
    with ThreadPoolExecutor(2) as pool:
        return statistics.mean(pool.map(lambda number: seconds_a_step(number, environment), (1, 2)))


def two_trainings(name: str) -> None:
    tokenized("reviews-en")
    both, alone, both_spinning, alone_spinning = in_turn(
        lambda: together({}),
        lambda: seconds_a_step(1, {}),
        lambda: together(UNLIMITED),
        lambda: seconds_a_step(1, UNLIMITED),
        rounds=3,
    )
    # The minimum, because the noise of the machine exceeds the difference between the two trainings that run alone.
    best, best_spinning = min(alone), min(alone_spinning)
    compare(
        name,
        both,
        {"two that spin as libgomp does by default": both_spinning},
        PROCESSORS,
        unit="s/step",
        alone=round(best, 4),
        times_alone=round(statistics.median(both) / best, 2),
        alone_spinning=round(best_spinning, 4),
        slower_alone_percent=round(100 * (best / best_spinning - 1), 1),
    )
