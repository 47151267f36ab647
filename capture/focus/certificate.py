"""The certificate: whether every textured block has a frame in whose depth of field it lies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capture.focus.defocus import HALF_ENERGY_X
from capture.focus.growth import Growth, estimate_growth, find_tops
from capture.focus.survey import BANDS, COARSE_BANDS, HALF_PX, FrameSurvey, Surveyor

F64 = NDArray[np.float64]

# Share of the textured blocks that may lie in a gap, or beyond an end, before it counts.
_GAP_SHARE = 0.003
_GAP_BLOCKS = 5
_END_SHARE = 0.02
# Energy above the noise with which what lies beyond an end is told.
_SIGNAL = 8.0
# Frames within a half width of an end tell how steep a curve is there, the nearest of them at least this share of it away; what departs
# from the law by more octaves than that (rms) is something that moved in or out of the block.
_APART = 0.5
_UNLIKE_OCTAVES = 0.25
# Energy above the noise from which such a frame counts.
_SEEN = 2.0
_FEWEST_FRAMES = 3
# Growth of blur is believed from this confidence on.
_BELIEVED = 0.3
# A step that was planned from the depth of field may not come out this much wider.
_SLACK = 1.02
# Light differs over a frame, and noise with it, by this much at most.
_NOISE_RANGE_OCTAVES = 3.0


@dataclass(frozen=True, slots=True)
class Gap:
    """An interval between two frames, wider than the depth of field, in which something textured is in focus."""

    near: float
    far: float
    blocks: int


@dataclass(frozen=True, slots=True)
class Certificate:
    """What the frames say of their own coverage; positions in the axis's unit.

    Attributes
    ----------
    passed : bool or None
        None where nothing can be said: too few frames, no texture, or no depth of field.
    dof : float or None
        Depth of field that it was judged by.
    gaps : tuple of Gap
    cut_near, cut_far : float
        Share of the textured blocks that are in focus before the first, or behind the last frame.
    weakest : float or None
        Position of the textured block that is farthest from any frame.
    weakest_share : float or None
        How far that is, in halves of a depth of field: 1 is the edge of the zone of focus.
    textured : int
        Blocks that it rests on.
    peaks : ndarray, shape (block rows, block columns), float64
        Where each block is in focus; NaN where it has no texture or no peak.
    notes : tuple of str
    reach : tuple of float
        Positions to which the subject goes on beyond the ends, where it does.
    """

    passed: bool | None
    dof: float | None
    gaps: tuple[Gap, ...]
    cut_near: float
    cut_far: float
    weakest: float | None
    weakest_share: float | None
    textured: int
    peaks: F64
    notes: tuple[str, ...] = ()
    reach: tuple[float, ...] = ()


def energies_of(surveys: Sequence[FrameSurvey]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Band energies of frames, shape (frames, bands, block rows, block columns), and their noise, shape without the first axis."""
    logs = np.stack([survey.levels for survey in surveys])
    energies = np.exp2(logs.astype(np.float32))
    return energies, np.exp2(noise_levels(surveys)).astype(np.float32)


def noise_levels(surveys: Sequence[FrameSurvey]) -> NDArray[np.float32]:
    """Base-2 logarithm of the noise's energy, shape (bands, block rows, block columns).

    Noise grows with a block's own light, so it is what the block shows where it is farthest out of focus; a block that never is gets
    what the flattest of all show.
    """
    return noise_of_least(np.min(np.stack([survey.levels for survey in surveys]).astype(np.float32), axis=0))


