"""Hairs that the surfaces' votes overrule: told by the votes of their own cells, where the picture shows a thin line.

A hair of a pixel or two has few cells, and the mean over its surroundings gives it the depth of what is behind it. Its own cells'
votes tell better, but those of the cells beside it say the same, for the measure of focus reaches some cells beyond an edge;
which cells are the hair, the picture knows: they differ from the median of what is round them.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]

# Of a cell's vote what lies on three neighbouring bins, and how many bins nearer than its surface.
_LEAST_VOTE, _LEAST_NEARER_BINS = 0.4, 2.5
# A line differs from the median of 5x5 by so much of full scale, and by that part of the most that its neighbours do.
_LEAST_CONTRAST, _OF_NEIGHBOURS = 16 / 255, 0.6
# So many cells of a line, in a window of so many to each side, say the same place to so many bins: a line has one in each row.
_FEWEST, _REACH_CELLS, _SAME_BINS = 4, 3, 1.5


class Hairs:
    """Collects the votes of single cells, bin by bin.

    Parameters
    ----------
    shape : (rows, columns)
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._last: list[F32] = []
        self._bins = 0
        self._most: F32 = np.zeros(shape, np.float32)
        self._place: F32 = np.zeros(shape, np.float32)

    def add(self, votes: F32) -> None:
        """Take in what the next bin has of each cell's vote, (rows, columns)."""
        self._last.append(votes)
        self._bins += 1
        if self._bins > 1:
            self._judge()
        self._last = self._last[-2:]

    def _judge(self) -> None:
        """The bins kept, the last three or two of them, together."""
        total: F32 = np.sum(self._last, axis=0, dtype=np.float32)
        wins = total > self._most
        self._most[wins] = total[wins]
        first = self._bins - len(self._last)
        moment = np.sum([k * votes[wins] for k, votes in enumerate(self._last)], axis=0)
        self._place[wins] = first + moment / total[wins]

    def found(self, colours: F32, surface: F32, *, far_is_later: bool) -> tuple[NDArray[np.bool_], F32]:
        """The cells of hairs and their places along the bins.

        Parameters
        ----------
        colours : ndarray (rows, columns, 3), float32, 0 to 1
            The fused picture.
        surface : ndarray (rows, columns), float32
            Where the surface of each cell lies, in bins.
        far_is_later : bool
            Later bins are farther from the lens.

        Returns
        -------
        cells : ndarray (rows, columns), bool
        places : ndarray, float32
            One for each of them, in the order of ``cells``.
        """
        nearer = surface - self._place if far_is_later else self._place - surface
        line = _lines(colours) & (self._most >= _LEAST_VOTE) & (nearer > _LEAST_NEARER_BINS)
        rows, columns = np.nonzero(line)
        reach = _REACH_CELLS
        # the place of each cell of a line; of what is none it is like no other
        places = np.pad(np.where(line, self._place, np.float32(-np.inf)), reach, constant_values=-np.inf)
        own = self._place[rows, columns]
        count = np.zeros(len(rows), np.int32)
        total = np.zeros(len(rows), np.float32)
        for down in range(2 * reach + 1):
            for across in range(2 * reach + 1):
                other = places[rows + down, columns + across]
                same = np.abs(other - own) <= _SAME_BINS
                count += same
                total[same] += other[same]
        kept = count >= _FEWEST
        cells = np.zeros(line.shape, np.bool_)
        cells[rows[kept], columns[kept]] = True
        return cells, np.asarray(total[kept] / count[kept], np.float32)


def _lines(colours: F32) -> NDArray[np.bool_]:
    """Where a picture differs from the median of its surroundings, and no neighbour does so by much more."""
    square: F32 = np.zeros(colours.shape[:2], np.float32)
    for channel in cv2.split(colours):
        difference = channel - cv2.medianBlur(channel, 5)
        square += difference * difference
    most = cv2.dilate(square, np.ones((3, 3), np.uint8))
    return np.asarray((square >= _LEAST_CONTRAST**2) & (square >= _OF_NEIGHBOURS**2 * most))
