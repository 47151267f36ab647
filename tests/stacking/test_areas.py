"""Areas: where they are, what serves them, how their seams are closed, and what is in front."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from capture.app.stack_options import options_from_record, options_to_record
from stacking.areas import levelled
from stacking.areas_masks import area_mask, box_of
from stacking.areas_options import Area, preferring
from stacking.areas_order import first_peaks, in_order
from stacking.errors import StackingUsageError
from stacking.finish import Recipe, finish_picture, read_recipe
from stacking.finish.recipe import parse_recipe
from stacking.fuse.canvas import Canvas
from stacking.options import Align, Crop, Method, Prefer, StackOptions
from stacking.slab_options import SlabOptions
from stacking.stack import stack_pictures
from tests.stacking.layer_stack import FRAMES, HEIGHT, WIDTH, leaning, psnr_db, write_frames
from tests.stacking.occluded import occluded

PLAIN = StackOptions(align=Align.NONE, crop=Crop.NONE, threads=1, force=True)
CANVAS = Canvas(0, 0, WIDTH, HEIGHT)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_frames(tmp_path_factory.mktemp("areas") / "in", leaning())


def stacked(folder: Path, place: Path, *areas: Area, **options: object) -> NDArray[np.float64]:
    stack_pictures([folder], place / "o.tif", replace(PLAIN, areas=areas, **options))
    return tifffile.imread(place / "o.tif").astype(np.float64)


def painted(path: Path, mask: NDArray[np.bool_], *, alpha: bool = False) -> str:
    white = mask.astype(np.uint8) * 255
    image = np.dstack([np.full_like(white, 90)] * 3 + [white]) if alpha else white
    path.write_bytes(cv2.imencode(".png", image)[1].tobytes())
    return str(path)


LEFT = np.arange(WIDTH)[None, :].repeat(HEIGHT, 0) < 80


@pytest.mark.parametrize("way", ["white", "alpha", "polygon"])
def test_an_area_shows_the_frames_that_serve_it(folder: Path, tmp_path: Path, way: str) -> None:
    where = (
        {"polygon": ((0, 0), (80 / WIDTH, 0), (80 / WIDTH, 1), (0, 1))}
        if way == "polygon"
        else {"mask": painted(tmp_path / "m.png", LEFT, alpha=way == "alpha")}
    )
    base = stacked(folder, tmp_path)
    out = stacked(folder, tmp_path, Area(frames="8", feather_px=8, **where))
    blurred = leaning()[7] * 257.0  # frame 8 is blurred at the left
    inside, outside = np.s_[:, :60], np.s_[:, 100:]
    np.testing.assert_array_equal(out[outside], base[outside])
    assert psnr_db(out[inside], blurred[inside], 65535) > 38
    assert psnr_db(base[inside], blurred[inside], 65535) < 30
    # over the seam it goes from one to the other, never beyond both
    share = np.abs(out - base).mean(axis=(0, 2))[68:92]
    assert (np.diff(cv2.blur(share[None], (7, 1))[0])[4:-4] < 0).all()


def test_an_area_may_be_a_slab_or_another_method(folder: Path, tmp_path: Path) -> None:
    mask = painted(tmp_path / "m.png", LEFT)
    slabs = SlabOptions((3,), 1)
    base = stacked(folder, tmp_path, slabs=slabs)
    out = stacked(folder, tmp_path, Area(slab=4, mask=mask, level=False), slabs=slabs)
    slab = tifffile.imread(tmp_path / "o.slabs" / "slab-04.tif").astype(float)
    np.testing.assert_array_equal(out[:, :50], slab[:, :50])
    np.testing.assert_array_equal(out[:, 110:], base[:, 110:])
    mean = stacked(folder, tmp_path, Area(method=Method.AVERAGE, mask=mask, level=False))
    expected = np.mean([frame * 257.0 for frame in leaning()], axis=0)
    assert psnr_db(mean[:, 8:50], expected[:, 8:50], 65535) > 34


def test_an_area_may_be_where_the_depth_says(folder: Path, tmp_path: Path) -> None:
    base = stacked(folder, tmp_path)
    out = stacked(folder, tmp_path, Area(depth=(-1, 2), method=Method.AVERAGE))
    changed = np.abs(out - base).max(axis=2) > 600
    columns = changed.mean(axis=0)
    assert columns[10:45].mean() > 0.4  # frames 0 to 2 are sharp up to column 68
    assert not changed[:, 120:].any()


def test_an_area_may_be_where_the_depth_is_unsure() -> None:
    depth = np.tile(np.arange(120, dtype=np.float32), (90, 1))
    confidence = np.full((90, 120), 0.9, np.float32)
    confidence[20:70, 60:] = 0.05
    confidence[5, 5] = 0.0  # a speck
    depth[:10] = np.nan
    canvas = Canvas(0, 0, 120, 90)

    def found(**where: object) -> NDArray[np.bool_]:
        area = Area(method=Method.AVERAGE, feather_px=0, **where)
        return area_mask(area, canvas, (120, 90), depth, confidence) > 127

    unsure = found(confidence_below=0.1)
    assert unsure[25:65, 65:115].all()
    assert not unsure[:15].any()
    assert not unsure[:, :55].any()
    both = found(confidence_below=0.1, depth=(0, 90))
    assert both[30:60, 65:85].all()
    assert not both[:, 96:].any()
    assert not found(depth=(0, 200))[:5].any()  # nowhere where it is not known


def test_without_a_depth_such_an_area_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(StackingUsageError, match="depth"):
        stacked(folder, tmp_path, Area(depth=(0, 2), frames="1"), method=Method.AVERAGE)


@pytest.mark.parametrize(
    ("area", "said"),
    [
        (Area(frames="40-50"), "none of its frames"),
        (Area(slab=3), "no slab 3"),
        (Area(mask="/nowhere/mask.png", frames="1"), "does not exist"),
    ],
)
def test_what_the_stack_does_not_have_is_refused(folder: Path, tmp_path: Path, area: Area, said: str) -> None:
    with pytest.raises(StackingUsageError, match=said):
        stacked(folder, tmp_path, area)
    assert not (tmp_path / "o.tif").exists()


def test_a_mask_has_the_size_of_the_result_or_of_a_frame(tmp_path: Path) -> None:
    part = Canvas(10, 20, 100, 90)
    whole = painted(tmp_path / "w.png", LEFT)
    area = Area(mask=whole, frames="1", feather_px=0)
    found = area_mask(area, part, (WIDTH, HEIGHT), None, None)
    np.testing.assert_array_equal(found > 0, LEFT[20:110, 10:110])
    with pytest.raises(StackingUsageError, match="100x90"):
        area_mask(Area(mask=whole, frames="1"), part, (999, 999), None, None)
    (tmp_path / "x.png").write_bytes(b"no picture")
    with pytest.raises(StackingUsageError, match="no picture"):
        area_mask(Area(mask=str(tmp_path / "x.png"), frames="1"), part, (WIDTH, HEIGHT), None, None)
    assert box_of(np.zeros((5, 5), np.uint8), 3) is None


@pytest.mark.parametrize(("gains", "tilt"), [((1.08, 1.0, 0.94), 0.0), ((0.9, 0.9, 0.9), 0.06), ((1, 1, 1), 0.0)])
def test_seams_are_levelled_in_brightness_and_colour(gains: tuple[float, ...], tilt: float) -> None:
    """The area's picture is lighter by a factor per channel and a tilt, sharper, and has something else in one corner."""
    rng = np.random.default_rng(1)
    coarse = cv2.GaussianBlur(rng.standard_normal((240, 320, 3)), (0, 0), 20)
    around = 30000 + 5000 * coarse / coarse.std()
    part = around * gains * (1 + tilt * np.linspace(-1, 1, 320))[None, :, None]
    part = part + 2500 * rng.standard_normal((240, 320, 1))
    part[:70, :80] = 60000
    mask = np.zeros((240, 320), np.uint8)
    mask[40:200, 50:270] = 255
    weight = cv2.GaussianBlur(mask, (0, 0), 6)
    ours, theirs = (np.clip(image, 0, 65535).astype(np.uint16) for image in (part, around))
    levelled(ours, theirs, weight)
    seam = (weight > 12) & (weight < 243)
    seam[:90, :100] = False
    for left in (np.s_[:, :160], np.s_[:, 160:]):
        ratio = ours[left][seam[left]].mean(axis=0) / theirs[left][seam[left]].mean(axis=0)
        np.testing.assert_allclose(ratio, 1.0, atol=0.008)


