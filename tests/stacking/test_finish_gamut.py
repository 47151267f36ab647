"""What an output space cannot show: bright colours keep their hue, and what it can show stays as it is."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from stacking.colour import SRGB_TO_XYZ_D65, decode, encode
from stacking.finish import Recipe, apply_recipe
from stacking.finish.gamut import within_gamut
from stacking.finish.spaces import Profile, space_named

F64 = NDArray[np.float64]
# Ottosson 2020, from XYZ.
TO_LMS = np.array(
    [[0.8189330101, 0.3618667424, -0.1288597137], [0.0329845436, 0.9293118715, 0.0361456387], [0.0482003018, 0.2643662691, 0.6338517070]]
)  # fmt: skip
TO_LAB = np.array(
    [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099], [0.0259040371, 0.7827717662, -0.8086757660]]
)  # fmt: skip
# Encoded sRGB: orange, red, skin, leaf, sky, violet, yellow.
COLOURS = np.array(
    [[0.95, 0.55, 0.1], [0.9, 0.15, 0.1], [0.9, 0.7, 0.6], [0.4, 0.8, 0.2], [0.3, 0.6, 0.95], [0.5, 0.3, 0.95], [0.9, 0.85, 0.2]]
)  # fmt: skip


def oklab(linear: F64) -> F64:
    return np.asarray(np.cbrt(linear @ SRGB_TO_XYZ_D65.T @ TO_LMS.T) @ TO_LAB.T)


def turned_degrees(before: F64, after: F64) -> F64:
    """Angle between hues, where the colour after has some left."""
    a, b = oklab(before), oklab(after)
    angle = np.arctan2(a[..., 2], a[..., 1]) - np.arctan2(b[..., 2], b[..., 1])
    turned = np.abs((np.rad2deg(angle) + 180) % 360 - 180)
    return np.asarray(np.where(np.hypot(b[..., 1], b[..., 2]) > 0.02, turned, 0))


def picture(values: F64) -> NDArray[np.uint16]:
    return np.asarray(np.rint(np.clip(values, 0, 1) * 65535), np.uint16)


@pytest.mark.parametrize(("stops", "turned_by_cutting"), [(0.3, 3), (0.7, 5), (1.5, 8)])
def test_highlights_keep_their_hue_when_they_are_made_brighter(stops: float, turned_by_cutting: float) -> None:
    ramp = np.linspace(0.4, 1.0, 60)[:, None, None] * COLOURS[None]
    image = picture(encode(decode(ramp)))
    out = apply_recipe(image, Recipe.model_validate({"exposure": {"stops": stops}})) / 65535
    wanted = decode(image / 65535) * 2**stops
    cut = np.clip(wanted, 0, 1)
    assert turned_degrees(wanted, cut).max() > turned_by_cutting
    assert turned_degrees(wanted, decode(out)).max() < 1.5
    inside = (wanted <= 1).all(axis=-1)
    assert inside.any()
    np.testing.assert_allclose(out[inside], encode(wanted)[inside], atol=2e-4)
    # brighter stays brighter, also where nothing is left of the colour
    lightness = oklab(decode(out))[..., 0]
    assert np.diff(lightness, axis=0).min() > -1e-3


@pytest.mark.parametrize("profile", list(Profile))
def test_colours_outside_an_output_space_become_paler_at_their_hue(profile: Profile) -> None:
    space = space_named(profile)
    rng = np.random.default_rng(5)
    colours = rng.uniform(-0.2, 1.2, (1, 500, 3)).astype(np.float32)
    held = within_gamut(colours.copy(), space)
    assert held.min() >= 0
    assert held.max() <= 1
    inside = ((colours >= 0) & (colours <= 1)).all(axis=-1)
    np.testing.assert_array_equal(held[inside], colours[inside])
    before, after = (c.astype(np.float64) @ space.to_working.T for c in (colours, held))
    seen = oklab(before)[..., 0] > 0.3  # what is all but black has no hue to speak of
    assert turned_degrees(before, after)[seen].max() < 2
    chroma_before, chroma_after = (np.hypot(*np.moveaxis(oklab(c)[..., 1:], -1, 0)) for c in (before, after))
    assert (chroma_after <= chroma_before + 1e-4).all()
    # no colour that has much is lost for white or black
    assert (chroma_after[seen] >= 0.25 * chroma_before[seen]).mean() > 0.9


def test_gray_beyond_white_is_white() -> None:
    gray = np.linspace(-0.1, 1.5, 50, dtype=np.float32)[None, :, None].repeat(3, axis=2)
    np.testing.assert_allclose(within_gamut(gray.copy(), space_named(Profile.SRGB)), np.clip(gray, 0, 1), atol=1e-3)
