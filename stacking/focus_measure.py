"""Focus measures: how sharp a picture is, per pixel or as one number.

The operators carry the names and abbreviations of Pertuz, Puig and Garcia, "Analysis of focus measure operators for
shape-from-focus", Pattern Recognition 46 (2013), doi:10.1016/j.patcog.2012.11.011. All take a grayscale picture, shape (rows,
columns), uint8, uint16 or float, and give non-negative float32 maps of the same shape in squared units of 8-bit grey levels
(where the original is a sum of magnitudes: in grey levels). Larger is sharper. Borders are mirrored.

Noise has energy too: :func:`noise_compensated` takes off what a flat picture with this noise would give.

For live frames, which are JPEGs of unknown and changing brightness, :func:`block_focus` compares fine with coarse gradients inside the
JPEG's own blocks: their ratio says how blurred a block is, whatever its contrast, and block edges are not taken for detail.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
Gray = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.floating[Any]]

_BORDER = cv2.BORDER_REFLECT_101
# Median of |x| of a normal distribution with sigma 1.
_MEDIAN_OF_NORMAL = 0.6744897501960817
# Immerkaer's mask has this root sum of squares.
_IMMERKAER_NORM = 6.0


class FocusMeasure(StrEnum):
    """The operators, under the abbreviations of Pertuz et al. 2013."""

    ENERGY_OF_LAPLACIAN = "LAP1"
    MODIFIED_LAPLACIAN = "LAP2"
    VARIANCE_OF_LAPLACIAN = "LAP4"
    GAUSSIAN_DERIVATIVE = "GRA1"
    GRADIENT_ENERGY = "GRA2"
    SQUARED_GRADIENT = "GRA5"
    TENENGRAD = "GRA6"
    TENENGRAD_VARIANCE = "GRA7"
    GRAY_LEVEL_VARIANCE = "STA3"
    NORMALIZED_GRAY_LEVEL_VARIANCE = "STA5"
    BRENNER = "MIS2"
    VOLLATH_AUTOCORRELATION = "MIS1"


def focus_map(gray: Gray, measure: FocusMeasure = FocusMeasure.MODIFIED_LAPLACIAN, window: int = 9) -> F32:
    """Sharpness around every pixel.

    Parameters
    ----------
    gray : ndarray (rows, columns), uint8, uint16 (scaled to 8-bit units) or float (taken as 8-bit units)
    measure : FocusMeasure
    window : int
        Side of the square over which the operator is averaged; odd; 1: not averaged.

    Returns
    -------
    ndarray (rows, columns), float32
    """
    if gray.ndim != 2:
        raise ValueError(f"a focus measure takes a grayscale picture, not {gray.shape}")
    if window < 1 or window % 2 == 0:
        raise ValueError(f"the window must be odd and positive, not {window}")
    return _OPERATORS[measure](_levels(gray), window)


def focus_value(gray: Gray, measure: FocusMeasure = FocusMeasure.MODIFIED_LAPLACIAN) -> float:
    """Sharpness of a whole picture: the mean of its map; its variance for the operators that are variances."""
    plane = _levels(gray)
    if measure in (FocusMeasure.GRAY_LEVEL_VARIANCE, FocusMeasure.NORMALIZED_GRAY_LEVEL_VARIANCE):
        variance = float(plane.var(dtype=np.float64))
        if measure is FocusMeasure.GRAY_LEVEL_VARIANCE:
            return variance
        return variance / max(float(plane.mean(dtype=np.float64)), 1e-6)
    if measure is FocusMeasure.VARIANCE_OF_LAPLACIAN:
        return float(_laplacian(plane).var(dtype=np.float64))
    if measure is FocusMeasure.TENENGRAD_VARIANCE:
        return float(np.sqrt(_tenengrad(plane)).var(dtype=np.float64))
    return float(focus_map(gray, measure, 1).mean(dtype=np.float64))


def noise_sigma(gray: Gray) -> float:
    """Standard deviation of the noise, 8-bit units, by the median answer to Immerkaer's mask (1996, doi:10.1006/cviu.1996.0060).

    The mask is blind to planes and lines along it; the median is blind to the edges that remain while they are less than half of
    the picture.
    """
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    answer = np.abs(cv2.filter2D(_levels(gray), cv2.CV_32F, mask, borderType=_BORDER))
    return float(np.median(answer)) / (_MEDIAN_OF_NORMAL * _IMMERKAER_NORM)


def noise_energy(measure: FocusMeasure, sigma: float) -> float:
    """What an operator gives on a flat picture with white normal noise of ``sigma``.

    Known in closed form for the operators that are sums of squares, and for the modified Laplacian.
    """
    if measure not in _NOISE_GAIN:
        raise ValueError(f"the noise of {measure.name.lower()} has no closed form here")
    gain, power = _NOISE_GAIN[measure]
    return float(gain * sigma**power)


def noise_compensated(
    gray: Gray, measure: FocusMeasure = FocusMeasure.ENERGY_OF_LAPLACIAN, window: int = 9, sigma: float | None = None
) -> F32:
    """The map of an operator without what noise adds to it, never below zero.

    Parameters
    ----------
    sigma : float or None
        Of the noise, 8-bit units; None: estimated from the picture.
    """
    floor = noise_energy(measure, noise_sigma(gray) if sigma is None else sigma)
    return np.asarray(np.maximum(focus_map(gray, measure, window) - np.float32(floor), 0.0), np.float32)


BLOCK_PX = 8
"""Side of a block: a JPEG's."""

