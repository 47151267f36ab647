"""What stands before the rest: hairs and bristles, which are the near end of many subjects.

Before rough ground a hair's block is told by the ground, whose texture is stronger. But where the hair is in focus, the ground is out of
it: fine texture has a top of its own there, with a dip behind it, before the ground's.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from capture.focus.defocus import energy_of
from capture.focus.depths import ALIKE_PX, FEWEST_ALIKE, Depths, like_neighbours

F64 = NDArray[np.floating]

# A top before the block's own: above the noise, above what the law leaves of the block's own there (a disc's rings at least), over the
# dip behind it, apart.
_SIGNAL_TO_NOISE, _LEAST_TEXTURE = 10.0, 1e-6
_OVER_LAW, _RINGS, _OVER_DIP = 2.5, 0.1, 2.0
_APART_PX = 1.5 * ALIKE_PX


def find_before(
    positions: F64,
    energy: NDArray[np.floating],
    noise: NDArray[np.floating],
    frequency: float,
    growth: float,
    depths: Depths,
) -> F64:
    """Where what stands before a block's own depth is in focus.

    Parameters
    ----------
    positions : ndarray, shape (frames,)
        Growing.
    energy : ndarray, shape (frames, block rows, block columns)
        In the finest band.
    noise : ndarray, shape (block rows, block columns)
        Its energy there; it is taken off.
    frequency : float
        The band's middle, cycles per pixel.
    growth : float
        Of the blur circle's diameter, pixels per unit of position.
    depths : Depths
        The blocks' own.

    Returns
    -------
    ndarray, shape (block rows, block columns), float64
        NaN where nothing stands before, or too few neighbours say the same.
    """
    z = np.asarray(positions, np.float64)
    above = np.maximum(energy - noise, 0)
    own = np.nan_to_num(depths.position, nan=z[0])
    first_behind = np.searchsorted(z, own)
    beside = np.clip(first_behind + np.array([-1, 0])[:, None, None], 0, len(z) - 1)
    own_height = np.take_along_axis(above, beside, axis=0).max(axis=0)
    least = np.maximum(_SIGNAL_TO_NOISE * noise, _LEAST_TEXTURE)
    found, height = np.full(own.shape, np.nan), np.zeros(own.shape)
    dip = np.full(own.shape, np.inf)
    for k in range(len(z) - 3, 0, -1):
        before, here, after = above[k - 1], above[k], above[k + 1]
        dip = np.where(k + 1 < first_behind, np.minimum(dip, after), dip)
        is_top = (here >= before) & (here > after) & (here > least) & (here > height) & (here > _OVER_DIP * dip)
        if not is_top.any():
            continue
        law = energy_of((np.pi * frequency * growth * (z[k] - own)) ** 2)
        bend = np.maximum(2 * here - before - after, 1e-12)
        shift = np.clip((after - before) / (2 * bend), -0.5, 0.5)
        place = z[k] + shift * np.where(shift > 0, z[k + 1] - z[k], z[k] - z[k - 1])
        is_top &= (here > np.maximum(_OVER_LAW * law, _RINGS) * own_height) & (own - place > _APART_PX / growth)
        found[is_top], height[is_top] = place[is_top], here[is_top]
    nearest = np.where(np.isfinite(found), found, depths.position)
    return np.where(like_neighbours(nearest, depths.tolerance) < FEWEST_ALIKE, np.nan, found)
