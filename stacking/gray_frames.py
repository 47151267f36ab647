"""Gray frames among frames in colour: none of them is the reference, and each borrows its colours from a neighbour."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from stacking.errors import FrameError
from stacking.frames import Pixels, Registration

if TYPE_CHECKING:
    from stacking.register.registrar import Registrar, Solution

F64 = NDArray[np.float64]

BORROWED = "it is gray among pictures in colour: its colours are its neighbour's"
# Frames looked at until one has colour: a stack that is gray all over is soon known as such.
_TRIES = 4
_SAMPLES_PX = 512
_FIRST_ROWS = 64
# Colours change little over that many pixels where frames lie on each other.
_CHROMA_BLUR_PX = 1.5


def is_colourless(image: Pixels) -> bool:
    """Whether the three channels of a picture (rows, columns, 3) are equal, by a grid of samples."""
    step = max(1, max(image.shape) // _SAMPLES_PX)
    samples = image[step // 2 :: step, step // 2 :: step]
    # a few rows tell as a rule: every sample is read from another place of the memory
    return all(bool((rows == rows[..., :1]).all()) for rows in (samples[::_FIRST_ROWS], samples))


def solve_in_colour(
    registrar: Registrar, frame: Callable[[int], Pixels], gray: Iterable[int]
) -> tuple[Solution, Pixels | None]:
    """The solution whose reference has colour where any has, and the developed reference; None where it cannot be read.

    Raises
    ------
    RegistrationError
        As `Registrar.solve`.
    """
    gray = set(gray)
    solution = registrar.solve(gray)
    image = _or_none(frame, solution.reference)
    if image is None or not is_colourless(image):
        return solution, image
    gray.add(solution.reference)
    others = [k for k in sorted(solution.registrations) if k not in gray]
    for k in others[:: max(1, -(-len(others) // _TRIES))]:
        other = _or_none(frame, k)
        if other is not None and is_colourless(other):
            gray.add(k)
        elif other is not None:
            # the reference is chosen among the rest: it may be another one, which need not be in colour
            found = registrar.solve(gray)
            image = _or_none(frame, found.reference)
            if image is None or not is_colourless(image):
                return found, image
            return registrar.solve(solution.registrations.keys() - {k}), other
    return solution, image


def _or_none(frame: Callable[[int], Pixels], index: int) -> Pixels | None:
    try:
        return frame(index)
    except FrameError:  # the final pass will say so
        return None


def coloured_like(image: Pixels, other: Pixels, matrix: F64) -> Pixels:
    """A gray picture with the colours of another one.

    Parameters
    ----------
    image, other : ndarray (rows, columns, 3), of one dtype
    matrix : ndarray (2, 3)
        From `image` to `other`.

    Returns
    -------
    ndarray (rows, columns, 3), of the same dtype
        Each channel is the gray times its ratio to the other's luma, so the detail stays that of `image`.
    """
    rows, columns = image.shape[:2]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    lent = cv2.warpAffine(other, matrix, (columns, rows), flags=flags, borderMode=cv2.BORDER_REFLECT)
    lent = np.asarray(cv2.GaussianBlur(lent.astype(np.float32), (0, 0), _CHROMA_BLUR_PX), np.float32)
    luma = lent @ np.array([0.299, 0.587, 0.114], np.float32)
    top = float(np.iinfo(image.dtype).max)
    lent = lent * (image[..., 0].astype(np.float32) / np.maximum(luma, np.float32(top / 255.0)))[..., None]
    rounded = np.clip(np.rint(lent), 0, top)
    return rounded.astype(np.uint8) if image.dtype == np.uint8 else rounded.astype(np.uint16)


class BorrowedColours:
    """Gives gray frames the colours of their nearest neighbour that has any. Frames may be asked about in several threads.

    Parameters
    ----------
    frame : callable
        Index to developed frame; raises FrameError.
    registrations : mapping of int to Registration
    reference : int
        A frame in colour.
    """

    def __init__(
        self, frame: Callable[[int], Pixels], registrations: Mapping[int, Registration], reference: int
    ) -> None:
        self._frame = frame
        self._registrations = registrations
        self._reference = reference
        self._lock = threading.Lock()
        self._gray: set[int] = set()

    @property
    def borrowers(self) -> tuple[int, ...]:
        """The gray frames seen so far."""
        return tuple(sorted(self._gray))

    def coloured(self, index: int, image: Pixels) -> Pixels:
        """A developed frame, with colours where it had none."""
        if index not in self._registrations or not is_colourless(image):
            return image
        with self._lock:
            self._gray.add(index)
        near = sorted(self._registrations, key=lambda k: (abs(k - index), k))[1 : 1 + _TRIES]
        for other in [*near, self._reference]:
            with suppress(FrameError):
                lender = self._frame(other)
                if not is_colourless(lender):
                    between = _between(self._registrations[index].matrix, self._registrations[other].matrix)
                    return coloured_like(image, lender, between)
        return image


def _between(one: F64, two: F64) -> F64:
    """The matrix from the first frame to the second, both given from the reference."""
    square = np.vstack([one, [0.0, 0.0, 1.0]])
    return np.asarray(two @ np.linalg.inv(square))
