"""Similarities of the plane as complex numbers, and their robust fit to tracked points.

A point (x, y) in full-resolution pixels, measured from the centre of the picture, is the complex number x + iy. A similarity is
then z -> a z + b: |a| the scale, arg a the rotation, b the shift of the centre, and both fits and chains are linear in (a, b).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.complex128]
Weights = NDArray[np.float64]

CAUCHY = 2.385
"""Residual at which Cauchy's weight is one half, in standard deviations (95 % efficient for normal errors)."""

_SEED = 0x5EED


@dataclass(frozen=True, slots=True)
class Similarity:
    """Scale, rotation and shift: ``z -> a z + b``, full-resolution pixels from the picture's centre.

    Attributes
    ----------
    a : complex
        Scale times rotation.
    b : complex
        Where the centre goes.
    """

    a: complex = 1 + 0j
    b: complex = 0j

    def __call__(self, z: Points) -> Points:
        """Map points, any shape."""
        return self.a * z + self.b

    def then(self, after: Similarity) -> Similarity:
        """Return the similarity that applies this one first and `after` to its result."""
        return Similarity(after.a * self.a, after.a * self.b + after.b)

    def inverse(self) -> Similarity:
        """Return the similarity that undoes this one."""
        return Similarity(1 / self.a, -self.b / self.a)

    def matrix(self, size: tuple[int, int]) -> NDArray[np.float64]:
        """Return the 2 x 3 matrix on (x, y, 1) with pixel centres at integers; `size` is (width, height)."""
        c = complex((size[0] - 1) / 2, (size[1] - 1) / 2)
        shift = self.b + c - self.a * c
        return np.array([[self.a.real, -self.a.imag, shift.real], [self.a.imag, self.a.real, shift.imag]])

    @classmethod
    def from_matrix(cls, matrix: NDArray[np.float64], size: tuple[int, int]) -> Similarity:
        """Return the similarity of a 2 x 3 matrix (the inverse of :meth:`matrix`)."""
        c = complex((size[0] - 1) / 2, (size[1] - 1) / 2)
        a = complex(matrix[0, 0], matrix[1, 0])
        return cls(a, complex(matrix[0, 2], matrix[1, 2]) - c + a * c)


@dataclass(frozen=True, slots=True)
class Fit:
    """A similarity fitted to point pairs.

    Attributes
    ----------
    similarity : Similarity
    sigma_px : float
        Robust standard deviation of one point's residual, per axis.
    inliers : ndarray, shape (n,), bool
        Which points agree with it (within 3 sigma).
    weights : ndarray, shape (n,), float64
        The weights of the last iteration.
    """

    similarity: Similarity
    sigma_px: float
    inliers: NDArray[np.bool_]
    weights: Weights


def least_squares(p: Points, q: Points, weights: Weights) -> Similarity:
    """Weighted least-squares similarity from p to q (Umeyama 1991, in complex form); the identity's shape where p is one point."""
    total = float(weights.sum())
    if total <= 0:
        return Similarity()
    mp, mq = complex((weights * p).sum() / total), complex((weights * q).sum() / total)
    dp, dq = p - mp, q - mq
    spread = float((weights * (dp.real**2 + dp.imag**2)).sum())
    a = complex((weights * dp.conj() * dq).sum() / spread) if spread > 0 else 1 + 0j
    return Similarity(a, mq - a * mp)


def refine(
    p: Points, q: Points, start: Similarity, prior: Weights | None = None, *, floor_px: float = 0.02, rounds: int = 12
) -> Fit:
    """Fit a similarity by iterated reweighting with Cauchy's weights, from a start that is roughly right.

    Parameters
    ----------
    p, q : ndarray, shape (n,), complex128
        Point pairs, full-resolution pixels from the centre.
    start : Similarity
        Where to begin.
    prior : ndarray, shape (n,), float64, optional
        Weight of each pair before its residual is known.
    floor_px : float
        Least residual taken for one sigma: keeps few exact points from ruling.
    """
    base = np.ones(p.size) if prior is None else prior
    now, weights, sigma = start, base, floor_px
    for _ in range(rounds):
        r = np.abs(q - now(p))
        sigma = max(_weighted_median(r, base) / 1.1774, floor_px)  # median of a Rayleigh-distributed residual
        weights = base / (1 + (r / (CAUCHY * sigma)) ** 2)
        after = least_squares(p, q, weights)
        moved = abs(after.b - now.b) + abs(after.a - now.a) * 1000
        now = after
        if moved < 1e-4:
            break
    r = np.abs(q - now(p))
    sigma = max(_weighted_median(r, base) / 1.1774, floor_px)
    return Fit(now, sigma, r < 3 * sigma, weights)


def consensus(
    p: Points, q: Points, guesses: Sequence[Similarity] = (), *, reach_px: float, trials: int = 160
) -> Fit | None:
    """Find the similarity that most pairs agree with (RANSAC, Fischler and Bolles 1981, truncated quadratic score), then refine it.

    Deterministic: the pairs drawn depend on the number of points alone. None where fewer than four pairs are given.
    """
    n = p.size
    if n < 4:
        return None
    draw = np.random.default_rng([_SEED, n])
    i, j = draw.integers(0, n, (2, trials))
    apart = np.abs(p[i] - p[j]) > 0.1 * np.abs(p - p.mean()).max()
    i, j = i[apart], j[apart]
    a = (q[i] - q[j]) / (p[i] - p[j])
    plausible = np.abs(np.abs(a) - 1) < 0.35
    a, i = a[plausible], i[plausible]
    b = q[i] - a * p[i]
    a = np.concatenate([a, [g.a for g in guesses]])
    b = np.concatenate([b, [g.b for g in guesses]])
    if a.size == 0:
        return None
    r2 = np.abs(q[None] - a[:, None] * p[None] - b[:, None]) ** 2
    best = int(np.minimum(r2, reach_px**2).sum(1).argmin())
    near = r2[best] < reach_px**2
    if int(near.sum()) < 4:
        return None
    start = Similarity(complex(a[best]), complex(b[best]))
    fit = refine(p[near], q[near], start)
    r = np.abs(q - fit.similarity(p))
    weights = np.zeros(n)
    weights[near] = fit.weights
    return Fit(fit.similarity, fit.sigma_px, r < reach_px, weights)


def _weighted_median(values: Weights, weights: Weights) -> float:
    order = np.argsort(values)
    cumulative = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(cumulative, 0.5 * cumulative[-1])])
