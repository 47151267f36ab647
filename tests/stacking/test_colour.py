from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacking.colour import adobe_rgb_profile, decode, decode_table, encode, encode_table, profile_name, srgb_profile


@pytest.mark.parametrize(
    ("linear", "encoded"), [(0, 0), (1, 1), (0.0031308, 0.04045), (0.2140411, 0.5), (0.5, 0.7353570)]
)
def test_the_srgb_curve_is_that_of_the_standard(linear: float, encoded: float) -> None:
    assert float(encode(np.array(linear))) == pytest.approx(encoded, abs=2e-6)
    assert float(decode(np.array(encoded))) == pytest.approx(linear, abs=2e-6)


@given(st.floats(-2, 4))
def test_encoding_can_be_undone_beyond_black_and_white(value: float) -> None:
    assert float(decode(encode(np.array(value)))) == pytest.approx(value, abs=1e-6)


def test_tables_are_the_curve() -> None:
    table = encode_table()
    assert (table[0], table[-1]) == (0, 65535)
    assert np.all(np.diff(table.astype(int)) >= 0)
    eight = decode_table(np.dtype(np.uint8))
    assert eight.shape == (256,)
    assert eight[128] == pytest.approx(0.21586, abs=1e-5)


def tags(profile: bytes) -> dict[bytes, bytes]:
    found = {}
    for entry in range(int.from_bytes(profile[128:132], "big")):
        name, start, length = struct.unpack_from(">4sII", profile, 132 + 12 * entry)
        assert start % 4 == 0
        assert start + length <= len(profile)
        found[name] = profile[start : start + length]
    return found


def test_the_profile_is_well_formed_and_says_srgb() -> None:
    profile = srgb_profile()
    assert profile == srgb_profile()
    assert int.from_bytes(profile[:4], "big") == len(profile)
    assert profile[36:40] == b"acsp"
    assert profile[12:24] == b"mntrRGB XYZ "
    found = tags(profile)
    assert set(found) == {
        b"desc",
        b"cprt",
        b"wtpt",
        b"chad",
        *(c + t for c in (b"r", b"g", b"b") for t in (b"XYZ", b"TRC")),
    }
    columns = np.array([struct.unpack_from(">3i", found[c + b"XYZ"], 8) for c in (b"r", b"g", b"b")]) / 65536
    assert columns.sum(0) == pytest.approx([0.9642, 1.0, 0.8249], abs=3e-5)
    # Colorants as published for sRGB relative to D50.
    assert columns == pytest.approx(
        np.array([[0.4361, 0.2225, 0.0139], [0.3851, 0.7169, 0.0971], [0.1431, 0.0606, 0.7139]]), abs=2e-4
    )
    curve = found[b"rTRC"]
    count = int.from_bytes(curve[8:12], "big")
    points = np.frombuffer(curve, ">u2", offset=12)
    assert len(points) == count
    assert points[count // 2] / 65535 == pytest.approx(float(decode(np.array((count // 2) / (count - 1)))), abs=1e-5)


def test_profiles_tell_their_names() -> None:
    text = "Display P3".encode("utf-16-be")
    body = b"mluc" + bytes(4) + struct.pack(">II", 1, 12) + b"enUS" + struct.pack(">II", len(text), 28) + text
    unicode_profile = bytes(128) + struct.pack(">I4sII", 1, b"desc", 144, len(body)) + body
    assert profile_name(unicode_profile) == "Display P3"
    assert profile_name(srgb_profile()) == "sRGB IEC61966-2.1"
    assert profile_name(None) == "none"
    assert profile_name(bytes(132)) == "unnamed"


def test_adobe_rgb_has_its_green_and_its_exponent() -> None:
    found = tags(adobe_rgb_profile())
    green = np.array(struct.unpack_from(">3i", found[b"gXYZ"], 8)) / 65536
    assert green == pytest.approx([0.20528, 0.62567, 0.06087], abs=2e-4)
    assert found[b"gTRC"][8:] == b"\0\0\0\1\x02\x33"
