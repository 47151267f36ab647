"""Frames that their neighbours speak against: the shaken ones.

Defocus takes from fine texture evenly in all directions, and by little where a block is nearly in focus; shake takes along one
direction, from all blocks of the frame at once. So two things are compared with a frame's neighbours, block by block and averaged: the
energy of fine texture (against what is usual for a block so far from its focus), and its direction. How much both vary from frame to
frame in the stack at hand tells what is unusual. That makes a frame doubtful; a second exposure of the same position makes it sure.
Frames in which too little is in focus are not judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from capture.focus.growth import find_peaks
from capture.focus.survey import COARSE_BANDS, FINE_BANDS, FrameSurvey

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

# Energy over that of the noise, as foretold; blocks, and blocks' worth of texture, that a frame is judged by.
_LEAST_SIGNAL = 1.15
_FEWEST_BLOCKS = 12
_LEAST_TEXTURE = 0.1
# Blocks count whose focus is within one step of the frame; their phase is that distance, in steps. Where too few are, as at the ends of
# a subject, blocks somewhat farther off tell, but never by more than so much that it is worth a second exposure before all others.
_FARTHEST_PHASE, _FARTHER_PHASE = 1.0, 1.5
_MOST_FARTHER = 2.0
# With what weights the frames beside it foretell a frame: straight, or by a cubic where there are two on each side.
_FORETOLD = {1: {-1: 0.5, 1: 0.5}, 2: {-2: -1 / 6, -1: 4 / 6, 1: 4 / 6, 2: -1 / 6}}
_PHASES, _FEWEST_OF_PHASE = 12, 6
_LEAST_SHARE, _MOST_SHARE = 0.05, 6.0
_EVEN = 0.1
_LENGTHS_HALF_PX = (1.0, 1.3, 1.7)
_ANGLES = 12
# Least scatter from frame to frame of direction and of log energy, in the two fine bands: x, y, x, y, energy, energy.
_LEAST_SCATTER = np.array([0.005, 0.005, 0.012, 0.012, 0.03, 0.08])
# The bands' energies vary together.
_ENERGY_WEIGHT = 0.6
_FEWEST_FRAMES = 6
# From where a second exposure is worth its time though the plan was given, and from where a frame is named without one.
LIKELY, PLAIN = 2.2, 5.0
_UNTOLD_SCORE = 1.0
# Standard deviations by which a shake may hide in what is seen, and the share of the shortest shake's loss below which it cannot.
_HIDDEN, _RULED_OUT = 2.0, 0.7
# Two exposures of one position differ by noise alone, but for so little: in direction (x, y, x, y) and log energy of the two fine bands.
_SURE = 5.0
_SAME_SCATTER = np.array([0.006, 0.006, 0.015, 0.015, 0.009, 0.022])
_HOLDS = 4


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
class _Foretold:
    """Blocks of one frame in one band, and what the frames beside it foretell of them; energies linear, of shape (blocks,).

    `texture` is the energy foretold without noise, `turned` of shape (2, blocks) its direction (x, y) times the energy.
    """

    texture: F64
    turned: F64
    energy: F64
    direction: F64
    noise: F64
    phase: F64


def _foretell(
    frame: FrameSurvey, others: Sequence[FrameSurvey], weights: Sequence[float], band: int, noise: F32, phase: F64
) -> _Foretold:
    """`weights`: with which the `others` foretell the frame; they sum to one. `phase` is -1 to 1
    for the blocks that count, and NaN where a block's focus is not known."""
    plane = len(COARSE_BANDS) + band
    floor = np.exp2(noise[plane].astype(np.float64))
    energy, turned = np.zeros(floor.shape), np.zeros((2, *floor.shape))
    for other, weight in zip(others, weights, strict=True):
        share = weight * np.exp2(other.levels[plane].astype(np.float64))
        energy += share
        turned += share * other.direction[band] / 127
    # where the others have signal: that the frame itself has none may be the shake
    chosen = (energy > _LEAST_SIGNAL * floor) & (np.abs(phase) < 1)
    return _Foretold(
        (energy - floor)[chosen],
        turned[:, chosen],
        np.exp2(frame.levels[plane].astype(np.float64))[chosen],
        frame.direction[band][:, chosen].astype(np.float64) / 127,
        floor[chosen],
        phase[chosen],
    )


