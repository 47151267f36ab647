"""Magnification: from a picture of a ruled target, or from how fast blur grows with the rail's travel."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capture.depth_of_field import magnification_of_growth
from capture.errors import FocusError
from capture.focus.ruler import find_spacing

F32 = NDArray[np.float32]

# Half widths of a 95 % interval in standard deviations; of few parts it is wider (Student).
_T95 = {2: 4.30, 3: 3.18, 4: 2.78, 5: 2.57, 6: 2.45, 7: 2.36, 8: 2.31}
_PARTS = 3
_FEWEST_PARTS = 4
_LEAST_PART_PX = 64
_ALIKE = 0.1
# Within what share 95 % of measured growths lie (docs/campaigns-focus.md), and what makers round a marked f-number to.
_GROWTH_SHARE, _F_NUMBER_SHARE = 0.09, 0.04


@dataclass(frozen=True, slots=True)
class Magnified:
    """A magnification with half the width of its 95 % interval, and how it was found."""

    value: float
    uncertainty: float
    note: str


def magnification_of_target(gray: F32, pixel_um: float, spacing_um: float) -> Magnified:
    """From one sharp picture of a target with parallel lines at an even distance (ruler, stage micrometer, grating), at any angle.

    Parameters
    ----------
    gray : ndarray, shape (rows, columns), float32
    pixel_um : float
        Pitch of `gray`'s pixels on the sensor.
    spacing_um : float
        From one line of the target to the next.

    Raises
    ------
    FocusError
        No such lines, or not the same all over the picture: a tilted target, or blur.
    """
    whole = find_spacing(gray)
    if whole is None:
        raise FocusError(
            "no evenly ruled lines stand out in the picture",
            remedy="Let a ruler or stage micrometer fill the picture, its lines in focus and at least four pixels apart.",
            state="Nothing was written.",
        )
    parts = [
        found.px
        for part in _in_parts(gray)
        if (found := find_spacing(part)) is not None and abs(found.px / whole.px - 1) < _ALIKE
    ]
    if len(parts) < _FEWEST_PARTS:
        raise FocusError(
            f"lines {whole.px:.1f} pixels apart are seen in {len(parts)} of {_PARTS**2} parts of the picture only",
            remedy="Let the target fill the picture, square to the lens, so that all of it is in focus.",
            state="Nothing was written.",
        )
    value = whole.px * pixel_um / spacing_um
    scatter = float(np.std(parts, ddof=1)) / math.sqrt(len(parts))
    uncertainty_px = math.hypot(_T95[min(len(parts) - 1, 8)] * scatter, 1.96 * whole.uncertainty_px)
    return Magnified(value, value * uncertainty_px / whole.px, f"target, {spacing_um:g} um are {whole.px:.3f} px")


def magnification_of_travel(growth_px: float, f_number: float, pixel_um: float) -> Magnified:
    """From how fast blur grows with the rail's travel, pixels of the still per um, the f-number being known.

    Parameters
    ----------
    growth_px : float
        Growth of the blur circle's diameter.
    f_number, pixel_um : float
        As marked; pitch of the still.
    """
    value = magnification_of_growth(growth_px, f_number, pixel_um)
    share = math.hypot(_GROWTH_SHARE, _F_NUMBER_SHARE)
    low, high = (magnification_of_growth(growth_px * (1 + s * share), f_number, pixel_um) for s in (-1, 1))
    return Magnified(value, (high - low) / 2, f"growth of blur over the rail's travel, f/{f_number:g}")


def _in_parts(gray: F32) -> Iterator[F32]:
    rows, columns = (length // _PARTS for length in gray.shape)
    if min(rows, columns) < _LEAST_PART_PX:
        return
    for row in range(_PARTS):
        for column in range(_PARTS):
            yield np.ascontiguousarray(gray[row * rows : (row + 1) * rows, column * columns : (column + 1) * columns])
