"""The certificate: whether every textured block has a frame in whose depth of field it lies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capture.focus.end_blocks import focus_at_ends
from capture.focus.growth import Growth, estimate_growth, find_tops
from capture.focus.survey import BANDS, COARSE_BANDS, HALF_PX, FrameSurvey, Surveyor

F64 = NDArray[np.float64]

# Share of the textured blocks that may lie in a gap, or beyond an end, before it counts. Of what lies beyond an end some six tenths are
# told: two per cent are meant.
_GAP_SHARE = 0.003
_GAP_BLOCKS = 5
_END_SHARE = 0.012
_FEWEST_FRAMES = 3
# Growth of blur is believed from this confidence on.
_BELIEVED = 0.3
# A step that was planned from the depth of field may not come out this much wider.
_SLACK = 1.02
# Light differs over a frame, and noise with it, by this much at most.
_NOISE_RANGE_OCTAVES = 3.0


class Fate(IntEnum):
    """What became of a block."""

    NO_TEXTURE = 0
    COVERED = 1  # in focus in the zone of a frame
    IN_GAP = 2  # in focus between the zones of two frames
    BEYOND_NEAR = 3  # in focus before the zone of the first frame
    BEYOND_FAR = 4  # in focus behind that of the last
    UNTOLD = 5  # texture whose sharpness follows no law: something moves, or glitters, or lies in two depths


@dataclass(frozen=True, slots=True)
class Gap:
    """An interval between two frames, wider than the depth of field, in which something textured is in focus.

    Attributes
    ----------
    near, far : float
        The two frames.
    blocks : int
        Blocks that are in focus in the zone of neither.
    """

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
        Share of the textured blocks that are in focus before the zone of the first, or behind that of the last frame.
    weakest : float or None
        Position of the textured block that is farthest from any frame.
    weakest_share : float or None
        How far that is, in halves of a depth of field: 1 is the edge of the zone of focus.
    textured : int
        Blocks that have texture: what the shares are shares of.
    peaks : ndarray, shape (block rows, block columns), float64
        Where each block is in focus, also beyond the ends; NaN where it has no texture, or that is not told.
    fates : ndarray, same shape, uint8
        A `Fate` for each; without texture all of them where nothing is judged.
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
    fates: NDArray[np.uint8]
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
    nothing, untold = np.full(grid, np.nan), np.zeros(grid, np.uint8)
    if len(surveys) < _FEWEST_FRAMES or dof is None:
        why = "the depth of field is not known" if dof is None else f"{len(surveys)} frames are too few to judge"
        return Certificate(None, dof, (), 0.0, 0.0, None, None, 0, nothing, untold, (why,))
    peaks, has_texture = _peaks(positions, surveys, growth_half_px)
    textured = int(has_texture.sum())
    if int(np.isfinite(peaks).sum()) < _GAP_BLOCKS * 2:
        why = "nothing has texture enough"
        return Certificate(None, dof, (), 0.0, 0.0, None, None, textured, peaks, untold, (why,))
    allowed = dof if overlap is None else dof * min(1.0, 1.2 * (1 - overlap))
    gaps, fates = _judged(positions, peaks, has_texture, dof, allowed)
    notes: list[str] = []
    cut: list[float] = []
    reach: tuple[float, ...] = ()
    shown = np.isin(fates, (Fate.COVERED, Fate.IN_GAP))
    ends: tuple[tuple[Fate, str, Callable[[F64], Any]], ...] = (
        (Fate.BEYOND_NEAR, "near", np.min),
        (Fate.BEYOND_FAR, "far", np.max),
    )
    for fate, word, farthest in ends:
        beyond = fates == fate
        cut.append(float(beyond.sum()) / textured)
        if cut[-1] > _END_SHARE:
            shown |= beyond
            where = peaks[beyond]
            # single blocks apart
            reach += (float(farthest(np.quantile(where, (0.05, 0.95)))),)
            notes.append(
                f"{cut[-1]:.1%} of the textured blocks lie beyond the {word} end, about as far as {np.median(where):.0f}"
            )
    known = peaks[shown]
    distance = np.abs(known[:, None] - positions[None, :]).min(axis=1) / (dof / 2)
    order = np.argsort(distance)
    # the farthest that is not alone
    weakest = order[-1 - min(len(order) - 1, max(_GAP_BLOCKS, int(_GAP_SHARE * len(order))))]
    return Certificate(
        not gaps and not notes,
        dof,
        gaps,
        cut[0],
        cut[1],
        float(known[weakest]),
        float(distance[weakest]),
        textured,
        peaks,
        fates,
        tuple(notes),
        reach,
    )


def _peaks(
    positions: F64, surveys: Sequence[FrameSurvey], growth_half_px: float | None
) -> tuple[F64, NDArray[np.bool_]]:
    """Where each block is in focus, and whether it has texture.

    The finest band sees best where it sees at all; behind a gap, and far beyond an end, only the coarser do.
    """
    energies, noise = energies_of(surveys)
    peaks = np.full(energies.shape[2:], np.nan)
    has_texture = np.zeros(peaks.shape, np.bool_)
    # by a band of which the frames lie too far apart: the coarsest of those is the least wrong
    roughly = peaks.copy()
    for band in range(len(BANDS) - 1, 0, -1):
        tops = find_tops(positions, energies[:, band], noise[band])
        has_texture |= tops.has_texture
        peaks = np.where(np.isfinite(peaks) | np.isfinite(roughly), peaks, tops.position)
        if growth_half_px is not None:
            at_end, close = focus_at_ends(positions, energies[:, band], noise[band], BANDS[band], growth_half_px)
            at_end = np.where(np.isfinite(peaks), np.nan, at_end)
            roughly = np.where(np.isfinite(at_end), at_end, roughly)
            peaks = np.where(close & np.isfinite(at_end), at_end, peaks)
    peaks = np.where(np.isfinite(peaks), peaks, roughly)
    return peaks, has_texture | np.isfinite(peaks)


def _judged(
    positions: F64, peaks: F64, has_texture: NDArray[np.bool_], dof: float, allowed: float
) -> tuple[tuple[Gap, ...], NDArray[np.uint8]]:
    """Gaps that count, and the fate of every block."""
    fates = np.where(has_texture, np.uint8(Fate.UNTOLD), np.uint8(Fate.NO_TEXTURE))
    fates[np.isfinite(peaks)] = Fate.COVERED
    fates[peaks < positions[0] - dof / 2] = Fate.BEYOND_NEAR
    fates[peaks > positions[-1] + dof / 2] = Fate.BEYOND_FAR
    gaps = []
    enough = max(_GAP_BLOCKS, _GAP_SHARE * int(np.isfinite(peaks).sum()))
    for near, far in pairwise(positions.tolist()):
        if far - near <= allowed * _SLACK:
            continue
        inside = (peaks > near + allowed / 2) & (peaks < far - allowed / 2)
        fates[inside] = Fate.IN_GAP
        if (blocks := int(inside.sum())) >= enough:
            gaps.append(Gap(float(near), float(far), blocks))
    return tuple(gaps), fates


def frames_for(gaps: Sequence[Gap], step: float) -> list[float]:
    """Positions that close `gaps`, at even distances of at most `step`."""
    wanted: list[float] = []
    for gap in gaps:
        pieces = int(np.ceil((gap.far - gap.near) / step - 1e-6))
        wanted += [gap.near + (gap.far - gap.near) * index / pieces for index in range(1, pieces)]
    return wanted
