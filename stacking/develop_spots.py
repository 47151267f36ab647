"""Hot and dead pixels in pictures that a camera developed: small dots that stand still while the picture moves.

A camera's demosaic and JPEG have spread them over some pixels. Each frame tells which spots of its gray picture stand out of a
ring round them; over the stack a spot is a defect where it stands out in most frames though what the picture shows there moved.
What moves with the picture (a glint, a grain) stands out somewhere else in each frame.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from stacking.frames import Pixels

Places = NDArray[np.int32]
F64 = NDArray[np.float64]

# A spot stands out from the eight at distance two (nearer ones it has spread to) by half of what they differ, and that many of 255 steps.
_STANDS_OUT, _FLOOR = 0.5, 4
# Of the frames those that have to show it, and how far the picture has to move there, pixels of the gray picture (standard
# deviation): so far that no grain of the subject stands on one pixel in half of the frames.
_AGREEING, _LEAST_FRAMES, _MOVED_GRAY_PX = 0.5, 4, 1.0
# More spots in a frame, or defects in a stack, as a share of the pixels, are no defects.
_MOST_SHARE, _MOST_DEFECTS = 5e-3, 2e-4
# Pixels beyond those of the spot that its spreading reaches, and the rounds that smooth the patch.
_REACH_PX, _ROUNDS = 2, 40


def spots_of(gray: NDArray[np.uint8]) -> Places:
    """Spots of one frame's gray picture (rows, columns): row and column of each, int32, in order; none where there are too many."""
    from stacking.develop_defects_kernels import mark_spikes

    marks = np.zeros(gray.shape, np.bool_)
    mark_spikes(np.ascontiguousarray(gray), _STANDS_OUT, _FLOOR, marks)
    places: Places = np.stack(np.divmod(np.flatnonzero(marks), gray.shape[1]), axis=1).astype(np.int32)
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
