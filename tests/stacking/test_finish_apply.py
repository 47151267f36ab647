from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stacking.colour import SRGB_TO_XYZ_D65, decode, encode
from stacking.errors import StackingUsageError
from stacking.finish import Recipe, apply_recipe, shipped_recipe, shipped_recipes
from stacking.finish.apply import crop_rectangle
from stacking.finish.colour_steps import temperature_matrix
from stacking.finish.curve import MonotoneCurve
from stacking.finish.recipe import CropStep
from tests.stacking.pictures import as_bits, scene

PICTURE = as_bits(scene(300, 96), 16)
GRAY_RAMP = np.repeat(np.arange(65536, dtype=np.uint16).reshape(256, 256, 1), 3, axis=2)


def recipe(**steps: object) -> Recipe:
    return Recipe.model_validate(steps)


def unit(image: NDArray[np.uint16]) -> NDArray[np.float64]:
    return image / float(np.iinfo(image.dtype).max)


@pytest.mark.parametrize("image", [PICTURE, as_bits(scene(60, 84), 8)], ids=["16 bit", "8 bit"])
@pytest.mark.parametrize(
    "steps",
    [
        {},
        {"levels": {}},
        {"levels": {"black": 0.0, "white": 1.0}},
        {"curves": {}},
        {"curves": {"points": [[0.5, 0.5]]}},
        {"hue_saturation": {}},
        {"exposure": {"stops": 0}},
        {"white_balance": {"temperature_k": 6500}},
        {"white_balance": {"gains": [1, 1, 1]}},
        {"sharpen": {"amount": 0}},
    ],
    ids=str,
)
def test_a_neutral_recipe_changes_nothing(image: NDArray[np.uint16], steps: dict[str, object]) -> None:
    before = image.copy()
    out = apply_recipe(image, recipe(**steps))
    assert out.dtype == image.dtype
    assert np.abs(out.astype(int) - image).max() <= (0 if not steps else 1)
    out += 1
    np.testing.assert_array_equal(image, before)


def test_the_depth_of_the_result_may_be_chosen() -> None:
    eight = as_bits(scene(60, 84), 8)
    np.testing.assert_array_equal(apply_recipe(eight, Recipe(), dtype=np.uint16), eight.astype(np.uint16) * 257)
    np.testing.assert_array_equal(apply_recipe(eight.astype(np.uint16) * 257, Recipe(), dtype=np.uint8), eight)


EVERYTHING = recipe(
    crop={"x": 3, "y": 5, "width": 80, "height": 290},
    white_balance={"temperature_k": 5000, "tint": 8},
    exposure={"stops": 0.4},
    levels={"auto": True},
    curves={"points": [[0.25, 0.2], [0.75, 0.8]], "blue": [[0.5, 0.52]]},
    hue_saturation={
        "hue_degrees": 5,
        "saturation": 1.2,
        "vibrance": 0.2,
        "ranges": [{"centre_degrees": 29, "saturation": 0.8}],
    },
    sharpen={"amount": 1.0, "radius_px": 1.5},
)


def test_the_same_recipe_gives_the_same_bytes_and_survives_its_file() -> None:
    from stacking.finish.recipe import parse_recipe

    again = parse_recipe(EVERYTHING.to_toml())
    assert again == EVERYTHING
    first = apply_recipe(PICTURE, EVERYTHING)
    assert first.shape == (290, 80, 3)
    np.testing.assert_array_equal(first, apply_recipe(PICTURE, again))


