"""Colour spaces: the sRGB curve and primaries (IEC 61966-2-1), profiles, and conversions between encoded and linear values."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Linear sRGB to CIE XYZ, both relative to D65.
SRGB_TO_XYZ_D65 = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
ADOBE_RGB_TO_XYZ_D65 = np.array(
    [[0.5766690, 0.1855582, 0.1882286], [0.2973450, 0.6273636, 0.0752915], [0.0270314, 0.0706889, 0.9913375]]
)
# D65 to D50 by the linear Bradford transform (ICC.1:2022, annex E), and D50 as profiles write it.
BRADFORD_D65_TO_D50 = np.array(
    [[1.0478112, 0.0228866, -0.0501270], [0.0295424, 0.9904844, -0.0170491], [-0.0092345, 0.0150436, 0.7521316]]
)
D50 = np.array([0.9642, 1.0, 0.8249])
PROPHOTO_TO_XYZ_D50 = np.array(
    [[0.7976749, 0.1351917, 0.0313534], [0.2880402, 0.7118741, 0.0000857], [0.0, 0.0, 0.8252100]]
)


def _white_kept(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(matrix / matrix.sum(axis=1, keepdims=True))


# Linear sRGB to the primaries of ProPhoto RGB; white stays white.
SRGB_TO_WIDE = _white_kept(np.linalg.inv(PROPHOTO_TO_XYZ_D50) @ BRADFORD_D65_TO_D50 @ SRGB_TO_XYZ_D65)
_CURVE_POINTS = 1024
_HEADER_BYTES = 128
LUMA = np.array([0.2126729, 0.7151522, 0.0721750], np.float32)


def encode(linear: NDArray[Any]) -> NDArray[Any]:
    """Linear light (1 is white) to sRGB-encoded values; values below 0 and above 1 go on smoothly (odd below 0)."""
    size = np.abs(linear)
    curved = 1.055 * size ** (1 / 2.4) - 0.055
    return np.asarray(np.copysign(np.where(size <= 0.0031308, 12.92 * size, curved), linear))


def decode(encoded: NDArray[Any]) -> NDArray[Any]:
    """sRGB-encoded values to linear light: the inverse of `encode`."""
    size = np.abs(encoded)
    return np.asarray(np.copysign(np.where(size <= 0.04045, size / 12.92, ((size + 0.055) / 1.055) ** 2.4), encoded))


def encode_table() -> NDArray[np.uint16]:
    """sRGB-encoded 16-bit value of each linear 16-bit value, shape (65536,)."""
    return np.asarray(np.rint(encode(np.arange(65536) / 65535) * 65535), np.uint16)


def decode_table(depth: np.dtype[Any]) -> NDArray[np.float32]:
    """Linear light, 0 to 1, of each encoded value of an 8- or 16-bit dtype."""
    top = int(np.iinfo(depth).max)
    return decode(np.arange(top + 1) / top).astype(np.float32)


def srgb_profile() -> bytes:
    """The sRGB colour space as an ICC profile, version 2.1 (ICC.1:1998-09): matrix, and the curve in 1024 points.

    The same bytes at every call: the date in it is that of the standard.
    """
    curve = np.rint(decode(np.arange(_CURVE_POINTS) / (_CURVE_POINTS - 1)) * 65535).astype(">u2")
    return matrix_profile("sRGB IEC61966-2.1", BRADFORD_D65_TO_D50 @ SRGB_TO_XYZ_D65, curve)


def adobe_rgb_profile() -> bytes:
    """The Adobe RGB (1998) colour space as an ICC profile: what a camera means that records "R03" and embeds no profile."""
    return matrix_profile(
        "Compatible with Adobe RGB (1998)", BRADFORD_D65_TO_D50 @ ADOBE_RGB_TO_XYZ_D65, np.array([0x0233], ">u2")
    )


def wide_profile() -> bytes:
    """The primaries of ProPhoto RGB with the curve of sRGB, as an ICC profile: what RAW is developed to for wide outputs."""
    curve = np.rint(decode(np.arange(_CURVE_POINTS) / (_CURVE_POINTS - 1)) * 65535).astype(">u2")
    return matrix_profile("ProPhoto primaries, IEC 61966-2-1 curve", PROPHOTO_TO_XYZ_D50, curve)


def matrix_profile(name: str, to_xyz_d50: NDArray[np.float64], curve: NDArray[Any]) -> bytes:
    """A profile of three primaries, adapted to D50, and one curve: points of 16 bit, or one exponent as u8Fixed8."""
    to_pcs = to_xyz_d50 * (D50 / to_xyz_d50.sum(axis=1))[:, None]
    tone = b"curv" + struct.pack(">II", 0, len(curve)) + curve.tobytes()
    red, green, blue = (_xyz(column) for column in to_pcs.T)
    tags = {
        b"desc": _description(name),
        b"cprt": b"text" + bytes(4) + b"No copyright, use freely\0",
        b"wtpt": _xyz(D50),
        b"chad": b"sf32" + bytes(4) + _fixed(BRADFORD_D65_TO_D50),
        b"rXYZ": red,
        b"gXYZ": green,
        b"bXYZ": blue,
        b"rTRC": tone,
        b"gTRC": tone,
        b"bTRC": tone,
    }
    return _profile(tags)


def profile_name(profile: bytes | None) -> str:
    """What an ICC profile calls itself; "none" for no profile, "unnamed" where it does not say."""
    if profile is None:
        return "none"
    for entry in range(int.from_bytes(profile[128:132], "big")):
        signature, start, length = struct.unpack_from(">4sII", profile, 132 + 12 * entry)
        text = profile[start : start + length]
        if signature != b"desc":
            continue
        if text[:4] == b"desc" and len(text) > 12:
            size = int.from_bytes(text[8:12], "big")
            return text[12 : 12 + size].rstrip(b"\0").decode("ascii", "replace")
        if text[:4] == b"mluc" and len(text) >= 28:
            size, offset = struct.unpack_from(">II", text, 20)
            return text[offset : offset + size].decode("utf-16-be", "replace").rstrip("\0")
    return "unnamed"


def _fixed(values: NDArray[Any]) -> bytes:
    """Numbers as s15Fixed16."""
    return bytes(np.rint(np.ravel(values) * 65536).astype(">i4").tobytes())


def _xyz(values: NDArray[Any]) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(values)


def _description(text: str) -> bytes:
    ascii_text = text.encode("ascii") + b"\0"
    return b"desc" + bytes(4) + struct.pack(">I", len(ascii_text)) + ascii_text + bytes(4 + 4 + 2 + 1 + 67)


def _profile(tags: dict[bytes, bytes]) -> bytes:
    placed: dict[bytes, int] = {}
    body = b""
    start = _HEADER_BYTES + 4 + 12 * len(tags)
    for content in tags.values():
        if content not in placed:
            placed[content] = start + len(body)
            body += content + bytes(-len(content) % 4)
    table = struct.pack(">I", len(tags))
    table += b"".join(struct.pack(">4sII", name, placed[content], len(content)) for name, content in tags.items())
    header = struct.pack(
        ">I4sI4s4s4s6H4s4sIIIQI12s4s",
        start + len(body), b"\0\0\0\0", 0x02100000, b"mntr", b"RGB ", b"XYZ ", 1999, 10, 18, 0, 0, 0, b"acsp",
        b"\0\0\0\0", 0, 0, 0, 0, 0, _fixed(D50), b"\0\0\0\0",
    )  # fmt: skip
    return header + bytes(_HEADER_BYTES - len(header)) + table + body