def test_the_first_peak_that_stands_by_itself_is_in_front() -> None:
    curves = {
        "one peak": ([1, 2, 9, 2, 1, 1, 1], 2, 2),
        "near one weaker": ([1, 4, 1, 1, 2, 9, 2], 1, 5),
        "shoulder": ([1, 5, 4, 6, 9, 6, 2], 4, 4),
        "noise before it": ([1.0, 1.3, 1.0, 1.1, 2, 9, 2], 5, 5),
        "too weak": ([0.1, 0.5, 0.1, 0.2, 2, 9, 2], 5, 5),
        "near one higher": ([1, 9, 1, 1, 4, 1, 1], 1, 1),
        "two before it": ([1, 5, 1, 6, 1, 9, 1], 1, 5),
        "weak one, then a real one": ([0.1, 0.5, 0.1, 3, 0.4, 9, 1], 3, 5),
        "at the very front": ([5, 1, 1, 1, 2, 9, 2], 0, 5),
    }
    energy = np.array([values for values, _, _ in curves.values()], np.float32).T[:, :, None]
    first, best = first_peaks(energy)
    assert dict(zip(curves, zip(first[:, 0], best[:, 0], strict=True), strict=True)) == {
        name: (near, highest) for name, (_, near, highest) in curves.items()
    }
    assert in_order([0, 1, 2], [5.0, -1.0, 3.0], Prefer.NEAR) == [1, 2, 0]
    assert in_order([0, 1, 2], [5.0, -1.0, 3.0], Prefer.FAR) == [0, 2, 1]


