"""The random numbers of configs/base/random.h."""

import numpy as np


def random_bits(seed: int, index: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        x = np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15) + np.asarray(index, np.uint64) * np.uint64(
            0xBF58476D1CE4E5B9
        )
        x += np.uint64(0x94D049BB133111EB)
        for _ in range(2):
            x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            x ^= x >> np.uint64(31)
    return x


def random_normal(seed: int, first: int, count: int) -> np.ndarray:
    """Numbers first, first + 1, ... of the seed."""
    index = np.arange(first, first + count, dtype=np.uint64)
    radius = ((random_bits(seed, 2 * index) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    angle = (random_bits(seed, 2 * index + 1) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return np.sqrt(-2 * np.log(radius)) * np.cos(2 * np.pi * angle)