_COARSE_SIGMA_PX = 1.5
_PARTS_BITS = 7
_BRIGHTEST, _DARKEST = 250, 4
_MOST_CLIPPED = 0.1


@dataclass(frozen=True, slots=True)
class BlockFocus:
    """Gradient energies of a live frame, block by block; arrays of shape (rows // 8, columns // 8).

    Attributes
    ----------
    fine : ndarray, float32
        Squared differences of neighbouring pixels inside the block, squared 8-bit levels.
    coarse : ndarray, float32
        The same of the picture blurred by 1.5 pixels.
    clipped : ndarray, bool
        Blocks with too much white or black to be judged.
    brightness : float
        Mean of the frame, levels.
    """

    fine: F32
    coarse: F32
    clipped: NDArray[np.bool_]
    brightness: float

    def ratio(self, sigma: float) -> F32:
        """Fine over coarse energy without the noise of `sigma` levels: 1 where blurred, above 2 where sharp, whatever the contrast."""
        fine = np.maximum(self.fine - np.float32(4.0 * sigma * sigma), 0.0)
        return np.asarray(fine / np.maximum(self.energy(sigma), np.float32(1e-3)), np.float32)

    def energy(self, sigma: float) -> F32:
        """Coarse energy without the noise of `sigma` levels: contrast, whether it is sharp or not."""
        return np.asarray(np.maximum(self.coarse - np.float32(_COARSE_NOISE * sigma * sigma), 0.0), np.float32)


def block_focus(gray: NDArray[np.uint8]) -> BlockFocus:
    """Measure a live frame.

    Parameters
    ----------
    gray : ndarray (rows, columns), uint8
        From its first row and column, as decoded: its JPEG blocks begin there. What is left of a block at the end is dropped.
    """
    down, across = gray.shape[0] // BLOCK_PX, gray.shape[1] // BLOCK_PX
    if not down or not across:
        raise ValueError(f"a frame of {gray.shape} has no block of {BLOCK_PX} pixels")
    whole = np.ascontiguousarray(gray[: down * BLOCK_PX, : across * BLOCK_PX])
    size = (across, down)
    # blurred in parts of a level: what is left of weak texture is less than one
    fixed = np.left_shift(whole, _PARTS_BITS, dtype=np.uint16)
    blurred = cv2.GaussianBlur(fixed, (0, 0), _COARSE_SIGMA_PX, borderType=_BORDER)
    outside = cv2.inRange(whole, _DARKEST, _BRIGHTEST)  # 255 inside
    share = cv2.resize(outside, size, interpolation=cv2.INTER_AREA)
    return BlockFocus(
        _gathered(whole, size, 1.0, inner=True),
        _gathered(blurred, size, 0.5**_PARTS_BITS, inner=False),
        np.asarray(share < 255 * (1 - _MOST_CLIPPED)),
        float(cv2.mean(whole)[0]),
    )


