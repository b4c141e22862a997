"""GPUs for which bounds and occupancy are estimated."""

from __future__ import annotations

import math
from dataclasses import dataclass

WARP = 32
REGISTERS = 65536  # per multiprocessor, as on every GPU since sm_50
REGISTERS_AT_ONCE = 256  # are given to warps in multiples of this
SHARED_AT_ONCE = 128  # bytes of shared memory likewise
RESERVED_SHARED = 1024  # bytes that the driver takes per block
L1_BYTES = 64  # bytes per clock between the L2 cache and one multiprocessor


@dataclass(frozen=True)
class Machine:
    name: str
    architecture: str
    multiprocessors: int
    clock: float  # Hz, boost
    memory: float  # bytes/s
    l2: float  # bytes/s: two thirds of 5,120 bytes per clock
    fp32: int  # warp instructions per clock and multiprocessor
    tensor: dict[str, float]  # FLOP/s of dense products by data type, as far as mma instructions reach them
    cublas: float  # FLOP/s of products in fp32 outside tensor cores
    shared: int  # bytes per multiprocessor
    warps: int = 64
    blocks: int = 32


# From NVIDIA's data sheets of the SXM modules with 80 GB. On an H100, mma instructions reach 62.9% of the peak, which only
# wgmma attains (Luo et al. 2024, "Benchmarking and Dissecting the Nvidia Hopper GPU Architecture").
A100 = Machine("A100", "sm_80", 108, 1.41e9, 2.039e12, 4.8e12, 2, {"fp16": 312e12, "tf32": 156e12}, 19.5e12, 164 << 10)
H100 = Machine(
    "H100",
    "sm_90",
    132,
    1.755e9,
    3.35e12,
    6.0e12,
    4,
    {"fp16": 0.629 * 989e12, "tf32": 0.629 * 494e12},
    67e12,
    228 << 10,
)
MACHINES = (A100, H100)


def up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


def blocks_at_once(machine: Machine, threads: int, registers: int, shared: int) -> int:
    """Blocks of a kernel that one multiprocessor runs at a time. 0 if a block does not fit."""
    warps = -(-threads // WARP)
    by_registers = REGISTERS // (up(registers * WARP, REGISTERS_AT_ONCE) * warps) if registers else machine.blocks
    by_shared = machine.shared // up(shared + RESERVED_SHARED, SHARED_AT_ONCE)
    return min(machine.blocks, machine.warps // warps, by_registers, by_shared)


def occupancy(machine: Machine, threads: int, blocks: int) -> float:
    """Share of a multiprocessor's warps that `blocks` blocks at a time occupy."""
    return blocks * -(-threads // WARP) / machine.warps


def busy_multiprocessors(machine: Machine, blocks: float) -> float:
    """Multiprocessors that work on average, if blocks take equally long: 108 for 216 blocks, 72 for 144."""
    blocks = max(blocks, 1)
    return blocks / math.ceil(blocks / machine.multiprocessors)
