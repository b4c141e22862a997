"""Counts of Nsight Compute, summed over the kernels of a program."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

from session import Failed, Missing, Session

# Figure -> names of the metric, of which the first that the device has is taken.
METRICS = {
    "requested bytes": ["lts__t_bytes.sum"],
    "distinct bytes": ["dram__bytes.sum"],
    "tensor instructions": ["sm__inst_executed_pipe_tensor.sum", "sm__inst_executed_pipe_tensor_op_hmma.sum"],
    "seconds": ["gpu__time_duration.sum"],
}


def find_ncu() -> str:
    places = [*Path("/usr/local").glob("cuda*/bin/ncu"), *Path("/opt/nvidia/nsight-compute").glob("*/ncu")]
    found = shutil.which("ncu") or next(map(str, sorted(places, reverse=True)), "")
    if not found:
        raise Missing("ncu is not installed on this machine")
    return found


def known_metrics(session: Session, ncu: str) -> dict[str, str]:
    """Figure -> metric. Those of METRICS that come first if the device does not tell its metrics."""
    try:
        lines = session.run(ncu, "--query-metrics").splitlines()
    except Failed:
        lines = []
    known = {words[0] for line in lines if (words := line.split())}
    chosen = {}
    for figure, names in METRICS.items():
        if name := next((name for name in names if not known or name.removesuffix(".sum") in known), None):
            chosen[figure] = name
    return chosen


def sums_of(output: str) -> dict[str, float]:
    """Metric -> sum over all kernels, in base units, from the lines of CSV among those of the program."""
    rows = csv.DictReader(line for line in output.splitlines() if line.startswith('"'))
    sums: dict[str, float] = {}
    for row in rows:
        name, value = row.get("Metric Name"), (row.get("Metric Value") or "").replace(",", "")
        try:
            sums[name] = sums.get(name, 0) + float(value)
        except ValueError:  # "n/a"
            continue
    return sums


def counted(session: Session, ncu: str, metrics: dict[str, str], *command: object) -> dict[str, float]:
    """Figures of METRICS for a program. Raises Missing if this machine does not let ncu read the counters."""
    options = ["--csv", "--print-units", "base", "--metrics", ",".join(metrics.values())]
    try:
        output = session.run(ncu, *options, *command)
    except Failed as error:
        reasons = ("ERR_NVGPUCTRPERM", "ERR_NVCMPGPU", "No kernels were profiled", "not supported")
        if found := next((line for line in error.output.splitlines() if any(each in line for each in reasons)), ""):
            raise Missing(f"ncu: {found.strip(' =')}") from error
        raise
    if "ERR_NVGPUCTRPERM" in output:  # some versions report it and run the program anyway
        raise Missing("ncu: ERR_NVGPUCTRPERM: the driver does not let this user read the counters")
    sums = sums_of(output)
    scale = {"seconds": 1e-9}
    return {figure: sums[name] * scale.get(figure, 1) for figure, name in metrics.items() if name in sums}