@pytest.mark.parametrize("name", ["white_balance", "exposure", "levels", "curves", "hue_saturation", "sharpen"])
def test_strips_leave_no_seam(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    one = Recipe.model_validate({name: EVERYTHING.model_dump()[name]})
    in_strips = apply_recipe(PICTURE, one)
    monkeypatch.setattr("stacking.finish.apply._STRIP_ROWS", 4096)
    at_once = apply_recipe(PICTURE, one)
    assert np.abs(in_strips.astype(int) - at_once).max() <= 1


@pytest.mark.parametrize(
    "steps",
    [
        {"levels": {"black": 0.05, "white": 0.9, "gamma": 1.3}},
        {"curves": {"points": [[0.2, 0.1], [0.8, 0.9]]}},
        {"exposure": {"stops": -0.7}},
        {"hue_saturation": {"saturation": 1.5, "hue_degrees": 40}},
    ],
    ids=str,
)
def test_gray_stays_gray_and_in_order(steps: dict[str, object]) -> None:
    out = apply_recipe(GRAY_RAMP, recipe(**steps)).reshape(-1, 3).astype(int)
    assert np.ptp(out, axis=1).max() <= 1
    assert np.diff(out[:, 1]).min() >= -1


@given(st.floats(-2, 2))
def test_exposure_counts_in_stops_of_light(stops: float) -> None:
    patch = np.full((4, 4, 3), 20000, np.uint16)
    out = unit(apply_recipe(patch, recipe(exposure={"stops": stops})))
    expected = np.clip(encode(decode(np.array(20000 / 65535)) * 2.0**stops), 0, 1)
    assert out == pytest.approx(float(expected), abs=2e-5)


def test_nothing_is_clipped_between_the_steps() -> None:
    """Up four stops and down again, beyond white in between: as it was."""
    up_and_down = recipe(white_balance={"gains": [16, 16, 16]}, exposure={"stops": -4})
    np.testing.assert_allclose(apply_recipe(PICTURE, up_and_down).astype(int), PICTURE, atol=1)
    pushed = recipe(exposure={"stops": 2}, levels={"black": 0, "white": 1, "gamma": 0.5})
    out = unit(apply_recipe(PICTURE, pushed))
    expected = encode(decode(unit(PICTURE)) * 4) ** 2
    inside = (expected <= 1).all(axis=-1)
    assert inside.any()
    np.testing.assert_allclose(out[inside], expected[inside], atol=1e-4)


def test_levels_put_black_and_white_where_they_are_told() -> None:
    out = unit(apply_recipe(GRAY_RAMP, recipe(levels={"black": 0.1, "white": 0.8, "gamma": 2.0})))
    values = unit(GRAY_RAMP)
    expected = np.sqrt(np.clip((values - 0.1) / 0.7, 0, 1))
    np.testing.assert_allclose(out, expected, atol=2e-5)


def test_automatic_levels_use_the_range_and_keep_colours() -> None:
    dull = (16000 + 0.4 * PICTURE).astype(np.uint16)
    out = unit(apply_recipe(dull, recipe(levels={"auto": True, "low_percentile": 0.1, "high_percentile": 99.9})))
    assert np.percentile(out.min(-1), 0.1) == pytest.approx(0, abs=0.01)
    assert np.percentile(out.max(-1), 99.9) == pytest.approx(1, abs=0.01)
    gray = np.full((20, 20, 3), 30000, np.uint16)
    np.testing.assert_array_equal(apply_recipe(gray, recipe(levels={"auto": True})), gray)


def test_a_gray_pick_makes_its_place_neutral() -> None:
    cast = PICTURE.copy()
    cast[100:140, 30:60] = (30000, 25000, 20000)
    out = unit(apply_recipe(cast, recipe(white_balance={"gray": [45, 120]})))
    patch = out[110:130, 35:55]
    assert np.ptp(patch, axis=-1).max() < 1e-4
    weights = SRGB_TO_XYZ_D65[1]
    assert decode(patch[0, 0]) @ weights == pytest.approx(
        decode(np.array([30000, 25000, 20000]) / 65535) @ weights, rel=1e-3
    )


@pytest.mark.parametrize(("kelvin", "warmer"), [(3000, False), (5000, False), (8000, True), (12000, True)])
def test_a_higher_temperature_makes_it_warmer_at_the_same_luminance(kelvin: float, warmer: bool) -> None:
    red, green, blue = temperature_matrix(kelvin, 0.0) @ np.ones(3)
    assert (red > 1 > blue) == warmer
    assert SRGB_TO_XYZ_D65[1] @ [red, green, blue] == pytest.approx(1, abs=1e-6)
    assert temperature_matrix(6500, 0.0) == pytest.approx(np.eye(3), abs=1e-9)


def test_tint_runs_from_green_to_magenta() -> None:
    magenta, green = temperature_matrix(6500, 20.0) @ np.ones(3), temperature_matrix(6500, -20.0) @ np.ones(3)
    assert magenta[1] < 1 < green[1]
    assert min(magenta[0], magenta[2]) > 1 > max(green[0], green[2])


def test_saturation_keeps_lightness_and_hue() -> None:
    def oklab(image: NDArray[np.uint16]) -> NDArray[np.float64]:
        cones = np.array(
            [
                [0.4122214708, 0.5363325363, 0.0514459929],
                [0.2119034982, 0.6806995451, 0.1073969566],
                [0.0883024619, 0.2817188376, 0.6299787005],
            ]
        )
        lab = np.array(
            [
                [0.2104542553, 0.7936177850, -0.0040720468],
                [1.9779984951, -2.4285922050, 0.4505937099],
                [0.0259040371, 0.7827717662, -0.8086757660],
            ]
        )
        return np.cbrt(decode(unit(image)) @ cones.T) @ lab.T

    pale = (22000 + 0.25 * PICTURE).astype(np.uint16)
    before, after = oklab(pale), oklab(apply_recipe(pale, recipe(hue_saturation={"saturation": 1.4})))
    np.testing.assert_allclose(after, before * [1, 1.4, 1.4], atol=2e-4)
    turned = oklab(apply_recipe(pale, recipe(hue_saturation={"hue_degrees": 90})))
    np.testing.assert_allclose(turned[..., 1:], np.stack([-before[..., 2], before[..., 1]], -1), atol=2e-4)


def test_a_colour_range_leaves_other_colours_alone() -> None:
    patches = np.array(
        [[[40000, 15000, 15000], [15000, 40000, 18000], [15000, 18000, 40000], [30000, 30000, 30000]]], np.uint16
    )
    one = recipe(hue_saturation={"ranges": [{"centre_degrees": 29, "width_degrees": 60, "saturation": 0.0}]})
    out = apply_recipe(patches, one).astype(int)
    assert np.ptp(out[0, 0]) < 1500
    assert np.abs(out[0, 1:] - patches[0, 1:]).max() <= 2


def test_vibrance_favours_pale_colours() -> None:
    patches = np.array([[[31000, 30000, 29000], [60000, 9000, 9000]]], np.uint16)
    out = apply_recipe(patches, recipe(hue_saturation={"vibrance": 0.8})).astype(float)
    growth = np.ptp(out[0], axis=-1) / np.ptp(patches[0].astype(float), axis=-1)
    assert growth[0] > 1.5
    assert growth[1] == pytest.approx(1, abs=0.03)


def test_sharpening_spares_the_smooth_and_adds_no_colour() -> None:
    rng = np.random.default_rng(4)
    image = np.full((120, 160, 3), 30000.0)
    image += rng.normal(0, 60, image.shape)
    image[:, 80:] += 12000
    sharp = apply_recipe(image.astype(np.uint16), recipe(sharpen={"amount": 2.0, "radius_px": 1.2})).astype(float)
    change = sharp - image.astype(np.uint16)
    assert np.abs(change[:, 78:82]).max() > 2000
    assert change[10:-10, 10:60].std() < 0.4 * 60
    assert np.ptp(change, axis=-1).max() <= 1.01


def test_crops_lie_inside_or_are_refused() -> None:
    step = CropStep(x=10, y=20, width=30, height=40)
    np.testing.assert_array_equal(apply_recipe(PICTURE, Recipe(crop=step)), PICTURE[20:60, 10:40])
    for x, y, width, height in ((0, 0, 97, 10), (90, 0, 7, 10), (0, 290, 5, 11)):
        with pytest.raises(StackingUsageError, match="96x300") as caught:
            apply_recipe(PICTURE, Recipe(crop=CropStep(x=x, y=y, width=width, height=height)))
        assert caught.value.remedy


@given(st.integers(1, 400), st.integers(1, 400), st.floats(0.05, 20))
def test_an_aspect_ratio_is_centred_and_as_large_as_fits(columns: int, rows: int, aspect: float) -> None:
    found = crop_rectangle(CropStep(aspect=aspect), columns, rows)
    assert found.within(columns, rows)
    assert found.width == columns or found.height == rows
    assert abs(found.width - found.height * aspect) <= 0.5 + 0.5 * aspect or 1 in (found.width, found.height)
    assert abs(2 * found.x + found.width - columns) <= 1


@pytest.mark.parametrize("ground", [(205, 212, 228), (240, 225, 190), (230, 230, 230)])
def test_the_brightest_part_becomes_neutral(ground: tuple[int, int, int]) -> None:
    picture = np.full((60, 80, 3), np.array(ground) * 257, np.uint16)
    picture[10:30, 10:40] = np.array([120, 60, 140]) * 257
    picture[40:42, 60:62, 2] = 65535
    out = apply_recipe(picture, recipe(white_balance={"brightest_percent": 10})).astype(int)
    assert np.ptp(out[50, 5]) <= 130, "half of an 8-bit step"
    assert out[20, 20, 1] < out[20, 20, 0], "the rest keeps its colours"


@pytest.mark.parametrize("name", ["microscope", "product"])
def test_a_tinted_ground_becomes_white(name: str) -> None:
    picture = np.full((60, 80, 3), np.array([205, 212, 228]) * 257, np.uint16)
    picture[10:30, 10:40] = np.array([120, 60, 140]) * 257
    assert (apply_recipe(picture, shipped_recipe(name))[50, 5] > 65535 * 0.98).all()


def test_a_gray_point_outside_is_refused() -> None:
    with pytest.raises(StackingUsageError, match="outside"):
        apply_recipe(PICTURE, recipe(white_balance={"gray": [96, 0]}))


points = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=6).map(
    lambda pairs: list(zip(sorted({round(x, 3) for x, _ in pairs}), sorted(y for _, y in pairs), strict=False))
)


