"""The figures of a case, from what the simulator counted."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from cases import Case
from counts import Kernel, bounds, kernels_of
from machines import MACHINES, Machine

# Of the tables. A limit may also be of the bytes spilled.
COLUMNS = [
    "launches",
    "bytes / least",
    "coalescing",
    "bank wavefronts / ideal",
    "tensor share",
    "barriers",
    "warp instructions",
]


@dataclass(frozen=True)
class Counted:
    case: Case
    printed: dict
    kernels: list[Kernel]
    left_out: list[Kernel]

    def total(self, key: str) -> float:
        return sum(kernel[key] for kernel in self.kernels)

    def of_kernel(self, beginning: str) -> Counted:
        return replace(self, kernels=[kernel for kernel in self.kernels if kernel.name.startswith(beginning)])

    def bound(self, machine: Machine) -> tuple[float, str]:
        """Seconds of all kernels one after the other, and the resource that takes most of them."""
        seconds, by_resource = 0.0, {}
        for kernel in self.kernels:
            found = bounds(kernel, machine, self.case.tensor_type)
            resource = max(found, key=found.get)
            seconds += found[resource]
            by_resource[resource] = by_resource.get(resource, 0) + found[resource]
        return seconds, max(by_resource, key=by_resource.get)

    def figures(self) -> dict[str, float | None]:
        """Those of COLUMNS; None if a figure is not defined."""
        bytes_moved = sum(kernel.bytes for kernel in self.kernels)
        asked = sum(kernel.asked_bytes for kernel in self.kernels)
        products = sum(kernel.multiply_adds + kernel.tensor_multiply_adds for kernel in self.kernels)
        ideal = self.total("shared_ideal")
        whole = not any(kernel.is_cublas for kernel in self.kernels)
        return {
            "launches": self.total("launches")
            + self.case.others_launched * sum(kernel.launches for kernel in self.left_out),
            "bytes / least": bytes_moved / self.case.least_bytes(self.printed) if whole else None,
            "coalescing": asked / bytes_moved if bytes_moved else None,
            "bank wavefronts / ideal": self.total("shared_wavefronts") / ideal if ideal else None,
            "tensor share": self.total("tensor_flops") / 2 / products if products else None,
            "barriers": max((kernel.barriers_per_block for kernel in self.kernels if not kernel.is_cublas), default=0),
            "warp instructions": self.total("warp_insts"),
        }

    def estimate(self) -> dict:
        """What scripts/gpu_check.sh compares with counts of a GPU. None where products of cuBLAS take part."""
        whole = not any(kernel.is_cublas for kernel in self.kernels)
        return {
            "operation": self.case.operation,
            "name": self.case.name,
            "command": self.case.command,
            "requested bytes": sum(kernel.bytes for kernel in self.kernels) if whole else None,
            "distinct bytes": sum(kernel.distinct_bytes for kernel in self.kernels) if whole else None,
            "tensor instructions": self.total("tensor") if whole else None,
            "seconds": {machine.name: self.bound(machine)[0] for machine in MACHINES},
        }

    def summary(self) -> dict:
        """For a comparison with a later version."""
        requested = {"requested MB": sum(kernel.bytes for kernel in self.kernels) / 1e6}
        return self.figures() | requested | {f"{machine.name} us": 1e6 * self.bound(machine)[0] for machine in MACHINES}


def read_counts(case: Case, kept: Path) -> Counted | None:
    """None if the case has not been run."""
    path = kept / case.file
    if not path.exists():
        return None
    found = json.loads(path.read_text())
    kernels = kernels_of(found["kernels"])
    counted = [kernel for kernel in kernels if case.counts(kernel.name)]
    return Counted(case, found["printed"], counted, [kernel for kernel in kernels if kernel not in counted])
