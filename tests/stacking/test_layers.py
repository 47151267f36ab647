"""Layered files: read back as written, with masks that say what the fusion took."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import tifffile

from stacking.aligned import aligned, aligned_luma, focus_energy, reached
from stacking.colour import srgb_profile
from stacking.errors import OutputError, StackingUsageError
from stacking.frames import Registration
from stacking.fuse.canvas import Canvas
from stacking.layer_options import parse_layer_frames
from stacking.layers import LayerSources, write_layers
from stacking.options import Align, Crop, StackOptions
from stacking.slab_options import SlabOptions
from stacking.stack import stack_pictures
from stacking.writers_psd import Layer, fits, layered_bytes, write_psd
from tests.stacking.layer_stack import FRAMES, HEIGHT, WIDTH, leaning, psnr_db, truth, write_frames
from tests.stacking.psd_reader import Psd, read_psd


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_frames(tmp_path_factory.mktemp("layers") / "in", leaning(), name="käfer")


def stacked(folder: Path, layers: Path, **options: object) -> Path:
    chosen = StackOptions(**{"layers": layers, "align": Align.NONE, "threads": 1, **options})
    output = layers.with_name(f"{layers.stem}-fused.tif")
    stack_pictures([folder], output, chosen)
    return output


@pytest.fixture(scope="module")
def psd(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Psd, Path]:
    path = tmp_path_factory.mktemp("psd") / "all.psd"
    output = stacked(folder, path, slabs=SlabOptions((3,), 1))
    return read_psd(path), output


def test_a_psd_holds_the_fused_picture_slabs_and_frames(psd: tuple[Psd, Path]) -> None:
    read, output = psd
    names = [layer.name for layer in read.layers]
    slabs = [name for name in names if name.startswith("slab-")]
    assert names == ["fused", *slabs, *(f"käfer-{k}.png" for k in range(FRAMES))]
    assert len(slabs) == 4
    assert [layer.visible for layer in read.layers] == [True] + [False] * (len(names) - 1)
    fused = tifffile.imread(output)
    np.testing.assert_array_equal(read.merged, fused)
    np.testing.assert_array_equal(read.layers[0].picture, fused)
    slab = tifffile.imread(output.with_name(f"{output.stem}.slabs") / f"{slabs[1]}.tif")
    np.testing.assert_array_equal(read.layers[2].picture, slab)
    assert read.icc == srgb_profile()
    frames = leaning()
    for k in range(FRAMES):
        picture = read.layers[1 + len(slabs) + k].picture / (frames[k] * 257.0)
        np.testing.assert_allclose(picture, picture.mean(), rtol=1e-3)  # its brightness matched, no more
        assert picture.mean() == pytest.approx(1.0, abs=0.01)


def test_the_masks_say_what_the_fusion_took(psd: tuple[Psd, Path]) -> None:
    read, _ = psd
    frames = [layer for layer in read.layers if layer.name.endswith(".png")]
    masks = np.stack([layer.mask for layer in frames]) / 65535.0
    np.testing.assert_allclose(masks.sum(axis=0), 1.0, atol=1e-3)
    # a frame's mask stands where the frame is sharp
    columns = np.arange(WIDTH)
    centres = (masks.mean(axis=1) * columns).sum(axis=1) / masks.mean(axis=1).sum(axis=1)
    expected = np.linspace(0, WIDTH - 1, FRAMES)
    assert np.abs(centres - expected)[1:-1].max() < WIDTH / (FRAMES - 1) / 3
    # frames laid over each other with their masks are the fused picture, or nearly: far nearer than any frame is
    laid = sum(mask[..., None] * layer.picture for mask, layer in zip(masks, frames, strict=True))
    near = psnr_db(np.asarray(laid), read.merged.astype(float), 65535)
    best = max(psnr_db(layer.picture.astype(float), read.merged.astype(float), 65535) for layer in frames)
    assert near > best + 12
    sharp = truth() * 257
    assert psnr_db(np.asarray(laid), sharp, 65535) > 30


@pytest.mark.parametrize("suffix", [".psb", ".psd"])
def test_both_kinds_hold_the_same(folder: Path, tmp_path: Path, suffix: str, psd: tuple[Psd, Path]) -> None:
    path = tmp_path / f"o{suffix}"
    stacked(folder, path, layer_frames=(1, 6))
    read = read_psd(path)
    assert path.read_bytes()[5] == (2 if suffix == ".psb" else 1)
    assert [layer.name for layer in read.layers] == ["fused", "käfer-1.png", "käfer-6.png"]
    whole = {layer.name: layer for layer in psd[0].layers}
    np.testing.assert_array_equal(read.layers[2].mask, whole["käfer-6.png"].mask)


def test_a_tiff_has_a_page_for_each_layer(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "o.tif"
    output = stacked(folder, path, layer_frames=3)
    with tifffile.TiffFile(path) as file:
        assert len(file.pages) == 4
        assert [page.tags[285].value for page in file.pages] == ["fused", "käfer-0.png", "käfer-4.png", "käfer-7.png"]
        assert [page.shape[2] for page in file.pages] == [3, 4, 4, 4]
        assert {page.dtype for page in file.pages} == {np.dtype(np.uint16)}
        np.testing.assert_array_equal(file.pages[0].asarray(), tifffile.imread(output))
        assert all(page.iccprofile == srgb_profile() for page in file.pages)
        last = file.pages[3].asarray()
    np.testing.assert_allclose(last[..., :3], leaning()[7] * 257.0, rtol=0.01)
    assert last[:, -20:, 3].mean() > 40000 > 5000 > last[:, :60, 3].mean()


def test_frames_are_laid_as_the_fusion_lays_them(tmp_path: Path) -> None:
    """A shifted, dimmer frame comes back in place and brightness; where it ends, its mask is empty."""
    whole = leaning()[0]
    shift, canvas = 31, Canvas(0, 0, WIDTH, HEIGHT)
    moved = np.zeros_like(whole)
    moved[:, shift:] = np.rint(whole[:, :-shift] * 0.8)
    moved[:, :shift] = 255
    registration = Registration(np.array([[1.0, 0, shift], [0, 1, 0]]), np.full(3, 1 / 0.8), 0.0)
    laid = aligned(moved, registration, canvas)
    np.testing.assert_allclose(laid[:, : WIDTH - shift] / 257, whole[:, : WIDTH - shift], atol=1.0)
    assert not laid[:, WIDTH - shift + 4 :].any()
    reach = reached((WIDTH, HEIGHT), registration, canvas)
    energy = focus_energy(laid, reach)
    assert reach[:, : (WIDTH - shift) // 4 - 3].all()
    assert not energy[:, (WIDTH - shift) // 4 + 1 :].any()
    assert not reach[:, (WIDTH - shift) // 4 :].any()
    del tmp_path


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize(
    "matrix", [np.eye(2, 3), np.array([[1.01, 0.004, 2.4], [-0.004, 1.01, -1.7]])], ids=["in place", "warped"]
)
def test_the_luma_of_a_frame_is_that_of_its_aligned_picture(depth: int, matrix: np.ndarray) -> None:
    frame = leaning()[3]
    image = frame if depth == 8 else frame.astype(np.uint16) * np.uint16(257)
    registration, canvas = Registration(matrix, np.array([1.02, 1.0, 0.97]), 0.0), Canvas(0, 0, WIDTH, HEIGHT)
    picture = aligned(image, registration, canvas).astype(float)
    luma = aligned_luma(image, registration, canvas)
    assert luma.dtype == np.uint16
    np.testing.assert_allclose(luma[4:-8, 4:-8], (picture @ (0.299, 0.587, 0.114))[4:-8, 4:-8], atol=40)


def test_energy_knows_no_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = np.asarray(leaning()[2], np.uint16)[:, :237] * np.uint16(257)
    in_strips = focus_energy(np.tile(picture, (3, 1, 1)))
    monkeypatch.setattr("stacking.aligned._STRIP_ROWS", 4096)
    np.testing.assert_allclose(in_strips, focus_energy(np.tile(picture, (3, 1, 1))), rtol=1e-5)
    assert in_strips.shape == (3 * HEIGHT // 4, 60)


def test_frames_that_do_not_cover_the_canvas_keep_their_border_out_of_the_masks(tmp_path: Path) -> None:
    frames = leaning()
    registrations = {k: Registration(np.array([[1.0, 0, 6.0 * k], [0, 1, 0]]), np.ones(3), 0.0) for k in range(FRAMES)}
    sources = LayerSources(
        fused=np.asarray(frames[0], np.uint16) * np.uint16(257),
        canvas=Canvas(0, 0, WIDTH, HEIGHT),
        registrations=registrations,
        decode=lambda k: frames[k],
        names=[str(k) for k in range(FRAMES)],
        slabs=(),
        icc=None,
    )
    write_layers(tmp_path / "o.psd", sources)
    layers = read_psd(tmp_path / "o.psd").layers[1:]
    for k, layer in enumerate(layers):
        assert k == 0 or not layer.mask[:, WIDTH - 6 * k + 4 :].any()
    total = sum(layer.mask.astype(int) for layer in layers)
    np.testing.assert_allclose(total, 65535, atol=FRAMES)


def test_what_does_not_fit_into_a_psd_is_refused_and_said(folder: Path, tmp_path: Path) -> None:
    masked = [True] * 20
    assert fits((1000, 1000), masked, large=False)
    assert not fits((6000, 4000), masked, large=False)
    assert fits((6000, 4000), masked, large=True)
    assert not fits((40000, 100), masked[:1], large=False)
    frames = leaning()
    sources = LayerSources(
        fused=np.zeros((160, 40000, 3), np.uint16),
        canvas=Canvas(0, 0, 40000, 160),
        registrations={0: Registration(np.eye(2, 3), np.ones(3), 0.0)},
        decode=lambda k: frames[0],
        names=["a"],
        slabs=(),
        icc=None,
    )
    with pytest.raises(OutputError, match="PSD") as refused:
        write_layers(tmp_path / "o.psd", sources)
    assert ".psb" in (refused.value.remedy or "")
    assert not list(tmp_path.iterdir())


def test_its_size_is_known_beforehand() -> None:
    picture = np.zeros((30, 50, 3), np.uint16)
    layers = [Layer("a", True, False, lambda: (picture, None)), Layer("b", False, True, lambda: (picture, None))]
    file = io.BytesIO()
    write_psd(file, (50, 30), layers, picture)
    assert abs(layered_bytes((50, 30), [layer.masked for layer in layers]) - len(file.getvalue())) < 1 << 17


def test_an_existing_file_stays_and_nothing_half_is_left(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "o.tif"
    path.write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists"):
        stacked(folder, path)
    assert path.read_bytes() == b"mine"
    stacked(folder, path, force=True, layer_frames=0, crop=Crop.NONE)
    with tifffile.TiffFile(path) as file:
        assert len(file.pages) == 1


@pytest.mark.parametrize(
    ("text", "found"),
    [(None, None), ("auto", None), ("none", 0), ("7", 7), ("3,7-9", (2, 6, 7, 8)), ("2-2", (1,)), ("5, 5", (4,))],
)
def test_frames_for_layers_are_understood(text: str | None, found: object) -> None:
    assert parse_layer_frames(text) == found


@pytest.mark.parametrize("text", ["", "some", "0-3", "9-3", "1,,2", "-4", "1,x"])
def test_nonsense_for_layers_is_refused(text: str) -> None:
    with pytest.raises(StackingUsageError, match="layer-frames"):
        parse_layer_frames(text)
