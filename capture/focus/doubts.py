"""Frames that their neighbours speak against: shaken, misfired, or shown twice.

Defocus takes from fine texture evenly in all directions, and by little where a block is nearly in focus; shake takes along one
direction, from all blocks of the frame at once. So two things are compared with a frame's neighbours, block by block and averaged: the
energy of fine texture (against what is usual for a block so far from its focus), and its direction. How much both vary from frame to
frame in the stack at hand tells what is unusual. That makes a frame doubtful; a second exposure of the same position makes it sure.
Frames in which too little is in focus are not judged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from capture.focus.growth import find_peaks
from capture.focus.survey import COARSE_BANDS, FINE_BANDS, FrameSurvey

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

# Above the noise by this many octaves of energy, in all frames compared.
_SIGNAL_OCTAVES = 0.5
_MOST_NOISE = 0.8
_FEWEST_BLOCKS = 12
# Blocks count whose focus is within one step of the frame; their phase is that distance, in steps.
_FARTHEST_PHASE = 1.0
# With what weights the frames beside it foretell a frame: straight, or by a cubic where there are two on each side.
_FORETOLD = {1: {-1: 0.5, 1: 0.5}, 2: {-2: -1 / 6, -1: 4 / 6, 1: 4 / 6, 2: -1 / 6}}
_PHASES = 12
_EVEN = 0.1
_OWN_VARIANCE = 0.02
_LENGTHS_HALF_PX = (1.0, 1.3, 1.7)
_ANGLES = 12
# Least scatter from frame to frame of direction and of log energy, in the two fine bands: x, y, x, y, energy, energy.
_LEAST_SCATTER = np.array([0.005, 0.005, 0.012, 0.012, 0.03, 0.08])
# The bands' energies vary together.
_ENERGY_WEIGHT = 0.6
_FEWEST_FRAMES = 6
# From where a second exposure is worth its time, from where it is though the plan was given, and from where a frame is named without one.
DOUBTFUL, LIKELY, PLAIN = 1.7, 3.0, 5.0
# Two exposures of one position differ by noise alone.
_SURE = 5.0
_LOST = (0.015, 0.05)
_MISFIRED_OCTAVES = 0.4
_MISFIRED_SPREADS = 6.0
_SAME_LEVELS = 0.02


@cache
def _expected(length_half_px: float) -> tuple[tuple[float, float], ...]:
    """For each fine band: change of direction, and of base-2 log energy, by a straight shake of that length over even texture."""
    angle = (np.arange(180) + 0.5) * np.pi / 180
    found = []
    for frequency in FINE_BANDS:
        left = np.sinc(frequency * length_half_px * np.cos(angle)) ** 2
        along, across = float((left * np.cos(angle) ** 2).mean()), float((left * np.sin(angle) ** 2).mean())
        found.append(((across - along) / (across + along), float(np.log2(left.mean()))))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Compared:
    """Blocks of one frame against its neighbours, in one band: direction x and y and log energy, phase of focus, variance."""

    values: F64
    phase: F64
    variance: F64


def _compare(
    frame: FrameSurvey,
    others: Sequence[FrameSurvey],
    band: int,
    noise: F32,
    allowed: NDArray[np.bool_],
    phase: F64,
    weights: Sequence[float],
) -> _Compared:
    """`weights`: with which the `others` foretell the frame; they sum to one."""
    plane = len(COARSE_BANDS) + band
    levels = np.stack([survey.levels[plane] for survey in (frame, *others)]).astype(np.float32)
    # where the others have signal: that the frame itself has none may be the shake
    chosen = (levels[1:].min(axis=0) > noise[plane] + _SIGNAL_OCTAVES) & allowed
    levels = levels[:, chosen]
    noisy = np.minimum(np.exp2(noise[plane][chosen] - levels), _MOST_NOISE)
    values, variance = np.zeros((3, int(chosen.sum()))), np.full(int(chosen.sum()), _OWN_VARIANCE)
    for index, survey in enumerate((frame, *others)):
        sign = 1.0 if index == 0 else -weights[index - 1]
        direction = np.asarray(survey.direction[band][:, chosen], np.float64) / 127
        values[:2] += sign * direction / (1 - noisy[index])  # noise has no direction
        values[2] += sign * (levels[index] + np.log2(1 - noisy[index]))
        variance += sign * sign * noisy[index]
    return _Compared(values, phase[chosen], variance)


def shake_scores(positions: Mapping[int, float], surveys: Mapping[int, FrameSurvey], noise: F32) -> dict[int, float]:
    """How well a shake explains each frame, in standard deviations of what is usual in this stack.

    Parameters
    ----------
    positions, surveys : mapping of frame number to position and survey
    noise : ndarray, shape (bands, block rows, block columns)
        Base-2 logarithm of the energy of noise.

    Returns
    -------
    dict
        Frames with neighbours at even distances only; others, and stacks too short to know what is usual, cannot be judged.
    """
    order = sorted(positions, key=lambda number: positions[number])
    if len(order) < _FEWEST_FRAMES + 2:
        return {}
    peaks = _coarse_peaks(
        np.array([positions[number] for number in order]), [surveys[number] for number in order], noise
    )
    gaps = np.diff([positions[number] for number in order])
    usual_gap = float(np.median(gaps))
    found: dict[int, list[_Compared]] = {}
    for index in range(1, len(order) - 1):
        if not np.allclose(gaps[index - 1 : index + 1], usual_gap, rtol=_EVEN):
            continue
        number = order[index]
        phase = (peaks - positions[number]) / usual_gap
        near = np.abs(phase) < _FARTHEST_PHASE  # also False where it is not known
        reach = 1
        if 2 <= index < len(order) - 2 and np.allclose(gaps[index - 2 : index + 2], usual_gap, rtol=_EVEN):
            reach = 2
        others = [surveys[order[index + shift]] for shift in _FORETOLD[reach]]
        weights = list(_FORETOLD[reach].values())
        found[number] = [
            _compare(surveys[number], others, band, noise, near, phase, weights) for band in range(len(FINE_BANDS))
        ]
    curves = [_usual_energy([compared[band] for compared in found.values()]) for band in range(len(FINE_BANDS))]
    table = {number: _summary(compared, curves) for number, compared in found.items()}
    return _scores(table)


def _coarse_peaks(positions: F64, surveys: Sequence[FrameSurvey], noise: F32) -> F64:
    """Where each block is in focus by its coarse texture, from which a shake takes little: by its fine texture a shaken frame would
    never be the one in which anything is in focus. NaN where it is not known.
    """
    peaks = np.full(noise.shape[1:], np.nan)
    for plane in reversed(range(1, len(COARSE_BANDS))):
        energies = np.exp2(np.stack([survey.levels[plane] for survey in surveys]).astype(np.float32))
        # by the whole curve: a top between three frames would go where the shaken one is not
        fitted = find_peaks(positions, energies, np.exp2(noise[plane]), COARSE_BANDS[plane])
        peaks = np.where(np.isfinite(peaks), peaks, fitted.position)
    return np.asarray(peaks, np.float64)


def _bin(phase: F64) -> NDArray[np.intp]:
    return np.clip(((phase / _FARTHEST_PHASE + 1) / 2 * _PHASES).astype(np.intp), 0, _PHASES - 1)


def _usual_energy(compared: Sequence[_Compared]) -> F64:
    """Log energy against the neighbours by phase of focus, over all frames: highest where a block is in focus."""
    curve = np.full(_PHASES, np.nan)
    if compared:
        which = _bin(np.concatenate([one.phase for one in compared]))
        energy = np.concatenate([one.values[2] for one in compared])
        for phase in range(_PHASES):
            if (chosen := energy[which == phase]).size > _FEWEST_BLOCKS:
                curve[phase] = np.median(chosen)
    return curve


def _summary(compared: Sequence[_Compared], curves: Sequence[F64]) -> F64:
    """Mean differences of a frame, shape (6,): direction (x, y) in each fine band, then log energy in each; NaN where too few."""
    mean = np.full(6, np.nan)
    for band, (one, curve) in enumerate(zip(compared, curves, strict=True)):
        expected = curve[_bin(one.phase)]
        known = np.isfinite(expected)
        if int(known.sum()) < _FEWEST_BLOCKS:
            continue
        values = one.values[:, known].copy()
        values[2] -= expected[known]
        mean[[2 * band, 2 * band + 1, 4 + band]], _ = _robust_mean(values, 1 / one.variance[known])
    return mean


def _robust_mean(values: F64, weights: F64) -> tuple[F64, F64]:
    middle = np.median(values, axis=1, keepdims=True)
    spread = 1.4826 * np.median(np.abs(values - middle), axis=1, keepdims=True) + 1e-9
    held = np.clip(values, middle - 3 * spread, middle + 3 * spread)
    mean = np.average(held, axis=1, weights=weights)
    effective = weights.sum() ** 2 / (weights**2).sum()
    # neighbouring blocks share half their windows
    return mean, np.asarray(spread[:, 0] / np.sqrt(max(effective / 2, 1.0)))


def _scores(differences: Mapping[int, F64]) -> dict[int, float]:
    if len(differences) < _FEWEST_FRAMES:
        return {}
    table = np.stack(list(differences.values()))
    known = np.isfinite(table).sum(axis=0) >= _FEWEST_FRAMES
    usual, scatter = np.zeros(6), np.full(6, np.inf)
    usual[4:] = [np.nanmedian(table[:, column]) if known[column] else 0.0 for column in (4, 5)]
    for column in np.flatnonzero(known):
        scatter[column] = 1.4826 * np.nanmedian(np.abs(table[:, column] - usual[column]))
    scatter = np.maximum(scatter, _LEAST_SCATTER)
    return {number: _match(values - usual, scatter) for number, values in differences.items()}


def _match(values: F64, scatter: F64) -> float:
    known = np.isfinite(values) & np.isfinite(scatter)
    if not known.any():
        return 0.0
    weights = 1 / scatter**2
    weights[4:] *= _ENERGY_WEIGHT
    best = 0.0
    for length in _LENGTHS_HALF_PX:
        bands = _expected(length)
        for angle in np.arange(_ANGLES) * np.pi / _ANGLES:
            turn = [-bands[b][0] * part for b in range(2) for part in (np.cos(2 * angle), np.sin(2 * angle))]
            wanted = np.array([*turn, bands[0][1], bands[1][1]])
            size = float(np.sqrt((wanted[known] ** 2 * weights[known]).sum()))
            best = max(best, float((wanted * values * weights)[known].sum()) / size)
    return best


def shaken_against(frame: FrameSurvey, again: FrameSurvey, noise: F32) -> str:
    """Why `frame` is shaken, now that there is a second exposure of its position; "" where it is as good."""
    for band in range(len(FINE_BANDS)):
        plane = len(COARSE_BANDS) + band
        # chosen by both alike: else the noise of the one it is chosen by speaks against the other
        seen = frame.levels[plane].astype(np.float32) > noise[plane] + _SIGNAL_OCTAVES
        one = _compare(frame, [again], band, noise, seen, np.zeros(seen.shape), [1.0])
        if one.phase.size < _FEWEST_BLOCKS:
            continue
        (x, y, energy), errors = _robust_mean(one.values, 1 / one.variance)
        turned = float(np.hypot(x, y)) > max(_LOST[band], _SURE * float(errors[:2].max()))
        lost = -float(energy)
        if (turned and lost > _LOST[band]) or lost > max(6 * _LOST[band], _SURE * float(errors[2])):
            angle = float(np.degrees(np.arctan2(y, x)) / 2 + 90) % 180
            return f"it is shaken: fine texture is lost along {angle:.0f} degrees"
    return ""


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
    """Why `frame` is an earlier picture once more."""
    for other in others:
        same = frame.thumb.shape == other.thumb.shape and frame.brightness == other.brightness
        if same and float(np.abs(frame.thumb.astype(np.int16) - other.thumb).mean()) < _SAME_LEVELS:
            return "it shows an earlier frame once more"
    return ""


def neighbours(number: int, positions: Mapping[int, float], count: int = 2) -> list[int]:
    """The `count` frames nearest in position to frame `number`, one on each side first."""
    here = positions[number]
    below = sorted((n for n in positions if n != number and positions[n] <= here), key=lambda n: here - positions[n])
    above = sorted((n for n in positions if n != number and positions[n] > here), key=lambda n: positions[n] - here)
    chosen = [*below[:1], *above[:1]]
    rest = sorted([*below[1:], *above[1:]], key=lambda n: abs(positions[n] - here))
    return [*chosen, *rest][:count]
