"""How frames depart from similarity: a few numbers for a whole stack, from what is left of pairs of frames after their fit.

A lens' radial distortion stays with the sensor while the picture moves, turns and breathes on it, so it does not cancel between two
frames. Shear, aspect and keystone that grow along the stack (a tilted sensor, a tilted subject that comes nearer) do not, either. To
first order what they leave of a pair's points is linear in them, as the similarity itself is. So each pair tells its share by normal
equations in which the similarity is eliminated, and what it changes in the similarity is known beside it: nothing is followed or
matched twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stacking.frames import STRAIGHT, Deformation
from stacking.register.similarity import CAUCHY, Fit, Points, Similarity

if TYPE_CHECKING:
    from stacking.register.matching import Match

F64 = NDArray[np.float64]

# The unknowns: radial, affine (two), keystone (two).
_RADIAL, _AFFINE, _KEYSTONE = slice(0, 1), slice(1, 3), slice(3, 5)
_COUNT = 5
_ROUNDS, _ROUNDS_OF_PAIRS = 2, 6
# Points share errors: beyond some number they tell nothing new.
_INDEPENDENT = 50.0
_MOST_POINTS = 200
# Groups of neighbouring frames of which one at a time is left out, to see how sure all is.
_GROUPS, _FEWEST_GROUPS = 8, 4
# Standard errors that a number must be away from zero, and the largest that is believed, at the corner of a frame.
_SURE, _LARGEST = 8.0, 0.06
# What grows along the stack and moves no corner further is not looked for: over many frames a bias of the matches adds up to that.
_LEAST_GROWN_PX = 0.3
_STRAY_CHI2 = 25.0
# What nothing is said of is 0, within what is believed.
_PRIOR = np.eye(_COUNT) / _LARGEST**2


@dataclass(frozen=True, slots=True)
class Departure:
    """What the points of one pair of frames say of their deformation.

    Attributes
    ----------
    normal : ndarray, shape (5, 5), float64
        Normal matrix of radial distortion, affine and keystone part (real and imaginary), inverse variances.
    moment : ndarray, shape (5,), float64
        Right side.
    absorbed : ndarray, shape (2, 5), complex128
        How much too much of a and b the similarity has that was fitted without, per unit of each.
    """

    normal: F64
    moment: F64
    absorbed: NDArray[np.complex128]


def departure(p: Points, q: Points, fit: Fit, size: tuple[int, int]) -> Departure:
    """What is left of point pairs p and q after their fit; `size` is the full picture's (width, height)."""
    corner = abs(complex(size[0] - 1, size[1] - 1)) / 2
    thinned = slice(None, None, -(-p.size // _MOST_POINTS))
    p, q, weights = p[thinned] / corner, q[thinned], fit.weights[thinned]
    a, there = fit.similarity.a, fit.similarity(p * corner)
    left, seen = (q - there) / corner, there / corner
    columns = np.empty((4 + _COUNT, p.size), np.complex128)
    columns[0], columns[1], columns[2], columns[3] = p, 1j * p, 1, 1j
    columns[4] = seen * _square(seen) - a * p * _square(p)
    columns[5], columns[7], columns[8] = p.conj(), p.real * p, p.imag * p
    columns[6] = 1j * columns[5]
    # real and imaginary parts one after the other
    given, wanted = columns.view(np.float64), left.view(np.float64)
    reach2 = (CAUCHY * fit.sigma_px / corner) ** 2
    prior = weights * (1 + _square(left) / reach2)
    for _ in range(_ROUNDS):
        weighted = given * np.repeat(weights, 2)
        normal, moment = weighted @ given.T, weighted @ wanted
        normal += np.diag(1e-9 * normal.diagonal() + 1e-30)
        rest = wanted - np.linalg.solve(normal, moment) @ given
        weights = prior / (1 + _square(rest.view(np.complex128)) / reach2)
    by_similarity = np.linalg.solve(normal[:4, :4], np.column_stack([normal[:4, 4:], moment[:4]]))
    known = min(_INDEPENDENT / float(weights.sum()), float(thinned.step)) / (fit.sigma_px / corner) ** 2
    absorbed = by_similarity[[0, 2], :-1] + 1j * by_similarity[[1, 3], :-1]
    absorbed[1] *= corner
    return Departure(
        (normal[4:, 4:] - normal[4:, :4] @ by_similarity[:, :-1]) * known,
        (moment[4:] - normal[4:, :4] @ by_similarity[:, -1]) * known,
        absorbed,
    )


@dataclass(frozen=True, slots=True)
class StackDeformation:
    """The deformation of a stack: 0 in all that is not sure.

    Attributes
    ----------
    values : ndarray, shape (5,), float64
        Radial distortion; affine and keystone part from the first place to the last.
    places : mapping of int to float
        Of each frame along the stack; 1 from the first to the last.
    """

    values: F64
    places: Mapping[int, float]

    def placed(self, pose: Similarity, frame: int, reference: int, size: tuple[int, int]) -> tuple[F64, Deformation]:
        """The 2x3 matrix from the reference frame to a frame, shear and aspect with it, and what the matrix does not tell."""
        matrix = pose.matrix(size)
        if not self.values.any():
            return matrix, STRAIGHT
        radial, *growing = self.values.tolist()
        along = self.places[frame] - self.places[reference]
        across, down = growing[0] * along, growing[1] * along
        centre = np.array([[(size[0] - 1) / 2], [(size[1] - 1) / 2]])
        matrix[:, 2:] -= centre
        matrix = np.array([[1 + across, down], [down, 1 - across]]) @ matrix
        matrix[:, 2:] += centre
        return matrix, Deformation(radial, complex(*growing[2:]) * along)

    def notes(self) -> tuple[str, ...]:
        """What is said of it."""
        radial, affine, keystone = (float(np.linalg.norm(self.values[part])) for part in (_RADIAL, _AFFINE, _KEYSTONE))
        told = (
            (radial, f"the lens distorts by {self.values[0]:+.1%} at the corners"),
            (affine, f"shear or aspect change by {2 * affine:.2%} along the stack"),
            (keystone, f"one side grows against the other along the stack, by {2 * keystone:.2%}"),
        )
        return tuple(f"{text}: the frames were laid on each other for it" for size, text in told if size)

    def freed(self, match: Match) -> Match:
        """A match as it would be between frames without deformation."""
        if match.departure is None or not self.values.any():
            return match
        along = self.places[match.new] - self.places[match.old]
        a, b = match.departure.absorbed @ (self.values * _growing(np.array([along]))[0])
        return replace(match, similarity=Similarity(match.similarity.a - complex(a), match.similarity.b - complex(b)))


NO_DEFORMATION = StackDeformation(np.zeros(_COUNT), {})


def sure_deformation(matches: Sequence[Match], places: Mapping[int, float], size: tuple[int, int]) -> StackDeformation:
    """The deformation that all matches agree on, in what is sure.

    Parameters
    ----------
    matches : sequence of Match
    places : mapping of int to float
        Of each frame along the stack, in any unit.
    size : (int, int)
        Width and height of the full picture.
    """
    span = max(places.values()) - min(places.values())
    places = {k: place / span if span else 0.0 for k, place in places.items()}
    told = [m for m in matches if m.departure is not None]
    groups = np.array_split(np.unique([m.new for m in told]), _GROUPS)
    groups = [group for group in groups if len(group)]
    values = np.zeros(_COUNT)
    if len(groups) >= _FEWEST_GROUPS:
        pairs = _Pairs(
            np.array([m.departure.normal for m in told if m.departure is not None]),
            np.array([m.departure.moment for m in told if m.departure is not None]),
            _growing(np.array([places[m.new] - places[m.old] for m in told])),
        )
        frames = np.array([m.new for m in told])
        least = 2 * _LEAST_GROWN_PX / abs(complex(*size))
        values = pairs.what_is_sure([~np.isin(frames, group) for group in groups], least)
    return StackDeformation(values, places)


@dataclass(frozen=True, slots=True)
class _Pairs:
    """What all pairs say: normal matrices (n, 5, 5), right sides (n, 5), and how much of each number lies between its frames (n, 5)."""

    normals: F64
    moments: F64
    between: F64

    def what_is_sure(self, without: Sequence[NDArray[np.bool_]], least_grown: float) -> F64:
        """The numbers that stand out of their errors, part by part, the surest first; the others 0.

        Not all at once: on a picture that drifts evenly the lens' distortion looks nearly like keystone, and neither would be sure.
        """
        values, sure = np.zeros(_COUNT), np.zeros(_COUNT, bool)
        rest = [_RADIAL, _AFFINE, _KEYSTONE]
        while rest:
            tried = []
            for part in rest:
                numbers = sure.copy()
                numbers[part] = True
                found, errors = self.solved_with_errors(numbers, without)
                size = float(np.linalg.norm(found[part]))
                believed = (0.0 if part == _RADIAL else least_grown) < size < _LARGEST
                tried.append((size / float(errors[part].max()) if believed else 0.0, part, numbers, found))
            surest, part, numbers, found = max(tried, key=lambda one: one[0])
            if surest < _SURE:
                break
            values, sure = found, numbers
            rest.remove(part)
        return values

    def solved_with_errors(self, numbers: NDArray[np.bool_], without: Sequence[NDArray[np.bool_]]) -> tuple[F64, F64]:
        """The numbers wanted, the others 0, and their standard errors.

        Frames next to each other share errors (what is out of focus, and how), so these are found by leaving out one group of
        neighbouring frames after the other (grouped jackknife), and are not less than what single points would have them.
        """
        found = self.solved(np.ones(len(self.moments), bool), numbers)
        spread = (len(without) - 1) * np.var([self.solved(there, numbers) for there in without], axis=0)
        between = self.between * numbers
        normal = (self.normals * between[:, :, None] * between[:, None]).sum(axis=0)
        return found, np.sqrt(np.maximum(spread, np.diag(np.linalg.inv(normal + _PRIOR))))

    def solved(self, pairs: NDArray[np.bool_], numbers: NDArray[np.bool_]) -> F64:
        """The numbers wanted from some pairs, the others 0; by Cauchy's weights."""
        between = self.between[pairs] * numbers
        normals, moments = self.normals[pairs], self.moments[pairs]
        alone = np.linalg.solve(normals + _PRIOR, moments[..., None])[..., 0]
        shares = normals * between[:, :, None] * between[:, None]
        weights = np.ones(len(moments))
        for _ in range(_ROUNDS_OF_PAIRS):
            found = np.linalg.solve(np.einsum("n,nij->ij", weights, shares) + _PRIOR, weights @ (moments * between))
            off = alone - found * between
            weights = 1 / (1 + np.einsum("ni,nij,nj->n", off, normals, off) / _STRAY_CHI2)
        return np.asarray(found, np.float64)


def _growing(along: F64) -> F64:
    """How much of each number lies between frames so far apart along the stack: radial distortion is the same everywhere."""
    return np.stack([np.ones_like(along), *[along] * (_COUNT - 1)], axis=1)


def _square(z: Points) -> F64:
    return np.asarray(z.real**2 + z.imag**2, np.float64)
