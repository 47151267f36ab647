"""What a stack gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stacking.frames import Registration
from stacking.fuse.canvas import Canvas
from stacking.sharpness import StackSharpness
from stacking.slabs import Slab


@dataclass(frozen=True, slots=True)
class StackResult:
    """The fused picture and what is known about it.

    Attributes
    ----------
    image : ndarray (rows, columns, 3), uint16, encoded RGB
    depth : ndarray (rows, columns), float32, or None
        Larger is farther: um where every frame's position is known, else frame numbers; NaN where unknown.
    canvas : Canvas
        The part of the reference frame that the result shows.
    used : tuple of int
        Indices of the frames fused.
    left_out : dict of int to str
        The others, and why.
    registrations : dict of int to Registration
    reference : int
    notes : tuple of str
    confidence : ndarray (rows, columns), float32, or None
        Of the depth, 0 to 1.
    slabs : tuple of Slab
    sharpness : StackSharpness or None
        Of the blocks of all frames.
    surface : ndarray (rows, columns), float32, or None
        The depth, and in its holes what the surface that they lie in says of them; NaN where that says nothing either.
    """

    image: NDArray[np.uint16]
    depth: NDArray[np.float32] | None
    canvas: Canvas
    used: tuple[int, ...]
    left_out: dict[int, str]
    registrations: dict[int, Registration]
    reference: int
    notes: tuple[str, ...] = ()
    confidence: NDArray[np.float32] | None = None
    slabs: tuple[Slab, ...] = ()
    sharpness: StackSharpness | None = None
    surface: NDArray[np.float32] | None = None
