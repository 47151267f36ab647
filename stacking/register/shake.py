"""Frames blurred by a shake: less sharp than both neighbours, which focus alone cannot do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stacking.register.features import Map

_LOST = 0.4
_UNEQUAL = 3.5
_LEAST_TILES = 8


def shaken_frames(frames: Sequence[int], sharpness: Sequence[Map]) -> dict[int, str]:
    """Find frames that a shake has blurred.

    Along a stack the sharpness of any part rises to its focus and falls again, so a frame is nowhere less sharp than both its
    neighbours, whatever the step. A shaken one is nearly everywhere, at least across its path. At the ends of a stack, with one
    neighbour, sharpness that fell far more in one direction than in another gives the shake away: defocus takes all alike.

    Parameters
    ----------
    frames : sequence of int
    sharpness : sequence of ndarray, shape (4, tiles, tiles), float32
        From :func:`stacking.register.features.directional_sharpness`, of equal brightness.

    Returns
    -------
    dict of int to str
        The shaken frames, and a reason to show.
    """
    shaken: dict[int, str] = {}
    last = len(frames) - 1
    for n, k in enumerate(frames):
        if 0 < n < last:
            kept = _kept(sharpness[n], np.minimum(sharpness[n - 1], sharpness[n + 1]))
            if kept is not None and kept.min() < _LOST:
                shaken[k] = f"shaken: {kept.min():.0%} of its neighbours' sharpness"
        elif last > 0:
            kept = _kept(sharpness[n], sharpness[1 if n == 0 else last - 1])
            if kept is not None and kept.min() < _LOST and kept.max() > _UNEQUAL * kept.min():
                shaken[k] = "shaken: blurred along one direction"
    return shaken


def _kept(own: Map, other: Map) -> NDArray[np.float64] | None:
    """Return the median share of the other's sharpness in each direction, over tiles that show any; None where too few do."""
    floor = max(1.0, 0.02 * float(other.max()))
    textured = (other > floor).all(0)
    if int(textured.sum()) < _LEAST_TILES:
        return None
    return np.asarray(np.median(own[:, textured] / other[:, textured], axis=1), np.float64)
