"""How much of the local energy of a frame is noise: measured, level by level, where the frame is quietest."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from stacking.frames import Pixels
from stacking.fuse.bands import Bands, rows_of
from stacking.fuse.canvas import Canvas, windows
from stacking.fuse.focus_prior import detail_energy
from stacking.fuse.frame_planes import FramePlanes

_QUIET_PERCENT = 10.0
# One row in eight is looked at: over fewer cells the quietest tenth would be luck.
_DETAIL_CELLS = 3


@dataclass(frozen=True, slots=True)
class NoiseEnergy:
    """Energy of the noise as the fusion measures energy.

    Attributes
    ----------
    by_level : tuple of float
        From the finest level, squared 8-bit units, the share of finer levels included.
    detail : float
        Of `detail_energy`, the same unit.
    """

    by_level: tuple[float, ...]
    detail: float = 0.0

    def at(self, level: int) -> float:
        """That of a level; beyond the last, that of the last."""
        return self.by_level[min(level, len(self.by_level) - 1)]


def measure_noise(image: Pixels, gain: NDArray[np.float64], levels: int, share: float) -> NoiseEnergy:
    """Take the quietest tenth of sixteen windows of a frame. Most of an end frame is out of focus: there noise is alone.

    Parameters
    ----------
    image : ndarray (rows, columns, 3), uint8 or uint16
    gain : ndarray (3,)
        As the frame will be multiplied by.
    levels : int
    share : float
        Of the finer level's energy, as in the fusion.
    """
    from stacking.fuse.pyramid_kernels import accumulate_level, reduce_rows

    rows, columns = image.shape[:2]
    found: list[list[NDArray[np.float32]]] = [[] for _ in range(levels)]
    details: list[NDArray[np.float32]] = []
    none = np.empty((1, 1), np.float32)
    with Bands(1) as bands:
        for canvas in windows(columns, rows):
            # The window alone: all of the frame that is loaded has its colours halved.
            y, x = canvas.y, canvas.x
            seen: Pixels = image[y : y + canvas.height, x : x + canvas.width].copy()
            planes = FramePlanes(Canvas(0, 0, canvas.width, canvas.height))
            planes.load(seen, np.eye(2, 3), gain, bands)
            fine, finer_energy = planes.luma, none
            gauss = [fine]
            for level in range(levels):
                coarse = np.empty(canvas.level_shape(level + 1), np.float32)
                energy = np.empty_like(coarse)
                bands.run(coarse.shape[0], rows_of(reduce_rows, fine, coarse))
                nowhere = np.zeros((fine.shape[0], 2), np.int32)
                sums = np.zeros_like(fine)
                accumulate_level(
                    fine, coarse, finer_energy, share, 0.0, 1.0, 2, none, 0, nowhere, sums, sums, *[none] * 7, energy,
                    0, fine.shape[0],
                )  # fmt: skip
                found[level].append(energy.ravel())
                fine, finer_energy = coarse, energy
                gauss.append(coarse)
            if levels > 1:
                grid = np.empty(((gauss[2].shape[0] + 1) // 2, gauss[2].shape[1]), np.float32)
                detail = detail_energy(gauss[0], gauss[1], gauss[2], share, bands, grid)
                steady = cv2.blur(detail, (_DETAIL_CELLS, _DETAIL_CELLS))
                details.append(np.asarray(steady, np.float32).ravel())
    quiet = [float(np.percentile(np.concatenate(e), _QUIET_PERCENT)) for e in found]
    detail_noise = float(np.percentile(np.concatenate(details), _QUIET_PERCENT)) if details else 0.0
    return NoiseEnergy(tuple(quiet), detail_noise)
