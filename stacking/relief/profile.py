"""Depth along a line across the picture: as a table, and as a plot."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from stacking.errors import StackingUsageError
from stacking.plots import Plot, Series
from stacking.relief.options import Line
from stacking.relief.surface import DepthUnit, Relief

F64 = NDArray[np.float64]
_MOST_SAMPLES = 20_000


@dataclass(frozen=True, slots=True)
class Profile:
    """Depth at every pixel of a line.

    Attributes
    ----------
    x, y : ndarray (n,), float64
        Pixels of the picture.
    distance_px : ndarray (n,), float64
        From the line's start.
    depth : ndarray (n,), float64
        Holes filled.
    confidence : ndarray (n,), float64
    filled : ndarray (n,), bool
        True where a hole was filled.
    relief : Relief
        What it was read from.
    """

    x: F64
    y: F64
    distance_px: F64
    depth: F64
    confidence: F64
    filled: NDArray[np.bool_]
    relief: Relief

    def csv(self) -> bytes:
        """A table with a head, one line a pixel; ``distance_um`` is empty where the scale is not known."""
        scale = self.relief.scale
        out = io.StringIO()
        table = csv.writer(out, lineterminator="\n")
        table.writerow(["x", "y", "distance_px", "distance_um", f"depth_{scale.unit.value}", "confidence", "filled"])
        for k in range(len(self.x)):
            across = "" if scale.pixel_um is None else f"{self.distance_px[k] * scale.pixel_um:.4f}"
            table.writerow(
                [
                    f"{self.x[k]:.3f}",
                    f"{self.y[k]:.3f}",
                    f"{self.distance_px[k]:.3f}",
                    across,
                    f"{self.depth[k]:.4f}",
                    f"{self.confidence[k]:.4f}",
                    int(self.filled[k]),
                ]
            )
        return out.getvalue().encode()

    def svg(self) -> str:
        """A plot: depth grows downwards as it does under the lens; filled parts are dashed."""
        scale = self.relief.scale
        across = self.distance_px * (scale.pixel_um or 1.0)
        unit = "µm" if scale.unit is DepthUnit.UM else "frames"
        known = np.where(self.filled, np.nan, self.depth)
        guessed = np.where(_widened(self.filled), self.depth, np.nan)
        return Plot(
            title="Depth along the line",
            x_label=f"along the line, {'µm' if scale.pixel_um else 'pixels'}",
            y_label=f"depth, {unit}",
            series=(
                Series("measured", across, known),
                Series("filled", across, guessed, dashed=True),
            ),
            y_down=True,
        ).svg()


def profile_along(relief: Relief, line: Line) -> Profile:
    """Depth along a line from (x0, y0) to (x1, y1).

    Raises
    ------
    StackingUsageError
        Where an end lies outside the picture, or both are one point.
    """
    rows, columns = relief.depth.shape
    x0, y0, x1, y1 = line
    for end_x, end_y in ((x0, y0), (x1, y1)):
        if not (0 <= end_x <= columns - 1 and 0 <= end_y <= rows - 1):
            raise StackingUsageError(
                f"the line's end {end_x:g},{end_y:g} lies outside the picture of {columns}x{rows}",
                remedy="Give the line as x0,y0,x1,y1 in pixels of the result.",
            )
    length = float(np.hypot(x1 - x0, y1 - y0))
    if length < 1:
        raise StackingUsageError(
            "the line has no length", remedy="Give the line as x0,y0,x1,y1, for example 0,500,900,500."
        )
    count = min(int(length) + 1, _MOST_SAMPLES)
    share = np.linspace(0.0, 1.0, count)
    x, y = x0 + share * (x1 - x0), y0 + share * (y1 - y0)
    maps = x.astype(np.float32)[None], y.astype(np.float32)[None]
    depth = cv2.remap(relief.filled, *maps, cv2.INTER_LINEAR)[0].astype(np.float64)
    confidence = cv2.remap(relief.confidence, *maps, cv2.INTER_LINEAR)[0].astype(np.float64)
    filled = relief.holes[np.rint(y).astype(int), np.rint(x).astype(int)]
    return Profile(x, y, share * length, depth, confidence, filled, relief)


def _widened(filled: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """With the neighbours of each run, so that the two curves of a plot meet."""
    wide = filled.copy()
    for a, b in pairwise(range(len(filled))):
        if filled[a] != filled[b]:
            wide[a] = wide[b] = True
    return wide
