"""Colour through the whole chain: a chart against LibRaw's own development, spaces, profiles, ramps, what must not clip."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import rawpy
import tifffile
from numpy.typing import NDArray

from stacking.colour import (
    BRADFORD_D65_TO_D50,
    D50,
    PROPHOTO_TO_XYZ_D50,
    SRGB_TO_XYZ_D65,
    adobe_rgb_profile,
    profile_name,
    srgb_profile,
)
from stacking.errors import StackingUsageError
from stacking.finish import Recipe, apply_recipe, finish_picture, result_profile
from stacking.finish.spaces import Profile, space_named, space_of
from stacking.options import Align, StackOptions
from stacking.stack import stack_pictures
from stacking.writers import write_picture
from tests.stacking.delta_e import delta_e_2000, lab_of
from tests.stacking.pictures import CAMERA, SRGB, mosaic_of, write_dng

# A chart of 24 patches, encoded sRGB of 8 bit (X-Rite's published values).
CHART = np.array(
    "115,82,68 194,150,130 98,122,157 87,108,67 133,128,177 103,189,170 214,126,44 80,91,166 193,90,99 94,60,108 157,188,64 224,163,46 "
    "56,61,150 70,148,73 175,54,60 231,199,31 187,86,149 8,133,161 243,243,242 200,200,200 160,160,160 122,122,121 85,85,85 52,52,52"
    .replace(",", " ").split(),
    np.float64,
).reshape(4, 6, 3) / 255  # fmt: skip
CELL = 40


def chart_picture() -> NDArray[np.float64]:
    """The chart with a little texture, so that frames have something to be sharp of."""
    picture = np.repeat(np.repeat(CHART, CELL, axis=0), CELL, axis=1)
    rng = np.random.default_rng(3)
    grain = cv2.GaussianBlur(rng.standard_normal(picture.shape[:2]), (0, 0), 1.0)[..., None]
    return np.clip(picture + 0.02 * grain, 0.01, 0.97)


def patches(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean linear light of each patch's middle, encoded again: (24, 3)."""
    linear = np.where(image <= 0.04045, image / 12.92, ((np.maximum(image, 0.04045) + 0.055) / 1.055) ** 2.4)
    cells = linear[: 4 * CELL, : 6 * CELL].reshape(4, CELL, 6, CELL, 3)[:, 8:-8, :, 8:-8]
    mean = cells.mean(axis=(1, 3)).reshape(-1, 3)
    return np.where(mean <= 0.0031308, mean * 12.92, 1.055 * np.maximum(mean, 0) ** (1 / 2.4) - 0.055)


@pytest.fixture(scope="module")
def chart_stack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five RAW frames of the chart, each sharp in other columns; the light was not the camera's daylight."""
    folder = tmp_path_factory.mktemp("chart")
    sharp = chart_picture()
    columns = np.arange(sharp.shape[1])
    white = (CAMERA @ SRGB).sum(1)
    neutral = white / white.max() * (0.9, 1.0, 0.8)
    for k in range(5):
        middle = sharp.shape[1] * (k + 0.5) / 5
        blurred = cv2.GaussianBlur(sharp, (0, 0), 3)
        near = np.exp(-(((columns - middle) / 60) ** 2))[None, :, None]
        write_dng(
            folder / f"c-{k}.dng", mosaic_of(sharp * near + blurred * (1 - near)), neutral=neutral / neutral.max()
        )
    return folder


def libraw(
    path: Path, space: rawpy.ColorSpace = rawpy.ColorSpace.sRGB, gamma: tuple[float, float] = (2.4, 12.92)
) -> NDArray[np.float64]:
    with rawpy.imread(str(path)) as raw:
        image = raw.postprocess(
            use_camera_wb=True,
            output_color=space,
            output_bps=16,
            no_auto_bright=True,
            adjust_maximum_thr=0.0,
            gamma=gamma,
        )
    return image / 65535.0


def test_the_formula_gives_the_published_differences() -> None:
    first = np.array([[50, 2.6772, -79.7751], [50, 2.5, 0], [60.2574, -34.0099, 36.2677], [2.0776, 0.0795, -1.1350]])
    second = np.array([[50, 0, -82.7485], [73, 25, -18], [60.4626, -34.1751, 39.4387], [0.9033, -0.0636, -0.5514]])
    np.testing.assert_allclose(delta_e_2000(first, second), [2.0425, 27.1492, 1.2644, 0.9082], atol=1e-4)


