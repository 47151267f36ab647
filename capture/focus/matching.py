"""Where the carriage really stands, from what a frame looks like: its band energies against those of a sweep that was taken before.

Two frames from one true position show the same, from whichever side it was come to. So the position is that at which the sweep's
energies, interpolated, come nearest to the frame's. No model of the lens is needed, and every block that changes takes part.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capture.focus.bands import BandEnergies

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

_PER_SPACING = 8
_FEWEST = 40
_MOST = 6000
# Base-2 logarithms: a curve that changes by less says nothing; a difference beyond is another thing's, not defocus.
_LEAST_CHANGE = 1.0
_OUTLIER = 1.5
_ABOVE_NOISE = 4.0


@dataclass(frozen=True, slots=True)
class Match:
    """A frame's place in the sweep.

    Attributes
    ----------
    position : float
        In the sweep's positions.
    residual : float
        Root mean square of what remains, base-2 logarithms of energy.
    inside : bool
        False where the nearest place is an end of the sweep, so the true one may lie beyond.
    """

    position: float
    residual: float
    inside: bool


class Matcher:
    """Matches frames with a sweep.

    Parameters
    ----------
    positions : ndarray, shape (frames,), float64
        Growing; four at least.
    energies : ndarray, shape (frames, bands, block rows, block columns), float32
    noise : ndarray, shape (bands, block rows, block columns), float32
    clipped : ndarray, shape (block rows, block columns), bool
    bands : BandEnergies
        What the energies were measured with.

    Raises
    ------
    ValueError
        Where too little changes over the sweep to match anything.
    """

    def __init__(
        self, positions: F64, energies: F32, noise: F32, clipped: NDArray[np.bool_], bands: BandEnergies
    ) -> None:
        self.bands = bands
        self.positions = np.asarray(positions, np.float64)
        self._floor = np.maximum(noise, 1e-9)
        curves = self._levels(energies).reshape(len(positions), -1)
        change = np.ptp(curves, axis=0)
        usable = (energies.max(axis=0) > _ABOVE_NOISE * noise) & ~clipped
        good = np.flatnonzero(usable.reshape(-1) & (change > _LEAST_CHANGE))
        if len(good) < _FEWEST:
            raise ValueError("too little goes in and out of focus")
        if len(good) > _MOST:
            good = np.sort(good[np.argsort(change[good])[-_MOST:]])
        self._chosen = good
        count = _PER_SPACING * (len(positions) - 1) + 1
        self._grid = np.interp(np.linspace(0, len(positions) - 1, count), np.arange(len(positions)), self.positions)
        self._curves = natural_spline(self.positions, curves[:, good], self._grid)

    def find(self, gray: F32) -> Match:
        """Where `gray` (linear light, shape as of the bands) was taken."""
        level = self._levels(self.bands.measure(gray)).reshape(-1)[self._chosen]
        squares = np.minimum((self._curves - level) ** 2, _OUTLIER**2).mean(axis=1)
        best = int(squares.argmin())
        last = len(squares) - 1
        if best in {0, last}:
            return Match(float(self._grid[best]), float(np.sqrt(squares[best])), inside=False)
        before, top, after = squares[best - 1 : best + 2]
        bend = before - 2 * top + after
        shift = 0.5 * (before - after) / bend if bend > 0 else 0.0
        step = self._grid[best + 1] - self._grid[best] if shift > 0 else self._grid[best] - self._grid[best - 1]
        return Match(float(self._grid[best] + shift * step), float(np.sqrt(top)), inside=True)

    def _levels(self, energies: F32) -> F32:
        # the noise stays in on both sides, so nothing below it can be large
        return np.asarray(np.log2(energies + self._floor), np.float32)


def natural_spline(x: F64, y: NDArray[np.floating], at: F64) -> F32:
    """The natural cubic spline through ``(x, y[:, k])`` for every k, at the places `at`: shape (places, k)."""
    count = len(x)
    h = np.diff(x)
    system = np.eye(count)
    right = np.zeros((count, count))
    for k in range(1, count - 1):
        system[k, k - 1 : k + 2] = h[k - 1], 2 * (h[k - 1] + h[k]), h[k]
        right[k, k - 1 : k + 2] = 6 / h[k - 1], -6 / h[k - 1] - 6 / h[k], 6 / h[k]
    bends = np.linalg.solve(system, right)  # second derivatives as a linear map of y
    cell = np.clip(np.searchsorted(x, at, side="right") - 1, 0, count - 2)
    left, width = at - x[cell], h[cell]
    a, b = 1 - left / width, left / width
    weights = np.zeros((len(at), count))
    rows = np.arange(len(at))
    weights[rows, cell] += a
    weights[rows, cell + 1] += b
    weights += ((a**3 - a) * width**2 / 6)[:, None] * bends[cell]
    weights += ((b**3 - b) * width**2 / 6)[:, None] * bends[cell + 1]
    return np.asarray(weights.astype(np.float32) @ np.asarray(y, np.float32), np.float32)
