"""Growth of blur with defocus, and where each block is in focus, from the band energies of frames at known positions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capture.focus.defocus import DefocusFit, fit_defocus

F64 = NDArray[np.floating]

# A block counts where its texture stands this far above the noise, and the law explains this share of its curve.
_SIGNAL_TO_NOISE = 30.0
_LEAST_TEXTURE = 1e-6
_EXPLAINED = 0.9
_FEWEST_BLOCKS = 12
# Blocks on a slope, or over two depths, have curves too wide, never too narrow: the growth is read above the median.
_QUANTILE = 0.7
_STEEP = 0.25
_FEWEST_SAMPLES = 2.2
# A bell's variance is its half width at half height squared over 2 ln 2.
_VARIANCE_OF_HALF_WIDTH = 2 * float(np.log(2.0))
# Logarithm of the ratio of a curve's top to its foot.
_CONTRAST = 0.7


@dataclass(frozen=True, slots=True)
class Peaks:
    """Where each block is in focus, by the law of defocus in one band.

    Attributes
    ----------
    position : ndarray, shape (block rows, block columns), float64
        NaN where a block has no peak inside the positions, two depths, or no texture.
    half_width : ndarray, same shape
        Distance from there at which the band's energy is half.
    height : ndarray, same shape
        Energy in focus.
    beyond_near, beyond_far : int
        Blocks with texture that are sharper at the first, or the last, position than anywhere else.
    has_texture : ndarray, same shape, bool
    """

    position: F64
    half_width: F64
    height: F64
    beyond_near: int
    beyond_far: int
    has_texture: NDArray[np.bool_]

    @property
    def textured(self) -> int:
        """Blocks with texture."""
        return int(self.has_texture.sum())


@dataclass(frozen=True, slots=True)
class Growth:
    """Growth of the blur circle.

    Attributes
    ----------
    px_per_unit : float
        Growth of its diameter per unit of position, in the frames' pixels; NaN where no block is good enough.
    confidence : float
        0 to 1.
    spread : float
        Relative: by how much the bands differ.
    blocks : int
        Blocks that it rests on.
    why : str
        What stands in the way of more confidence; "" where nothing does.
    """

    px_per_unit: float
    confidence: float
    spread: float
    blocks: int
    why: str = ""


def find_peaks(positions: F64, energies: NDArray[np.floating], noise: NDArray[np.floating], frequency: float) -> Peaks:
    """Peaks of one band.

    Parameters
    ----------
    positions : ndarray, shape (frames,)
        Growing.
    energies : ndarray, shape (frames, block rows, block columns)
    noise : ndarray, shape (block rows, block columns)
        Energy of the noise; it is taken off.
    frequency : float
        Cycles per pixel.
    """
    grid = energies.shape[1:]
    found = _fit(positions, energies, noise, frequency)
    empty = np.full(grid, np.nan)
    position, half_width, height = empty.copy(), empty.copy(), empty.copy()
    good = found.good
    for plane, values in ((position, found.fit.centre), (half_width, found.fit.half_width), (height, found.fit.height)):
        plane.reshape(-1)[found.blocks[good]] = values[good]
    peak = energies.reshape(len(positions), -1)[:, found.blocks].argmax(axis=0)
    return Peaks(
        position,
        half_width,
        height,
        int((peak == 0).sum()),
        int((peak == len(positions) - 1).sum()),
        _where(found.blocks, grid),
    )


def find_tops(positions: F64, energies: NDArray[np.floating], noise: NDArray[np.floating]) -> Peaks:
    """Position of the largest energy of each block, between the frames by a parabola through its logarithm.

    Parameters
    ----------
    positions, energies, noise
        As of `find_peaks`.
    """
    grid = energies.shape[1:]
    z = np.asarray(positions, np.float64)
    level = np.asarray(noise, np.float64).reshape(-1)
    curves = np.asarray(energies, np.float64).reshape(len(z), -1) - level
    floor = np.maximum(level * _SIGNAL_TO_NOISE, _LEAST_TEXTURE)
    blocks = np.flatnonzero(curves.max(axis=0) > floor)
    curves = np.maximum(curves[:, blocks], 0.1 * floor[blocks])
    peak = curves.argmax(axis=0)
    inner = (peak > 0) & (peak < len(z) - 1)
    at, which = peak[inner], np.flatnonzero(inner)
    before, top, after = (np.log(curves[at + shift, which]) for shift in (-1, 0, 1))
    left, right = z[at] - z[at - 1], z[at + 1] - z[at]
    # the parabola through three points that need not be equally far apart
    rise, fall = (top - before) / left, (top - after) / right
    bend = (rise + fall) / (left + right)
    # d/dz at the middle point is the mean of both slopes weighted by the other's distance
    slope = (rise * right - fall * left) / (left + right)
    offset = np.where(bend > 0, slope / np.where(bend > 0, 2 * bend, 1.0), 0.0)
    contrast = top - np.log(curves[:, which].min(axis=0))
    good = contrast > _CONTRAST
    position, half_width, height = (np.full(grid, np.nan) for _ in range(3))
    chosen = blocks[which[good]]
    position.reshape(-1)[chosen] = (z[at] + np.clip(offset, -left, right))[good]
    half_width.reshape(-1)[chosen] = np.sqrt(np.log(2.0) / np.maximum(bend, 1e-30))[good]
    height.reshape(-1)[chosen] = np.exp(top)[good]
    return Peaks(
        position,
        half_width,
        height,
        int((peak == 0).sum()),
        int((peak == len(z) - 1).sum()),
        _where(blocks, grid),
    )


def _where(blocks: NDArray[np.intp], grid: tuple[int, ...]) -> NDArray[np.bool_]:
    found = np.zeros(grid, np.bool_)
    found.reshape(-1)[blocks] = True
    return found


def estimate_growth(
    positions: F64,
    energies: NDArray[np.floating],
    noise: NDArray[np.floating],
    frequencies: tuple[float, ...],
    *,
    window_px: float,
    stride_px: int,
) -> Growth:
    """The growth that all bands agree on.

    Parameters
    ----------
    positions : ndarray, shape (frames,)
    energies : ndarray, shape (frames, bands, block rows, block columns)
    noise : ndarray, shape (bands, block rows, block columns)
    frequencies : tuple of float
    window_px : float
        Window of the energies: what a slope in depth is measured against.
    stride_px : int
    """
    spacing = float(np.median(np.diff(positions)))
    values, weights, blocks = [], [], []
    for band, frequency in enumerate(frequencies):
        found = _fit(positions, energies[:, band], noise[band], frequency)
        slope = _slope(found, energies.shape[2:], window_px / stride_px)
        flat = found.good & (slope < _STEEP * found.fit.half_width)
        # a curve with hardly a sample above half its height says nothing of its width
        flat &= 2 * found.fit.half_width > _FEWEST_SAMPLES * spacing
        count = int(flat.sum())
        if count < _FEWEST_BLOCKS:
            continue
        # a slope makes a curve wider: the variance of the depths within the window adds to its own
        widened = _VARIANCE_OF_HALF_WIDTH * (slope[flat] / found.fit.half_width[flat]) ** 2
        growth = found.fit.growth[flat] / np.sqrt(1 - widened)
        values.append(float(np.quantile(growth, _QUANTILE)))
        spread = float(np.quantile(growth, 0.75) - np.quantile(growth, 0.25)) / values[-1]
        weights.append(count / (0.05 + spread) ** 2)
        blocks.append(count)
    if not values:
        return Growth(float("nan"), 0.0, float("nan"), 0, "no block with texture goes in and out of focus in the sweep")
    found_growth = float(np.average(values, weights=weights))
    spread = float(np.sqrt(np.average((np.array(values) / found_growth - 1) ** 2, weights=weights)))
    count = max(blocks)
    confidence = min(1.0, count / 60.0) * float(np.exp(-((spread / 0.2) ** 2)))
    why = ""
    if len(values) == 1:
        confidence *= 0.45
        why = "only one band of frequencies could be used"
    if spread > 0.12:
        why = f"fine and coarse texture differ by {spread:.0%}"
    if count < 40:
        why = f"only {count} blocks have texture that can be used"
    return Growth(found_growth, confidence, spread, count, why)


@dataclass(frozen=True, slots=True)
class _Found:
    blocks: NDArray[np.intp]
    fit: DefocusFit
    good: NDArray[np.bool_]


def _fit(positions: F64, energies: NDArray[np.floating], noise: NDArray[np.floating], frequency: float) -> _Found:
    curves = np.asarray(energies, np.float64).reshape(len(positions), -1) - np.asarray(noise, np.float64).reshape(-1)
    floor = np.maximum(np.asarray(noise, np.float64).reshape(-1) * _SIGNAL_TO_NOISE, _LEAST_TEXTURE)
    blocks = np.flatnonzero(curves.max(axis=0) > floor)
    fit = fit_defocus(positions, curves[:, blocks], frequency)
    inside = (fit.centre > positions[0]) & (fit.centre < positions[-1])
    peak = curves[:, blocks].argmax(axis=0)
    inside &= (peak > 0) & (peak < len(positions) - 1)
    return _Found(blocks, fit, inside & (fit.explained > _EXPLAINED))


def _slope(found: _Found, grid: tuple[int, ...], window_blocks: float) -> NDArray[np.float64]:
    """By how much depth changes within the window of each block's energy (one standard deviation of it); NaN where it is not known."""
    centre = np.full(grid, np.nan)
    centre.reshape(-1)[found.blocks[found.good]] = found.fit.centre[found.good]
    down, across = np.gradient(centre) if min(grid) > 1 else (np.zeros(grid), np.zeros(grid))
    return np.asarray(np.hypot(down, across).reshape(-1)[found.blocks] * window_blocks, np.float64)
