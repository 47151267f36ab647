"""Hot and dead pixels in pictures that a camera developed: small dots that stand still while the picture moves.

A camera's demosaic and JPEG have spread them over some pixels. Each frame tells which spots of its gray picture stand out of a
ring round them; over the stack a spot is a defect where it stands out in most frames though what the picture shows there moved.
What moves with the picture (a glint, a grain) stands out somewhere else in each frame.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from stacking.frames import Pixels

Places = NDArray[np.int32]
F64 = NDArray[np.float64]

# A spot stands out from the ring round it by half of what that differs in itself, and by that many of 255 steps.
_STANDS_OUT, _FLOOR = 0.5, 4
_MARGIN = 3
# The eight at distance two: nearer ones a spot has spread to.
_RING = [(dy, dx) for dy in (-2, 0, 2) for dx in (-2, 0, 2) if (dy, dx) != (0, 0)]
# Of the frames those that have to show it, and how far the picture has to move there, pixels of the gray picture (standard
# deviation): so far that no grain of the subject stands on one pixel in half of the frames.
_AGREEING, _LEAST_FRAMES, _MOVED_GRAY_PX = 0.5, 4, 1.0
# More spots in a frame, or defects in a stack, as a share of the pixels, are no defects.
_MOST_SHARE, _MOST_DEFECTS = 5e-3, 2e-4
# Pixels beyond those of the spot that its spreading reaches, and the rounds that smooth the patch.
_REACH_PX, _ROUNDS = 2, 40


def spots_of(gray: NDArray[np.uint8]) -> Places:
    """Spots of one frame's gray picture (rows, columns): row and column of each, int32, in order; none where there are too many."""
    if min(gray.shape) <= 2 * _MARGIN:
        return np.zeros((0, 2), np.int32)
    # most pixels are told by the four beside, above and below them
    middle, m = gray[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN], _MARGIN
    beside = gray[m:-m, m - 2 : -m - 2], gray[m:-m, m + 2 : gray.shape[1] - m + 2]
    over = gray[m - 2 : -m - 2, m:-m], gray[m + 2 : gray.shape[0] - m + 2, m:-m]
    highest, lowest = cv2.max(cv2.max(*beside), cv2.max(*over)), cv2.min(cv2.min(*beside), cv2.min(*over))
    apart = cv2.max(cv2.subtract(middle, highest), cv2.subtract(lowest, middle))
    flat = np.flatnonzero(np.asarray(apart) > np.uint8(_FLOOR))
    places: Places = np.stack(np.divmod(flat, apart.shape[1]), axis=1).astype(np.int32) + _MARGIN
    around = np.stack([gray[places[:, 0] + dy, places[:, 1] + dx].astype(np.int32) for dy, dx in _RING])
    own = gray[places[:, 0], places[:, 1]].astype(np.int32)
    high, low = around.max(axis=0), around.min(axis=0)
    places = places[np.maximum(own - high, low - own) > _STANDS_OUT * (high - low) + _FLOOR]
    return places if len(places) <= max(4.0, _MOST_SHARE * gray.size) else places[:0]


def standing_spots(spots: Mapping[int, Places], matrices: Mapping[int, F64], *, factor: int, pixels: int) -> Places:
    """The spots that stand still while the picture moves.

    Parameters
    ----------
    spots : mapping of int to ndarray (n, 2)
        Of each frame, as `spots_of` finds them.
    matrices : mapping of int to ndarray (2, 3)
        From the reference to each frame, pixels; of the frames that are used.
    factor : int
        Pixels of a frame per pixel of the gray pictures.
    pixels : int
        Of a gray picture.

    Returns
    -------
    ndarray (n, 2), int32
        Row and column in the gray pictures; none where there are too many to be defects.
    """
    frames = [k for k in matrices if k in spots]
    none: Places = np.zeros((0, 2), np.int32)
    if len(frames) < _LEAST_FRAMES:
        return none
    found = np.concatenate([spots[k] for k in frames])
    places, counts = np.unique(found, axis=0, return_counts=True)
    places = places[counts >= max(_LEAST_FRAMES, _AGREEING * len(frames))]
    if not len(places) or len(places) > max(4.0, _MOST_DEFECTS * pixels):
        return none
    at = (places[:, ::-1] + 0.5) * factor - 0.5
    shown = []
    for k in frames:  # what the reference shows where the spot is in each frame
        inverse = np.linalg.inv(matrices[k][:, :2])
        shown.append((at - matrices[k][:, 2]) @ inverse.T)
    moved = np.sqrt(np.var(np.stack(shown), axis=0).sum(axis=1))
    return np.asarray(places[moved >= _MOVED_GRAY_PX * factor], np.int32)


def without_spots(image: Pixels, places: Places, factor: int) -> None:
    """Fill each defect from what lies round it, smoothly, in place.

    Parameters
    ----------
    image : ndarray (rows, columns, 3), uint8 or uint16
    places : ndarray (n, 2)
        In the gray pictures that have `factor` times fewer pixels each way.
    """
    rows, columns = image.shape[:2]
    for y, x in places:
        top, left = max(0, y * factor - _REACH_PX - 1), max(0, x * factor - _REACH_PX - 1)
        bottom = min(rows, (y + 1) * factor + _REACH_PX + 1)
        right = min(columns, (x + 1) * factor + _REACH_PX + 1)
        patch = image[top:bottom, left:right].astype(np.float64)
        ring = np.concatenate([patch[0], patch[-1], patch[1:-1, 0], patch[1:-1, -1]])
        patch[1:-1, 1:-1] = ring.mean(axis=0)
        for _ in range(_ROUNDS):  # the membrane between its edges (Laplace's equation)
            patch[1:-1, 1:-1] = (patch[:-2, 1:-1] + patch[2:, 1:-1] + patch[1:-1, :-2] + patch[1:-1, 2:]) / 4
        image[top + 1 : bottom - 1, left + 1 : right - 1] = np.rint(patch[1:-1, 1:-1]).astype(image.dtype)
