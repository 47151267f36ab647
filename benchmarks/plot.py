"""Draw the figures of a benchmark: quality against CPU time, and memory. Needs nothing but matplotlib (extra `benchmarks`)."""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def draw(results: dict[str, Any], folder: Path) -> list[Path]:
    """One PNG a stack, from what `run` wrote to results.json. Raises ModuleNotFoundError without matplotlib."""
    importlib.import_module("matplotlib").use("Agg")
    pyplot = importlib.import_module("matplotlib.pyplot")
    written = []
    for stack in results["stacks"]:
        rows = [row for row in results["rows"] if row["stack"] == stack["name"] and row["score"] is not None]
        figure, (quality, memory) = pyplot.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
        floor = statistics.median(cost["cpu_s"] for cost in stack["decoding"])
        # a depth map changes the cost, not the picture
        drawn = [row for row in rows if not row["program"].endswith(", depth")]
        costs = [statistics.median(cost["cpu_s"] for cost in row["costs"]) for row in drawn]
        for row, seconds in zip(drawn, costs, strict=True):
            colour = "tab:red" if row["program"].startswith("focusrail") else "tab:blue"
            at = (seconds, row["score"]["psnr_fit"])
            # to the left of a point in the right half, so that the name stays inside
            right = seconds > (floor * max(costs)) ** 0.5
            quality.scatter(*at, color=colour, zorder=3)
            quality.annotate(
                row["program"],
                at,
                xytext=(-6 if right else 6, 5),
                textcoords="offset points",
                fontsize=8,
                ha="right" if right else "left",
            )
        quality.axhline(stack["yardstick"]["psnr_fit"], color="0.5", linestyle="--", label="yardstick")
        quality.axvline(floor, color="0.5", linestyle=":", label="decoding alone")
        quality.set(xscale="log", xlabel="CPU seconds", ylabel="PSNR, dB")
        quality.xaxis.set_major_formatter("{x:g}")
        quality.margins(y=0.12)
        quality.grid(visible=True, alpha=0.3, which="both")
        quality.legend(fontsize=8, loc="lower left")
        names = [row["program"] for row in rows]
        peaks = [max(cost["peak_mib"] for cost in row["costs"]) for row in rows]
        colours = ["tab:red" if name.startswith("focusrail") else "tab:blue" for name in names]
        memory.barh(names, peaks, color=colours)
        memory.invert_yaxis()
        memory.set(xlabel="peak memory, MiB")
        size = stack["width"] * stack["height"] / 1e6
        figure.suptitle(f"Stack {stack['name']}: {size:.0f} MP x {stack['frames']}")
        path = folder / f"{stack['name']}.png"
        figure.savefig(path, dpi=110)
        pyplot.close(figure)
        written.append(path)
    return written


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="results.json")
    parser.add_argument("--out", type=Path, help="folder for the PNG files (default: beside it)")
    given = parser.parse_args(arguments)
    for path in draw(json.loads(given.results.read_text(encoding="utf-8")), given.out or given.results.parent):
        print(path)


if __name__ == "__main__":
    main()
