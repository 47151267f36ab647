"""Which picture of a camera's card belongs to which exposure of a session: by order and time, never by guess. Pure.

The camera's clock may be off by anything; only the intervals count. For an offset between the clocks, exposures and pictures are matched in
order, each pair within a window of `SLACK_S` and the resolution of the pictures' times. The offset that matches most exposures wins. Where
another one matches as many and gives other pairs (a picture is missing at an end of an even row, or a card holds an older stack of the same
rhythm), the answer is not known, and both are told; unless it fits much worse, or only one agrees with a camera's clock that is right.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

SLACK_S = 0.7
"""Jitter from a release to the time that the camera writes: wire, shutter lag, drift of the clocks."""

DRIFT_S = 2.0
"""How far two clocks may have drifted apart since they were compared."""

RIGHT_S = 120.0
"""So far a camera's clock may be off and still count as right."""

PLAUSIBLE_S = 15 * 3600.0
"""Clocks that agree but for the time zone (a camera's clock shows local time) are not farther apart, give or take an hour."""

_ENOUGH = 5
_TIGHT_S = 0.15
_TIGHTER = 3.0
"""An answer of `_ENOUGH` pairs or more that is so many times looser than another one is no rival."""

_MOST_CANDIDATES = 4000


@dataclass(frozen=True, slots=True)
class Exposure:
    """A release of the shutter.

    Attributes
    ----------
    frame : int
    at_s : float
        On the computer's clock.
    counts : bool
        Its picture is wanted. Else there may be a picture that nobody wants: of an attempt that failed, or was made again.
    """

    frame: int
    at_s: float
    counts: bool = True


@dataclass(frozen=True, slots=True)
class Match:
    """What belongs to what.

    Attributes
    ----------
    pairs : dict of int to int
        Index of an exposure -> index of its picture.
    offset_s : float or None
        The camera's clock less the computer's; None where the pictures have no times.
    spread_s : float
        Largest difference of the pairs' offsets.
    rivals : tuple of Match
        Other answers that are as good: then nothing is known.
    doubtful : tuple of int
        Exposures whose picture may be that of a neighbour: one of them has none, and which one cannot be told.
    """

    pairs: dict[int, int]
    offset_s: float | None
    spread_s: float = 0.0
    rivals: tuple[Match, ...] = ()
    doubtful: tuple[int, ...] = ()


def match(
    exposures: Sequence[Exposure],
    pictures_s: Sequence[float],
    resolution_s: float,
    *,
    known_offset_s: float | None = None,
    right_offset_s: float = 0.0,
) -> Match:
    """Match exposures to pictures.

    Parameters
    ----------
    exposures : sequence of Exposure
        In order of time.
    pictures_s : sequence of float
        Times of the pictures on the camera's clock, in order.
    resolution_s : float
        Of these times: 1 where the camera writes whole seconds.
    known_offset_s : float or None
        Between the clocks, from an earlier match; they drift little.
    right_offset_s : float
        The offset of a camera's clock that is right: the time zone's.
    """
    window = SLACK_S + resolution_s
    tried: list[tuple[tuple[int, int], Match]] = []
    best = (0, 0)
    for votes, start in _candidates(exposures, pictures_s, window):
        if known_offset_s is not None and abs(start + window / 2 - known_offset_s) > window + DRIFT_S:
            continue
        if votes < best[0]:
            break
        found = _match_at(exposures, pictures_s, start, window)
        score = (sum(exposures[i].counts for i in found.pairs), len(found.pairs))
        best = max(best, score)
        tried.append((score, found))
    answers = _distinct([found for score, found in tried if score == best and score[0]])
    if not answers:
        return Match({}, None)
    for far_s, from_s in ((RIGHT_S, right_offset_s), (PLAUSIBLE_S, 0.0)):
        near = [answer for answer in answers if abs((answer.offset_s or 0.0) - from_s) <= far_s]
        answers = near or answers
    first = answers[0]
    if len(first.pairs) >= _ENOUGH:
        loose_s = max(resolution_s + _TIGHT_S, _TIGHTER * first.spread_s)
        answers = [answer for answer in answers if answer.spread_s <= loose_s]
    answers = [first, *(answer for answer in answers[1:] if not _same_presses(exposures, first, answer))]
    doubtful = _doubtful(exposures, pictures_s, first, _reach(first, resolution_s))
    return Match(first.pairs, first.offset_s, first.spread_s, tuple(answers[1:]), doubtful)


