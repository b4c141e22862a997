"""Writes docs/kernels.md."""

from __future__ import annotations

from itertools import groupby

from cases import Case
from counts import Kernel
from figures import COLUMNS, Counted
from machines import MACHINES, blocks_at_once, occupancy
from resources import Resources

HEAD = """# Kernels

**Estimates.** No figure on this page was measured on a GPU. A simulator runs the programs and counts what each kernel asks for; times are
the least that a GPU needs for those counts, without the latencies that a kernel fails to hide and without launches. Written by
`scripts/kernel_report.sh`; `scripts/gpu_check.sh` measures the same operations on a GPU and, where `ncu` is available, compares its counts.

| figure | meaning |
|---|---|
| launches | kernels, and products of cuBLAS, in one call of the operation |
| bytes / least | bytes of global memory requested in sectors of 32 bytes, over those that the operation cannot avoid: inputs and outputs once; for top-k the items once per 128 queries; for ALS and Bayesian factors one row of factors per rating; for SGD and BPR the rows of a rating, read and written; for row similarity an id and a value per product; for penalties the tokens and their logits. Top-k is counted without making rows ready, which is an operation of its own |
| coalescing | bytes that threads asked for over bytes in the sectors; above 1 where several threads read the same |
| bank wavefronts / ideal | passes through shared memory over the fewest possible; 1 means no bank conflict |
| tensor share | share of multiply-adds on tensor cores; every fp32 instruction counts as one outside |
| barriers | of all threads of a block, on average over the blocks of the kernel that has most |
| bound | the largest of: distinct bytes / memory bandwidth, requested bytes / L2 bandwidth, instructions / issue rate, and the rates of fp32 units, special functions, tensor cores, shared memory and atomics, summed over kernels. Blocks that do not fill all multiprocessors count accordingly |

The simulated device has the limits of an H100, for which the rules of launches choose tiles and blocks; "another plan" marks kernels whose
blocks an A100 would not hold, for which the rules choose smaller ones. Bounds assume: {machines}. The instructions are those of PTX; registers and spills are what ptxas reports for the machine code.
"""


def shown(value: float | None) -> str:
    if value is None:
        return "–"
    if value >= 1e6:
        return f"{value / 1e6:,.1f} M"
    if value >= 1e4:
        return f"{value / 1e3:,.0f} k"
    return f"{value:,.0f}" if value == int(value) else f"{value:.2f}" if value < 100 else f"{value:,.0f}"


def microseconds(seconds: float) -> str:
    return f"{1e6 * seconds:,.0f}" if seconds >= 1e-4 else f"{1e6 * seconds:.3g}"


def row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [row(head), row(["---"] * len(head)), *map(row, rows), ""]


def machines() -> str:
    return "; ".join(
        f"{each.name}: {each.multiprocessors} multiprocessors at {each.clock / 1e9:g} GHz, {each.memory / 1e12:g} TB/s of memory, "
        f"{each.l2 / 1e12:g} TB/s of L2, {each.tensor['fp16'] / 1e12:.0f} TFLOP/s in fp16 and {each.tensor['tf32'] / 1e12:.0f} in TF32 by mma"
        for each in MACHINES
    )


def operation(counted: list[Counted]) -> list[str]:
    rows = []
    for one in counted:
        limits = [f"{microseconds(seconds)} ({resource})" for seconds, resource in map(one.bound, MACHINES)]
        rows.append([one.case.shape, *(shown(one.figures()[name]) for name in COLUMNS), *limits])
    return table(["shape", *COLUMNS, *(f"{each.name} bound, us" for each in MACHINES)], rows)


def resident(kernel: Kernel, resources: dict[str, dict[str, int]]) -> list[str]:
    """Registers, spills, and on each machine blocks per multiprocessor, occupancy and waves."""
    known = [resources.get(machine.architecture, {}) for machine in MACHINES]
    cells = [
        " / ".join(str(each.get("registers", "?")) for each in known),
        " / ".join(str(each.get("spills", "?")) for each in known),
    ]
    for machine, values in zip(MACHINES, known):
        blocks = blocks_at_once(machine, kernel.block_threads, values.get("registers", 0), kernel.shared)
        if blocks:
            share, waves = (
                occupancy(machine, kernel.block_threads, blocks),
                kernel.blocks / blocks / machine.multiprocessors,
            )
            cells.append(f"{blocks}, {share:.0%}, {waves:.2f}")
        else:
            cells.append("another plan")
    return cells


