"""Two frames without noise that lie exactly on each other: their own pixels, chosen one by one.

A frame is sharp where it departs from a blurred mean of both. The mean of two frames that share out what is sharp is the same
on either side of the border between them, so, unlike a window of the frame's own detail, this measure does not spread what stands
out beyond its outline, and may look at single pixels. The mean is blurred as much as best turns the sharp frame into the blurred
one. No resampling, no half-size colour, no pyramid: where the choice is clear the result is that frame's pixel.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from stacking.frames import Pixels, Registration
from stacking.fuse.bands import Bands
from stacking.fuse.canvas import Canvas, windows
from stacking.fuse.frame_planes import EIGHT_BIT, LUMA, FramePlanes
from stacking.fuse.pyramid import PyramidFusion
from stacking.fuse.range_ends import brightened

F32 = NDArray[np.float32]

# Blurs (sigma, px) that are tried; the mean is blurred a little less than by the best one.
_BLURS_PX = (1.0, 1.5, 2.2, 3.2, 4.5, 6.5)
_LESS = 0.85
_WINDOW_PX = 0.55
_NOISE_WINDOW_PX = 0.7
_POWER = 6.0
# Squared 8-bit units, summed over the channels: rounding.
_FLOOR = 0.3
# Lower quartiles that noise leaves of its variance: in the finest detail of the blurrier frame, and where one frame is explained by
# the other, blurred. Texture raises the first, blur of another shape the second, so the smaller one is nearer to the truth.
_NOISE_PERCENT = 25.0
_DETAIL_SHARE = 0.2
_UNEXPLAINED_SHARE = 0.45
# Variance of luma, 8-bit units, above which single pixels say too little: a deviation of 1.6 per channel, from which on a pyramid
# is level with it for gray pictures.
_MOST_NOISE = 2.5
_BLOCK_ROWS = 64


def are_a_pair(registrations: Mapping[int, Registration], canvas: Canvas, frame_size: tuple[int, int]) -> bool:
    """Whether these are two frames whose pixels lie on each other, and all of them are wanted."""
    whole = canvas.width <= frame_size[0] and canvas.height <= frame_size[1]
    return len(registrations) == 2 and whole and all(_is_identity(r) for r in registrations.values())


def _is_identity(registration: Registration) -> bool:
    return bool(np.array_equal(registration.matrix, np.eye(2, 3)))


class PairFusion:
    """A fusion of two frames; a running pyramid beside it keeps the focus of the depth, and gives the picture where there is noise.

    Parameters
    ----------
    canvas : Canvas
        The picture, or a strip of it.
    bands : Bands
    pyramid : PyramidFusion
        On the same canvas.
    """

    def __init__(self, canvas: Canvas, bands: Bands, pyramid: PyramidFusion) -> None:
        self._canvas = canvas
        self._bands = bands
        self._pyramid = pyramid
        self._images: list[Pixels] = []
        self._gains: list[F32] = []

    def take(self, image: Pixels, gain: NDArray[np.float64]) -> None:
        """Keep a whole frame, shape (rows, columns, 3), and the gains that match its brightness."""
        self._images.append(image)
        self._gains.append(gain.astype(np.float32))

    def add(
        self, planes: FramePlanes, matrix: NDArray[np.float64], frame_size: tuple[int, int], position: float
    ) -> None:
        """Take in the working planes of a frame."""
        self._pyramid.add(planes, matrix, frame_size, position)

    def result(self) -> NDArray[np.uint16]:
        """The picture."""
        fused = self._pyramid.result()
        if len(self._images) != 2:
            return fused
        blur, noise = self._blur_and_noise()
        if noise > _MOST_NOISE:
            return fused
        self._bands.run(self._canvas.height, lambda first, stop: self._choose(blur, fused, first, stop))
        return fused

    def _blur_and_noise(self) -> tuple[float, float]:
        """The blur that best turns the sharp frame into the blurred one, and the variance of the noise.

        Taken from windows of the whole frames, so that they are the same for every strip.
        """
        rows, columns = self._images[0].shape[:2]
        unexplained: dict[float, list[F32]] = {blur: [] for blur in _BLURS_PX}
        detail: list[F32] = []
        for window in windows(columns, rows):
            area = (slice(window.y, window.y + window.height), slice(window.x, window.x + window.width))
            near, far = (
                np.asarray(_matched(image[area], gain) @ LUMA, np.float32)
                for image, gain in zip(self._images, self._gains, strict=True)
            )
            for blur, found in unexplained.items():
                found.append(np.minimum(_square(far - _smooth(near, blur)), _square(near - _smooth(far, blur))).ravel())
            detail.append(np.minimum(*(_square(f - _smooth(f, _NOISE_WINDOW_PX)) for f in (near, far))).ravel())
        best = min(_BLURS_PX, key=lambda blur: sum(float(part.sum()) for part in unexplained[blur]))
        noise = min(
            float(np.percentile(np.concatenate(parts), _NOISE_PERCENT)) / share
            for parts, share in ((detail, _DETAIL_SHARE), (unexplained[best], _UNEXPLAINED_SHARE))
        )
        return best * _LESS, noise

    def _choose(self, blur: float, out: NDArray[np.uint16], first: int, stop: int) -> None:
        """Rows ``first`` to ``stop`` of the canvas, block by block, each seen with as much around it as the blur reaches."""
        canvas = self._canvas
        rows = self._images[0].shape[0]
        reach = int(np.ceil(4.0 * (blur + _WINDOW_PX))) + 2
        columns = slice(canvas.x, canvas.x + canvas.width)
        for start in range(first, stop, _BLOCK_ROWS):
            end = min(start + _BLOCK_ROWS, stop)
            top, bottom = max(0, canvas.y + start - reach), min(rows, canvas.y + end + reach)
            near, far = (_matched(image[top:bottom], g) for image, g in zip(self._images, self._gains, strict=True))
            mean = _smooth(np.float32(0.5) * (near + far), blur)
            inside = slice(canvas.y + start - top, canvas.y + end - top)
            ratio = np.log(_departure(near, mean)[inside, columns]) - np.log(_departure(far, mean)[inside, columns])
            share = 1.0 / (1.0 + np.exp(np.clip(np.float32(-_POWER) * ratio, -60.0, 60.0)))
            picture = far[inside, columns] + share[..., None] * (near - far)[inside, columns]
            out[start:end] = np.clip(picture * np.float32(257.0) + np.float32(0.5), 0.0, 65535.0)


def _matched(image: Pixels, gain: F32) -> F32:
    """A frame's own pixels in 8-bit units, its brightness matched."""
    return brightened(image.astype(np.float32), gain, float(np.iinfo(image.dtype).max)) * np.float32(
        EIGHT_BIT[image.dtype]
    )


def _departure(frame: F32, mean: F32) -> F32:
    """How far a frame departs from the blurred mean, over a window of about a pixel."""
    return _smooth(np.square(frame - mean).sum(axis=2), _WINDOW_PX) + np.float32(_FLOOR)


def _square(plane: F32) -> F32:
    return _smooth(np.square(plane), _NOISE_WINDOW_PX)


def _smooth(plane: F32, sigma_px: float) -> F32:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma_px), np.float32)
