"""What a simulator counted for one kernel, and the bounds that follow."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass

from machines import L1_BYTES, WARP, Machine, busy_multiprocessors

SECTOR = 32  # bytes of global memory that are fetched at once


@dataclass(frozen=True)
class Kernel:
    """Sums over the launches of a kernel."""

    name: str  # demangled, without namespaces and parameters
    counts: dict[str, float]

    def __getitem__(self, key: str) -> float:
        return self.counts.get(key, 0)

    @property
    def launches(self) -> int:
        return int(self["launches"])

    @property
    def is_cublas(self) -> bool:
        """A product of cuBLAS, of which only the operations are known."""
        return "flops" in self.counts

    @property
    def block_threads(self) -> int:
        x, y, z = self.counts.get("block", (1, 1, 1))
        return x * y * z

    @property
    def blocks(self) -> float:
        """Per launch."""
        return self["threads"] / self.block_threads / max(self.launches, 1)

    @property
    def shared(self) -> int:
        """Bytes of shared memory per block."""
        return int(self["static_shared"] + self["dynamic_shared"])

    @property
    def bytes(self) -> float:
        return SECTOR * (self["ld_sectors"] + self["st_sectors"])

    @property
    def asked_bytes(self) -> float:
        return self["ld_bytes"] + self["st_bytes"]

    @property
    def distinct_bytes(self) -> float:
        return self["compulsory_ld_bytes"] + self["compulsory_st_bytes"]

    @property
    def multiply_adds(self) -> float:
        """Of threads: each fp32 instruction counts as one."""
        return self["fp32"] * WARP * self["lane_efficiency"]

    @property
    def tensor_multiply_adds(self) -> float:
        return self["tensor_flops"] / 2

    @property
    def barriers_per_block(self) -> float:
        """The simulator counts each warp that arrives."""
        warps = -(-self.block_threads // WARP)
        return self["barriers"] / warps / max(self.blocks * self.launches, 1)


def bounds(kernel: Kernel, machine: Machine, tensor_type: str) -> dict[str, float]:
    """Seconds that each resource needs at least, all launches together. What is on a multiprocessor counts only as far as blocks
    reach all of them."""
    if kernel.is_cublas:
        return {"cuBLAS": kernel["flops"] / (machine.tensor["fp16"] if tensor_type == "fp16" else machine.cublas)}
    busy = busy_multiprocessors(machine, kernel.blocks)
    clocks = busy * machine.clock
    share = busy / machine.multiprocessors
    return {
        "memory": kernel.distinct_bytes / machine.memory,
        "L2": max(kernel.bytes / machine.l2, kernel.bytes / (L1_BYTES * clocks)),
        "issue": kernel["warp_insts"] / (4 * clocks),
        "fp32": kernel["fp32"] / (machine.fp32 * clocks),
        "special functions": kernel["sfu"] / (0.5 * clocks),
        "tensor cores": kernel["tensor_flops"] / (machine.tensor[tensor_type or "tf32"] * share),
        "shared memory": kernel["shared_wavefronts"] / clocks,
        "atomics": kernel["atom_serial"] / clocks,
    }


def short_name(demangled: str) -> str:
    """`score_kernel<float, 4>` of `void sartor::cuda::(anonymous namespace)::score_kernel<float, 4>(...)`."""
    name = demangled.replace("(anonymous namespace)::", "").removeprefix("void ")
    depth, end = 0, len(name)
    for i, character in enumerate(name):
        depth += (character == "<") - (character == ">")
        if character == "(" and depth == 0:
            end = i
            break
    # CUB's policies are long and say nothing about the work
    name = re.sub(r"(\w+::)+", "", name[:end])
    return name if len(name) <= 60 else name.split("<")[0]


def demangled(names: list[str]) -> list[str]:
    """The names as they are if c++filt is missing."""
    try:
        done = subprocess.run(["c++filt"], input="\n".join(names), capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return names
    return done.stdout.split("\n")[: len(names)]


def kernels_of(lines: list[dict]) -> list[Kernel]:
    """From the objects that the simulator wrote, one per kernel and process."""
    names = demangled([line["kernel"] for line in lines])
    return [Kernel(short_name(name), line) for name, line in zip(names, lines)]
