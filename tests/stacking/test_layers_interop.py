"""Layered files opened by GIMP and psd-tools."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from stacking.options import Align, StackOptions
from stacking.slab_options import SlabOptions
from stacking.stack import stack_pictures
from tests.stacking.layer_stack import leaning, write_frames
from tests.stacking.outside import opened_in_gimp
from tests.stacking.psd_reader import read_psd

pytestmark = pytest.mark.interop
_SIXTEEN_BIT = 250  # GIMP's number for 16-bit integers, gamma-encoded


def layered(folder: Path, suffix: str) -> tuple[Path, np.ndarray]:
    frames = write_frames(folder / "in", leaning())
    path = folder / f"layers{suffix}"
    options = StackOptions(layers=path, layer_frames=2, align=Align.NONE, slabs=SlabOptions((4,), 1), threads=1)
    stack_pictures([frames], folder / "fused.tif", options)
    return path, tifffile.imread(folder / "fused.tif")


def test_gimp_opens_the_layers_with_their_masks(tmp_path: Path) -> None:
    path, fused = layered(tmp_path, ".psd")
    precision, layers, picture = opened_in_gimp(path, tmp_path)
    assert precision == _SIXTEEN_BIT
    hidden = ["f-7.png", "f-0.png", "slab-03", "slab-02", "slab-01"]
    assert layers == [*(f'("{name}" 0 #t)' for name in hidden), '("fused" 1 #f)']
    shown = cv2.imread(str(picture), cv2.IMREAD_UNCHANGED)[..., ::-1]
    assert shown.dtype == np.uint16
    np.testing.assert_allclose(shown.astype(int), fused, atol=1)


def test_a_layer_shown_in_gimp_covers_what_its_mask_says(tmp_path: Path) -> None:
    path, fused = layered(tmp_path, ".psd")
    shown = cv2.imread(str(opened_in_gimp(path, tmp_path, shown="f-7.png")[2]), cv2.IMREAD_UNCHANGED)[..., ::-1]
    layer = next(layer for layer in read_psd(path).layers if layer.name == "f-7.png")
    share = layer.mask[..., None] / 65535.0
    # GIMP may blend in linear light or as encoded: where a mask is nearly full or empty, both agree
    full, empty = layer.mask > 60000, layer.mask < 400
    expected = layer.picture * share + fused * (1 - share)
    assert full.mean() > 0.01
    assert empty.mean() > 0.4
    np.testing.assert_allclose(shown[empty].astype(float), expected[empty], atol=400)
    wrong = np.abs(shown[full] - expected[full]).mean()
    assert wrong < 0.3 * np.abs(fused[full].astype(float) - layer.picture[full]).mean() + 30


def test_gimp_opens_the_pages_of_a_tiff(tmp_path: Path) -> None:
    path, fused = layered(tmp_path, ".tif")
    precision, layers, _ = opened_in_gimp(path, tmp_path)
    assert precision == _SIXTEEN_BIT
    assert len(layers) in (1, 6)  # GIMP 2.10 without a dialogue opens the first page alone
    del fused


@pytest.mark.parametrize("suffix", [".psd", ".psb"])
@pytest.mark.filterwarnings("default")
def test_psd_tools_reads_names_pixels_and_masks(tmp_path: Path, suffix: str) -> None:
    psd_tools = pytest.importorskip("psd_tools")
    path, fused = layered(tmp_path, suffix)
    ours = {layer.name: layer for layer in read_psd(path).layers}
    read = psd_tools.PSDImage.open(path)
    assert (read.depth, read.color_mode.name, read.size) == (16, "RGB", (fused.shape[1], fused.shape[0]))
    assert [layer.name for layer in read] == ["fused", "slab-01", "slab-02", "slab-03", "f-0.png", "f-7.png"]
    assert [layer.is_visible() for layer in read] == [True] + [False] * 5
    merged = read.numpy()
    np.testing.assert_allclose(merged[..., :3] * 65535, fused, atol=1)
    for layer in read:
        np.testing.assert_allclose(layer.numpy("color") * 65535, ours[layer.name].picture, atol=1)
        if layer.name != "fused":
            np.testing.assert_allclose(layer.numpy("mask")[..., 0] * 65535, ours[layer.name].mask, atol=1)
    assert read.image_resources.get_data(1039)[36:40] == b"acsp"
