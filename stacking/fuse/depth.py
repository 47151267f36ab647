"""Depth and its confidence from running moments of the frame number under the focus weight (Guo 2011, as weighted sums)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]

_FILL_LEVELS = 7
_FILL_WEIGHT = 0.1
_KNOWN = 0.02
_EVEN_SHARE = 0.5
_NEAR_FRAMES = 1.0


@dataclass(frozen=True, slots=True)
class DepthEstimate:
    """Where the picture was sharp.

    Attributes
    ----------
    depth : ndarray (rows, columns), float32
        In the unit of the positions; larger is farther; NaN where unknown.
    confidence : ndarray (rows, columns), float32
        0 to 1: how sharply one position stands out.
    surface : ndarray (rows, columns), float32, or None
        The depth where it is known, and what its surface says of it where it is not; NaN where that says nothing either.
    """

    depth: F32
    confidence: F32
    surface: F32 | None


@dataclass(frozen=True, slots=True)
class InFocus:
    """The frame in focus at every second pixel of every second row, from the moments of the frame number.

    Attributes
    ----------
    chosen : ndarray ((rows + 1) // 2, (columns + 1) // 2), float32
        Frame numbers, without gaps, edges where the energy has them: for choosing frames. The mean where it is near the frame that
        weighs most; elsewhere that frame, for among many frames the mean is drawn to the middle of the stack.
    farthest : ndarray, float32
        The same, what is near no fatter than it is: for the depth.
    known : ndarray, float32
        0 to 1: how sharply one frame stands out.
    """

    chosen: F32
    farthest: F32
    known: F32

    def depth(self, positions: Sequence[float], shape: tuple[int, int]) -> DepthEstimate:
        """The depth at full size, (rows, columns), given the position of each frame number."""
        sure = enlarge_half(self.known, shape)
        numbers = enlarge_half(self.farthest, shape)
        depth = np.interp(numbers, np.arange(len(positions)), np.asarray(positions)).astype(np.float32)
        depth[sure < _KNOWN] = np.nan
        return DepthEstimate(depth, np.clip(sure, 0.0, 1.0, out=sure), None)


def in_focus(weight: F32, first: F32, second: F32, strongest: F32, positions: Sequence[float]) -> InFocus:
    """Find the frames in focus from the sums of weight, weight * n and weight * n^2 over the frame numbers n, at half size.

    A pixel beside an edge in front of it takes part of that edge's energy, which would make everything near look fat: for the depth
    each pixel takes the farthest of its surroundings, and their least confidence.

    Parameters
    ----------
    weight, first, second : ndarray ((rows + 1) // 2, (columns + 1) // 2), float32
    strongest : ndarray, of the same shape, float32
        The number of the frame that weighs most.
    positions : sequence of float
        Position of each frame number; larger is farther.
    """
    total = np.maximum(weight, np.float32(1e-37))
    mean: F32 = np.asarray(first / total, np.float32)
    variance = np.maximum(second / total - mean * mean, np.float32(0.0))
    # Where nothing is sharp all frames weigh alike: then the variance is that of an even spread over them.
    even = np.float32(max(len(positions) ** 2 - 1, 1) / 12.0)
    certain = np.clip(1.0 - variance / (_EVEN_SHARE * even), 0.0, 1.0)
    confidence: F32 = np.asarray(np.exp(-variance) * certain, np.float32)
    far_is_later = len(positions) < 2 or positions[-1] >= positions[0]
    chosen = np.where(np.abs(mean - strongest) < _NEAR_FRAMES, mean, strongest)
    square = np.ones((5, 5), np.uint8)
    steady = cv2.medianBlur(mean, 5)
    farthest = np.asarray(cv2.dilate(steady, square) if far_is_later else cv2.erode(steady, square), np.float32)
    least = np.asarray(cv2.erode(confidence, np.ones((3, 3), np.uint8)), np.float32)
    return InFocus(chosen, _pull_push(farthest, least), np.asarray(cv2.blur(least, (5, 5)), np.float32))


def _pull_push(values: F32, confidence: F32) -> F32:
    """Fill by coarser and coarser confident means (Gortler et al. 1996)."""
    sums, weights = [values * confidence], [confidence]
    for _ in range(_FILL_LEVELS):
        if min(sums[-1].shape) < 4:
            break
        sums.append(np.asarray(cv2.pyrDown(sums[-1]), np.float32))
        weights.append(np.asarray(cv2.pyrDown(weights[-1]), np.float32))
    filled = sums[-1] / (weights[-1] + np.float32(1e-9))
    for total, weight in zip(reversed(sums[:-1]), reversed(weights[:-1]), strict=True):
        rows, columns = weight.shape
        coarse = cv2.resize(filled, (columns, rows), interpolation=cv2.INTER_LINEAR)
        filled = (total + np.float32(_FILL_WEIGHT) * coarse) / (weight + np.float32(_FILL_WEIGHT))
    return np.asarray(filled, np.float32)


def enlarge_half(plane: F32, shape: tuple[int, int]) -> F32:
    """Twice the size: sample i lies at pixel 2i."""
    matrix = np.array([[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]])
    return np.asarray(
        cv2.warpAffine(
            plane,
            matrix,
            (shape[1], shape[0]),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        ),
        np.float32,
    )
