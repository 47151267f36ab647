"""Colours that an output space cannot show: paler ones of the same hue, drawn towards middle gray the more chroma they have.

Cut off channel by channel they would turn: where red reaches its end first, an orange highlight becomes yellow.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stacking.finish.colour_steps import FROM_CONES, FROM_OKLAB, TO_CONES, TO_OKLAB, by_matrix
from stacking.finish.spaces import Space

F32 = NDArray[np.float32]

# Linear light beyond the ends that rounding may leave.
_SLACK = 1e-4
_HALVINGS = 14
_CHROMA_COUNTS = 0.5


def within_gamut(linear: F32, space: Space) -> F32:
    """Linear light of an output space held within 0 to 1 at constant hue; what lies within stays as it is.

    Drawn towards a gray that depends on lightness and chroma (OkLab: Ottosson 2021, "sRGB gamut clipping", adaptive): at constant
    lightness alone a bright green would be white.

    Parameters
    ----------
    linear : ndarray (rows, columns, 3)
        In the primaries of `space`; changed in place.
    """
    outside = ((linear < -_SLACK) | (linear > 1 + _SLACK)).any(axis=-1)
    if outside.any():
        linear[outside] = _paler(linear[outside], space)
    return linear


def _paler(linear: F32, space: Space) -> F32:
    """Colours, (count, 3), all of them outside."""
    lab = by_matrix(np.cbrt(by_matrix(linear[None], TO_CONES @ space.to_working)), TO_OKLAB)[0]
    gray = _gray(lab[:, :1], np.hypot(lab[:, 1:2], lab[:, 2:]))
    away = lab[:, :1] - gray + lab[:, 1:] @ FROM_OKLAB[:, 1:].T.astype(np.float32)
    # On the way there cones are (gray + t * away) ** 3, so each channel is a cubic polynomial of the share t.
    from_cones = (space.from_working @ FROM_CONES).T.astype(np.float32)
    terms = [
        np.asarray(term @ from_cones) for term in (gray**3 + 0 * away, 3 * gray**2 * away, 3 * gray * away**2, away**3)
    ]

    def colours(share: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(((terms[3] * share + terms[2]) * share + terms[1]) * share + terms[0])

    share, step = np.zeros_like(gray), np.float32(1.0)
    for _ in range(_HALVINGS):
        step *= np.float32(0.5)
        there = colours(share + step)
        inside = ((there >= -_SLACK) & (there <= 1 + _SLACK)).all(axis=-1, keepdims=True)
        share += step * inside
    return np.asarray(np.clip(colours(share), 0, 1), np.float32)


def _gray(lightness: F32, chroma: F32) -> F32:
    """Lightness of the gray that a colour is drawn to; from white or black on that of the end, where it is gray itself."""
    away = lightness - np.float32(0.5)
    size = np.abs(away)
    reach = np.float32(0.5) + size + np.float32(_CHROMA_COUNTS) * chroma
    bend = reach - np.sqrt(np.maximum(reach * reach - 2 * size, 0))
    return np.asarray(np.clip(np.float32(0.5) * (1 + np.sign(away) * bend), 0, 1), np.float32)
