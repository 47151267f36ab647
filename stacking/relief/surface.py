"""The relief of a subject: depth with its confidence, holes filled and known as such, and its scale."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]

_FILL_LEVELS = 9
_COARSE_STEP = 4
# Where no scale is known the relief is drawn this deep, as a part of the picture's width.
_SHOWN_DEPTH = 0.25


class DepthUnit(StrEnum):
    """What the numbers of a depth map count."""

    UM = "um"
    FRAMES = "frames"


@dataclass(frozen=True, slots=True)
class Scale:
    """Sizes on the subject.

    Attributes
    ----------
    unit : DepthUnit
        Of the depth.
    pixel_um : float or None
        Side of a pixel on the subject, um (pixel pitch over magnification); None where it is not known.
    """

    unit: DepthUnit = DepthUnit.FRAMES
    pixel_um: float | None = None

    @property
    def true(self) -> bool:
        """Whether lengths across and in depth are known alike."""
        return self.unit is DepthUnit.UM and self.pixel_um is not None


@dataclass(frozen=True, slots=True)
class Relief:
    """Depth of every pixel.

    Attributes
    ----------
    depth : ndarray (rows, columns), float32
        In the unit of `scale`; larger is farther from the lens; NaN where the stack does not tell.
    confidence : ndarray (rows, columns), float32
        0 to 1; 0 where depth is NaN.
    filled : ndarray (rows, columns), float32
        `depth` with its holes filled from what lies around them.
    scale : Scale
    """

    depth: F32
    confidence: F32
    filled: F32
    scale: Scale

    @property
    def holes(self) -> NDArray[np.bool_]:
        """Where `filled` is a guess, shape (rows, columns)."""
        return np.isnan(self.depth)

    @property
    def span(self) -> tuple[float, float]:
        """Nearest and farthest known depth, less a thousandth at each end; (0, 0) where nothing is known."""
        known = self.depth[::2, ::2]
        known = known[np.isfinite(known)]
        if not known.size:
            return 0.0, 0.0
        low, high = np.quantile(known, [0.001, 0.999])
        return float(low), float(high)

    def height_px(self) -> F32:
        """Height towards the lens in pixels, 0 at the farthest: to scale where that is known, else a quarter of the width deep."""
        low, high = self.span
        factor = (
            1.0 / self.scale.pixel_um
            if self.scale.true and self.scale.pixel_um is not None
            else _SHOWN_DEPTH * self.depth.shape[1] / max(high - low, 1e-9)
        )
        height: F32 = np.clip(self.filled, np.float32(low), np.float32(high))
        np.subtract(np.float32(high), height, out=height)
        height *= np.float32(factor)
        return height

    def part(self, x: int, y: int, width: int, height: int) -> Relief:
        """The relief of a rectangle of the picture."""
        cut = (slice(y, y + height), slice(x, x + width))
        return Relief(self.depth[cut], self.confidence[cut], self.filled[cut], self.scale)


def relief_of(depth: F32, confidence: F32 | None, scale: Scale, surface: F32 | None = None) -> Relief:
    """A relief whose holes are filled.

    Parameters
    ----------
    depth : ndarray (rows, columns), float32
        NaN where unknown.
    confidence : ndarray (rows, columns), float32, or None
        0 to 1; None: full wherever there is depth.
    surface : ndarray (rows, columns), float32, optional
        What else is known of the holes, NaN where nothing is; the rest is filled from what lies around.
    """
    known = np.isfinite(depth)
    sure = known.astype(np.float32) if confidence is None else confidence
    if sure[~known].any():
        sure = np.where(known, sure, np.float32(0.0))
    told = depth if surface is None else np.where(known, depth, surface)
    del known
    return Relief(depth, sure, fill_holes(told, sure), scale)


def fill_holes(depth: F32, confidence: F32) -> F32:
    """`depth` where it is known, else the confident mean of coarser and coarser surroundings (Gortler et al. 1996, pull-push).

    Returns
    -------
    ndarray (rows, columns), float32
        Finite everywhere; 0 where nothing at all is known; `depth` itself where it has no hole.
    """
    known = np.isfinite(depth)
    if known.all():
        return depth
    rows, columns = depth.shape
    weight = np.maximum(confidence, np.float32(1e-3))
    weight[~known] = 0.0
    size = (max(1, -(-columns // _COARSE_STEP)), max(1, -(-rows // _COARSE_STEP)))
    weights = [np.asarray(cv2.resize(weight, size, interpolation=cv2.INTER_AREA), np.float32)]
    weight *= np.where(known, depth, np.float32(0.0))
    sums = [np.asarray(cv2.resize(weight, size, interpolation=cv2.INTER_AREA), np.float32)]
    del weight
    for _ in range(_FILL_LEVELS):
        if max(sums[-1].shape) < 2:
            break
        sums.append(np.asarray(cv2.pyrDown(sums[-1]), np.float32))
        weights.append(np.asarray(cv2.pyrDown(weights[-1]), np.float32))
    total = float(weights[-1].sum())
    filled: F32 = np.full(weights[-1].shape, float(sums[-1].sum()) / total if total > 0 else 0.0, np.float32)
    for value, sure in zip(reversed(sums), reversed(weights), strict=True):
        coarse = cv2.resize(filled, (sure.shape[1], sure.shape[0]), interpolation=cv2.INTER_LINEAR).reshape(sure.shape)
        # a place that knows a hundredth of what a sure one does already speaks for itself
        trust = np.float32(1e-3)
        filled = np.asarray((value + trust * coarse) / (sure + trust), np.float32)
    whole = np.asarray(cv2.resize(filled, (columns, rows), interpolation=cv2.INTER_LINEAR), np.float32)
    np.copyto(whole, depth, where=known)
    return whole
