"""Drift of the white balance: frames whose colours differ from the reference's are brought to them, channel by channel.

Brightness is matched before, from luma alone, when frames are registered. Colours are looked at when a frame is developed for the
final pass, since only then it is there in colour, and they are compared as brightness is: mean linear light of blocks, directly with
the reference. On stacks without drift the ratios agree to 0.0003; what stays below a limit is left as it is, so no cast comes of it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from stacking.frames import Pixels, Registration
from stacking.register.features import GAMMA, Map
from stacking.register.photometry import encoded_ratios
from stacking.register.similarity import Similarity

_LONGEST_BLOCKS = 64
_SAMPLES_PX = 512
_LEAST_DRIFT = 0.015
_WORTH_A_NOTE = 0.03
_CLIPPED = 250 / 255
_MOST_CLIPPED = 0.02
_LUMA = np.array([0.299, 0.587, 0.114])


class WhiteBalance:
    """Matches the colours of frames to those of the reference. Different frames may be matched in several threads.

    Parameters
    ----------
    image : ndarray, shape (rows, columns, 3), uint8 or uint16
        The developed reference.
    registrations : mapping of int to Registration
        Their gains are those of luma, and are changed in place where colours differ.
    """

    def __init__(self, image: Pixels, registrations: Mapping[int, Registration]) -> None:
        self._size = (image.shape[1], image.shape[0])
        self._reference = colour_blocks(image)
        self._registrations = registrations
        self._drift: dict[int, float] = {}
        self._lock = threading.Lock()

    def match(self, index: int, image: Pixels) -> None:
        """Look at a developed frame, and change its gain where its colours differ; what was looked at once is left alone."""
        with self._lock:
            if index in self._drift or index not in self._registrations:
                return
            self._drift[index] = 0.0
        blocks = colour_blocks(image)
        if self._reference is None or blocks is None:
            return
        registration = self._registrations[index]
        pose = Similarity.from_matrix(registration.matrix, self._size)
        factor = max(self._size) / max(self._reference.shape)
        ratios = encoded_ratios(self._reference, blocks, pose, factor)
        if ratios is None:
            return
        logs = np.log(ratios)
        drift = float(np.abs(logs - _LUMA @ logs).max())
        if drift > _LEAST_DRIFT:
            registration.gain[:] = 1.0 / ratios
            self._drift[index] = drift

    def notes(self) -> dict[int, str]:
        """The frames that differed visibly."""
        return {
            index: f"its colours differ by up to {np.expm1(drift):.0%}, matched to the others"
            for index, drift in sorted(self._drift.items())
            if drift > _WORTH_A_NOTE
        }


def colour_blocks(image: Pixels) -> Map | None:
    """Mean linear light of each channel in blocks, from a grid of samples; -1 in all channels where one clips.

    None for a picture without any colour.

    Returns
    -------
    ndarray, shape (<= 64, <= 64, 3), float32, or None
    """
    step = max(1, max(image.shape) // _SAMPLES_PX)
    samples = np.ascontiguousarray(image[step // 2 :: step, step // 2 :: step])
    if np.array_equal(samples[..., 0], samples[..., 1]) and np.array_equal(samples[..., 1], samples[..., 2]):
        return None
    by = max(image.shape) / _LONGEST_BLOCKS
    size = (max(1, round(image.shape[1] / by)), max(1, round(image.shape[0] / by)))
    top = int(np.iinfo(image.dtype).max)
    light = cv2.resize(_to_light(top)[samples], size, interpolation=cv2.INTER_AREA)
    brightest = np.maximum(np.maximum(samples[..., 0], samples[..., 1]), samples[..., 2])
    clipped = (brightest >= _CLIPPED * top).astype(np.float32)
    light[cv2.resize(clipped, size, interpolation=cv2.INTER_AREA) > _MOST_CLIPPED] = -1
    return np.asarray(light, np.float32)


@lru_cache(maxsize=2)
def _to_light(top: int) -> NDArray[np.float32]:
    return ((np.arange(top + 1) / top) ** GAMMA).astype(np.float32)