def _gathered(plane: NDArray[Any], size: tuple[int, int], level: float, *, inner: bool) -> F32:
    """Mean squared difference to the right plus that downwards, in each block, in units of `level`; `inner`: not over a block's edge."""
    rows, columns = plane.shape
    squares = np.zeros((rows, columns), np.float32)
    edge = slice(BLOCK_PX - 1, None, BLOCK_PX)
    total = np.zeros(size[::-1], np.float32)
    for later, earlier, to, over in (
        (plane[:, 1:], plane[:, :-1], squares[:, : columns - 1], squares[:, edge]),
        (plane[1:], plane[:-1], squares[: rows - 1], squares[edge]),
    ):
        difference = cv2.absdiff(later, earlier)
        to[...] = cv2.multiply(difference, difference, scale=level * level, dtype=cv2.CV_32F)
        if inner:
            over[...] = 0.0
        elif to.shape[0] < rows:
            squares[-1] = 0.0
        total += cv2.resize(squares, size, interpolation=cv2.INTER_AREA)
    return np.asarray(total * np.float32(BLOCK_PX / (BLOCK_PX - 1) if inner else 1.0), np.float32)


def _coarse_noise() -> float:
    """Energy that the blur leaves of white noise of sigma 1: the sum of squares of its kernel's differences, both ways."""
    profile = cv2.getGaussianKernel(13, _COARSE_SIGMA_PX)
    kernel = np.zeros((15, 15))
    kernel[1:14, 1:14] = profile @ profile.T
    return float((np.diff(kernel, axis=0) ** 2).sum() + (np.diff(kernel, axis=1) ** 2).sum())


_COARSE_NOISE = _coarse_noise()


def _levels(gray: Gray) -> F32:
    plane = np.asarray(gray, np.float32)
    return np.asarray(plane * np.float32(1.0 / 257.0), np.float32) if gray.dtype == np.uint16 else plane


def _mean(plane: NDArray[Any], window: int) -> F32:
    if window == 1:
        return np.asarray(plane, np.float32)
    return np.asarray(cv2.blur(plane, (window, window), borderType=_BORDER), np.float32)


def _spread(plane: NDArray[Any], window: int) -> F32:
    """Local variance."""
    mean = _mean(plane, window)
    # Around the whole picture's mean, so that float32 squares lose nothing.
    offset = np.float32(np.asarray(plane).mean(dtype=np.float64))
    centred = np.asarray(plane, np.float32) - offset
    return np.asarray(np.maximum(_mean(centred * centred, window) - (mean - offset) ** 2, 0.0), np.float32)


def _filtered(plane: F32, *mask: tuple[float, ...]) -> F32:
    return np.asarray(cv2.filter2D(plane, cv2.CV_32F, np.array(mask, np.float32), borderType=_BORDER), np.float32)


def _laplacian(plane: F32) -> F32:
    """Pertuz's mask [1 4 1; 4 -20 4; 1 4 1] / 6."""
    sixth = 1.0 / 6.0
    side, corner = 4.0 * sixth, sixth
    return _filtered(plane, (corner, side, corner), (side, -20.0 * sixth, side), (corner, side, corner))


def _energy_of_laplacian(plane: F32, window: int) -> F32:
    return _mean(_laplacian(plane) ** 2, window)


def _modified_laplacian(plane: F32, window: int) -> F32:
    across = _filtered(plane, (-1.0, 2.0, -1.0))
    down = _filtered(plane, (-1.0,), (2.0,), (-1.0,))
    return _mean(np.abs(across) + np.abs(down), window)


def _variance_of_laplacian(plane: F32, window: int) -> F32:
    return _spread(_laplacian(plane), window)


def _gaussian_derivative(plane: F32, window: int) -> F32:
    smooth = np.asarray(cv2.GaussianBlur(plane, (0, 0), 1.0, borderType=_BORDER), np.float32)
    return _mean(_filtered(smooth, (-0.5, 0.0, 0.5)) ** 2 + _filtered(smooth, (-0.5,), (0.0,), (0.5,)) ** 2, window)


def _gradient_energy(plane: F32, window: int) -> F32:
    across = _filtered(plane, (0.0, -1.0, 1.0))
    down = _filtered(plane, (0.0,), (-1.0,), (1.0,))
    return _mean(across**2 + down**2, window)


