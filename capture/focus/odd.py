"""Frames that are odd whatever is in focus in them: of another brightness than their neighbours, or shown twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from capture.focus.survey import FrameSurvey

STALE = "it shows an earlier frame once more"
LIGHT_FRAMES, FEWEST_BESIDE = 4, 2
_MISFIRED_OCTAVES = 0.4
_MISFIRED_SPREADS = 6.0
_SAME_LEVELS = 0.02


def odd_frames(
    positions: Mapping[int, float], surveys: Mapping[int, FrameSurvey], judge: Iterable[int] | None = None
) -> dict[int, str]:
    """Frames that are dark, bright, or an earlier picture once more, and why; by number.

    Parameters
    ----------
    positions, surveys : mapping of frame number to position and survey
    judge : iterable of int, optional
        The numbers to judge; all by default. One with fewer than two frames beside it is not judged.
    """
    lights = [light_octaves(surveys[n]) for n in sorted(surveys, key=lambda n: positions[n])]
    steps = np.abs(np.diff(lights)) if len(lights) > 2 else np.zeros(1)
    spread = 1.4826 * float(np.median(steps)) / np.sqrt(2)
    known = {n: positions[n] for n in surveys}
    found: dict[int, str] = {}
    for number in sorted(surveys if judge is None else judge):
        others = [surveys[n] for n in neighbours(number, known, LIGHT_FRAMES)]
        if len(others) < FEWEST_BESIDE:
            continue
        earlier = [survey for n, survey in surveys.items() if n < number]
        reason = is_stale(surveys[number], earlier) or is_misfired(surveys[number], others, spread)
        if reason:
            found[number] = reason
    return found


def is_misfired(frame: FrameSurvey, others: Sequence[FrameSurvey], spread_octaves: float) -> str:
    """Why the light of `frame` is not that of `others`; `spread_octaves` is how much light varies in this stack."""
    if not others:
        return ""
    usual = float(np.median([light_octaves(other) for other in others]))
    change = light_octaves(frame) - usual
    if abs(change) < max(_MISFIRED_OCTAVES, _MISFIRED_SPREADS * spread_octaves):
        return ""
    return f"it is {'brighter' if change > 0 else 'darker'} than its neighbours by {abs(2**change - 1):.0%}"


def light_octaves(frame: FrameSurvey) -> float:
    """Base-2 logarithm of a frame's mean light."""
    return float(np.log2(max(frame.brightness, 1e-6)))


def is_stale(frame: FrameSurvey, others: Sequence[FrameSurvey]) -> str:
    """Why `frame` is an earlier picture once more; one that shows nothing, all white or all black, is like every other of its kind."""
    level = np.median(frame.thumb)
    if float(np.abs(frame.thumb - level).mean()) < _SAME_LEVELS:
        return ""
    for other in others:
        same = frame.thumb.shape == other.thumb.shape and frame.brightness == other.brightness
        if same and float(np.abs(frame.thumb.astype(np.int16) - other.thumb).mean()) < _SAME_LEVELS:
            return STALE
    return ""


def neighbours(number: int, positions: Mapping[int, float], count: int = 2) -> list[int]:
    """The `count` frames nearest in position to frame `number`, one on each side first."""
    here = positions[number]
    below = sorted((n for n in positions if n != number and positions[n] <= here), key=lambda n: here - positions[n])
    above = sorted((n for n in positions if n != number and positions[n] > here), key=lambda n: positions[n] - here)
    chosen = [*below[:1], *above[:1]]
    rest = sorted([*below[1:], *above[1:]], key=lambda n: abs(positions[n] - here))
    return [*chosen, *rest][:count]
