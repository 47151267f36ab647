"""The nearest sharp thing is shown, where several depths are sharp at one place.

Where a blurred foreground lies over a sharp background, a fusion that takes the sharpest detail shows the background through the
foreground, as if this were glass. Here each place's sharpness over the frames is followed from the near end: its first peak
that stands by itself is what is in front. Where that is not what the fusion took, the frames round that peak are taken instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from stacking.ahead import ahead
from stacking.aligned import GRID, aligned, aligned_luma, enlarged, focus_energy, reached
from stacking.frames import Pixels, Registration
from stacking.fuse.canvas import Canvas
from stacking.options import Prefer

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]

# Energies are kept as logarithms in one byte: 16 steps to an octave.
_STEPS_PER_OCTAVE, _FLOOR = 16.0, 0.004
_BLOCK_ROWS = 16
_SPREAD_CELLS = 0.8
# A peak counts from this share of the place's highest one (energies), that far above the place's lowest value, and is over
# when the energy has fallen to that share of it.
_LEAST_SHARE, _LEAST_RISE, _FALLEN = 0.1, 2.5, 0.55
# An edge's energy spreads a cell to each side: so far it claims the ground beside it, and a hair does to both sides.
_THIN_CELLS, _TRIM_CELLS, _CLOSE_CELLS, _SPECK_CELLS = 7, 3, 7, 12
_LEAST_FRAMES = 1.5
_FEATHER_CELLS = 0.8


@dataclass(frozen=True, slots=True)
class OrderedFrames:
    """The frames of an area, and how they are had.

    Attributes
    ----------
    indices : sequence of int
        From the frame that is preferred most.
    decode : callable
        Index to image, or the reason why there is none.
    registrations : mapping of int to Registration
    canvas : Canvas
        Of the area.
    threads : int
    """

    indices: Sequence[int]
    decode: Callable[[int], Pixels | str]
    registrations: Mapping[int, Registration]
    canvas: Canvas
    threads: int


def in_order(indices: Sequence[int], positions: Sequence[float], prefer: Prefer) -> list[int]:
    """Frames from the nearest, or from the farthest."""
    return sorted(indices, key=lambda k: (positions[k], k), reverse=prefer is Prefer.FAR)


def first_peaks(energy: F32) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The first peak along the frames that stands by itself, and the highest one.

    Parameters
    ----------
    energy : ndarray (frames, rows, columns)

    Returns
    -------
    first, best : ndarray (rows, columns)
        Places along the frames; equal where there is no other peak before the highest.
    """
    best = energy.argmax(axis=0).astype(np.int32)
    least = np.maximum(_LEAST_SHARE * energy.max(axis=0), _LEAST_RISE * energy.min(axis=0))
    first = best.copy()
    peak, place = energy[0].copy(), np.zeros(best.shape, np.int32)
    found = np.zeros(best.shape, np.bool_)
    for k in range(1, len(energy)):
        here = energy[k]
        over = ~found & (here <= _FALLEN * peak)
        stands = over & (peak >= least)
        first[stands] = place[stands]
        found |= stands
        higher = (~found & (here > peak)) | (over & ~stands)
        peak[higher] = here[higher]
        place[higher] = k
    return np.minimum(first, best), best