def noise_of_least(least: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same from the least level that each block showed in any frame."""
    floor = np.quantile(least.reshape(len(least), -1), 0.05, axis=1)[:, None, None]
    return np.asarray(np.minimum(least, floor + _NOISE_RANGE_OCTAVES), np.float32)


def growth_of_stills(positions: F64, surveys: Sequence[FrameSurvey], surveyor: Surveyor) -> Growth:
    """Growth of blur per unit of position, in pixels of the half-size frames, from the frames of a stack themselves.

    By its coarse bands; where these never go out of focus within the stack, for the step is a small part of the depth of field, with the
    finer ones, which feel diffraction, too.
    """
    energies, noise = energies_of(surveys)
    best: Growth | None = None
    for count in range(len(COARSE_BANDS), len(BANDS) + 1):
        found = estimate_growth(
            positions,
            energies[:, :count],
            noise[:count],
            BANDS[:count],
            window_px=surveyor.window_px,
            stride_px=surveyor.stride_px,
        )
        if found.confidence >= _BELIEVED:
            return found
        best = found if best is None or found.confidence > best.confidence else best
    assert best is not None
    return best


def dof_of_growth(growth_half_px: float) -> float:
    """Geometric depth of field for a circle of confusion of two pixels of the still."""
    return 4.0 / (growth_half_px * HALF_PX)


def certify(
    positions: F64,
    surveys: Sequence[FrameSurvey],
    dof: float | None,
    *,
    growth_half_px: float | None = None,
    overlap: float | None = None,
) -> Certificate:
    """Judge a stack.

    Parameters
    ----------
    positions : ndarray, shape (frames,), float64
        Growing, each once.
    surveys : sequence of FrameSurvey
    dof : float or None
        Total depth of field.
    growth_half_px : float or None
        Growth of blur in pixels of the half-size frame per unit of position; None: what lies beyond the ends cannot be told.
    overlap : float or None
        That neighbouring zones were planned to have; None where frames may lie a whole depth of field apart.
    """
    grid = surveys[0].levels.shape[1:] if surveys else (1, 1)
    nothing = np.full(grid, np.nan)
    if len(surveys) < _FEWEST_FRAMES or dof is None:
        why = "the depth of field is not known" if dof is None else f"{len(surveys)} frames are too few to judge"
        return Certificate(None, dof, (), 0.0, 0.0, None, None, 0, nothing, (why,))
    energies, noise = energies_of(surveys)
    found = [find_tops(positions, energies[:, band], noise[band]) for band in range(energies.shape[1])]
    # the finest band sees best where it sees at all; behind a gap only the coarser do
    peaks = nothing.copy()
    for tops in reversed(found[1:]):
        peaks = np.where(np.isfinite(peaks), peaks, tops.position)
    known = peaks[np.isfinite(peaks)]
    best = max(found[1:], key=lambda tops: tops.textured)
    textured = best.textured
    if len(known) < _GAP_BLOCKS * 2:
        return Certificate(None, dof, (), 0.0, 0.0, None, None, textured, peaks, ("nothing has texture enough",))
    allowed = dof if overlap is None else dof * min(1.0, 1.2 * (1 - overlap))
    gaps = _gaps(positions, known, allowed * _SLACK)
    distance = np.abs(known[:, None] - positions[None, :]).min(axis=1) / (dof / 2)
    order = np.argsort(distance)
    # the farthest that is not alone
    weakest = order[-1 - min(len(order) - 1, max(_GAP_BLOCKS, int(_GAP_SHARE * len(order))))]
    outside = _outside(positions, energies, noise, growth_half_px)
    before, behind = outside[outside < positions[0] - dof / 2], outside[outside > positions[-1] + dof / 2]
    cut_near, cut_far = len(before) / max(textured, 1), len(behind) / max(textured, 1)
    notes = []
    for share, word, where in ((cut_near, "near", before), (cut_far, "far", behind)):
        if share > _END_SHARE:
            notes.append(
                f"{share:.0%} of the textured blocks lie beyond the {word} end, about as far as {np.median(where):.0f}"
            )
    return Certificate(
        not gaps and not notes,
        dof,
        gaps,
        cut_near,
        cut_far,
        float(known[weakest]),
        float(distance[weakest]),
        textured,
        peaks,
        tuple(notes),
        (*_reach(before, cut_near, np.min), *_reach(behind, cut_far, np.max)),
    )


def _reach(outside: F64, share: float, farthest: Callable[[F64], Any]) -> tuple[float, ...]:
    """How far what lies beyond an end goes, single blocks apart; () where it does not count."""
    if share <= _END_SHARE:
        return ()
    low, high = np.quantile(outside, (0.05, 0.95))
    return (float(farthest(np.array([low, high]))),)


def _outside(
    positions: F64, energies: NDArray[np.float32], noise: NDArray[np.float32], growth_half_px: float | None
) -> F64:
    """Where blocks are in focus that are sharpest in the first or the last frame, by how they lose sharpness from there.

    Near its top the law of defocus is a parabola in log energy, of known width: a line is fitted to what is left without its square.
    The finest band that has signal is used.
    """
    if growth_half_px is None or len(positions) < _FEWEST_FRAMES:
        return np.empty(0)
    found = np.full(energies.shape[2:], np.nan)
    for band in range(len(BANDS) - 1, 0, -1):
        half_width = HALF_ENERGY_X / (np.pi * BANDS[band] * growth_half_px)
        signal = energies[:, band] - noise[band]
        top = signal.argmax(axis=0)
        for end, beside in _ends(positions, _APART * half_width):
            reach = max(half_width, abs(positions[beside] - positions[end]))
            near = np.abs(positions - positions[end]) <= reach * (1 + 1e-9)
            slope, rest = _lines(
                (positions[near] - positions[end]) / half_width, signal[near], signal[near] > _SEEN * noise[band]
            )
            enough = (top == end) & (signal[beside] > _SIGNAL * noise[band]) & ~np.isfinite(found)
            enough &= rest < _UNLIKE_OCTAVES
            # what is too far out says only that it is
            focus = positions[end] + half_width * np.clip(slope / 2, -4, 4)
            found[enough] = focus[enough]
    return np.asarray(found[np.isfinite(found)], np.float64)


def _lines(at: F64, signal: NDArray[np.float32], seen: NDArray[np.bool_]) -> tuple[F64, F64]:
    """Slope of octaves of `signal` plus `at` squared over `at`, in half widths, of every block, and rms departure from the line."""
    octaves = np.log2(np.maximum(signal, 1e-12)).astype(np.float64) + (at**2)[:, None, None]
    count = np.maximum(seen.sum(axis=0), 1)
    across = np.where(seen, at[:, None, None], 0.0)
    across = np.where(seen, across - across.sum(axis=0) / count, 0.0)
    octaves = np.where(seen, octaves, 0.0)
    octaves = np.where(seen, octaves - octaves.sum(axis=0) / count, 0.0)
    slope = (across * octaves).sum(axis=0) / np.maximum((across**2).sum(axis=0), 1e-12)
    rest = ((octaves - slope * across) ** 2).sum(axis=0) / np.maximum(count - 2, 1)
    return slope, np.sqrt(rest)


def _ends(positions: F64, apart: float) -> tuple[tuple[int, int], tuple[int, int]]:
    """The first and the last frame, each with the nearest that is `apart` from it: of very fine steps not the next one, which differs by
    noise alone.
    """
    last = len(positions) - 1
    inward = int(np.searchsorted(positions, positions[0] + apart))
    outward = int(np.searchsorted(positions, positions[-1] - apart, side="right")) - 1
    return (0, min(max(inward, 1), last)), (last, max(min(outward, last - 1), 0))


def _gaps(positions: F64, known: F64, allowed: float) -> tuple[Gap, ...]:
    found = []
    enough = max(_GAP_BLOCKS, _GAP_SHARE * len(known))
    for near, far in pairwise(positions.tolist()):
        if far - near <= allowed:
            continue
        # what is sharp in a frame at either end does not need another
        edge = min(allowed, far - near) / 4
        inside = int(((known > near + edge) & (known < far - edge)).sum())
        if inside >= enough:
            found.append(Gap(float(near), float(far), inside))
    return tuple(found)


def frames_for(gaps: Sequence[Gap], step: float) -> list[float]:
    """Positions that close `gaps`, at even distances of at most `step`."""
    wanted: list[float] = []
    for gap in gaps:
        pieces = int(np.ceil((gap.far - gap.near) / step - 1e-6))
        wanted += [gap.near + (gap.far - gap.near) * index / pieces for index in range(1, pieces)]
    return wanted