@pytest.mark.parametrize(("seed", "contrast", "gain_db"), [(1, 0.05, 2.0), (4, 0.05, 1.0)])
def test_an_opaque_foreground_hides_what_is_sharp_behind_it(
    tmp_path: Path, seed: int, contrast: float, gain_db: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames, truth, near = occluded(seed, contrast)
    folder = write_frames(tmp_path / "in", frames)
    solid = (near > 0.5).astype(np.uint8)
    depth_px = cv2.distanceTransform(solid, cv2.DIST_L2, 5)
    rim, ground = (depth_px > 2) & (depth_px <= 16), cv2.distanceTransform(1 - solid, cv2.DIST_L2, 5) > 2

    def quality(image: NDArray[np.float64], zone: NDArray[np.bool_]) -> float:
        return psnr_db(image[zone] / 257, truth[zone], 255)

    sharpest = stacked(folder, tmp_path)
    nearest = stacked(folder, tmp_path, *preferring(Prefer.NEAR, None))
    assert quality(nearest, rim) > quality(sharpest, rim) + gain_db
    # what is preferred is chosen, not corrected by the focal sweep: it must keep up with choice
    with monkeypatch.context() as patch:
        patch.setattr("stacking.fuse.fusion_task.FEWEST_FRAMES", len(frames) + 1)
        chosen = stacked(folder, tmp_path)
    assert quality(nearest, ground) > quality(chosen, ground) - 0.15
    np.testing.assert_array_equal(nearest, stacked(folder, tmp_path, *preferring(Prefer.NEAR, None), threads=2))
    # only where the mask is painted
    half = np.zeros(near.shape, np.bool_)
    half[:, :170] = True
    mask = Path(painted(tmp_path / "m.png", half))
    partly = stacked(folder, tmp_path, *preferring(Prefer.NEAR, mask))
    np.testing.assert_array_equal(partly[:, 200:], sharpest[:, 200:])
    np.testing.assert_array_equal(partly[:, :140], nearest[:, :140])
    assert (partly[:, :140] != sharpest[:, :140]).any()


def test_what_is_preferred_fits_into_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames, _, _ = occluded(1)
    folder = write_frames(tmp_path / "in", frames)
    at_once = stacked(folder, tmp_path, *preferring(Prefer.NEAR, None))
    monkeypatch.setattr("stacking.areas._band_rows", lambda part: 128)
    in_bands = stacked(folder, tmp_path, *preferring(Prefer.NEAR, None))
    assert (np.abs(at_once - in_bands) > 300).mean() < 0.01


RECIPE = """
version = 1

[exposure]
stops = 0.2

[[areas]]
name = "antenna"
mask = "hand.png"
prefer = "near"
feather_px = 6.0

[[areas]]
polygon = [[0.1, 0.1], [0.6, 0.1], [0.6, 0.7]]
frames = "2-4,6"
method = "depthmap"
"""


def test_areas_stand_in_the_recipe(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(RECIPE)
    painted(tmp_path / "hand.png", LEFT)
    recipe = read_recipe(tmp_path / "r.toml")
    assert [area.name for area in recipe.areas] == ["antenna", ""]
    assert recipe.areas[0].mask == str(tmp_path / "hand.png")
    assert recipe.areas[1].frame_indices() == (1, 2, 3, 5)
    assert parse_recipe(recipe.to_toml()) == recipe
    report = stack_pictures([folder], tmp_path / "o.tif", replace(PLAIN, recipe=tmp_path / "r.toml"))
    assert [note.split(":")[0] for note in report.notes] == ["no positions are known", "antenna", "area 2"]
    first = (tmp_path / "o.tif").read_bytes()
    stack_pictures([folder], tmp_path / "o.tif", replace(PLAIN, recipe=tmp_path / "r.toml", threads=2))
    assert (tmp_path / "o.tif").read_bytes() == first
    with pytest.raises(StackingUsageError, match="areas"):
        finish_picture(tmp_path / "o.tif", tmp_path / "p.tif", recipe)


@pytest.mark.parametrize(
    "values",
    [
        {"frames": "3"} | {"slab": 2},
        {"polygon": [[0, 0], [1, 1], [1, 0]]},
        {"polygon": [[0, 0], [1, 1]], "frames": "1"},
        {"polygon": [[0, 0], [1.5, 1], [1, 0]], "frames": "1"},
        {"frames": "0-3"},
        {"depth": [5, 2], "frames": "1"},
        {"slab": 0},
        {"prefer": "nearest"},
        {"frames": "1", "feathers": 3},
    ],
    ids=str,
)
def test_areas_that_make_no_sense_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"areas\.0"):
        Recipe.model_validate({"areas": [values]})


def test_areas_survive_the_sessions_record() -> None:
    areas = (Area(name="a", polygon=((0, 0), (1, 0), (1, 1)), frames="1-2"), *preferring(Prefer.NEAR, None))
    options = replace(PLAIN, areas=areas, crop_rectangle=(1, 2, 30, 40), layer_frames=(1, 3))
    assert options_from_record(options_to_record(options)) == options
    assert preferring(Prefer.SHARPEST, None) == ()
    assert FRAMES == 8
