from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacking.develop import read_picture
from stacking.errors import OutputError, SourceError, StackingUsageError
from stacking.finish import Recipe, finish_picture, read_recipe, recipe_from_options
from stacking.finish.options import parse_crop
from stacking.finish.recipe import (
    CropStep,
    CurvesStep,
    ExposureStep,
    HueSaturationStep,
    LevelsStep,
    SharpenStep,
    WhiteBalanceStep,
    parse_recipe,
)
from stacking.metadata import read_header
from tests.stacking.pictures import add_exif, as_bits, mosaic_of, scene, write_dng, write_jpeg


@pytest.mark.parametrize(
    ("option", "text", "field", "expected"),
    [
        ("crop", "10,20,300,200", "crop", CropStep(x=10, y=20, width=300, height=200)),
        ("crop", "3:2", "crop", CropStep(aspect=1.5)),
        ("crop", "none", "crop", None),
        ("white_balance", "5200K", "white_balance", WhiteBalanceStep(temperature_k=5200)),
        ("white_balance", "5200k,-10", "white_balance", WhiteBalanceStep(temperature_k=5200, tint=-10)),
        ("white_balance", "gray:812,430", "white_balance", WhiteBalanceStep(gray=(812, 430))),
        ("white_balance", "grey:1,2", "white_balance", WhiteBalanceStep(gray=(1, 2))),
        ("white_balance", "gains:1.1,1,0.9", "white_balance", WhiteBalanceStep(gains=(1.1, 1, 0.9))),
        ("white_balance", "as-shot", "white_balance", None),
        ("exposure", "-0.5", "exposure", ExposureStep(stops=-0.5)),
        ("levels", "auto", "levels", LevelsStep(auto=True)),
        ("levels", "auto:0.5,99", "levels", LevelsStep(auto=True, low_percentile=0.5, high_percentile=99)),
        ("levels", "0.02,0.98", "levels", LevelsStep(black=0.02, white=0.98)),
        ("levels", "0.02,0.98,1.1", "levels", LevelsStep(black=0.02, white=0.98, gamma=1.1)),
        ("curves", "0.25:0.2, 0.75:0.8", "curves", CurvesStep(points=((0.25, 0.2), (0.75, 0.8)))),
        ("hue", "-10", "hue_saturation", HueSaturationStep(hue_degrees=-10)),
        ("saturation", "1.1", "hue_saturation", HueSaturationStep(saturation=1.1)),
        ("sharpen", "0.6", "sharpen", SharpenStep(amount=0.6)),
        ("sharpen", "0.6,1.2,0.01", "sharpen", SharpenStep(amount=0.6, radius_px=1.2, threshold=0.01)),
    ],
)
def test_options_are_understood(option: str, text: str, field: str, expected: object) -> None:
    made = recipe_from_options(None, **{option: text})
    assert getattr(made, field) == expected
    assert made == Recipe(**{field: expected})


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("crop", "1,2,3"),
        ("crop", "a,b,c,d"),
        ("crop", "-1,0,10,10"),
        ("crop", "0,0,0,10"),
        ("crop", "3:0"),
        ("crop", "1000:1"),
        ("white_balance", "warm"),
        ("white_balance", "100K"),
        ("white_balance", "gray:1"),
        ("white_balance", "gray:-5,3"),
        ("white_balance", "gray:nan,3"),
        ("white_balance", "gains:1,0,1"),
        ("white_balance", "gains:1,inf,1"),
        ("exposure", "bright"),
        ("exposure", "11"),
        ("exposure", "nan"),
        ("levels", "2,1"),
        ("levels", "0.9,0.1"),
        ("levels", "0.5"),
        ("levels", "automatic"),
        ("levels", "auto:60,70"),
        ("levels", "0,1,0"),
        ("curves", "nonsense"),
        ("curves", "0.5:0.6,0.4:0.7"),
        ("curves", "0.2:0.6,0.4:0.3"),
        ("curves", "0.5:1.5"),
        ("curves", ""),
        ("hue", "red"),
        ("hue", "500"),
        ("saturation", "-1"),
        ("saturation", "1,2"),
        ("sharpen", "-1"),
        ("sharpen", "1,0"),
        ("sharpen", "1,2,3,4"),
    ],
)
def test_nonsense_is_refused_with_its_syntax(option: str, text: str) -> None:
    with pytest.raises(StackingUsageError) as caught:
        recipe_from_options(None, **{option: text})
    flag = f"--{option.replace('_', '-')}"
    assert caught.value.message.startswith(f"{flag} {text}")
    assert flag in caught.value.remedy


@given(st.text(max_size=20))
def test_any_text_is_a_step_or_an_error(text: str) -> None:
    for option in ("crop", "white_balance", "exposure", "levels", "curves", "hue", "saturation", "sharpen"):
        try:
            made = recipe_from_options(None, **{option: text})
        except StackingUsageError as error:
            assert error.remedy  # noqa: PT017  (either way is right)
        else:
            assert isinstance(made, Recipe)


