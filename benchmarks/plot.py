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
        for row in rows:
            mine = row["program"].startswith("focusrail")
            seconds = statistics.median(cost["cpu_s"] for cost in row["costs"])
            quality.scatter(seconds, row["score"]["psnr_fit"], color="tab:red" if mine else "tab:blue", zorder=3)
            quality.annotate(
                row["program"],
                (seconds, row["score"]["psnr_fit"]),
                xytext=(5, 4),
                textcoords="offset points",
                fontsize=8,
            )
        quality.axhline(stack["yardstick"]["psnr_fit"], color="0.5", linestyle="--", label="yardstick")
        floor = statistics.median(cost["cpu_s"] for cost in stack["decoding"])
        quality.axvline(floor, color="0.5", linestyle=":", label="decoding alone")
        quality.set(xscale="log", xlabel="CPU seconds", ylabel="PSNR, dB")
        quality.margins(x=0.2)
        quality.grid(visible=True, alpha=0.3, which="both")
        quality.legend(fontsize=8, loc="lower right")
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
