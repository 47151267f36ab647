"""A part of the frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # commands name regions before any array library is loaded
    import numpy as np
    from numpy.typing import NDArray

    F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Region:
    """A part of the frame, as shares of its width and height."""

    x: float = 0.0
    y: float = 0.0
    width: float = 1.0
    height: float = 1.0

    def crop(self, frame: F32) -> F32:
        """That part of `frame`."""
        rows, columns = frame.shape
        top, left = round(self.y * rows), round(self.x * columns)
        return frame[top : top + max(round(self.height * rows), 1), left : left + max(round(self.width * columns), 1)]
