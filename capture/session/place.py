"""Where a picture was taken along the axis, told from pictures whose places are known. Pure, but for reading the pictures.

Each block of a frame gets sharper towards its own plane and softer behind it. The energies of all blocks together are a fingerprint of
the position; between two frames it changes smoothly. A picture from an unknown place is compared with the fingerprints, and with what
lies between them, after it has been laid on the nearest frame (the camera may have been touched when its battery was changed).
Sharpness alone tells the place; scale only serves to lay them on each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from capture.errors import SessionError
from capture.focus.survey import Surveyor
from capture.session.folder import FEWEST_COMPARED
from stacking.develop import Development, as_source
from stacking.register.features import extract
from stacking.register.matching import MatchQuery, match
from stacking.register.similarity import Similarity

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

FEWEST_FRAMES = FEWEST_COMPARED
MOST_FRAMES = 16
_FINE = 16  # candidates between two frames
# Octaves by which a block's energy must change over the frames to be believed, and where it counts most.
_LEAST_CHANGE, _FULL_CHANGE = 1.0, 3.0
_FEWEST_BLOCKS = 12
# In changes from one frame to the next: what a picture may differ from the fingerprint at its place, and from an end it lies on.
_ALIKE = 0.9
_AT_THE_END = 0.45


class Side(StrEnum):
    """Where a picture lies, seen from the known frames."""

    INSIDE = "inside"
    BEFORE = "before"  # nearer than the nearest
    BEYOND = "beyond"  # farther than the farthest


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one picture tells.

    Attributes
    ----------
    side : Side
    position : float
        In the axis's unit; beyond the frames a rough guess.
    unlikeness : float
        Difference from what is known of that place, in changes from one frame to the next: below 1 where all is well.
    shift_px : float
        How far the picture lies aside, in pixels of the still; 0 where it could not be laid on a frame.
    """

    side: Side
    position: float
    unlikeness: float
    shift_px: float


