"""Noise reduction, local contrast, sharpening: what they are for, and what they leave alone."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from stacking.finish import Recipe, apply_recipe
from stacking.finish.options import (
    parse_curves,
    parse_denoise,
    parse_hue_saturation,
    parse_local_contrast,
    parse_profile,
    parse_sharpen,
    recipe_from_options,
)
from tests.stacking.layer_stack import psnr_db


def recipe(**steps: object) -> Recipe:
    return Recipe.model_validate(steps)


def half_in_focus(noise: float = 0.006, seed: int = 1) -> tuple[NDArray[np.float64], NDArray[np.uint16]]:
    """Left a texture, right a smooth ground; the truth between 0 and 1, and with noise."""
    rng = np.random.default_rng(seed)
    fine = cv2.GaussianBlur(rng.standard_normal((160, 240)), (0, 0), 1.0)
    truth = np.full((160, 240), 0.4) + np.linspace(0, 0.15, 240)
    truth[:, :110] += 0.12 * fine[:, :110] / fine.std()
    truth = np.clip(truth, 0.05, 0.95)[..., None] * (1.0, 0.9, 0.8)
    noisy = truth + noise * rng.standard_normal(truth.shape)
    return truth, np.rint(np.clip(noisy, 0, 1) * 65535).astype(np.uint16)


@pytest.mark.parametrize("noise", [0.002, 0.006, 0.012])
@pytest.mark.parametrize("seed", [1, 2])
def test_noise_goes_where_nothing_was_in_focus_and_detail_stays(noise: float, seed: int) -> None:
    truth, noisy = half_in_focus(noise, seed)
    out = apply_recipe(noisy, recipe(denoise={})) / 65535.0
    before = noisy / 65535.0
    ground, texture = np.s_[8:-8, 130:-8], np.s_[8:-8, 8:95]
    assert np.std(out[ground] - truth[ground]) < 0.35 * np.std(before[ground] - truth[ground])
    np.testing.assert_allclose(out[ground].mean(axis=(0, 1)), truth[ground].mean(axis=(0, 1)), atol=noise / 20)
    assert np.std(out[texture] - before[texture]) < 0.25 * noise
    # the border between both does not bleed
    border = np.s_[8:-8, 112:124]
    assert psnr_db(out[border], truth[border], 1.0) >= psnr_db(before[border], truth[border], 1.0) - 0.1


def test_a_picture_without_smooth_parts_is_hardly_touched() -> None:
    rng = np.random.default_rng(5)
    fine = cv2.GaussianBlur(rng.standard_normal((160, 240, 3)), (0, 0), 1.0)
    image = np.rint(np.clip(0.5 + 0.1 * fine / fine.std(), 0, 1) * 65535).astype(np.uint16)
    out = apply_recipe(image, recipe(denoise={}))
    assert psnr_db(out.astype(float), image.astype(float), 65535) > 40


@pytest.mark.parametrize("share", [0.06, 0.3])
def test_faint_texture_beside_a_quiet_ground_is_kept(share: float) -> None:
    """Little of the picture is noise, and its noise is far below the texture's contrast."""
    rng = np.random.default_rng(7)
    fine = cv2.GaussianBlur(rng.standard_normal((200, 300)), (0, 0), 1.3)
    clean = 0.5 + 0.02 * fine / fine.std()
    edge = round(300 * (1 - share))
    clean[:, edge:] = 0.5
    noisy = clean[..., None] + 0.0015 * rng.standard_normal((200, 300, 3))
    image = np.rint(noisy * 65535).astype(np.uint16)
    out = apply_recipe(image, recipe(denoise={})) / 65535.0
    texture = np.s_[8:-8, 8 : edge - 12]
    assert np.std(out[texture] - noisy[texture]) < 0.0007
    if share > 0.2:
        assert out[8:-8, edge + 20 : -8].std() < 0.0006


def edge_and_texture() -> NDArray[np.uint16]:
    rng = np.random.default_rng(2)
    plane = np.full((256, 256), 0.3)
    plane[:, 128:] = 0.7
    fine = cv2.GaussianBlur(rng.standard_normal(plane.shape), (0, 0), 6)
    return np.rint((plane + 0.02 * fine / fine.std())[..., None].repeat(3, 2) * 65535).astype(np.uint16)


def test_local_contrast_lifts_texture_and_leaves_no_halo() -> None:
    image = edge_and_texture()
    out = apply_recipe(image, recipe(local_contrast={"amount": 0.8, "radius_px": 40})) / 65535.0
    before = image / 65535.0
    for side in (np.s_[:, 20:100], np.s_[:, 156:236]):
        assert 1.3 < out[side].std() / before[side].std() < 2.2
        assert out[side].mean() == pytest.approx(before[side].mean(), abs=0.02)
    # the mean beside the edge is that far from it: an unsharp mask of that radius would lift it by 0.15
    for near, far in ((np.s_[:, 112:126], np.s_[:, 20:80]), (np.s_[:, 130:144], np.s_[:, 176:236])):
        lifted = (out[near] - before[near]).mean() - (out[far] - before[far]).mean()
        assert abs(lifted) < 0.05