@pytest.mark.parametrize("profile", [None, *Profile])
def test_a_chart_comes_out_as_libraw_develops_it(chart_stack: Path, tmp_path: Path, profile: Profile | None) -> None:
    """Frames to result, with and without another output space: the numbers in the file read through its profile."""
    recipe = None
    if profile is not None:
        recipe = tmp_path / "r.toml"
        recipe.write_text(f'version = 1\n[output]\nprofile = "{profile}"\n')
    stack_pictures([chart_stack], tmp_path / "o.tif", StackOptions(recipe=recipe, align=Align.NONE, threads=1))
    with tifffile.TiffFile(tmp_path / "o.tif") as file:
        icc, values = file.pages[0].iccprofile, file.pages[0].asarray() / 65535.0
    space = space_of(icc)
    assert space is not None
    seen = values if profile in (None, Profile.SRGB) else _as_srgb(values, icc)
    differences = delta_e_2000(lab_of(patches(seen)), lab_of(patches(libraw(chart_stack / "c-2.dng"))))
    assert differences.mean() < 0.5
    assert differences.max() < 2
    neutral = lab_of(patches(seen))[18:]
    reference = lab_of(patches(libraw(chart_stack / "c-2.dng")))[18:]
    np.testing.assert_allclose(neutral[:, 1:], reference[:, 1:], atol=0.3)