class PlaceFinder:
    """Knows the fingerprints of some frames.

    Parameters
    ----------
    frames : sequence of (float, Path)
        Position and picture of `FEWEST_FRAMES` frames or more, of neighbouring positions.

    Raises
    ------
    SessionError
        Too few frames, or nothing in them that goes in and out of focus.
    stacking.errors.StackingError
        One of them cannot be read.
    """

    def __init__(self, frames: Sequence[tuple[float, Path]]) -> None:
        frames = sorted(frames, key=lambda frame: frame[0])
        if len(frames) < FEWEST_FRAMES:
            raise SessionError(
                f"{len(frames)} frames are too few to find the place by images; {FEWEST_FRAMES} are needed",
                remedy="Bring the carriage to the session's 0 by hand, and resume with --origin here.",
                state="Nothing has moved, nothing was shot.",
            )
        self._frames = tuple(frames)
        self.positions: F64 = np.array([position for position, _ in frames])
        self.spacing = float(np.median(np.diff(self.positions)))
        self._development = Development([as_source(frames[len(frames) // 2][1])])
        rows, columns = self._development.size
        self._size = (columns, rows)
        first = self._gray(frames[0][1])
        self._surveyor = Surveyor((first.shape[0], first.shape[1]))
        self._levels = np.stack([self._fingerprint(self._gray(path)) for _, path in frames])
        change = np.ptp(self._levels, axis=0)
        self._weights = np.clip((change - _LEAST_CHANGE) / (_FULL_CHANGE - _LEAST_CHANGE), 0, 1).astype(np.float32)
        if int((self._weights > 0).sum()) < _FEWEST_BLOCKS:
            raise SessionError(
                "nothing in the frames goes in and out of focus clearly enough to find the place by images",
                remedy="Bring the carriage to the session's 0 by hand, and resume with --origin here.",
                state="Nothing has moved, nothing was shot.",
            )
        steps = np.array([self._difference(a, b) for a, b in zip(self._levels, self._levels[1:], strict=False)])
        self._change = float(np.median(steps))
        self._candidates, self._model = self._between()

    def look(self, picture: Path) -> Sighting:
        """Where `picture` was taken.

        Raises
        ------
        stacking.errors.StackingError
            It cannot be read, or is of another size.
        """
        gray = self._gray(picture)
        costs = self._costs(gray)
        laid = self._lay(gray, int(np.argmin(costs)))
        shift_px = 0.0
        if laid is not None:
            gray, shift_px = laid
            costs = self._costs(gray)
        best = int(np.argmin(costs))
        unlikeness = float(costs[best]) / self._change
        position = _vertex(self._candidates, costs, best)
        ends = {0: Side.BEFORE, len(costs) - 1: Side.BEYOND}
        if best in ends and unlikeness > _AT_THE_END:
            side = ends[best]
            away = self._lag(float(costs[best])) * self.spacing
            return Sighting(side, position - away if side is Side.BEFORE else position + away, unlikeness, shift_px)
        return Sighting(Side.INSIDE, position, unlikeness, shift_px)

    def is_alike(self, sighting: Sighting) -> bool:
        """Whether the picture looks as it must at the place that was found."""
        return sighting.side is Side.INSIDE and sighting.unlikeness <= _ALIKE

    # -- inside --------------------------------------------------------------------------------------------------------------------

    def _gray(self, path: Path) -> NDArray[np.uint8]:
        return np.asarray(self._development.gray_half(as_source(path)), np.uint8)

    def _fingerprint(self, gray: NDArray[np.uint8]) -> F32:
        return np.asarray(self._surveyor.survey(gray).levels, np.float32)

    def _difference(self, one: F32, other: F32) -> float:
        return float((self._weights * np.abs(one - other)).sum() / self._weights.sum())

    def _costs(self, gray: NDArray[np.uint8]) -> F64:
        levels = self._fingerprint(gray)
        return np.array([self._difference(levels, known) for known in self._model])

    def _between(self) -> tuple[F64, list[F32]]:
        """Fingerprints between the frames: cubic Hermite curves through them, with the slopes of their neighbours."""
        x, y = self.positions, self._levels
        slopes = np.gradient(y, x, axis=0)
        at, model = [], []
        for k in range(len(x) - 1):
            h = x[k + 1] - x[k]
            for t in np.arange(_FINE) / _FINE:
                a, b = (1 + 2 * t) * (1 - t) ** 2, t * (1 - t) ** 2
                c, d = t * t * (3 - 2 * t), t * t * (t - 1)
                at.append(x[k] + t * h)
                curve = a * y[k] + b * h * slopes[k] + c * y[k + 1] + d * h * slopes[k + 1]
                model.append(np.asarray(curve, np.float32))
        return np.array([*at, x[-1]]), [*model, np.asarray(y[-1], np.float32)]

    def _lay(self, gray: NDArray[np.uint8], best: int) -> tuple[NDArray[np.uint8], float] | None:
        """The picture laid on the nearest frame, and how far aside it was, px; None where the two show nothing in common."""
        nearest = int(np.argmin(np.abs(self.positions - self._candidates[best])))
        known = extract(0, self._gray(self._frames[nearest][1]), self._size)
        found = match(MatchQuery(known, extract(1, gray, self._size), self._size))
        if found is None:
            return None
        half = Similarity(found.similarity.a, found.similarity.b / 2)
        rows, columns = gray.shape
        matrix = half.matrix((columns, rows))
        flags = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
        laid = cv2.warpAffine(gray, matrix, (columns, rows), flags=flags, borderMode=cv2.BORDER_REFLECT)
        shift_px = abs(found.similarity.b)
        # what moves by less than a pixel is better left as it is: interpolation takes sharpness away
        return (gray if shift_px < 1.0 else np.asarray(laid, np.uint8)), float(shift_px)

    def _lag(self, cost: float) -> float:
        """How many frames apart two pictures are that differ by `cost`; the whole range at most."""
        count = len(self._levels)
        for lag in range(1, count):
            pairs = [self._difference(self._levels[k], self._levels[k + lag]) for k in range(count - lag)]
            if float(np.mean(pairs)) >= cost:
                return float(lag)
        return float(count)


def _vertex(x: F64, costs: F64, best: int) -> float:
    """Where the two lines down to the least cost meet: the cost falls and rises like a V."""
    low, high = max(best - _FINE // 2, 0), min(best + _FINE // 2, len(x) - 1)
    if best - low < 2 or high - best < 2:
        return float(x[best])
    a, b = (
        np.polyfit(x[low : best + 1], costs[low : best + 1], 1),
        np.polyfit(x[best : high + 1], costs[best : high + 1], 1),
    )
    if b[0] - a[0] <= 0:
        return float(x[best])
    crossing = (a[1] - b[1]) / (b[0] - a[0])
    return float(np.clip(crossing, x[low], x[high]))
