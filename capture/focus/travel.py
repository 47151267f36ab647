"""Whether the picture went on from frame to frame as the rail says it did: lost steps and a jam show on no wire.

Every block gets sharper towards its own plane and softer behind it, so the energies of all blocks differ from one frame to the next by an
amount that changes slowly along a stack of even steps: on rendered stacks of steps from 0.15 to 1.3 depths of field by 25 % at most from
the mean of its neighbours, while half a step differs by 0.48 to 0.74 of it, none by noise alone, and two steps by 1.42 to 2.2.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from capture.focus.survey import COARSE_BANDS, FrameSurvey

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

# A band of a block counts where one of the two frames shows it by so much above the noise; so many of the fine bands there must be.
_SIGNAL_OCTAVES = 2.0
_FEWEST = 20
_NOISE_RANGE_OCTAVES = 1.0
# Against the mean of the pairs on both sides; and against one of them alone, where the other tells nothing.
_SHORT, _LONG = 0.78, 1.38
_SHORT_ALONE, _LONG_ALONE = 0.5, 1.8
# The pairs on both sides may differ by this ratio to be averaged.
_ALIKE = 1.5
# Two steps differ by so much more than one.
_TWO_STEPS = (1.35, 2.5)
# The frame before last is two steps away (1.5 steps' way at least); a frame that shows it again differs by noise, 0.4 at most.
_BACK = 0.6
# From so many frames on it is seen that nothing moves at all: the last differs from the first by no more than its neighbour does.
_MANY, _NOTHING = 5, 1.2
_EVEN = 0.1
STANDS = 0.35
FEWEST_FRAMES = 5


@dataclass(frozen=True, slots=True)
class Stray:
    """The first frame that does not lie where its position says, seen from the one before.

    Attributes
    ----------
    index : int
    share : float
        How far the picture went on, in planned ways: 0 where it stands still. Above 1 it is a lower bound; -1 where it went back by one.
    """

    index: int
    share: float

    @property
    def words(self) -> str:
        """What is seen."""
        if self.share < 0:
            return "the picture went back to the frame before last, though the rail moved on"
        if self.share < STANDS:
            return "the picture stands still, though the rail moved on"
        if self.share < 1:
            return f"the picture went on by {self.share:.0%} of the way that the rail moved"
        return f"the picture went on by {self.share:.1f} times the way that the rail moved, or more"


def find_stray(
    positions: F64,
    surveys: Sequence[FrameSurvey],
    noise: F32,
    *,
    first: int = 1,
    trusted: Collection[int] = (),
    alone: Collection[int] = (),
) -> Stray | None:
    """The first frame, from index `first` on, to which the picture went by another way than planned; None where all agree.

    Only frames at even distances are judged, and the last one only where it is plain. A frame that is odd by itself (shaken, misfired,
    an old picture) is none: without it the way is as planned.

    Parameters
    ----------
    positions : ndarray, shape (frames,)
        Ascending.
    surveys : sequence of FrameSurvey
    noise : ndarray, shape (bands, block rows, block columns), float32
        Base-2 logarithm of the noise's energy, see `capture.focus.certificate.noise_levels`.
    first : int
    trusted : collection of int
        Indices of frames that lie where they should, whatever the way to them; it is not usual.
    alone : collection of int
        Indices of frames that were not taken in a row with their neighbours: one that is odd by itself may lie elsewhere.
    """
    count = len(surveys)
    if count < FEWEST_FRAMES:
        return None
    gaps = np.diff(positions)
    even = np.abs(gaps - np.median(gaps)) <= _EVEN * np.median(gaps)
    levels = _levels(surveys, noise)
    judged = [k for k in range(count - 1) if even[k] and k + 1 not in trusted]
    ways = np.full(count - 1, np.nan)
    ways[judged] = [_way(levels[k], levels[k + 1]) for k in judged]
    if first <= 1 and count >= _MANY and even[: _MANY - 1].all():
        whole = _way(levels[0], levels[_MANY - 1])
        if whole <= _NOTHING * float(np.median(ways[: _MANY - 1])):
            return Stray(1, 0.0)
    for index in range(first, count):
        expected, sure = _expected(ways, index - 1)
        if not expected > 0:  # NaN where nothing is known, 0 in the middle of a jam
            continue
        share = ways[index - 1] / expected
        least, most = (_SHORT, _LONG) if sure else (_SHORT_ALONE, _LONG_ALONE)
        if not share < least and not share > most:
            # as far as it should, perhaps the other way
            if _went_back(levels, index, expected):
                return Stray(index, -1.0)
            continue
        if (
            index + 1 < count
            and index not in alone
            and _is_odd(ways, index, _way(levels[index - 1], levels[index + 1]))
        ):
            ways[index - 1 : index + 1] = np.nan  # both are its own
            continue
        return Stray(index, float(share))
    return None


def _went_back(levels: Sequence[F32], index: int, expected: float) -> bool:
    """Whether frame `index` shows what the frame before last did. Where that is the first, which nothing vouches for (the camera may have
    given it an old picture), the next one must say the same.
    """
    first = 3 if index == 2 else index
    judged = range(index, min(first + 1, len(levels)))
    return index > 1 and all(_way(levels[k - 2], levels[k]) < _BACK * expected for k in judged)


def _expected(ways: F64, pair: int) -> tuple[float, bool]:
    """What the pairs beside it let expect of a pair, NaN where nothing; and whether both sides say so."""
    beside = [ways[k] for k in (pair - 1, pair + 1) if 0 <= k < len(ways) and np.isfinite(ways[k])]
    if len(beside) == 2 and max(beside) <= _ALIKE * min(beside):
        return float(np.mean(beside)), True
    # where a jam begins, what comes behind is as short
    return (float(beside[0]) if beside else float("nan")), False


def _is_odd(ways: F64, index: int, without: float) -> bool:
    """Whether frame `index` is odd by itself: its way to both sides is not the usual one, and `without` it, from one of its neighbours to
    the other, the picture goes two steps.
    """
    beside = [ways[k] for k in (index - 2, index + 1) if 0 <= k < len(ways) and ways[k] > 0]
    if not beside or np.isnan(ways[index]):
        return False
    usual = float(np.mean(beside))
    both = all(not _SHORT <= ways[pair] / usual <= _LONG for pair in (index - 1, index))
    return both and _TWO_STEPS[0] <= without / usual <= _TWO_STEPS[1]


def way_back(surveys: Sequence[FrameSurvey], index: int, again: FrameSurvey, noise: F32) -> float | None:
    """How far another picture of the place of frame `index` is from it, in usual ways from one frame to the next: about 0 where it lies
    there; None where too little is seen.
    """
    levels = _levels([*surveys, again], noise)
    ways = [_way(one, other) for one, other in pairwise(levels[:-1])]
    known = [way for way in ways if np.isfinite(way)]
    back = _way(levels[index], levels[-1])
    return back / float(np.median(known)) if known and np.isfinite(back) and np.median(known) > 0 else None


def _levels(surveys: Sequence[FrameSurvey], noise: F32) -> list[F32]:
    """Base-2 logarithm of the energies without the noise, over the noise; what is lost in it counts as a quarter of it.

    Where nothing moves, a block never shows less than its texture: no more of it is taken for noise than the flattest blocks show.
    """
    floor = np.quantile(noise.reshape(len(noise), -1), 0.05, axis=1)[:, None, None]
    flattest = np.minimum(noise, floor + _NOISE_RANGE_OCTAVES)
    found = []
    for survey in surveys:
        over = np.exp2(survey.levels.astype(np.float32) - flattest) - 1
        found.append(np.asarray(np.log2(np.maximum(over, 0.25)), np.float32))
    return found


def _way(one: F32, other: F32) -> float:
    """Mean difference of two frames in octaves; NaN where too little fine texture shows above the noise: nothing is near its focus."""
    chosen = np.maximum(one, other) > _SIGNAL_OCTAVES
    if int(chosen[len(COARSE_BANDS) :].sum()) < _FEWEST:
        return float("nan")
    return float(np.abs(one - other)[chosen].mean())