def _as_srgb(values: NDArray[np.float64], icc: bytes) -> NDArray[np.float64]:
    """Read through the profile as written, without our own tables of spaces."""
    tags = {
        icc[p : p + 4]: icc[int.from_bytes(icc[p + 4 : p + 8], "big") :] for p in range(132, 132 + 12 * icc[131], 12)
    }
    columns = [np.frombuffer(tags[name][8:20], ">i4") / 65536 for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
    curve = tags[b"rTRC"]
    count = int.from_bytes(curve[8:12], "big")
    points = np.frombuffer(curve[12 : 12 + 2 * count], ">u2")
    light = values ** (points[0] / 256) if count == 1 else np.interp(values, np.linspace(0, 1, count), points / 65535)
    xyz_d50 = light @ np.stack(columns)
    srgb = np.array(
        [[3.1338561, -1.6168667, -0.4906146], [-0.9787684, 1.9161415, 0.0334540], [0.0719453, -0.2289914, 1.4052427]]
    )
    linear = np.clip(xyz_d50 @ srgb.T, 0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("profile", list(Profile))
def test_gray_stays_gray_and_colours_survive_the_way_there_and_back(profile: Profile) -> None:
    rng = np.random.default_rng(2)
    image = rng.integers(0, 65536, (40, 50, 3)).astype(np.uint16)
    image[:10] = image[:10, :, :1]
    there = apply_recipe(image, Recipe.model_validate({"output": {"profile": profile}}))
    assert np.ptp(there[:10].astype(int), axis=-1).max() <= 1
    icc = result_profile(Recipe.model_validate({"output": {"profile": profile}}), None)
    back = apply_recipe(there, Recipe.model_validate({"output": {"profile": "srgb"}}), icc=icc)
    bright = image.min(axis=-1) > 2000  # near black a power curve has few codes
    assert np.abs(back.astype(int) - image)[bright].max() <= 40


def test_white_and_black_are_the_same_in_every_space() -> None:
    ends = np.array([[[0, 0, 0], [65535, 65535, 65535]]], np.uint16)
    for profile in Profile:
        out = apply_recipe(ends, Recipe.model_validate({"output": {"profile": profile}}))
        np.testing.assert_array_equal(out, ends)


def test_what_lies_outside_of_srgb_is_kept_between_the_steps() -> None:
    """Frames in Adobe RGB, corrected and written in Adobe RGB: their green, which sRGB has not, is still there."""
    green = np.full((8, 8, 3), (4000, 60000, 4000), np.uint16)
    darker = Recipe.model_validate({"exposure": {"stops": -0.5}})
    lighter = Recipe.model_validate({"exposure": {"stops": 0.5}})
    icc = adobe_rgb_profile()
    dark = apply_recipe(green, darker, icc=icc)
    np.testing.assert_allclose(apply_recipe(dark, lighter, icc=icc), green, atol=3)
    assert dark[0, 0, 1] == pytest.approx(60000 * 0.5 ** (0.5 / 2.19921875), abs=4)


@pytest.mark.parametrize(
    "steps",
    [
        {"exposure": {"stops": -0.3}},
        {"white_balance": {"temperature_k": 6000}},
        {"curves": {"points": [[0.25, 0.2], [0.75, 0.8]]}},
        {"levels": {"black": 0.0, "white": 1.0, "gamma": 1.2}},
        {"local_contrast": {"amount": 1.0}},
        {"hue_saturation": {"vibrance": 0.2}},
        {"output": {"profile": "prophoto"}},
        {"denoise": {}},
    ],
    ids=str,
)
def test_ramps_of_16_bit_have_no_bands_and_nothing_clips(steps: dict[str, object]) -> None:
    """Every value of a ramp goes on rising, with no flat stretch or jump longer than its neighbours explain."""
    ramp = np.linspace(600, 60000, 4096)
    image = np.repeat(np.rint(ramp)[None, :, None], 64, axis=0).repeat(3, axis=2).astype(np.uint16)
    out = apply_recipe(image, Recipe.model_validate(steps))[32].astype(int)
    rises = np.diff(out, axis=0)
    assert rises.min() >= 0
    middle = rises[64:-64]
    smooth = cv2.blur(middle.astype(np.float32), (1, 33), borderType=cv2.BORDER_REFLECT)
    assert np.abs(middle - smooth).max() <= 3.5
    assert (out > 0).all()
    assert (out < 65535).sum() >= 3 * 4090


def test_an_input_profile_of_tables_stays_and_refuses_conversion() -> None:
    image = np.full((4, 4, 3), 30000, np.uint16)
    odd = bytearray(srgb_profile())
    odd[16:20] = b"CMYK"
    assert space_of(bytes(odd)) is None
    np.testing.assert_array_equal(apply_recipe(image, Recipe(), icc=bytes(odd)), image)
    with pytest.raises(StackingUsageError, match="profile"):
        apply_recipe(image, Recipe.model_validate({"output": {"profile": "prophoto"}}), icc=bytes(odd))


@pytest.mark.parametrize("profile", list(Profile))
def test_profiles_are_read_back_as_they_were_made(profile: Profile) -> None:
    made = space_named(profile)
    read = space_of(made.icc)
    assert read is not None
    np.testing.assert_allclose(read.to_working, made.to_working, atol=2e-4)
    values = np.linspace(0.05, 1, 50)
    np.testing.assert_allclose(read.to_linear(values), made.to_linear(values), atol=2e-4)
    np.testing.assert_allclose(made.from_linear(made.to_linear(values)), values, atol=1e-6)
    assert space_of(b"junk") is None
    assert space_of(made.icc[:200]) is None


def test_finish_embeds_the_profile_asked_for(tmp_path: Path) -> None:
    image = np.random.default_rng(1).integers(0, 65535, (30, 40, 3)).astype(np.uint16)
    write_picture(tmp_path / "a.tif", image)
    recipe = Recipe.model_validate({"output": {"profile": "display-p3"}, "crop": {"aspect": 1.0}})
    shown = finish_picture(tmp_path / "a.tif", tmp_path / "b.tif", recipe)
    assert shown == (5, 0, 30, 30)
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert profile_name(file.pages[0].iccprofile) == "Display P3"
    finish_picture(tmp_path / "a.tif", tmp_path / "c.tif", recipe)
    assert (tmp_path / "b.tif").read_bytes() == (tmp_path / "c.tif").read_bytes()


def test_raw_colours_outside_of_srgb_reach_a_wide_output(tmp_path: Path) -> None:
    """A green that sRGB has not: in ProPhoto it comes out as LibRaw develops it, in sRGB it is cut off."""
    green = np.array([0.06, 0.62, 0.10])  # camera RGB, balanced
    rng = np.random.default_rng(1)
    rows, columns = np.indices((96, 128))
    light = green[(rows & 1) + (columns & 1)] * (1 + 0.2 * rng.random((24, 32)).repeat(4, 0).repeat(4, 1))
    neutral = (CAMERA @ SRGB).sum(1)
    neutral /= neutral.max()
    samples = np.rint(light * neutral[(rows & 1) + (columns & 1)] * 15871 + 512).astype(np.uint16)
    for k in range(3):
        write_dng(tmp_path / f"{k}.dng", samples, neutral=neutral)

    def lab(profile: str) -> NDArray[np.float64]:
        recipe = tmp_path / f"{profile}.toml"
        recipe.write_text(f'version = 1\n[output]\nprofile = "{profile}"\n')
        frames = [tmp_path / f"{k}.dng" for k in range(3)]
        stack_pictures(frames, tmp_path / f"{profile}.tif", StackOptions(recipe=recipe, align=Align.NONE, threads=1))
        with tifffile.TiffFile(tmp_path / f"{profile}.tif") as file:
            return _lab_d50(file.pages[0].asarray() / 65535.0, file.pages[0].iccprofile).mean(axis=(0, 1))

    reference = libraw(tmp_path / "1.dng", rawpy.ColorSpace.ProPhoto, gamma=(1, 1))
    expected = _lab_of_d50(reference @ PROPHOTO_TO_XYZ_D50.T).mean(axis=(0, 1))
    assert delta_e_2000(lab("prophoto"), expected) < 1.0
    assert delta_e_2000(lab("srgb"), expected) > 3.0


def _lab_d50(values: NDArray[np.float64], icc: bytes) -> NDArray[np.float64]:
    space = space_of(icc)
    assert space is not None
    working = space.to_linear(values) @ space.to_working.T
    return _lab_of_d50(working @ (BRADFORD_D65_TO_D50 @ SRGB_TO_XYZ_D65).T)


def _lab_of_d50(xyz: NDArray[np.float64]) -> NDArray[np.float64]:
    f = np.cbrt(np.maximum(xyz / D50, 0.008856))
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)
