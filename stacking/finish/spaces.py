"""Colour spaces of results, and those that profiles of three primaries and curves describe.

The working space of all steps is linear light on sRGB's primaries without bounds: what lies outside of sRGB has negative or
larger values and is kept, as wide as the frames were. "Encoded" values are the sRGB curve over it, which goes on below 0 and
above 1.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stacking.colour import (
    ADOBE_RGB_TO_XYZ_D65,
    BRADFORD_D65_TO_D50,
    D50,
    PROPHOTO_TO_XYZ_D50,
    SRGB_TO_XYZ_D65,
    decode,
    encode,
    matrix_profile,
    srgb_profile,
)

F32 = NDArray[np.float32]
_DISPLAY_P3_TO_XYZ_D65 = np.array(
    [[0.4865709, 0.2656677, 0.1982173], [0.2289746, 0.6917385, 0.0792869], [0.0, 0.0451134, 1.0439444]]
)
_ADOBE_GAMMA = 0x0233 / 256
_PROPHOTO_GAMMA = 0x01CD / 256
_CURVE_POINTS = 1024
_SAME_PRIMARIES, _SAME_CURVE = 2e-3, 2e-3
_SRGB_TO_D50 = BRADFORD_D65_TO_D50 @ SRGB_TO_XYZ_D65


class Profile(StrEnum):
    """Colour spaces that a result may have."""

    SRGB = "srgb"
    DISPLAY_P3 = "display-p3"
    ADOBE_RGB = "adobe-rgb"
    PROPHOTO = "prophoto"


@dataclass(frozen=True, slots=True)
class Space:
    """An RGB space.

    Attributes
    ----------
    to_working : ndarray (3, 3)
        Its linear light to that of the working space; white stays white.
    to_linear, from_linear : callable
        Values between 0 and 1 through its curve, and back; any shape.
    icc : bytes
    """

    to_working: NDArray[np.float64]
    to_linear: Callable[[NDArray[Any]], NDArray[Any]]
    from_linear: Callable[[NDArray[Any]], NDArray[Any]]
    icc: bytes

    @property
    def from_working(self) -> NDArray[np.float64]:
        """The inverse of `to_working`."""
        return np.asarray(np.linalg.inv(self.to_working))


def space_named(profile: Profile) -> Space:
    """One of the spaces known by name."""
    if profile is Profile.SRGB:
        return Space(np.eye(3), decode, encode, srgb_profile())
    if profile is Profile.DISPLAY_P3:
        curve = np.rint(decode(np.arange(_CURVE_POINTS) / (_CURVE_POINTS - 1)) * 65535).astype(">u2")
        to_d50 = BRADFORD_D65_TO_D50 @ _DISPLAY_P3_TO_XYZ_D65
        return Space(_to_working(to_d50), decode, encode, matrix_profile("Display P3", to_d50, curve))
    if profile is Profile.ADOBE_RGB:
        to_d50 = BRADFORD_D65_TO_D50 @ ADOBE_RGB_TO_XYZ_D65
        name, gamma, word = "Compatible with Adobe RGB (1998)", _ADOBE_GAMMA, 0x0233
    else:
        to_d50, name, gamma, word = PROPHOTO_TO_XYZ_D50, "ProPhoto RGB", _PROPHOTO_GAMMA, 0x01CD
    icc = matrix_profile(name, to_d50, np.array([word], ">u2"))
    return Space(_to_working(to_d50), _power(gamma), _power(1 / gamma), icc)


def space_of(icc: bytes | None) -> Space | None:
    """The space that an embedded profile describes, sRGB for none; None for a profile that is more than primaries and curves."""
    if icc is None:
        return space_named(Profile.SRGB)
    try:
        tags = _tags(icc)
        if icc[16:20] != b"RGB " or icc[20:24] != b"XYZ ":
            return None
        columns = [np.frombuffer(tags[name][8:20], ">i4") / 65536 for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
        curves = [_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC")]
    except (KeyError, ValueError, struct.error, IndexError):
        return None
    to_d50 = np.column_stack(columns)
    if not 0.1 < abs(np.linalg.det(to_d50) / np.linalg.det(_SRGB_TO_D50)) < 20:
        return None
    table = np.stack(curves, axis=-1)
    if np.ptp(table, axis=-1).max() > 1e-6 or np.diff(table[:, 0]).min() < 0:
        return None  # a curve for each channel, or one that turns back
    to_working = _to_working(to_d50)
    points = np.linspace(0, 1, len(table))
    linear = table[:, 0]
    if np.abs(to_working - np.eye(3)).max() < _SAME_PRIMARIES and np.abs(linear - decode(points)).max() < _SAME_CURVE:
        return Space(np.eye(3), decode, encode, icc)

    def to_linear(values: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(np.interp(values, points, linear))

    def from_linear(values: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(np.interp(values, linear, points))

    return Space(to_working, to_linear, from_linear, icc)


def _to_working(to_d50: NDArray[np.float64]) -> NDArray[np.float64]:
    matrix = np.linalg.inv(_SRGB_TO_D50) @ (to_d50 * (D50 / to_d50.sum(axis=1))[:, None])
    return np.asarray(matrix / matrix.sum(axis=1, keepdims=True))


def _power(gamma: float) -> Callable[[NDArray[Any]], NDArray[Any]]:
    def curve(values: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(np.copysign(np.abs(values) ** np.float32(gamma), values))

    return curve


def _tags(icc: bytes) -> dict[bytes, bytes]:
    tags = {}
    for number in range(min(struct.unpack_from(">I", icc, 128)[0], 100)):
        name, start, length = struct.unpack_from(">4sII", icc, 132 + 12 * number)
        tags[name] = icc[start : start + length]
    return tags


def _curve(tag: bytes) -> NDArray[np.float64]:
    """A tone curve sampled at 4096 points, linear light of encoded values."""
    x = np.linspace(0, 1, 4096)
    if tag[:4] == b"curv":
        (count,) = struct.unpack_from(">I", tag, 8)
        if count == 0:
            return x
        points = np.frombuffer(tag[12 : 12 + 2 * count], ">u2").astype(np.float64)
        if count == 1:
            return np.asarray(x ** (points[0] / 256))
        return np.asarray(np.interp(x, np.linspace(0, 1, count), points / 65535))
    if tag[:4] != b"para":
        raise ValueError("no tone curve")
    (kind,) = struct.unpack_from(">H", tag, 8)
    count = {0: 1, 1: 3, 2: 4, 3: 5, 4: 7}[kind]
    g, *rest = (np.frombuffer(tag[12 : 12 + 4 * count], ">i4") / 65536).tolist()
    a, b, c, d, e, f = (*rest, *[0.0] * 6)[:6] if kind else (1.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    if kind in (0, 1, 2):
        start = -b / a if kind else 0.0
        offset = c if kind == 2 else 0.0
        return np.asarray(np.where(x >= start, np.maximum(a * x + b, 0) ** g, 0.0) + offset)
    above = np.maximum(a * x + b, 0) ** g + (e if kind == 4 else 0.0)
    return np.asarray(np.where(x >= d, above, c * x + (f if kind == 4 else 0.0)))
