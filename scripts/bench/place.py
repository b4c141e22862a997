"""Where a peer computes, which common.run() tells it in the environment: OMP_NUM_THREADS, or BENCH_DEVICE for a GPU."""

import os

DEVICE = os.environ.get("BENCH_DEVICE", "cpu")
ON_GPU = DEVICE == "cuda"


def place_torch(precision: str = "fp32") -> None:
    """Sets torch's threads, and whether it rounds fp32 to TF32 on a GPU."""
    import torch

    if ON_GPU:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    else:
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


def finish() -> None:
    """Waits until the GPU has done all work, so that the clock may be read."""
    if ON_GPU:
        import torch

        torch.cuda.synchronize()
