"""What a run gives besides meshes and videos, read by Pillow (its own libtiff, libpng, libjpeg), LittleCMS, GIMP, a browser."""

from __future__ import annotations

import csv
import io
import json
from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile

from stacking.finish import Recipe, finish_picture
from stacking.options import Align, StackOptions
from stacking.relief.options import ReliefOptions
from stacking.slab_options import SlabOptions
from stacking.stack import stack_pictures
from stacking.writers import write_picture
from tests.stacking.delta_e import delta_e_2000, lab_of
from tests.stacking.layer_stack import leaning, write_frames
from tests.stacking.outside import missing, opened_in_browser, opened_in_gimp
from tests.stacking.pictures import as_bits, scene

pytestmark = [pytest.mark.interop, pytest.mark.filterwarnings("default")]


def pillow(module: str) -> Any:
    try:
        return import_module(f"PIL.{module}")
    except ImportError:
        return missing("Pillow is not installed: make interop")


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("outputs")
    relief = ReliefOptions(
        depth_16bit=folder / "depth16.tif",
        depth_confidence=folder / "sure.tif",
        depth_filled=folder / "filled.tif",
        depth_picture=folder / "colours.png",
        stereo=folder / "pair.jpg",
        anaglyph=folder / "red-cyan.png",
        profile=folder / "line.csv",
    )
    options = StackOptions(
        align=Align.NONE,
        depth=folder / "depth.tif",
        relief=relief,
        layers=folder / "layers.tif",
        layer_frames=2,
        slabs=SlabOptions((4,), 1),
        report=folder / "facts.json",
    )
    stack_pictures([write_frames(folder / "in", leaning())], folder / "fused.tif", options)
    return folder


def pixels(path: Path) -> np.ndarray[Any, Any]:
    with pillow("Image").open(path) as image:
        return np.asarray(image)


def test_depth_maps_are_numbers_to_others_too(outputs: Path) -> None:
    depth, filled, sure = (pixels(outputs / name) for name in ("depth.tif", "filled.tif", "sure.tif"))
    coded = pixels(outputs / "depth16.tif")
    with pillow("Image").open(outputs / "depth16.tif") as image:
        meaning = json.loads(image.tag_v2[270])
    assert (depth.dtype, filled.dtype, sure.dtype, coded.dtype) == (np.float32, np.float32, np.float32, np.uint16)
    known = coded > 0
    np.testing.assert_array_equal(np.isfinite(depth), known)
    assert known.mean() > 0.9
    read = meaning["offset"] + meaning["step"] * coded[known].astype(float)
    np.testing.assert_allclose(read, depth[known], atol=meaning["step"] / 2 + 1e-6)
    np.testing.assert_array_equal(filled[known], depth[known])
    assert np.isfinite(filled).all()
    assert (sure[known] > 0).mean() > 0.9
    assert (sure >= 0).all()
    assert (sure <= 1).all()
    across = np.linspace(0, 7, depth.shape[1])  # the plane leans to the right
    assert np.corrcoef(np.nanmedian(depth, axis=0), across)[0, 1] > 0.98


def test_slabs_and_a_depth_of_16_bit_open_as_pictures(outputs: Path, tmp_path: Path) -> None:
    slabs = sorted((outputs / "fused.slabs").glob("*.tif"))
    assert len(slabs) == 3
    with pillow("Image").open(outputs / "fused.tif") as fused:
        size = fused.size
    for slab in slabs:
        with pillow("Image").open(slab) as image:
            assert image.size == size
            assert image.tag_v2[258] == (16, 16, 16)
            assert image.info["icc_profile"]
    stack_pictures(
        [outputs / "in"], tmp_path / "o.tif", StackOptions(align=Align.NONE, depth=tmp_path / "depth.png", threads=1)
    )
    coded, depth = pixels(tmp_path / "depth.png"), pixels(outputs / "depth.tif")
    known = coded > 0
    np.testing.assert_array_equal(known, np.isfinite(depth))
    order = np.argsort(depth[known], kind="stable")
    assert (np.diff(coded[known][order].astype(int)) >= 0).all()