def kernels(counted: list[Counted], resources: Resources) -> list[str]:
    """Each kernel once, in the last case that launches it."""
    last = {kernel.name: (one, kernel) for one in counted for kernel in one.kernels if not kernel.is_cublas}
    rows = [
        [
            f"`{name}`",
            one.case.shape,
            f"{kernel.blocks:,.0f} x {kernel.block_threads}",
            f"{kernel.shared:,}",
            shown(kernel.bytes / kernel.distinct_bytes if kernel.distinct_bytes else None),
            shown(kernel["shared_wavefronts"] / kernel["shared_ideal"] if kernel["shared_ideal"] else None),
            f"{kernel['lane_efficiency']:.0%}",
            *resident(kernel, resources.get(name, {})),
        ]
        for name, (one, kernel) in last.items()
    ]
    head = ["kernel", "shape", "blocks x threads", "shared bytes", "bytes / distinct bytes"]
    head += ["bank wavefronts / ideal", "active lanes"]
    head += ["registers sm_80 / sm_90", "bytes spilled"]
    return table([*head, *(f"{each.name}: blocks per multiprocessor, occupancy, waves" for each in MACHINES)], rows)


def spilled(one: Counted, resources: Resources) -> int | None:
    """Bytes that kernels of a case spill on any architecture."""
    known = [values for kernel in one.kernels for values in resources.get(kernel.name, {}).values()]
    return sum(values.get("spills", 0) for values in known) if known else None


LIMITS = ["case", "figure", "limit", "found", "holds"]
COMPARED = ["launches", "requested MB", "tensor share", "barriers", "warp instructions"]
COMPARED += [f"{machine.name} us" for machine in MACHINES]


def checked(whole: Counted, resources: Resources) -> list[str]:
    """Rows of the table of limits."""
    rows = []
    for bar in whole.case.bars:
        one = whole.of_kernel(bar.kernel)
        value = spilled(one, resources) if bar.figure == "bytes spilled" else one.figures()[bar.figure]
        sign = "at most" if bar.most else "at least"
        said = "–" if value is None else "yes" if bar.holds(value) else "**no**"
        figure = f"{bar.figure}{bar.kernel and f' of {bar.kernel}'}"
        rows.append(row([one.case.name, figure, f"{sign} {bar.limit:g}", shown(value), said]))
    return rows


def compared(one: Counted, earlier: dict[str, dict]) -> list[str]:
    """Earlier version of the kernels -> this one: no row or one."""
    before, now = earlier.get(one.case.earlier), one.summary()
    if not before or before == now:
        return []
    return [row([one.case.name, *(f"{shown(before.get(name))} → {shown(now[name])}" for name in COMPARED)])]


class Earlier:
    """A page that was written before."""

    def __init__(self, text: str):
        parts = [part.split("\n", 1) for part in text.split("\n## ")[1:]]
        self.sections = {name: lines.split("\n") for name, lines in parts}

    def tables(self, section: str) -> list[str]:
        lines = self.sections.get(section, [])
        start = next((at for at, line in enumerate(lines) if line.startswith("|")), len(lines))
        return lines[start:]

    def rows(self, section: str, case: str) -> list[str]:
        return [line for line in self.sections.get(section, []) if line.startswith(f"| {case} |")]


def rows_of(title: str, intro: list[str], head: list[str], rows: list[str]) -> list[str]:
    return [f"## {title}", "", *intro, *table(head, [])[:-1], *rows, ""] if rows else []


def page(
    cases: list[Case],
    counted: list[Counted],
    resources: Resources,
    earlier: dict[str, dict],
    pictures: dict[str, list],
    old: Earlier,
) -> str:
    """Operations of which no case has been counted keep what `old` says."""
    found = {one.case.name: one for one in counted}
    lines = [HEAD.format(machines=machines())]
    limits, comparisons = [], []
    for name, group in groupby(cases, key=lambda case: case.operation):
        title, of_operation = f"{name[0].upper()}{name[1:]}", list(group)
        ours = [found[case.name] for case in of_operation if case.name in found]
        for one in ours:
            limits += checked(one, resources)
            comparisons += compared(one, earlier)
        tables = [*operation(ours), *kernels(ours, resources)] if ours else old.tables(title)
        if tables:
            shows = [line for file, text in pictures.get(name, []) for line in (f"![{text}]({file})", "")]
            lines += [f"## {title}", "", *shows, *tables]
        if not ours:
            limits += [line for case in of_operation for line in old.rows("Limits", case.name)]
            comparisons += [line for case in of_operation for line in old.rows("Before and after", case.name)]
    intro = "Top-k and ALS computed in fp32 outside tensor cores before. Bytes of cuBLAS's products are not counted."
    lines += rows_of("Limits", [], LIMITS, limits)
    lines += rows_of("Before and after", [intro, ""], ["case", *COMPARED], comparisons)
    return "\n".join(lines).rstrip() + "\n"