def _same_presses(exposures: Sequence[Exposure], one: Match, other: Match) -> bool:
    """Whether two answers give each exposure another picture of the same press: a camera that takes several as long as it is pressed."""
    gaps = (after.at_s - before.at_s for before, after in pairwise(exposures))
    near_s = min([SLACK_S, *(gap / 2 for gap in gaps)])
    apart_s = abs((one.offset_s or 0.0) - (other.offset_s or 0.0))
    return one.pairs.keys() == other.pairs.keys() and apart_s < near_s


def _reach(found: Match, resolution_s: float) -> float:
    """How far from its time a picture may be and still be an exposure's own."""
    widest = (SLACK_S + resolution_s) / 2
    return (
        widest if len(found.pairs) < _ENOUGH else min(widest, resolution_s / 2 + _TIGHTER * found.spread_s + _TIGHT_S)
    )


def _candidates(exposures: Sequence[Exposure], pictures_s: Sequence[float], window: float) -> list[tuple[int, float]]:
    """Beginnings of offset windows with most pairs inside, the fullest first."""
    offsets = sorted(picture - exposure.at_s for exposure in exposures for picture in pictures_s)
    found: list[tuple[int, float]] = []
    last = -math.inf
    for first, offset in enumerate(offsets):
        if offset <= last:
            continue
        last = offset
        found.append((bisect_left(offsets, offset + window + 1e-9) - first, offset))
    found.sort(key=lambda entry: -entry[0])
    return found[:_MOST_CANDIDATES]


def _match_at(exposures: Sequence[Exposure], pictures_s: Sequence[float], start: float, window: float) -> Match:
    """Pairs in order whose offset lies within `window` from `start` on."""
    pairs: dict[int, int] = {}
    at = 0
    for number, exposure in enumerate(exposures):
        at = max(at, bisect_left(pictures_s, exposure.at_s + start - 1e-9))
        if at < len(pictures_s) and pictures_s[at] - exposure.at_s <= start + window + 1e-9:
            pairs[number] = at
            at += 1
    offsets = [pictures_s[picture] - exposures[number].at_s for number, picture in pairs.items()]
    if not offsets:
        return Match({}, None)
    return Match(pairs, sum(offsets) / len(offsets), max(offsets) - min(offsets))


def _distinct(answers: list[Match]) -> list[Match]:
    """Of answers that give the same pairs the first; the tightest first."""
    kept: dict[tuple[tuple[int, int], ...], Match] = {}
    for answer in sorted(answers, key=lambda found: found.spread_s):
        kept.setdefault(tuple(sorted(answer.pairs.items())), answer)
    return list(kept.values())


def _doubtful(
    exposures: Sequence[Exposure], pictures_s: Sequence[float], found: Match, reach_s: float
) -> tuple[int, ...]:
    """Exposures without a picture to whose time a neighbour's picture would fit, and those neighbours."""
    doubtful: set[int] = set()
    offset = found.offset_s or 0.0
    for number, exposure in enumerate(exposures):
        if number in found.pairs or not exposure.counts:
            continue
        for step in (-1, 1):
            other, run = number + step, [number]
            while (
                other in found.pairs
                and abs(pictures_s[found.pairs[other]] - exposures[other - step].at_s - offset) <= reach_s
            ):
                run.append(other)
                other += step
            if len(run) > 1:
                doubtful.update(run)
    return tuple(sorted(doubtful))


def match_by_order(exposures: Sequence[Exposure], pictures: int) -> Match:
    """The same where the pictures have no times: only a full count, with nothing that may be extra, says what belongs to what."""
    if pictures != len(exposures) or not all(exposure.counts for exposure in exposures):
        return Match({}, None)
    return Match({number: number for number in range(pictures)}, None)
