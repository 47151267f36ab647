"""Where small blocks are in focus, once it is known how fast blur grows: the whole curve of every band is compared with the law.

A top between three frames is at the mercy of noise, and of whatever else shows in the block; the law's place of best agreement is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capture.focus.defocus import energy_of

F32 = NDArray[np.float32]
F64 = NDArray[np.floating]

# Energy above the noise, and of what counts as texture at all (in units of the mean light squared).
_SIGNAL_TO_NOISE = 10.0
_LEAST_TEXTURE = 1e-6
# Share of the curves' variance that the law must explain.
_EXPLAINED = 0.3
_PARTS = 4
# The finest band that has signal decides: what is thin shows there, before whatever ground.
_FINE_POWER = 3.0
_CHUNK = 4096
# Neighbours that must agree, within this blur in pixels: what stands alone is noise.
FEWEST_ALIKE = 2
ALIKE_PX = 2.0
# A place is told together with those alike so near: noise is not.
_EVENED = 2


@dataclass(frozen=True, slots=True)
class Depths:
    """Where blocks are in focus.

    Attributes
    ----------
    position : ndarray, shape (block rows, block columns), float64
        NaN where a block has no texture, does not follow the law, is not like any neighbour, or is in focus at neither position.
    tolerance : float
        Distance within which two blocks are at the same depth.
    beyond_near, beyond_far : int
        Blocks with texture that agree best with a focus at, or beyond, the first or the last position.
    textured : int
        Blocks with texture.
    """

    position: F64
    tolerance: float
    beyond_near: int
    beyond_far: int
    textured: int


def match_depths(
    positions: F64,
    energies: NDArray[np.floating],
    noise: NDArray[np.floating],
    frequencies: tuple[float, ...],
    growth_px_per_unit: float,
) -> Depths:
    """Place the law on the curves of every block; of two depths in a block the one whose fine texture fits better.

    Parameters
    ----------
    positions : ndarray, shape (frames,)
        Growing.
    energies : ndarray, shape (frames, bands, block rows, block columns)
    noise : ndarray, shape (bands, block rows, block columns)
        Energy of the noise; it is taken off.
    frequencies : tuple of float
        Middles of the bands, cycles per pixel, growing.
    growth_px_per_unit : float
        Of the blur circle's diameter.
    """
    z = np.asarray(positions, np.float64)
    grid = np.linspace(z[0], z[-1], _PARTS * (len(z) - 1) + 1)
    laws = [_normal(energy_of((np.pi * f * growth_px_per_unit * (grid[:, None] - z)) ** 2)) for f in frequencies]
    weights = [(f / frequencies[-1]) ** _FINE_POWER for f in frequencies]
    rows, columns = energies.shape[2:]
    curves = energies.reshape(*energies.shape[:2], -1)
    floor = noise.reshape(len(frequencies), -1)
    found = np.full(rows * columns, np.nan)
    near = far = textured = 0
    for start in range(0, rows * columns, _CHUNK):
        part = slice(start, min(start + _CHUNK, rows * columns))
        places, first, last, seen = _match(grid, laws, weights, curves[..., part], floor[:, part])
        found[part] = places
        near, far, textured = near + first, far + last, textured + seen
    position = found.reshape(rows, columns)
    tolerance = ALIKE_PX / growth_px_per_unit
    alone = like_neighbours(position, tolerance) < FEWEST_ALIKE
    position = _evened(np.where(alone, np.nan, position), tolerance)
    return Depths(position, tolerance, near, far, textured)


def _evened(position: F64, tolerance: float) -> F64:
    """Each place as the mean of those alike close by: noise would widen the distribution whose ends are wanted."""
    total, count = np.zeros(position.shape), np.zeros(position.shape)
    for other in _shifted(position, _EVENED):
        alike = np.abs(other - position) < tolerance
        total += np.where(alike, other, 0.0)
        count += alike
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def _shifted(plane: F64, reach: int) -> Iterator[F64]:
    """`plane` moved by up to `reach` each way, the unmoved one among them; NaN comes in."""
    rows, columns = plane.shape
    padded = np.pad(np.asarray(plane, np.float64), reach, constant_values=np.nan)
    for down in range(2 * reach + 1):
        for right in range(2 * reach + 1):
            yield padded[down : down + rows, right : right + columns]


def _normal(rows: NDArray[np.float64]) -> F32:
    """Each row without its mean, at unit length."""
    rows = rows - rows.mean(axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), np.float32)


def _match(
    grid: NDArray[np.float64], laws: list[F32], weights: list[float], curves: NDArray[np.floating], noise: F64
) -> tuple[NDArray[np.float64], int, int, int]:
    """Places of some blocks (NaN where there is none), and how many agree best with the first place, with the last, have texture."""
    blocks = curves.shape[2]
    agreement, whole = np.zeros((len(grid), blocks), np.float32), np.zeros(blocks, np.float32)
    for band, law in enumerate(laws):
        curve = np.asarray(curves[:, band] - noise[band], np.float32)
        strong = curve.max(axis=0) > np.maximum(_SIGNAL_TO_NOISE * noise[band], _LEAST_TEXTURE)
        curve = curve - curve.mean(axis=0)
        curve /= np.maximum(np.linalg.norm(curve, axis=0), np.float32(1e-20))
        weight = np.where(strong, np.float32(weights[band]), np.float32(0))
        agreement += np.maximum(law @ curve, np.float32(0)) ** 2 * weight
        whole += weight
    at, every = agreement.argmax(axis=0), np.arange(blocks)
    seen = whole > 0
    inner = seen & (at > 0) & (at < len(grid) - 1)
    inner &= agreement[at, every] > _EXPLAINED * whole
    middle = np.clip(at, 1, len(grid) - 2)
    before, top, after = (agreement[middle + shift, every] for shift in (-1, 0, 1))
    bend = np.maximum(2 * top - before - after, np.float32(1e-12))
    places = grid[middle] + np.clip((after - before) / (2 * bend), -1, 1) * (grid[1] - grid[0])
    places[~inner] = np.nan
    return places, int((seen & (at == 0)).sum()), int((seen & (at == len(grid) - 1)).sum()), int(seen.sum())


def like_neighbours(position: F64, tolerance: float) -> NDArray[np.intp]:
    """How many of the eight neighbours of each block are in focus within `tolerance` of it."""
    count = np.zeros(position.shape, np.intp)
    for other in _shifted(position, 1):
        count += np.abs(other - position) < tolerance
    return count - 1  # not itself
