"""Where blocks are in focus that are sharpest in the first or the last frame: beyond it, or just inside."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from capture.focus.defocus import HALF_ENERGY_X

F64 = NDArray[np.float64]

# Energy above the noise with which what lies beyond an end is told.
_SIGNAL = 4.0
# Frames within a half width of an end tell how steep a curve is there, the nearest of them at least this share of it away; what departs
# from the law by more octaves than that (rms) is something that moved in or out of the block.
_APART = 0.5
_UNLIKE_OCTAVES = 0.25
# Energy above the noise from which such a frame counts.
_SEEN = 2.0
# Half widths beyond an end up to which the place is told; what is farther out is said to be there.
_FARTHEST = 4.0


def focus_at_ends(
    positions: F64,
    energies: NDArray[np.float32],
    noise: NDArray[np.float32],
    frequency: float,
    growth_px: float,
) -> tuple[F64, NDArray[np.bool_]]:
    """Places of the blocks that are sharpest in the first or the last frame, by how they lose sharpness from there in one band.

    Near its top the law of defocus is a parabola in log energy, of known width: a line is fitted to what is left without its square.

    Parameters
    ----------
    positions : ndarray, shape (frames,), float64
        Growing; three at least.
    energies : ndarray, shape (frames, block rows, block columns)
    noise : ndarray, shape (block rows, block columns)
        Energy of the noise.
    frequency : float
        Middle of the band, cycles per pixel.
    growth_px : float
        Of the blur circle's diameter, pixels per unit of position.

    Returns
    -------
    places : ndarray, shape (block rows, block columns), float64
        NaN where a block is sharpest elsewhere, has too little signal, or does not follow the law.
    close : ndarray, same shape, bool
        Whether the frames lie within a half width of each other: farther apart the parabola falls much faster than the law, and a place
        beyond the end comes out too near, or inside.
    """
    found, close = np.full(energies.shape[1:], np.nan), np.zeros(energies.shape[1:], np.bool_)
    half_width = HALF_ENERGY_X / (np.pi * frequency * growth_px)
    signal = energies - noise
    top = signal.argmax(axis=0)
    for end, beside in _ends(positions, _APART * half_width):
        reach = max(half_width, abs(positions[beside] - positions[end]))
        near = np.abs(positions - positions[end]) <= reach * (1 + 1e-9)
        slope, rest = _lines(
            (positions[near] - positions[end]) / half_width, signal[near], signal[near] > _SEEN * noise
        )
        enough = (top == end) & (signal[beside] > _SIGNAL * noise) & (rest < _UNLIKE_OCTAVES)
        focus = positions[end] + half_width * np.clip(slope / 2, -_FARTHEST, _FARTHEST)
        found[enough] = focus[enough]
        close[enough] = abs(positions[beside] - positions[end]) <= half_width
    return found, close


def _lines(at: F64, signal: NDArray[np.float32], seen: NDArray[np.bool_]) -> tuple[F64, F64]:
    """Slope of octaves of `signal` plus `at` squared over `at`, in half widths, of every block, and rms departure from the line."""
    octaves = np.log2(np.maximum(signal, 1e-12)).astype(np.float64) + (at**2)[:, None, None]
    count = np.maximum(seen.sum(axis=0), 1)
    across = np.where(seen, at[:, None, None], 0.0)
    across = np.where(seen, across - across.sum(axis=0) / count, 0.0)
    octaves = np.where(seen, octaves, 0.0)
    octaves = np.where(seen, octaves - octaves.sum(axis=0) / count, 0.0)
    slope = (across * octaves).sum(axis=0) / np.maximum((across**2).sum(axis=0), 1e-12)
    rest = ((octaves - slope * across) ** 2).sum(axis=0) / np.maximum(count - 2, 1)
    return slope, np.sqrt(rest)


def _ends(positions: F64, apart: float) -> tuple[tuple[int, int], tuple[int, int]]:
    """The first and the last frame, each with the nearest that is `apart` from it: of very fine steps not the next one, which differs by
    noise alone.
    """
    last = len(positions) - 1
    inward = int(np.searchsorted(positions, positions[0] + apart))
    outward = int(np.searchsorted(positions, positions[-1] - apart, side="right")) - 1
    return (0, min(max(inward, 1), last)), (last, max(min(outward, last - 1), 0))
