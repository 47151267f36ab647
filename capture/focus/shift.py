"""By how much one frame is shifted against another of the same thing: a hundredth of a pixel where there is texture.

References
----------
[1] B. D. Lucas and T. Kanade, "An iterative image registration technique with an application to stereo vision", IJCAI 1981.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

_SMOOTH_PX = 1.2
_ROUNDS = 5
_ENOUGH_PX = 0.002
_NEAR_PX = 0.5


class ShiftMeter:
    """Measures shifts against `reference`.

    Parameters
    ----------
    reference : ndarray, shape (rows, columns), float32
        Any brightness.

    Raises
    ------
    ValueError
        Where it has no texture in one of both directions.
    """

    def __init__(self, reference: F32) -> None:
        self._flat = _prepared(reference)
        rows, columns = self._flat.shape
        self._window = np.asarray(cv2.createHanningWindow((columns, rows), cv2.CV_32F), np.float32)
        self._across = np.asarray(cv2.Scharr(self._flat, cv2.CV_32F, 1, 0, scale=1 / 32), np.float32)
        self._down = np.asarray(cv2.Scharr(self._flat, cv2.CV_32F, 0, 1, scale=1 / 32), np.float32)
        xx, yy, xy = (
            float((self._window * one * other).sum(dtype=np.float64))
            for one, other in ((self._across, self._across), (self._down, self._down), (self._across, self._down))
        )
        self._normal = np.array([[xx, xy], [xy, yy]])
        if not np.linalg.det(self._normal) > 1e-9 * max(xx + yy, 1e-12) ** 2:
            raise ValueError("no texture to measure a shift with")

    def shift(self, frame: F32) -> F64:
        """Shift of `frame` against the reference, pixels: (x, y); positive where things lie farther right, or lower."""
        flat = _prepared(frame)
        # given a window, OpenCV multiplies pictures of a size that suits it in place
        coarse, _ = cv2.phaseCorrelate(self._window * self._flat, self._window * flat)
        found, rest = self._refined(flat, np.array(coarse, np.float64))
        if float(np.abs(found).max()) > _NEAR_PX:
            # where little is to be seen, the far-off peak is chance
            near, near_rest = self._refined(flat, np.zeros(2))
            found = near if near_rest < rest else found
        return found

    def _refined(self, flat: F32, found: F64) -> tuple[F64, float]:
        """The shift from a first guess, and the energy of what then remains."""
        rows, columns = flat.shape
        back = flat
        for _ in range(_ROUNDS):
            moved = np.array([[1.0, 0.0, found[0]], [0.0, 1.0, found[1]]])
            back = np.asarray(
                cv2.warpAffine(
                    flat,
                    moved,
                    (columns, rows),
                    flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
                    borderMode=cv2.BORDER_REFLECT,
                ),
                np.float32,
            )
            further = self._small(back)
            found = found + further
            if float(np.abs(further).max()) < _ENOUGH_PX:
                break
        rest = self._window * (self._flat - back)
        return found, float((rest * rest).sum(dtype=np.float64))

    def _small(self, flat: F32) -> F64:
        difference = self._window * (self._flat - flat)
        right = [float((difference * slope).sum(dtype=np.float64)) for slope in (self._across, self._down)]
        return np.asarray(np.linalg.solve(self._normal, right), np.float64)


def _prepared(frame: F32) -> F32:
    """Of one brightness, without the pixels' own noise and without slow shading."""
    smooth = cv2.GaussianBlur(np.asarray(frame / max(float(frame.mean()), 1e-6), np.float32), (0, 0), _SMOOTH_PX)
    return np.asarray(smooth - cv2.GaussianBlur(smooth, (0, 0), 8 * _SMOOTH_PX), np.float32)
