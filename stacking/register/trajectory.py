"""What a frame's neighbours along the rail say of it: scale for frames that hardly show any, and bumps worth a note."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from stacking.register.chain import Chain
from stacking.register.matching import Match
from stacking.register.similarity import Similarity

_NEIGHBOURS = 6
_UNSURE_PX = 1.0
_LEAST_SIGMA_PX = 0.3


def steady_matches(
    frames: Sequence[int],
    chain: Chain,
    matches: Sequence[Match],
    size: tuple[int, int],
    positions_um: Sequence[float | None] | None,
) -> list[Match]:
    """Return what the smooth trajectory says of the scale and rotation of frames that tell little of them themselves.

    Scale changes slowly along a stack and rotation hardly at all, shifts need not: so for each frame whose own matches leave
    its scale uncertain by more than a pixel at the picture's corner, scale and rotation are taken from a robust line
    through the nearest frames that are sure of theirs. Frames that measure well are not touched.

    Parameters
    ----------
    frames : sequence of int
    chain : Chain
        Their solution so far.
    matches : sequence of Match
        What that rests on.
    size : (int, int)
        Width and height of the full picture.
    positions_um : sequence of float or None, optional
        Rail positions by frame index; the index itself stands in where one is missing.
    """
    radius = abs(complex(*size)) / 2
    certainty = dict.fromkeys(frames, 0.0)
    for m in matches:
        if m.old in certainty and m.new in certainty:
            about_mean = float((m.information[0, 0] - abs(m.information[0, 1]) ** 2 / m.information[1, 1].real).real)
            for k in (m.old, m.new):
                certainty[k] = max(certainty[k], about_mean)
    sure = [k for k in frames if certainty[k] > (radius / _UNSURE_PX) ** 2]
    if len(sure) < 2:
        return []
    place = dict(zip(frames, places(frames, positions_um), strict=True))
    out: list[Match] = []
    for k in frames:
        if k in sure:
            continue
        near = sorted(sure, key=lambda j: (abs(place[j] - place[k]), j))[:_NEIGHBOURS]
        logs = np.array([np.log(chain.poses[j].a) for j in near])
        offset = np.array([place[j] - place[k] for j in near])
        slope = _median_slope(offset, logs.real)
        expected = complex(float(np.median(logs.real - slope * offset)), float(np.median(logs.imag)))
        spread = float(np.median(np.abs(logs.real - slope * offset - expected.real)))
        sigma = max(1.5 * spread * radius, _LEAST_SIGMA_PX)
        ratio = complex(np.exp(expected)) / chain.poses[near[0]].a
        information = np.array([[(radius / sigma) ** 2, 0], [0, 0]], np.complex128)
        out.append(Match(near[0], k, Similarity(ratio), 0.0, information, 0, 0.0))
    return out


def bumped_frames(
    frames: Sequence[int], poses: Mapping[int, Similarity], size: tuple[int, int]
) -> list[tuple[int, float]]:
    """Return the frames that lie far beside the line between their neighbours, and by how many pixels."""
    if len(frames) < 4:
        return []
    beside = np.array(
        [
            abs(poses[b].b - (poses[a].b + poses[c].b) / 2)
            for a, b, c in zip(frames, frames[1:], frames[2:], strict=False)
        ]
    )
    limit = max(6 * float(np.median(beside)), 0.004 * max(size), 4.0)
    out: list[tuple[int, float]] = []
    for n in (int(i) for i in np.flatnonzero(beside > limit)):
        # Neighbours of a bumped frame lie half as far beside their own neighbours.
        around = beside[max(0, n - 1) : n + 2]
        if beside[n] != around.max():
            continue
        # At an end either of two may be the one; where the outer is, the inner lies well between its other neighbours.
        if n == 0 and beside[1] < beside[0] / 4:
            out.append((frames[0], 2 * float(beside[0])))
        elif n == len(beside) - 1 and beside[-2] < beside[-1] / 4:
            out.append((frames[-1], 2 * float(beside[-1])))
        else:
            out.append((frames[n + 1], float(beside[n])))
    return out


def places(frames: Sequence[int], positions_um: Sequence[float | None] | None) -> list[float]:
    """Where frames lie along the stack: rail positions where all are known, else their numbers."""
    if positions_um is not None:
        known = [positions_um[k] if k < len(positions_um) else None for k in frames]
        if all(p is not None for p in known):
            return [float(p) for p in known if p is not None]
    return [float(k) for k in frames]


def _median_slope(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    i, j = np.triu_indices(x.size, 1)
    apart = np.abs(x[i] - x[j]) > 0
    return float(np.median((y[i] - y[j])[apart] / (x[i] - x[j])[apart])) if apart.any() else 0.0
