"""Draw the figures of a benchmark: quality against CPU time, error beside edges, memory. Needs matplotlib (extra `benchmarks`)."""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# Ours is dark, with a marker of its own, so that it is told apart in grey print, too.
_OURS, _PEERS = "#b2182b", "#92a9c4"
_LABEL_HEIGHT = 0.055  # of the axes


def draw(results: dict[str, Any], folder: Path) -> list[Path]:
    """One PNG a stack, from what `run` wrote to results.json. Raises ModuleNotFoundError without matplotlib."""
    importlib.import_module("matplotlib").use("Agg")
    pyplot = importlib.import_module("matplotlib.pyplot")
    written = []
    for stack in results["stacks"]:
        rows = [row for row in results["rows"] if row["stack"] == stack["name"] and row["score"] is not None]
        if not rows:
            continue
        # a depth map changes the cost, not the picture
        pictures = [row for row in rows if not row["program"].endswith(", depth")]
        figure, axes = pyplot.subplots(1, 3, figsize=(12, 3.9), layout="constrained", width_ratios=(1.6, 1, 1))
        _quality(axes[0], pictures, stack)
        halo = [row["score"]["halo_p95"] / stack["yardstick"]["halo_p95"] for row in pictures]
        _bars(axes[1], pictures, halo, "{:.2f}", "error beside depth edges, x yardstick")
        axes[1].axvline(1, color="0.3", linestyle="--", linewidth=1)
        peaks = [max(cost["peak_mib"] for cost in row["costs"]) for row in rows]
        _bars(axes[2], rows, peaks, "{:.0f}", "peak memory, MiB")
        size = stack["width"] * stack["height"] / 1e6
        figure.suptitle(f"Stack {stack['name']}: {size:.0f} MP x {stack['frames']}")
        path = folder / f"{stack['name']}.png"
        figure.savefig(path, dpi=160)
        pyplot.close(figure)
        written.append(path)
    return written


def _is_ours(row: dict[str, Any]) -> bool:
    return bool(row["program"].startswith("focusrail"))


def _quality(axes: Any, rows: Sequence[dict[str, Any]], stack: dict[str, Any]) -> None:
    """PSNR against CPU time, as multiples of what decoding the frames takes."""
    floor = statistics.median(cost["cpu_s"] for cost in stack["decoding"])
    times = [statistics.median(cost["cpu_s"] for cost in row["costs"]) / floor for row in rows]
    axes.axhline(stack["yardstick"]["psnr_fit"], color="0.3", linestyle="--", linewidth=1)
    axes.axvline(1, color="0.3", linestyle=":", linewidth=1)
    quality = [row["score"]["psnr_fit"] for row in rows]
    for row, x, y in zip(rows, times, quality, strict=True):
        mine = _is_ours(row)
        axes.scatter(x, y, color=_OURS if mine else _PEERS, marker="D" if mine else "o", edgecolor="0.2", zorder=3)
    axes.set(xscale="log", xlabel="CPU time, x decoding the frames", ylabel="PSNR, dB", xlim=(0.8, max(times) * 1.4))
    axes.set_xticks([t for t in (1, 2, 5, 10, 20, 50, 100, 200, 500) if t <= max(times) * 1.4])
    axes.minorticks_off()
    axes.xaxis.set_major_formatter("{x:g}")
    axes.margins(y=0.14)
    axes.grid(visible=True, alpha=0.3)
    axes.annotate("yardstick", (0.99, stack["yardstick"]["psnr_fit"]), **_beside(-2, 3, "right", axes))
    _names(axes, rows, times, quality)


def _names(axes: Any, rows: Sequence[dict[str, Any]], times: Sequence[float], quality: Sequence[float]) -> None:
    """Each point's name beside it, moved up or down where it would lie on another's."""
    low, high = axes.get_ylim()
    taken: list[float] = []
    # in the right half a name stands left of its point, so that it stays inside
    middle = (0.8 * max(times) * 1.4) ** 0.5
    for row, x, y in sorted(zip(rows, times, quality, strict=True), key=lambda point: -point[2]):
        wanted = (y - low) / (high - low)
        at = min([wanted, *(other - _LABEL_HEIGHT for other in taken)])
        taken.append(at)
        offset = (at - wanted) * axes.get_window_extent().height * 72 / axes.figure.dpi
        axes.annotate(
            row["program"],
            (x, y),
            xytext=(-8 if x > middle else 8, offset - 3),
            textcoords="offset points",
            fontsize=8,
            ha="right" if x > middle else "left",
        )


def _beside(right: float, up: float, align: str, axes: Any) -> dict[str, Any]:
    return {
        "xycoords": axes.get_yaxis_transform(),
        "xytext": (right, up),
        "textcoords": "offset points",
        "fontsize": 8,
        "ha": align,
    }


def _bars(axes: Any, rows: Sequence[dict[str, Any]], values: Sequence[float], form: str, title: str) -> None:
    """One bar a program with its value at the end."""
    bars = axes.barh(
        [row["program"].replace("align_image_stack + ", "") for row in rows],
        values,
        color=[_OURS if _is_ours(row) else _PEERS for row in rows],
        edgecolor="0.2",
        linewidth=0.6,
    )
    # on white, for the yardstick's line may pass behind it
    on_white = {"facecolor": "white", "edgecolor": "none", "pad": 1}
    axes.bar_label(bars, labels=[form.format(value) for value in values], padding=4, fontsize=8, bbox=on_white)
    axes.invert_yaxis()
    axes.set_xlim(0, max(values) * 1.2)
    axes.set_title(title, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="results.json")
    parser.add_argument("--out", type=Path, help="folder for the PNG files (default: beside it)")
    given = parser.parse_args(arguments)
    for path in draw(json.loads(given.results.read_text(encoding="utf-8")), given.out or given.results.parent):
        print(path)


if __name__ == "__main__":
    main()