def _squared_gradient(plane: F32, window: int) -> F32:
    return _mean(_filtered(plane, (0.0, -1.0, 1.0)) ** 2, window)


def _tenengrad(plane: F32) -> F32:
    """Sobel's gradient, squared, in grey levels a pixel."""
    across = cv2.Sobel(plane, cv2.CV_32F, 1, 0, scale=0.125, borderType=_BORDER)
    down = cv2.Sobel(plane, cv2.CV_32F, 0, 1, scale=0.125, borderType=_BORDER)
    return np.asarray(across * across + down * down, np.float32)


def _tenengrad_map(plane: F32, window: int) -> F32:
    return _mean(_tenengrad(plane), window)


def _tenengrad_variance(plane: F32, window: int) -> F32:
    return _spread(np.sqrt(_tenengrad(plane)), window)


def _gray_level_variance(plane: F32, window: int) -> F32:
    return _spread(plane, max(window, 3))


def _normalized_variance(plane: F32, window: int) -> F32:
    wide = max(window, 3)
    return np.asarray(_spread(plane, wide) / np.maximum(_mean(plane, wide), np.float32(1e-6)), np.float32)


def _brenner(plane: F32, window: int) -> F32:
    """The larger of the two directions' squared differences two pixels apart."""
    across = _filtered(plane, (-1.0, 0.0, 1.0)) ** 2
    down = _filtered(plane, (-1.0,), (0.0,), (1.0,)) ** 2
    return _mean(np.maximum(across, down), window)


def _vollath(plane: F32, window: int) -> F32:
    """Autocorrelation one pixel apart less that two pixels apart (Vollath 1987), around the mean; never below zero."""
    centred = plane - np.float32(plane.mean(dtype=np.float64))
    one = centred * _filtered(centred, (0.0, 0.0, 0.0, 1.0, 0.0))
    two = centred * _filtered(centred, (0.0, 0.0, 0.0, 0.0, 1.0))
    return np.asarray(np.maximum(_mean(one - two, window), 0.0), np.float32)


_OPERATORS: dict[FocusMeasure, Callable[[F32, int], F32]] = {
    FocusMeasure.ENERGY_OF_LAPLACIAN: _energy_of_laplacian,
    FocusMeasure.MODIFIED_LAPLACIAN: _modified_laplacian,
    FocusMeasure.VARIANCE_OF_LAPLACIAN: _variance_of_laplacian,
    FocusMeasure.GAUSSIAN_DERIVATIVE: _gaussian_derivative,
    FocusMeasure.GRADIENT_ENERGY: _gradient_energy,
    FocusMeasure.SQUARED_GRADIENT: _squared_gradient,
    FocusMeasure.TENENGRAD: _tenengrad_map,
    FocusMeasure.TENENGRAD_VARIANCE: _tenengrad_variance,
    FocusMeasure.GRAY_LEVEL_VARIANCE: _gray_level_variance,
    FocusMeasure.NORMALIZED_GRAY_LEVEL_VARIANCE: _normalized_variance,
    FocusMeasure.BRENNER: _brenner,
    FocusMeasure.VOLLATH_AUTOCORRELATION: _vollath,
}

# Operator: (answer to white noise of sigma 1, power of sigma). Sums of squared mask weights; for the modified Laplacian
# twice the mean magnitude of a normal variable of variance 6.
_NOISE_GAIN: dict[FocusMeasure, tuple[float, float]] = {
    FocusMeasure.ENERGY_OF_LAPLACIAN: ((4 * 1.0 + 4 * 16.0 + 400.0) / 36.0, 2.0),
    FocusMeasure.VARIANCE_OF_LAPLACIAN: ((4 * 1.0 + 4 * 16.0 + 400.0) / 36.0, 2.0),
    FocusMeasure.MODIFIED_LAPLACIAN: (2.0 * float(np.sqrt(2.0 / np.pi)) * float(np.sqrt(6.0)), 1.0),
    FocusMeasure.GRADIENT_ENERGY: (4.0, 2.0),
    FocusMeasure.SQUARED_GRADIENT: (2.0, 2.0),
    FocusMeasure.TENENGRAD: (2.0 * 12.0 / 64.0, 2.0),
    FocusMeasure.GRAY_LEVEL_VARIANCE: (1.0, 2.0),
}
