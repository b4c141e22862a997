"""Calls of CUDA that a preloaded library has counted (cuda_calls.cpp), in groups and per step."""

from __future__ import annotations

from pathlib import Path

GROUPS = {
    "kernel launches": (
        "__cudaLaunchKernel",
        "cudaLaunchKernel",
        "cudaLaunchKernelExC",
        "cudaLaunchCooperativeKernel",
        "cuLaunchKernel",
        "cuLaunchKernelEx",
        "cudaGraphLaunch",
    ),
    "products of cuBLAS": (
        "cublasSgemm_v2",
        "cublasSgemmStridedBatched",
        "cublasGemmEx",
        "cublasGemmStridedBatchedEx",
        "cublasLtMatmul",
    ),
    "copies to the device": ("cudaMemcpyAsync to device", "cudaMemcpy to device", "cudaMemcpy2DAsync to device"),
    "copies from the device": (
        "cudaMemcpyAsync from device",
        "cudaMemcpy from device",
        "cudaMemcpy2DAsync from device",
    ),
    "copies on the device": ("cudaMemcpyAsync on device", "cudaMemcpy on device", "cudaMemcpy2DAsync on device"),
    "fills": ("cudaMemset", "cudaMemsetAsync"),
    "waits for a stream or the device": ("cudaStreamSynchronize", "cudaDeviceSynchronize"),
    "waits for an event": ("cudaEventSynchronize",),
    "allocations": ("cudaMalloc", "cudaHostAlloc"),
}


def read_calls(path: Path) -> dict[str, int]:
    lines = [line.split(" ", 1) for line in path.read_text().splitlines()]
    return {name: int(count) for count, name in lines}


def per_step(shorter: dict[str, int], longer: dict[str, int], steps: int) -> dict[str, float]:
    """Calls per step by group, from two runs of which one is `steps` steps longer: what each does once cancels out."""
    return {
        group: sum(longer.get(name, 0) - shorter.get(name, 0) for name in names) / steps
        for group, names in GROUPS.items()
    }