@dataclass(frozen=True, slots=True)
class ShakeDoubt:
    """What its neighbours say of a frame.

    Attributes
    ----------
    score : float
        How well a shake explains it, in standard deviations of what is usual in this stack.
    possible : float
        Share of what a shake of two pixels of the still takes, that it may have lost at most, in the direction in which least speaks
        against it; well below 1 where there was none.
    """

    score: float
    possible: float

    @property
    def ruled_out(self) -> bool:
        """Whether no shake of two pixels or more can hide in it."""
        return self.possible < _RULED_OUT


def shake_doubts(
    positions: Mapping[int, float], surveys: Mapping[int, FrameSurvey], noise: F32
) -> dict[int, ShakeDoubt]:
    """How doubtful each frame is.

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
    peaks = _peaks_by_others(
        np.array([positions[number] for number in order]), [surveys[number] for number in order], noise
    )
    near = _doubts_within(_FARTHEST_PHASE, order, positions, surveys, noise, peaks)
    farther = _doubts_within(_FARTHER_PHASE, order, positions, surveys, noise, peaks)
    told = {number: doubt for number, doubt in near.items() if np.isfinite(doubt.score)}
    less = {
        number: ShakeDoubt(min(float(np.nan_to_num(doubt.score)), _MOST_FARTHER), doubt.possible)
        for number, doubt in farther.items()
    }
    return less | told


def _doubts_within(
    farthest: float,
    order: Sequence[int],
    positions: Mapping[int, float],
    surveys: Mapping[int, FrameSurvey],
    noise: F32,
    peaks: tuple[F64, F64],
) -> dict[int, ShakeDoubt]:
    """The doubts by blocks whose focus is within `farthest` steps; a score of NaN for frames in which too few are."""
    gaps = np.diff([positions[number] for number in order])
    usual_gap = float(np.median(gaps))
    found: dict[int, list[_Foretold]] = {}
    for index in range(1, len(order) - 1):
        if not np.allclose(gaps[index - 1 : index + 1], usual_gap, rtol=_EVEN):
            continue
        number = order[index]
        phase = (peaks[index % 2] - positions[number]) / usual_gap / farthest
        reach = 1
        if 2 <= index < len(order) - 2 and np.allclose(gaps[index - 2 : index + 2], usual_gap, rtol=_EVEN):
            reach = 2
        others = [surveys[order[index + shift]] for shift in _FORETOLD[reach]]
        weights = list(_FORETOLD[reach].values())
        found[number] = [
            _foretell(surveys[number], others, weights, band, noise, phase) for band in range(len(FINE_BANDS))
        ]
    curves = [_usual_shares([foretold[band] for foretold in found.values()]) for band in range(len(FINE_BANDS))]
    return _doubts({number: _differences(foretold, curves) for number, foretold in found.items()})


def most_doubtful(numbers: Iterable[int], doubts: Mapping[int, ShakeDoubt]) -> list[int]:
    """Those of `numbers` in which a shake may hide, in the order in which second exposures are worth most.

    Frames that no neighbour can speak for (the ends, uneven steps, stacks that are too short) come after those that are spoken against.
    """
    scores = {number: doubts[number].score if number in doubts else _UNTOLD_SCORE for number in numbers}
    left = [number for number in scores if number not in doubts or not doubts[number].ruled_out]
    return sorted(left, key=lambda number: -scores[number])


def _peaks_by_others(positions: F64, surveys: Sequence[FrameSurvey], noise: F32) -> tuple[F64, F64]:
    """Where each block is in focus, seen by every other frame: for the even frames by the odd ones, and for the odd by the even.

    A long shake takes from coarse texture, too: by its own frame what is in focus there would seem to be nowhere in focus.
    """
    even, odd = (_coarse_peaks(positions[first::2], surveys[first::2], noise) for first in (0, 1))
    return odd, even


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
    return np.clip(((phase + 1) / 2 * _PHASES).astype(np.intp), 0, _PHASES - 1)


def _usual_shares(foretold: Sequence[_Foretold]) -> F64:
    """Texture shown over texture foretold by phase of focus, as it is in most frames: highest where a block is in focus."""
    shares: list[list[float]] = [[] for _ in range(_PHASES)]
    for one in foretold:
        which = _bin(one.phase)
        weight = (one.texture / (one.texture + one.noise)) ** 2
        share = np.clip((one.energy - one.noise) / one.texture, 0, _MOST_SHARE)
        for phase in np.unique(which):
            chosen = which == phase
            if int(chosen.sum()) >= _FEWEST_OF_PHASE:
                shares[phase].append(float(np.average(share[chosen], weights=weight[chosen])))
    return np.array([max(float(np.median(each)), _LEAST_SHARE) if each else np.nan for each in shares])


def _differences(foretold: Sequence[_Foretold], curves: Sequence[F64]) -> tuple[F64, F64]:
    """What a frame's texture differs by from what was foretold, and the errors of that: direction (x, y) in each fine band, then base-2
    log energy in each; NaN where too few blocks tell.

    Every block counts by the share of its energy that is not noise: noise has no direction, and takes no part in a loss.
    """
    values, errors = np.full(6, np.nan), np.zeros(6)
    for band, (one, curve) in enumerate(zip(foretold, curves, strict=True)):
        share = curve[_bin(one.phase)]
        known = np.isfinite(share)
        if int(known.sum()) < _FEWEST_BLOCKS:
            continue
        share, energy = share[known], one.energy[known]
        expected = share * one.texture[known] + one.noise[known]
        texture = 1 - one.noise[known] / expected
        if float(texture @ texture) < _LEAST_TEXTURE * _FEWEST_BLOCKS:
            continue
        lost = 2 * (energy - expected) / (energy + expected) / np.log(2)
        turned = one.direction[:, known] - share * one.turned[:, known] / expected
        for place, difference in zip((2 * band, 2 * band + 1, 4 + band), (*turned, lost), strict=True):
            values[place], errors[place] = _fit_robustly(texture[None], difference)
    return values, errors


def _doubts(differences: Mapping[int, tuple[F64, F64]]) -> dict[int, ShakeDoubt]:
    if len(differences) < _FEWEST_FRAMES:
        return {}
    table = np.stack([values for values, _ in differences.values()])
    known = np.isfinite(table).sum(axis=0) >= _FEWEST_FRAMES
    usual, scatter = np.zeros(6), np.full(6, np.inf)
    usual[4:] = [np.nanmedian(table[:, column]) if known[column] else 0.0 for column in (4, 5)]
    for column in np.flatnonzero(known):
        scatter[column] = 1.4826 * np.nanmedian(np.abs(table[:, column] - usual[column]))
    scatter = np.maximum(scatter, _LEAST_SCATTER)
    return {
        number: _doubt(values - usual, np.hypot(scatter, errors)) for number, (values, errors) in differences.items()
    }


def _doubt(values: F64, scatter: F64) -> ShakeDoubt:
    matches = _matches(values, scatter, _LENGTHS_HALF_PX, energy_weight=_ENERGY_WEIGHT)
    if not len(matches):
        return ShakeDoubt(float("nan"), float("inf"))
    shortest = matches[:_ANGLES]  # of longer ones more would be lost
    return ShakeDoubt(max(float(matches[:, 0].max()), 0.0), float(((shortest[:, 0] + _HIDDEN) / shortest[:, 1]).max()))


def _best_match(values: F64, scatter: F64) -> tuple[float, float]:
    """How well a shake of some length and angle explains `values`, in standard deviations, and that angle in radians."""
    matches = _matches(values, scatter, _LENGTHS_HALF_PX, energy_weight=1.0)
    if not len(matches) or matches[:, 0].max() <= 0:
        return 0.0, 0.0
    best = int(matches[:, 0].argmax())
    return float(matches[best, 0]), best % _ANGLES * np.pi / _ANGLES


def _matches(values: F64, scatter: F64, lengths_half_px: Sequence[float], *, energy_weight: float) -> F64:
    """How well shakes of all lengths and angles explain `values`, and how well they would if that were what they take; both in standard
    deviations, shape (lengths * angles, 2), empty where nothing is known.
    """
    known = np.isfinite(values) & np.isfinite(scatter)
    if not known.any():
        return np.zeros((0, 2))
    weights = 1 / scatter[known] ** 2
    weights[np.flatnonzero(known) >= 4] *= energy_weight
    found = []
    for length in lengths_half_px:
        bands = _expected(length)
        for angle in np.arange(_ANGLES) * np.pi / _ANGLES:
            turn = [-bands[b][0] * part for b in range(2) for part in (np.cos(2 * angle), np.sin(2 * angle))]
            wanted = np.array([*turn, bands[0][1], bands[1][1]])[known]
            size = float(np.sqrt((wanted**2 * weights).sum()))
            found.append((float((wanted * values[known] * weights).sum()) / size, size))
    return np.array(found)


def shaken_against(frame: FrameSurvey, again: FrameSurvey, noise: F32) -> str:
    """Why `frame` is shaken, now that there is a second exposure of its position; "" where it is as good."""
    parts = [_lost(frame, again, band, noise) for band in range(len(FINE_BANDS))]
    # direction and energy of the first band, then of the second; `_matches` has both directions first
    order = [0, 1, 3, 4, 2, 5]
    values = np.concatenate([part[0] for part in parts])[order]
    errors = np.concatenate([part[1] for part in parts])[order]
    best, angle = _best_match(values, np.hypot(errors, _SAME_SCATTER))
    if best < _SURE:
        return ""
    return f"it is shaken: fine texture is lost along about {np.degrees(angle):.0f} degrees"


def _lost(frame: FrameSurvey, again: FrameSurvey, band: int, noise: F32) -> tuple[F64, F64]:
    """Change of direction (x, y) and of base-2 log energy from `again` to `frame` in one fine band, and their errors.

    All blocks count, each by the share of its energy that is not noise: what shows little still adds up. In brighter frames there is less
    noise to their light, so a change of the noise is fitted along with that of the texture.
    """
    plane = len(COARSE_BANDS) + band
    one, other = (np.exp2(survey.levels[plane].astype(np.float64)).ravel() for survey in (frame, again))
    mean = (one + other) / 2
    texture = np.clip(1 - np.exp2(noise[plane].astype(np.float64)).ravel() / mean, 0, 1)
    turned = (frame.direction[band].astype(np.float64) - again.direction[band]).reshape(2, -1) / 127
    fits = [_fit_robustly(np.stack([texture]), axis) for axis in turned]
    regressors = np.stack([texture, 1 - texture])
    # the difference over the mean is the natural logarithm of the ratio, for small ones
    fits.append(_fit_robustly(regressors, (one - other) / mean / np.log(2)))
    return np.array([value for value, _ in fits]), np.array([error for _, error in fits])


def _fit_robustly(regressors: F64, values: F64) -> tuple[float, float]:
    """Coefficient of the first of `regressors`, shape (n, blocks), that explains `values`, outliers held, and its error."""
    normal = regressors @ regressors.T + 1e-9 * np.eye(len(regressors))
    held = values
    for _ in range(_HOLDS):
        found = np.linalg.solve(normal, regressors @ held)
        left = values - found @ regressors
        spread = 3 * (1.4826 * float(np.median(np.abs(left))) + 1e-9)
        held = np.clip(left, -spread, spread) + found @ regressors
    left = held - found @ regressors
    inverse = np.linalg.inv(normal)
    # neighbouring blocks share half their windows
    variance = 2 * inverse @ ((regressors * left * left) @ regressors.T) @ inverse
    return float(found[0]), float(np.sqrt(max(variance[0, 0], 0.0)))