@settings(deadline=None)
@given(points)
def test_curves_go_through_their_points_and_never_turn_back(several: list[tuple[float, float]]) -> None:
    curve = MonotoneCurve(several)
    if several:
        x, y = np.array(several).T
        np.testing.assert_allclose(curve(x), y, atol=1e-6)
    values = np.linspace(-0.5, 1.5, 4001)
    out = curve(values)
    assert np.diff(out).min() >= -1e-6
    inside = np.linspace(0, 1, 1001)
    assert curve(inside).min() >= min([0.0, *(y for _, y in several)]) - 1e-6
    np.testing.assert_allclose(curve.tabled(values), out, atol=2e-3)


def test_a_gentle_curve_from_the_table_is_the_curve() -> None:
    curve = MonotoneCurve([(0.25, 0.2), (0.75, 0.8)])
    values = np.linspace(-0.9, 1.9, 20_001)
    np.testing.assert_allclose(curve.tabled(values), curve(values), atol=2e-6)


def test_shipped_recipes_are_sound_and_gentle() -> None:
    assert {"neutral", "demo"} <= set(shipped_recipes())
    for name in shipped_recipes():
        shipped = shipped_recipe(name)
        assert shipped.name == name
        assert shipped.description
        out = unit(apply_recipe(PICTURE, shipped))
        assert np.mean(out >= 1) < 0.05
        assert np.mean(out <= 0) < 0.05
    np.testing.assert_array_equal(apply_recipe(PICTURE, shipped_recipe("neutral")), PICTURE)
    with pytest.raises(StackingUsageError) as caught:
        shipped_recipe("moonlight")
    assert "demo" in caught.value.remedy