def preferred_picture(frames: OrderedFrames, base: U16, within: U8, progress: Callable[[int, int], None]) -> U8 | None:
    """Write what is preferred into a picture.

    Parameters
    ----------
    frames : OrderedFrames
    base : ndarray (rows, columns, 3), uint16
        The fused picture of the area; changed.
    within : ndarray (rows, columns), uint8
        How far each pixel belongs to the area.

    Returns
    -------
    ndarray or None
        How far each pixel was replaced, 0 to 255; None where nothing was.
    """
    with TemporaryFile(prefix="focusrail-") as spilled:
        kept = _spill(frames, spilled, progress)
        if len(kept) < 2:
            return None
        cells = (-(-base.shape[0] // GRID), -(-base.shape[1] // GRID))
        first, best = _peaks(spilled, len(kept), cells)
    place, changed = _tidied(first, best)
    if not changed.any():
        return None
    share = cv2.GaussianBlur(changed.astype(np.float32), (0, 0), _FEATHER_CELLS)
    share = np.rint(np.asarray(share) * 255).astype(np.uint8)
    weight = np.minimum(enlarged(share, (base.shape[1], base.shape[0])), within)
    if not weight.any():
        return None
    _laid(frames, kept, place, base, weight, progress)
    return np.asarray(weight, np.uint8)


def _spill(frames: OrderedFrames, file: BinaryIO, progress: Callable[[int, int], None]) -> list[int]:
    """Every frame's energy to a file, so that memory does not grow with their number; the frames that could be decoded."""
    kept = []
    images = ahead(frames.decode, list(frames.indices), threads=frames.threads, depth=frames.threads)
    with closing(images):
        for done, (index, image) in enumerate(images, 1):
            progress(done, len(frames.indices))
            if isinstance(image, str):
                continue
            registration = frames.registrations[index]
            reach = reached((image.shape[1], image.shape[0]), registration, frames.canvas)
            luma = aligned_luma(image, registration, frames.canvas)
            energy = focus_energy(luma, reach, spread_cells=_SPREAD_CELLS)
            steps = _STEPS_PER_OCTAVE * np.log2(np.maximum(energy, _FLOOR) / _FLOOR)
            file.write(np.clip(np.rint(steps), 0, 255).astype(np.uint8).tobytes())
            kept.append(index)
            del image
    return kept


def _peaks(file: BinaryIO, count: int, cells: tuple[int, int]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    down, across = cells
    first, best = np.empty(cells, np.int32), np.empty(cells, np.int32)
    for top in range(0, down, _BLOCK_ROWS):
        rows = min(_BLOCK_ROWS, down - top)
        block = np.empty((count, rows, across), np.float32)
        for k in range(count):
            file.seek((k * down + top) * across)
            stored = np.frombuffer(file.read(rows * across), np.uint8).reshape(rows, across)
            block[k] = np.exp2(stored * np.float32(1 / _STEPS_PER_OCTAVE))
        first[top : top + rows], best[top : top + rows] = first_peaks(block)
    return first, best


def _tidied(first: NDArray[np.int32], best: NDArray[np.int32]) -> tuple[F32, NDArray[np.bool_]]:
    """Places without specks and without the fringe that edges spread, and the cells that differ from the fusion."""
    # what is near and thin is a hair, which the fusion has already; round a silhouette a fringe's width goes to what is farther
    solid = cv2.morphologyEx(first.astype(np.float32), cv2.MORPH_CLOSE, np.ones((_THIN_CELLS, _THIN_CELLS), np.uint8))
    trimmed = np.asarray(cv2.dilate(solid, np.ones((_TRIM_CELLS, _TRIM_CELLS), np.uint8)), np.float32)
    trimmed = np.asarray(cv2.medianBlur(trimmed, 5), np.float32)
    differs = ((best - trimmed) >= _LEAST_FRAMES).astype(np.uint8)
    closed = cv2.morphologyEx(differs, cv2.MORPH_CLOSE, np.ones((_CLOSE_CELLS, _CLOSE_CELLS), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(np.asarray(closed, np.uint8), connectivity=8)
    large = np.flatnonzero(stats[:count, cv2.CC_STAT_AREA] >= _SPECK_CELLS)
    changed = np.isin(labels, large[large > 0])
    # where the closing filled a gap, the places round it stand in; they go on beyond the edge for its feather
    weight = cv2.GaussianBlur(differs.astype(np.float32), (0, 0), _CLOSE_CELLS / 2) + np.float32(1e-6)
    mean = cv2.GaussianBlur(trimmed * differs, (0, 0), _CLOSE_CELLS / 2) / weight
    place = np.where(differs > 0, trimmed, np.asarray(mean, np.float32))
    return np.asarray(place, np.float32), np.asarray(changed, np.bool_)


def _laid(
    frames: OrderedFrames,
    kept: Sequence[int],
    place: F32,
    base: U16,
    weight: U8,
    progress: Callable[[int, int], None],
) -> None:
    """The frames round each pixel's place, laid over the picture where `weight` says so."""
    used = np.flatnonzero(weight.any(axis=1))
    top, bottom = int(used[0]), int(used[-1]) + 1
    part = np.s_[top:bottom]
    canvas = Canvas(frames.canvas.x, frames.canvas.y + top, frames.canvas.width, bottom - top)
    where = enlarged(place, (base.shape[1], base.shape[0]))[part]
    seen = where[weight[part] > 0]
    low, high = int(np.floor(seen.min())), int(np.ceil(seen.max()))
    chosen = [(n, kept[n]) for n in range(max(low, 0), min(high + 1, len(kept)))]
    total = np.zeros((bottom - top, base.shape[1], 3), np.float32)
    counted = np.zeros(total.shape[:2], np.float32)
    images = ahead(frames.decode, [k for _, k in chosen], threads=frames.threads, depth=frames.threads)
    with closing(images):
        for (number, index), (_, image) in zip(chosen, images, strict=True):
            progress(number, len(kept))
            if isinstance(image, str):
                continue
            picture = aligned(image, frames.registrations[index], canvas)
            del image
            for row in range(0, bottom - top, 256):
                rows = np.s_[row : row + 256]
                share = np.maximum(1 - np.abs(where[rows] - np.float32(number)), 0)
                total[rows] += share[..., None] * picture[rows]
                counted[rows] += share
    for row in range(0, bottom - top, 256):
        rows = np.s_[row : row + 256]
        old = base[part][rows]
        share = weight[part][rows].astype(np.float32) / 255 * (counted[rows] > 1e-3)
        new = total[rows] / np.maximum(counted[rows], np.float32(1e-3))[..., None]
        base[part][rows] = np.rint(np.clip(old + share[..., None] * (new - old), 0, 65535)).astype(np.uint16)