def test_options_replace_the_recipes_steps(tmp_path: Path) -> None:
    file = tmp_path / "r.toml"
    file.write_text(
        "version = 1\n[levels]\nauto = true\n[hue_saturation]\nsaturation = 1.3\nvibrance = 0.2\n[crop]\naspect = 1.5\n"
    )
    made = recipe_from_options(file, hue="12", levels="0.1,0.9", crop="none")
    assert made.levels == LevelsStep(black=0.1, white=0.9)
    assert made.hue_saturation == HueSaturationStep(hue_degrees=12, saturation=1.3, vibrance=0.2)
    assert made.crop is None
    assert recipe_from_options(file) == read_recipe(file)


def test_a_recipe_takes_an_aspect_ratio_as_the_option_does(tmp_path: Path) -> None:
    file = tmp_path / "r.toml"
    file.write_text('version = 1\n[crop]\naspect = "3:2"\n')
    assert read_recipe(file).crop == CropStep(aspect=1.5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("levels = ", "TOML"),
        ("[glow]\namount = 1", "glow"),
        ("[levels]\nblack = 0.9\nwhite = 0.1", "black must be below white"),
        ("[levels]\nblak = 0.1", "blak"),
        ("version = 2", "version"),
        ("[crop]\nx = 1", "crop"),
        ("[crop]\nx = 1\ny = 1\nwidth = 3\nheight = 3\naspect = 1.0", "crop"),
        ('[crop]\naspect = "3:0"', "aspect"),
        ('[crop]\naspect = "1000:1"', "aspect"),
        ("[white_balance]\ntint = 5", "one of"),
        ("[exposure]\nstops = nan", "stops"),
        ("[curves]\npoints = [[0.5, 0.2], [0.5, 0.3]]", "rise"),
    ],
)
def test_a_recipe_that_makes_no_sense_names_the_place(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "r.toml"
    file.write_text(text)
    with pytest.raises(StackingUsageError, match=said) as caught:
        read_recipe(file)
    assert "r.toml" in caught.value.message
    assert caught.value.remedy


def test_a_missing_recipe_names_those_that_ship(tmp_path: Path) -> None:
    with pytest.raises(StackingUsageError) as caught:
        read_recipe(tmp_path / "none.toml")
    assert "demo" in caught.value.remedy


@given(st.text(max_size=12), st.floats(-10, 10), st.lists(st.floats(0, 1), max_size=4, unique=True).map(sorted))
def test_every_recipe_survives_its_file(name: str, stops: float, inputs: list[float]) -> None:
    made = Recipe(
        name=name,
        exposure=ExposureStep(stops=stops),
        curves=CurvesStep(points=tuple((x, x) for x in inputs)),
        crop=parse_crop("16:9"),
    )
    assert parse_recipe(made.to_toml()) == made


def test_finishing_a_file_takes_profile_and_exif_along(tmp_path: Path) -> None:
    source = add_exif(
        write_jpeg(tmp_path / "in.jpg", as_bits(scene(48, 72), 8)), Image_Make="Maker", Image_Orientation="6"
    )
    finish_picture(source, tmp_path / "out.tif", recipe_from_options(levels="auto", crop="0,0,40,60"))
    out = read_picture(tmp_path / "out.tif")
    assert (out.shape, out.dtype) == ((60, 40, 3), np.uint16)
    assert np.any(out % 257)  # corrected in 16 bit, not in 8
    assert read_header(tmp_path / "out.tif").orientation == 1
    finish_picture(source, tmp_path / "out.png", Recipe())
    np.testing.assert_array_equal(read_picture(tmp_path / "out.png"), read_picture(source))
    dng = write_dng(tmp_path / "in.dng", mosaic_of(scene(48, 72)))
    finish_picture(dng, tmp_path / "raw.png", Recipe())
    assert read_picture(tmp_path / "raw.png").dtype == np.uint16


def test_finishing_refuses_early_and_leaves_nothing(tmp_path: Path) -> None:
    source = write_jpeg(tmp_path / "in.jpg", as_bits(scene(48, 72), 8))
    (tmp_path / "text.jpg").write_text("hello")
    out = tmp_path / "out.tif"
    before = sorted(tmp_path.iterdir())
    with pytest.raises(SourceError):
        finish_picture(tmp_path / "missing.jpg", out, Recipe())
    with pytest.raises(SourceError):
        finish_picture(tmp_path / "text.jpg", out, Recipe())
    with pytest.raises(OutputError):
        finish_picture(source, source, Recipe())
    with pytest.raises(StackingUsageError):
        finish_picture(source, out, recipe_from_options(crop="0,0,9999,9999"))
    assert sorted(tmp_path.iterdir()) == before
