"""The running preview: a small fused picture of the frames so far, made at little cost, for the eye alone.

Each frame, averaged down, is laid on the first by what the matches say of it so far, and the pixels are weighted by the square of
their focus energy over that of the noise: a running sum, whatever the order of the frames. The final picture shares nothing with it.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from stacking.frames import Pixels

_LONGEST_PX = 1280
_NOISE_ENERGY = 4.0
_REACH_PX = 2.0
_QUALITY = 88


class Preview:
    """A running small picture.

    Parameters
    ----------
    size : (int, int)
        Width and height of the frames.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self._factor = max(1, -(-max(size) // _LONGEST_PX))
        width, height = (max(1, length // self._factor) for length in size)
        self._sum = np.zeros((height, width, 3), np.float32)
        self._weight = np.zeros((height, width), np.float32)
        self.frames = 0

    def small(self, image: Pixels) -> NDArray[np.uint8]:
        """A frame (rows, columns, 3) as the preview takes it: 8 bit, averaged down."""
        height, width = self._weight.shape
        rows, columns = height * self._factor, width * self._factor
        shrunk = cv2.resize(image[:rows, :columns], (width, height), interpolation=cv2.INTER_AREA)
        return np.asarray(shrunk if shrunk.dtype == np.uint8 else cv2.convertScaleAbs(shrunk, alpha=1 / 257), np.uint8)

    def add(self, small: NDArray[np.uint8], matrix: NDArray[np.float64]) -> None:
        """Take in a frame as `small` gives it; ``matrix`` leads from the first frame to it, in pixels of the full frame."""
        height, width = self._weight.shape
        f, c = self._factor, (self._factor - 1) / 2
        inner = matrix.astype(np.float64).copy()
        inner[:, 2] = (matrix[:, :2] @ np.array([c, c]) + matrix[:, 2] - c) / f
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        laid = cv2.warpAffine(small, inner, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        everywhere = np.ones((height, width), np.uint8)
        there = cv2.warpAffine(everywhere, inner, (width, height), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP)
        luma = cv2.GaussianBlur(cv2.cvtColor(laid, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), 0.7)
        energy = cv2.GaussianBlur(cv2.Laplacian(luma, cv2.CV_32F) ** 2, (0, 0), _REACH_PX)
        weight = np.asarray(np.square(energy + np.float32(_NOISE_ENERGY)) * there, np.float32)
        self._sum += laid * weight[..., None]
        self._weight += weight
        self.frames += 1

    def picture(self) -> NDArray[np.uint8]:
        """The picture so far: (rows, columns, 3), uint8; black where no frame reaches."""
        whole = self._sum / np.maximum(self._weight, np.float32(1e-12))[..., None]
        return np.clip(np.rint(whole), 0, 255).astype(np.uint8)

    def write(self, path: Path) -> None:
        """Write it as JPEG, in the place of the one before: whoever reads sees a whole one.

        Raises
        ------
        OSError
        """
        beside = path.with_name(f".{path.name}.part")
        try:
            beside.write_bytes(encoded(self.picture()))
            beside.replace(path)
        finally:
            with suppress(OSError):
                beside.unlink(missing_ok=True)


def encoded(picture: NDArray[np.uint8]) -> bytes:
    """RGB as JPEG."""
    _, coded = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return coded.tobytes()


def decoded(coded: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What `encoded` made, as RGB."""
    picture = cv2.imdecode(coded, cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError("no JPEG")
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
