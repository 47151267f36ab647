"""The methods of fusion by name."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stacking.fuse.average import AverageFusion
from stacking.fuse.bands import Bands
from stacking.fuse.canvas import Canvas
from stacking.fuse.frame_planes import FramePlanes
from stacking.fuse.pyramid import PyramidFusion
from stacking.options import Method


class Fusion(Protocol):
    """A running fusion: frames go in one after the other, in memory that does not grow with their number."""

    def add(
        self, planes: FramePlanes, matrix: NDArray[np.float64], frame_size: tuple[int, int], position: float
    ) -> None:
        """Take in one frame, resampled through ``matrix`` (canvas to frame); ``frame_size`` is (width, height)."""

    def result(self) -> tuple[NDArray[np.uint16], NDArray[np.float32] | None]:
        """The picture and its depth; ends the fusion."""


def fusion_for(method: Method, canvas: Canvas, bands: Bands, *, wants_depth: bool) -> Fusion:
    """A running fusion by its name."""
    if method is Method.AVERAGE:
        return AverageFusion(canvas, bands)
    return PyramidFusion(canvas, bands)
