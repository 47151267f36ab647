"""A prior of focus: what surrounds a pixel says how much its own detail is to be believed.

A frame's detail is averaged over a few dozen pixels as a geometric mean, between the noise and a hundred times the noise:
a texture that is hardly stronger than the noise is so found in the frame that is in focus, and a strong edge near by, whose
energy would rule an ordinary mean, counts no more than its area. And blur mixes light, so what is encoded by a gamma becomes
brighter by it: of frames with equal detail the darker one is in focus, or is the one that no bright blur lies on.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from stacking.fuse.bands import Bands, rows_of
from stacking.fuse.canvas import Canvas

F32 = NDArray[np.float32]

# Of a frame's white: what lies above counts not, over so much less ever more; and what is left of its weight.
_CLIPPED_FROM, _CLIPPED_OVER, _CLIPPED_COUNTS = 0.99, 0.04, 0.01
# Pixels of level 3, from the centre of the window to its border.
REACH_COARSE_PX = 5
_SIGMA_COARSE_PX = 2.3
# In multiples of the noise's energy: what is added to the detail, what it approaches at most, what counts as one.
_LEAST, _MOST, _ONE = 0.5, 100.0, 10.0


class FocusPrior:
    """Factors on the energy of one frame at a time; the memory is used again for the next frame.

    Parameters
    ----------
    canvas : Canvas
    bands : Bands
    noise_energy : float
        Of a frame's detail (`detail`) where there is noise alone.

    Attributes
    ----------
    favour : ndarray (grid rows, grid columns), float32
        Factor on the energy, on the grid of pyramid level 2; about one where detail is ten times the noise.
    detail : ndarray ((grid rows + 1) // 2, (grid columns + 1) // 2), float32
        The part of it that comes from the detail, on the grid of level 3.
    counts : ndarray, shape of `detail`, or None
        Factor on the base's weight, where the frame has clipped what others have not.
    """

    def __init__(self, canvas: Canvas, bands: Bands, noise_energy: float) -> None:
        self._bands = bands
        self._noise = max(noise_energy, 0.02)
        self.favour: F32 = np.empty(canvas.level_shape(2), np.float32)
        self.detail: F32 = np.empty(canvas.level_shape(3), np.float32)
        self.counts: F32 | None = None
        self._wide: F32 = np.empty_like(self.detail)
        distance = np.arange(-REACH_COARSE_PX, REACH_COARSE_PX + 1) / _SIGMA_COARSE_PX
        taps = np.exp(-0.5 * distance**2)
        self._taps = (taps / taps.sum()).astype(np.float32)

    def look(self, fine: F32, half: F32, quarter: F32, share: float) -> None:
        """Find the factors for a frame from its luma at levels 0, 1 and 2 of the Gaussian pyramid."""
        from stacking.fuse.focus_prior_kernels import favour_rows, halve_along, smooth_rows

        self.counts = None
        rows = self.detail.shape[0]
        energy = detail_energy(fine, half, quarter, share, self._bands, self.favour[:rows])
        least, most = np.float32(_LEAST * self._noise), np.float32(_MOST * self._noise)
        self._compress(energy, most)
        energy += least
        energy *= np.float32(1.0 / (_ONE * self._noise))
        np.log(energy, out=energy)
        self._bands.run(rows, rows_of(halve_along, energy, self._wide))
        self._bands.run(rows, rows_of(smooth_rows, self._wide, self._taps, self.detail))
        self.detail *= np.float32(0.5)
        np.exp(self.detail, out=self.detail)
        self._bands.run(quarter.shape[0], rows_of(favour_rows, self.detail, quarter, self.favour))

    def pass_over_clipped(self, quarter: F32, white: float) -> None:
        """Let what a brighter frame clipped, and its matching made gray, count for next to nothing; after `look`."""
        counts = (np.float32(_CLIPPED_FROM) - quarter * np.float32(1.0 / white)) * np.float32(1.0 / _CLIPPED_OVER)
        np.clip(counts, np.float32(_CLIPPED_COUNTS), np.float32(1.0), out=counts)
        self.favour *= counts
        self.counts = np.asarray(cv2.erode(counts, np.ones((3, 3), np.uint8))[::2, ::2], np.float32)

    def _compress(self, energy: F32, most: np.float32) -> None:
        """x to x / (1 + x / most), in place: 1 / (1 / x + 1 / most) without a plane more."""
        energy += np.float32(1e-6)
        np.reciprocal(energy, out=energy)
        energy += np.float32(1.0) / most
        np.reciprocal(energy, out=energy)


def detail_energy(fine: F32, half: F32, quarter: F32, share: float, bands: Bands, out: F32) -> F32:
    """The energy of a frame's finest detail at every fourth pixel of every eighth row, squared 8-bit units.

    Parameters
    ----------
    fine, half, quarter : ndarray, float32, 0 to 255
        Luma at levels 0, 1 and 2 of the Gaussian pyramid.
    share : float
        Of the finest level's energy in the sum.
    bands : Bands
    out : ndarray, float32
        The columns of ``quarter``, half its rows; it is returned.
    """
    from stacking.fuse.focus_prior_kernels import detail_rows

    bands.run(out.shape[0], rows_of(detail_rows, fine, half, quarter, share, out))
    return out
