"""Where a picture was sharp."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class DepthEstimate:
    """Where the picture was sharp.

    Attributes
    ----------
    depth : ndarray (rows, columns), float32
        In the unit of the positions; larger is farther; NaN where unknown.
    confidence : ndarray (rows, columns), float32
        0 to 1: how sharply one position stands out.
    surface : ndarray (rows, columns), float32, or None
        The depth where it is known, and what its surface says of it where it is not; NaN where that says nothing either.
    """

    depth: F32
    confidence: F32
    surface: F32 | None
