"""Steps that look at a pixel's surroundings: noise reduction, local contrast, sharpening. Encoded values, never clipping.

Arrays are (rows, columns, 3) float32. A step tells how many rows beyond a strip it looks at, so that strips leave no seam.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from stacking.finish.colour_steps import luma_of
from stacking.finish.recipe import DenoiseStep, LocalContrastStep, SharpenStep

F32 = NDArray[np.float32]

_ACTIVITY_PX = 1.0
_COARSER_PX = 2.5
_ACTIVITY_SPREAD_PX = 2.0
# Detail up to the first multiple of the noise is noise, above the second none of it.
_NOISE_ONLY, _DETAIL = 1.5, 2.6
MOST_NOISE = 0.02
"""Contrast above which nothing counts as noise unasked."""
COARSE_PX = 8
"""Pixels to a side of a cell of the coarse luma that local contrast is told against."""
_EDGE_CONTRAST = 0.08
_OVERSHOOT = 0.5
# Of noise, little is left one octave lower; of detail, much.
_NOISE_RATIO = 0.6


def activity(luma: F32) -> F32:
    """RMS of the fine detail round each pixel."""
    return _spread(luma - blurred(luma, _ACTIVITY_PX))


def noise_activity(luma: F32) -> F32:
    """`activity` where it is that of noise, which has little coarser detail; infinite elsewhere."""
    once = blurred(luma, _ACTIVITY_PX)
    fine, coarse = _spread(luma - once), _spread(once - blurred(luma, _COARSER_PX))
    return np.asarray(np.where(coarse < np.float32(_NOISE_RATIO) * fine, fine, np.inf), np.float32)


def _spread(detail: F32) -> F32:
    return np.sqrt(np.maximum(blurred(np.asarray(detail * detail, np.float32), _ACTIVITY_SPREAD_PX), 0))


ACTIVITY_REACH_PX = 8 + 6


def denoised(encoded: F32, step: DenoiseStep, noise: float) -> F32:
    """Smoothed where the detail is no more than `noise`; only pixels that are smooth themselves count in the mean."""
    if noise <= 0 or not step.strength:
        return encoded
    ratio = activity(luma_of(encoded)) * np.float32(1 / noise)
    t = np.clip((np.float32(_DETAIL) - ratio) * np.float32(1 / (_DETAIL - _NOISE_ONLY)), 0, 1)
    smooth = t * t * (3 - 2 * t)
    weight = smooth + np.float32(1e-4)
    total = blurred(weight, step.radius_px)
    mean = blurred(encoded * weight[..., None], step.radius_px) / total[..., None]
    return np.asarray(encoded + (np.float32(step.strength) * smooth)[..., None] * (mean - encoded), np.float32)


def denoise_reach(step: DenoiseStep) -> int:
    """Rows beyond a strip that noise reduction looks at."""
    return ACTIVITY_REACH_PX + half_width(step.radius_px)


def coarse_base(coarse: F32, step: LocalContrastStep) -> F32:
    """The surroundings of each cell of a coarse luma: a guided filter (He, Sun and Tang 2010), which stops at edges."""
    cells = max(1.0, step.radius_px / COARSE_PX)
    mean = blurred(coarse, cells)
    variance = np.maximum(blurred(coarse * coarse, cells) - mean * mean, 0)
    slope = np.asarray(variance / (variance + np.float32(_EDGE_CONTRAST**2)), np.float32)
    return np.asarray(
        blurred(slope, cells) * coarse + blurred(np.asarray(mean * (1 - slope), np.float32), cells), np.float32
    )


def with_local_contrast(encoded: F32, base: F32, first_row: int, step: LocalContrastStep) -> F32:
    """The luma's distance from its surroundings multiplied; the effect fades towards black and white, which stay.

    Parameters
    ----------
    base : ndarray (rows / 8, columns / 8)
        Of the whole picture.
    first_row : int
        Where the strip lies in the picture.
    """
    luma = luma_of(encoded)
    rows, columns = luma.shape
    around = _between(_between(base, np.arange(first_row, first_row + rows)).T, np.arange(columns)).T
    inside = np.clip(luma, 0, 1)
    weight = np.float32(4 * step.amount) * inside * (1 - inside)
    return np.asarray(encoded + (weight * (luma - around))[..., None], np.float32)


def _between(cells: F32, pixels: NDArray[np.int64]) -> F32:
    """Rows of `cells` at pixels, linear between the cells' middles."""
    place = (pixels + 0.5) / COARSE_PX - 0.5
    low = np.clip(np.floor(place).astype(np.int64), 0, max(len(cells) - 2, 0))
    high = np.minimum(low + 1, len(cells) - 1)
    share = np.clip(place - low, 0, 1).astype(np.float32)[:, None]
    return np.asarray(cells[low] * (1 - share) + cells[high] * share, np.float32)


def sharpened(encoded: F32, step: SharpenStep) -> F32:
    """The luma's fine detail, where there is any, added to all channels alike."""
    luma = luma_of(encoded)
    fine = luma - blurred(luma, step.radius_px)
    energy = blurred(fine * fine, 2 * step.radius_px)
    spared = np.float32(step.threshold**2)
    mask = energy / (energy + spared) if spared else np.ones_like(energy)
    detail = fine if step.method == "unsharp" else _deconvolved(luma, step) - luma
    return np.asarray(encoded + (np.float32(step.amount) * mask * detail)[..., None], np.float32)


def sharpen_reach(step: SharpenStep) -> int:
    """Rows beyond a strip that its sharpening looks at."""
    mask = half_width(step.radius_px) + half_width(2 * step.radius_px)
    around = int(np.ceil(step.radius_px))
    return mask if step.method == "unsharp" else max(mask, step.iterations * half_width(step.radius_px) + around)


def _deconvolved(luma: F32, step: SharpenStep) -> F32:
    """Van Cittert's iteration with a Gaussian: what the blurred estimate lacks of the picture is added to it.

    Kept near what the neighbourhood has (Jansson 1970), so that edges get steep and not lines of their own.
    """
    size = 2 * int(np.ceil(step.radius_px)) + 1
    window = np.ones((size, size), np.uint8)
    low, high = np.asarray(cv2.erode(luma, window)), np.asarray(cv2.dilate(luma, window))
    beyond = np.float32(_OVERSHOOT) * (high - low)
    low, high = low - beyond, high + beyond
    estimate = luma
    for _ in range(step.iterations):
        estimate = np.clip(estimate + luma - blurred(estimate, step.radius_px), low, high)
    return np.asarray(estimate, np.float32)


def blurred(plane: F32, sigma_px: float) -> F32:
    """A Gaussian of that sigma, cut at three of it."""
    size = 2 * half_width(sigma_px) + 1
    return np.asarray(cv2.GaussianBlur(plane, (size, size), sigma_px, borderType=cv2.BORDER_REFLECT_101), np.float32)


def half_width(sigma_px: float) -> int:
    """Pixels that `blurred` reaches to each side."""
    return max(1, int(np.ceil(3 * sigma_px)))
