"""Results of a benchmark: the values, and the Markdown table made of them."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from benchmarks.measure import Cost
from benchmarks.score import Score

# An interpreter with its libraries; memory beyond it is what the pictures need.
BASE_MIB = 150


@dataclass(frozen=True, slots=True)
class Row:
    """One program on one stack: its cost in each round, and the score of its first result."""

    stack: str
    program: str
    shown: str
    version: str
    costs: tuple[Cost, ...]
    score: Score | None
    failure: str | None


@dataclass(frozen=True, slots=True)
class StackResult:
    """One stack: its size, what decoding alone costs, and the score of the best selection."""

    name: str
    width: int
    height: int
    frames: int
    decoding: tuple[Cost, ...]
    yardstick: Score

    @property
    def megapixels(self) -> float:
        return self.width * self.height / 1e6


@dataclass(frozen=True, slots=True)
class Results:
    """A whole run of the benchmark."""

    date: str
    machine: str
    rounds: int
    load: tuple[float, ...]
    stacks: tuple[StackResult, ...]
    rows: tuple[Row, ...]


_COLUMNS = (
    "program",
    "CPU s",
    "x decode",
    "wall s",
    "x decode",
    "peak MiB",
    "MiB per MP",
    "PSNR dB",
    "to yardstick dB",
    "SSIM",
    "halo",
    "x yardstick",
    "open",
    "smooth",
    "detail",
    "depth rank",
)


def cpu_s(costs: tuple[Cost, ...]) -> float:
    """Median over the rounds, seconds."""
    return statistics.median(cost.cpu_s for cost in costs)


def wall_s(costs: tuple[Cost, ...]) -> float:
    """Median over the rounds, seconds."""
    return statistics.median(cost.wall_s for cost in costs)


def peak_mib(costs: tuple[Cost, ...]) -> float:
    """Largest over the rounds, MiB."""
    return max(cost.peak_mib for cost in costs)


def markdown(results: Results) -> str:
    """All tables, one a stack, with what they were measured on."""
    load = f"{min(results.load):.1f} to {max(results.load):.1f}" if results.load else "unknown"
    lines = [
        f"Measured {results.date} on {results.machine}; {results.rounds} round(s), programs interleaved; load before a run {load}.",
        "",
    ]
    for stack in results.stacks:
        lines += [f"### Stack {stack.name}: {stack.megapixels:.0f} MP x {stack.frames}", ""]
        lines += [_line(_COLUMNS), _line(("---",) + ("---:",) * (len(_COLUMNS) - 1))]
        lines += [_line(_cells(row, stack)) for row in results.rows if row.stack == stack.name]
        floor = stack.decoding
        only_costs = (f"{cpu_s(floor):.2f}", "1", f"{wall_s(floor):.2f}", "1", f"{peak_mib(floor):.0f}")
        lines.append(_line(("decoding alone", *only_costs, *[""] * (len(_COLUMNS) - 6))))
        lines.append(_line(("yardstick", *[""] * 6, *_quality(stack.yardstick, stack.yardstick))))
        lines.append("")
    return "\n".join(lines)


def _cells(row: Row, stack: StackResult) -> tuple[str, ...]:
    name = f"{row.program} {row.version}".strip()
    costs = (
        f"{cpu_s(row.costs):.1f}",
        f"{cpu_s(row.costs) / cpu_s(stack.decoding):.1f}",
        f"{wall_s(row.costs):.1f}",
        f"{wall_s(row.costs) / wall_s(stack.decoding):.1f}",
        f"{peak_mib(row.costs):.0f}",
        f"{(peak_mib(row.costs) - BASE_MIB) / stack.megapixels:.0f}",
    )
    if row.score is None:
        return (name, *costs, row.failure or "no result", *[""] * (len(_COLUMNS) - 8))
    return (name, *costs, *_quality(row.score, stack.yardstick))


def _quality(score: Score, yardstick: Score) -> tuple[str, ...]:
    return (
        f"{score.psnr_fit:.2f}",
        f"{score.psnr_fit - yardstick.psnr_fit:+.2f}",
        f"{score.ssim_fit:.4f}",
        f"{score.halo_p95:.1f}",
        f"{score.halo_p95 / yardstick.halo_p95:.2f}",
        f"{score.open_p95:.2f}",
        "" if score.smooth_rms is None else f"{score.smooth_rms:.2f}",
        f"{score.detail:.2f}",
        "" if score.depth_rank is None else f"{score.depth_rank:.3f}",
    )


def _line(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cells) + " |"
