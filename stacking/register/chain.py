"""One solution for all frames from the matches between pairs of them: robust, linear, in the geometry of one reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stacking.register.deformation import NO_DEFORMATION, StackDeformation
from stacking.register.matching import Match
from stacking.register.similarity import Similarity

_ROUNDS = 8


@dataclass(frozen=True, slots=True)
class Chain:
    """Where every connected frame lies.

    Attributes
    ----------
    poses : mapping of int to Similarity
        From the reference frame to each frame.
    residuals_px : mapping of int to float
        Robust residual of each frame's points.
    deformation : StackDeformation
        Poses are those of frames freed of it.
    """

    poses: Mapping[int, Similarity]
    residuals_px: Mapping[int, float]
    deformation: StackDeformation = NO_DEFORMATION


def components(frames: Sequence[int], matches: Sequence[Match]) -> list[list[int]]:
    """Return the groups of frames that matches connect, the largest first (of equals, the earlier)."""
    parent = {k: k for k in frames}

    def root(k: int) -> int:
        while parent[k] != k:
            parent[k] = parent[parent[k]]
            k = parent[k]
        return k

    for m in matches:
        parent[root(m.old)] = root(m.new)
    groups: dict[int, list[int]] = {}
    for k in frames:
        groups.setdefault(root(k), []).append(k)
    return sorted(groups.values(), key=lambda group: (-len(group), group[0]))


def solve_chain(frames: Sequence[int], matches: Sequence[Match], reference: int) -> Chain:
    """Solve for all poses at once, by iterated reweighting over matches.

    With a pose z -> a z + b for each frame a match (A, B) from i to j asks for A a_i = a_j and A b_i + B = b_j: linear
    in the unknowns. What is left of both, weighted by the match's information, is the square sum of how far its
    points miss.

    Parameters
    ----------
    frames : sequence of int
        One connected group.
    matches : sequence of Match
        Between frames of the group.
    reference : int
        The frame whose pose is the identity.
    """
    place = {k: n for n, k in enumerate(frames)}
    trust = np.ones(len(matches))
    poses = _weighted_poses(place, matches, trust, reference)
    for turn in range(2 * _ROUNDS):
        missed = np.array([_missed(m, poses) for m in matches])
        if turn < _ROUNDS:  # least absolute deviations: convex, so a wild match cannot win by coming first
            after = 1 / np.maximum(missed, 1)
        else:
            scale = max(1.0, float(np.median(missed))) if len(matches) else 1.0
            after = 1 / (1 + (missed / (3 * scale)) ** 2)
        settled = np.abs(after - trust).max(initial=0.0) < 1e-3
        if settled and turn >= _ROUNDS:
            break
        if not settled:
            trust = after
            poses = _weighted_poses(place, matches, trust, reference)
    residuals = dict.fromkeys(frames, 0.0)
    for k in frames:
        own = [m.sigma_px for m in matches if k in (m.old, m.new) and m.sigma_px > 0]
        residuals[k] = min(own, default=0.0)
    return Chain(poses, residuals)


def _missed(m: Match, poses: Mapping[int, Similarity]) -> float:
    """How far a match is from the poses, in units of its own standard deviation."""
    i, j = poses[m.old], poses[m.new]
    e = np.array([m.similarity.a * i.a - j.a, m.similarity.a * i.b + m.similarity.b - j.b])
    return float(np.sqrt(max(0.0, (e.conj() @ m.information @ e).real)))


def _weighted_poses(
    place: Mapping[int, int],
    matches: Sequence[Match],
    trust: NDArray[np.float64],
    reference: int,
) -> dict[int, Similarity]:
    fixed = place[reference]
    n = len(place) - 1
    if n == 0:
        return {reference: Similarity()}
    row = {p: p - (p > fixed) for p in range(n + 1) if p != fixed}
    ends = [(place[m.old], place[m.new]) for m in matches]
    reach = max((abs(row[i] - row[j]) for i, j in ends if fixed not in (i, j)), default=0)
    band = np.zeros((n, 2, reach + 1, 2), np.complex128)
    right = np.zeros((n, 2), np.complex128)
    for m, (i, j), weight in zip(matches, ends, trust, strict=True):
        a, b = m.similarity.a, m.similarity.b
        block = m.information * weight
        if i != fixed:
            band[row[i], :, 0] += abs(a) ** 2 * block
            right[row[i]] -= np.conj(a) * b * block[:, 1]
        if j != fixed:
            band[row[j], :, 0] += block
            right[row[j]] += b * block[:, 1]
        if fixed == i:
            right[row[j]] += a * block[:, 0]
        elif fixed == j:
            right[row[i]] += np.conj(a) * block[:, 0]
        elif row[i] < row[j]:
            band[row[i], :, row[j] - row[i]] -= np.conj(a) * block
        else:
            band[row[j], :, row[i] - row[j]] -= a * block
    solved = solve_banded(band, right)
    poses = {reference: Similarity()}
    for k, p in place.items():
        if p != fixed:
            poses[k] = Similarity(complex(solved[row[p], 0]), complex(solved[row[p], 1]))
    return poses


def solve_banded(band: NDArray[np.complex128], right: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Solve a Hermitian positive definite system of 2 x 2 blocks near its diagonal, in time linear in its size.

    Parameters
    ----------
    band : ndarray, shape (n, 2, w + 1, 2), complex128
        ``band[k, :, d]`` is the block in block row k and block column k + d. Overwritten.
    right : ndarray, shape (n, 2), complex128
        Overwritten.

    Returns
    -------
    ndarray, shape (n, 2), complex128
    """
    n, width = band.shape[0], band.shape[2] - 1
    rows = band.reshape(n, 2, 2 * (width + 1))
    inverses = np.empty((n, 2, 2), np.complex128)
    for k in range(n):
        inverses[k] = np.linalg.inv(rows[k, :, :2])
        beside = rows[k, :, 2:]
        share = inverses[k] @ beside
        update = beside.conj().T @ share
        carried = share.conj().T @ right[k]
        for d in range(1, min(width, n - 1 - k) + 1):
            rows[k + d, :, : 2 * (width + 1 - d)] -= update[2 * (d - 1) : 2 * d, 2 * (d - 1) :]
            right[k + d] -= carried[2 * (d - 1) : 2 * d]
    out = np.zeros((n + width, 2), np.complex128)
    for k in range(n - 1, -1, -1):
        known = rows[k, :, 2:] @ out[k + 1 : k + 1 + width].reshape(-1)
        out[k] = inverses[k] @ (right[k] - known)
    return out[:n]
