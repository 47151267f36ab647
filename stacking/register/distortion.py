"""Radial distortion of the lens: one number for a whole stack, from what is left of pairs of frames after their similarity.

A lens' distortion stays with the sensor while the picture moves, turns and breathes on it, so it does not cancel between two frames:
with z -> z (1 + k |z / R|^2) round the frame's centre (R: to its corner) a pair's points miss their similarity A by
k (A(z) |A(z) / R|^2 - A'(z |z / R|^2)). That is linear in k, as the similarity itself is: a pair's share in k is found from the
residuals that its fit leaves, and what k changes in the fit is known beside it, so nothing is followed or fitted twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from stacking.register.similarity import CAUCHY, Fit, Points, Similarity, Weights, least_squares

if TYPE_CHECKING:
    from stacking.register.matching import Match

# Groups of neighbouring frames of which one at a time is left out, to see how sure k is.
_GROUPS, _FEWEST_GROUPS = 8, 4
# Standard errors that k must be away from zero, and the largest that a lens for close-ups may have.
_ROUNDS = 3
_SURE = 6.0
_LARGEST = 0.06
# Points share errors: beyond some number they tell nothing new.
_INDEPENDENT = 50.0


@dataclass(frozen=True, slots=True)
class RadialTerm:
    """What the points of one pair of frames say of the lens.

    Attributes
    ----------
    distortion : float
        Share by which the corners are moved outward that fits best along with a similarity.
    information : float
        Its inverse variance.
    a, b : complex
        How much the similarity fitted without it has too much of its own a and b, per unit of distortion.
    """

    distortion: float
    information: float
    a: complex
    b: complex


def radial_term(p: Points, q: Points, fit: Fit, size: tuple[int, int]) -> RadialTerm:
    """What is left of point pairs p and q after their fit, as radial distortion; `size` is the full picture's (width, height)."""
    radius2 = ((size[0] - 1) ** 2 + (size[1] - 1) ** 2) / 4
    there = fit.similarity(p)
    departs = (there * _square(there) - fit.similarity.a * p * _square(p)) / radius2
    left, reach2 = q - there, (CAUCHY * fit.sigma_px) ** 2
    weights, found = fit.weights, 0.0
    prior = weights * (1 + _square(left) / reach2)
    for _ in range(_ROUNDS):
        # what the similarity can take of both
        absorbed, shifted = least_squares(p, departs, weights), least_squares(p, left, weights)
        own, rest = departs - absorbed(p), left - shifted(p)
        seen = float((weights * _square(own)).sum())
        if seen <= 0:
            break
        found = float((weights * (own.real * rest.real + own.imag * rest.imag)).sum()) / seen
        weights = prior / (1 + _square(rest - found * own) / reach2)
    independent = min(1.0, _INDEPENDENT / float(weights.sum()))
    return RadialTerm(found, seen * independent / fit.sigma_px**2, absorbed.a, absorbed.b)


def sure_distortion(matches: Sequence[Match]) -> float:
    """The distortion that all matches agree on; 0 where it is not sure, or so small that nobody would see it."""
    distortion, error = estimated_distortion(matches)
    return distortion if _SURE * error < abs(distortion) < _LARGEST else 0.0


def estimated_distortion(matches: Sequence[Match]) -> tuple[float, float]:
    """The distortion that fits the matches best, and its standard error; infinite where too few tell anything.

    Frames next to each other share errors (what is out of focus, and how), so the error is found by leaving out one group of
    neighbouring frames after the other (grouped jackknife), and is not less than what single points would have it.
    """
    told = [m for m in matches if m.radial is not None and m.radial.information > 0]
    values = np.array([m.radial.distortion for m in told if m.radial is not None])
    information = np.array([m.radial.information for m in told if m.radial is not None])
    frames = np.array([m.new for m in told])
    count = min(_GROUPS, len(set(frames.tolist())))
    if count < _FEWEST_GROUPS:
        return 0.0, float("inf")
    groups = np.array_split(np.unique(frames), count)
    without = [_robust_mean(values[there], information[there]) for there in (~np.isin(frames, g) for g in groups)]
    spread = np.sqrt((count - 1) * np.var(without))
    return _robust_mean(values, information), max(float(spread), float(information.sum() ** -0.5))


def freed(match: Match, distortion: float) -> Match:
    """A match as it would be between frames free of that distortion."""
    if match.radial is None or not distortion:
        return match
    a, b = match.similarity.a - distortion * match.radial.a, match.similarity.b - distortion * match.radial.b
    return replace(match, similarity=Similarity(a, b))


def _robust_mean(values: Weights, information: Weights) -> float:
    """Weighted mean, by Cauchy's weights from the weighted median on."""
    order = np.argsort(values)
    summed = np.cumsum(np.sqrt(information)[order])
    mean = float(values[order][np.searchsorted(summed, 0.5 * summed[-1])])
    for _ in range(10):
        weight = information / (1 + (values - mean) ** 2 * information / 9)
        mean = float((weight * values).sum() / weight.sum())
    return mean


def _square(z: Points) -> Weights:
    return np.asarray(z.real**2 + z.imag**2, np.float64)