def test_local_contrast_keeps_black_and_white() -> None:
    rng = np.random.default_rng(4)
    image = rng.integers(0, 65536, (80, 90, 3)).astype(np.uint16)
    image[:8], image[8:16] = 0, 65535
    out = apply_recipe(image, recipe(local_contrast={"amount": 1.0}))
    np.testing.assert_array_equal(out[:16], image[:16])


@pytest.mark.parametrize("radius", [0.8, 1.2])
def test_deconvolution_undoes_a_blur_better_than_an_unsharp_mask(radius: float) -> None:
    rng = np.random.default_rng(6)
    fine = cv2.GaussianBlur(rng.standard_normal((200, 200)), (0, 0), 1.2)
    truth = np.clip(0.5 + 0.15 * fine / fine.std(), 0.02, 0.98)[..., None].repeat(3, 2)
    blurred = cv2.GaussianBlur(truth, (0, 0), radius)
    image = np.rint(blurred * 65535).astype(np.uint16)

    def quality(**step: object) -> float:
        out = apply_recipe(image, recipe(sharpen={"radius_px": radius, **step})) / 65535.0
        return psnr_db(out[10:-10, 10:-10], truth[10:-10, 10:-10], 1.0)

    plain = psnr_db(blurred[10:-10, 10:-10], truth[10:-10, 10:-10], 1.0)
    undone = quality(method="deconvolve", amount=1.0, iterations=20)
    assert undone > plain + 4
    assert undone > max(quality(amount=amount) for amount in (0.5, 1.0, 1.5, 2.0)) + 0.5


@pytest.mark.parametrize("method", ["unsharp", "deconvolve"])
def test_sharpening_spares_the_smooth_ground(method: str) -> None:
    _, noisy = half_in_focus(0.002)
    out = apply_recipe(noisy, recipe(sharpen={"amount": 1.5, "radius_px": 1.0, "threshold": 0.01, "method": method}))
    ground, texture = np.s_[8:-8, 135:-8], np.s_[8:-8, 8:95]
    assert out[ground].std() < noisy[ground].std() * 1.1
    assert out[texture].std() > noisy[texture].std() * 1.15


def test_deconvolution_does_not_clip_black_nor_white() -> None:
    image = np.zeros((40, 40, 3), np.uint16)
    image[:, 20:] = 65535
    out = apply_recipe(image, recipe(sharpen={"amount": 1.0, "method": "deconvolve"}))
    np.testing.assert_array_equal(out, image)


@pytest.mark.parametrize(
    "steps",
    [
        {"denoise": {}},
        {"local_contrast": {"amount": 0.7, "radius_px": 30}},
        {"sharpen": {"amount": 1.0, "method": "deconvolve", "iterations": 5}},
        {
            "denoise": {},
            "levels": {"auto": True},
            "local_contrast": {"amount": 0.4},
            "sharpen": {"amount": 1.0},
            "output": {"profile": "prophoto"},
        },
    ],
    ids=str,
)
def test_strips_leave_no_seam(steps: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.concatenate([half_in_focus()[1]] * 4)
    in_strips = apply_recipe(image, recipe(**steps))
    np.testing.assert_array_equal(in_strips, apply_recipe(image, recipe(**steps)))
    monkeypatch.setattr("stacking.finish.apply._STRIP_ROWS", 4096)
    assert np.abs(in_strips.astype(int) - apply_recipe(image, recipe(**steps))).max() <= 1


def test_a_colour_range_changes_its_colours_alone() -> None:
    red, green = (50000, 12000, 12000), (12000, 45000, 14000)
    image = np.array([[red, green, (30000, 30000, 30000)]], np.uint16)
    out = apply_recipe(image, recipe(hue_saturation=parse_hue_saturation(None, "green:0.3").model_dump()))
    np.testing.assert_allclose(out[0, [0, 2]], image[0, [0, 2]], atol=3)
    assert np.ptp(out[0, 1].astype(int)) < 0.6 * np.ptp(np.array(green))


def test_options_become_the_steps_they_say() -> None:
    assert parse_sharpen("deconvolve:1,0.9").model_dump() == {
        "amount": 1.0, "radius_px": 0.9, "threshold": 0.006, "method": "deconvolve", "iterations": 8,
    }  # fmt: skip
    curves = parse_curves("0.25:0.2;blue=0.5:0.52,0.8:0.9")
    assert curves.points == ((0.25, 0.2),)
    assert curves.blue == ((0.5, 0.52), (0.8, 0.9))
    colour = parse_hue_saturation("-10,red:5", "1.1,red:0.9,blue:1.2", "0.3")
    assert (colour.hue_degrees, colour.saturation, colour.vibrance) == (-10, 1.1, 0.3)
    assert {(r.centre_degrees, r.hue_degrees, r.saturation) for r in colour.ranges} == {(29, 5, 0.9), (264, 0, 1.2)}
    assert parse_denoise("none") is parse_profile("none") is None
    step, local = parse_denoise("0.5,3,0.01"), parse_local_contrast("0.3,60")
    assert step is not None
    assert (step.strength, step.radius_px, step.threshold, local.radius_px) == (0.5, 3.0, 0.01, 60.0)
    whole = recipe_from_options(vibrance="0.2", profile="Adobe-RGB", local_contrast="0.1", denoise="1")
    assert whole.output is not None
    assert 'profile = "adobe-rgb"' in whole.to_toml()
