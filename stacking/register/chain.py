"""One solution for all frames from the matches between pairs of them: robust, linear, in the geometry of one reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
    """

    poses: Mapping[int, Similarity]
    residuals_px: Mapping[int, float]


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
    poses = _spanning_poses(frames, matches, reference)
    trust = np.ones(len(matches))
    for _ in range(_ROUNDS):
        missed = np.array([_missed(m, poses) for m in matches])
        scale = max(1.0, float(np.median(missed))) if len(matches) else 1.0
        after = 1 / (1 + (missed / (3 * scale)) ** 2)
        poses = _weighted_poses(place, matches, after, poses, reference)
        if np.abs(after - trust).max(initial=0.0) < 1e-3:
            break
        trust = after
    residuals = dict.fromkeys(frames, 0.0)
    for k in frames:
        own = [m.sigma_px for m in matches if k in (m.old, m.new) and m.sigma_px > 0]
        residuals[k] = min(own, default=0.0)
    return Chain(poses, residuals)


def _spanning_poses(frames: Sequence[int], matches: Sequence[Match], reference: int) -> dict[int, Similarity]:
    poses = {reference: Similarity()}
    best_first = sorted(matches, key=lambda m: (m.points == 0, m.sigma_px, m.old, m.new))
    while len(poses) < len(frames):
        for m in best_first:
            if (m.old in poses) != (m.new in poses):
                break
        else:
            break
        if m.old in poses:
            poses[m.new] = poses[m.old].then(m.similarity)
        else:
            poses[m.old] = poses[m.new].then(m.similarity.inverse())
    return poses


def _missed(m: Match, poses: Mapping[int, Similarity]) -> float:
    """How far a match is from the poses, in units of its own standard deviation."""
    i, j = poses[m.old], poses[m.new]
    e = np.array([m.similarity.a * i.a - j.a, m.similarity.a * i.b + m.similarity.b - j.b])
    return float(np.sqrt(max(0.0, (e.conj() @ m.information @ e).real)))


def _weighted_poses(
    place: Mapping[int, int],
    matches: Sequence[Match],
    trust: NDArray[np.float64],
    before: Mapping[int, Similarity],
    reference: int,
) -> dict[int, Similarity]:
    n = len(place)
    normal = np.zeros((n, 2, n, 2), np.complex128)
    right = np.zeros((n, 2), np.complex128)
    for m, weight in zip(matches, trust, strict=True):
        i, j, a, b = place[m.old], place[m.new], m.similarity.a, m.similarity.b
        block = m.information * weight
        normal[i, :, i] += abs(a) ** 2 * block
        normal[j, :, j] += block
        normal[i, :, j] -= np.conj(a) * block
        normal[j, :, i] -= a * block
        right[i] -= np.conj(a) * b * block[:, 1]
        right[j] += b * block[:, 1]
    r = place[reference]
    free = np.array([k for k in range(n) if k != r], int)
    if free.size == 0:
        return dict(before)
    matrix = normal[free][:, :, free].reshape(2 * free.size, 2 * free.size)
    known = right[free] - normal[free][:, :, r, 0]
    size = np.sqrt(np.abs(np.diag(matrix)))
    unknown = np.linalg.solve(matrix / size[:, None] / size[None], known.reshape(-1) / size) / size
    poses = {reference: Similarity()}
    frames = {n: k for k, n in place.items()}
    for k, (a, b) in zip(free, unknown.reshape(-1, 2), strict=True):
        poses[frames[int(k)]] = Similarity(complex(a), complex(b))
    return poses
