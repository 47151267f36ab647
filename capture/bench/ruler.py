"""A ruled target that moves across the picture as the carriage goes: the camera looks across the travel, so nothing goes out of focus."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capture.bench.render import View
from capture.bench.render_layers import Picture

F64 = NDArray[np.float64]

_LINE_SHARE = 0.2  # of the spacing
_PAPER, _INK = 0.6, 0.05


@dataclass(frozen=True, slots=True)
class Ruler:
    """Draws even lines, square to the travel.

    Attributes
    ----------
    spacing_um : float
        From line to line.
    pitch_px : float
        Pixels of the still per pixel drawn.
    """

    spacing_um: float
    pitch_px: float = 1.0

    def render(self, view: View, size_px: tuple[int, int]) -> Picture:
        """One picture, as `Renderer.render`."""
        width, height = size_px
        um_per_px = view.lens.pixel_um / view.lens.magnification
        shaken_px = np.zeros(1) if view.path_px is None else view.path_px[:, 0]
        edges_px = (np.arange(width + 1) - width / 2) * self.pitch_px
        across_um = (edges_px[None] + shaken_px[:, None]) * um_per_px + view.position_um + view.subject_shift_um[0]
        ink = np.diff(_ink_before(across_um / self.spacing_um), axis=1).mean(axis=0)
        share = ink * self.spacing_um / (self.pitch_px * um_per_px)
        row = _PAPER + (_INK - _PAPER) * share
        return np.asarray(np.broadcast_to(row[None, :, None], (height, width, 3)), np.float32).copy()


def _ink_before(turns: F64) -> F64:
    """How much ink lies before a place, in spacings."""
    whole = np.floor(turns)
    return np.asarray(whole * _LINE_SHARE + np.minimum(turns - whole, _LINE_SHARE))