def test_pairs_and_pictures_of_the_depth_open(outputs: Path) -> None:
    fused = pixels(outputs / "fused.tif").astype(float)
    rows, columns = fused.shape[:2]
    pair = pixels(outputs / "pair.jpg").astype(float)
    left, right = pair[:, :columns], pair[:, -columns:]
    assert pair.shape[0] == rows
    # the near side, left, comes out of the screen: for the left eye it lies further right
    for begin, sign in ((20, 1), (columns - 80, -1)):
        part = slice(60, 100), slice(begin, begin + 60)
        moved = [np.abs(np.roll(left, -s, 1)[part] - np.roll(right, s, 1)[part]).mean() for s in range(-4, 5)]
        assert sign * (int(np.argmin(moved)) - 4) > 0, moved
    mixed = pixels(outputs / "red-cyan.png")
    assert (mixed.shape, mixed.dtype) == ((rows, columns, 3), np.uint8)
    colours = pixels(outputs / "colours.png")
    assert colours.shape[0] == rows
    assert colours.shape[1] > columns  # and its scale


def test_a_profile_is_a_table_and_a_plot(outputs: Path) -> None:
    with (outputs / "line.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    depth = np.array([float(row["depth_frames"]) for row in rows])
    assert len(rows) == pixels(outputs / "depth.tif").shape[1]
    assert depth[-20:].mean() - depth[:20].mean() > 5
    with opened_in_browser() as browser:
        page = browser.new_page()
        page.goto((outputs / "line.svg").as_uri())
        assert page.locator("svg").count() == 1
        assert "Depth along the line" in page.locator("svg").first.text_content()
        boxes = [curve.bounding_box() for curve in page.locator("path[fill=none]").all()]
        assert sum(box["width"] for box in boxes) > 0.7 * page.locator("svg").bounding_box()["width"]
        page.close()


def test_all_pages_of_a_layered_tiff_open_in_libtiff(outputs: Path) -> None:
    told, pages = cv2.imreadmulti(str(outputs / "layers.tif"), flags=cv2.IMREAD_UNCHANGED)
    assert told
    assert [(page.dtype, page.shape[2]) for page in pages] == [(np.uint16, 3)] + [(np.uint16, 4)] * 5
    np.testing.assert_array_equal(pages[0][..., ::-1], tifffile.imread(outputs / "fused.tif"))
    masks = np.stack([page[..., 3] for page in pages[4:]]).astype(float)
    assert masks.max() > 60000
    with pillow("Image").open(outputs / "layers.tif") as image:
        names = [image.seek(k) or image.tag_v2[285] for k in range(image.n_frames)]
    assert names == ["fused", "slab-01", "slab-02", "slab-03", "f-0.png", "f-7.png"]


def test_gimp_opens_the_result(outputs: Path, tmp_path: Path) -> None:
    precision, layers, picture = opened_in_gimp(outputs / "fused.tif", tmp_path)
    assert precision == 250  # GIMP's number for 16-bit integers, gamma-encoded
    assert len(layers) == 1
    shown = cv2.imread(str(picture), cv2.IMREAD_UNCHANGED)[..., ::-1]
    np.testing.assert_allclose(shown.astype(int), tifffile.imread(outputs / "fused.tif"), atol=1)


@pytest.mark.parametrize("profile", ["srgb", "display-p3", "adobe-rgb", "prophoto"])
@pytest.mark.parametrize(("suffix", "mean"), [(".tif", 0.6), (".png", 0.6), (".jpg", 2.5)])
def test_littlecms_sees_the_same_colours_in_every_space(tmp_path: Path, profile: str, suffix: str, mean: float) -> None:
    chart = scene(120, 180)
    write_picture(tmp_path / "a.tif", as_bits(chart, 16))
    path = tmp_path / f"b{suffix}"
    finish_picture(tmp_path / "a.tif", path, Recipe.model_validate({"output": {"profile": profile}}))
    cms = pillow("ImageCms")
    with pillow("Image").open(path) as image:
        embedded = cms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
        relative = cms.Intent.RELATIVE_COLORIMETRIC
        seen = cms.profileToProfile(image.convert("RGB"), embedded, cms.createProfile("sRGB"), relative)
        if profile != "srgb":
            assert np.abs(np.asarray(image.convert("RGB")) / 255.0 - chart).max() > 0.1  # other numbers, same colours
    difference = delta_e_2000(lab_of(np.asarray(seen) / 255.0), lab_of(chart))
    assert difference.mean() < mean
