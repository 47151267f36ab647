from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import rawpy
from numpy.typing import NDArray

from stacking.colour import SRGB_TO_XYZ_D65, profile_name
from stacking.develop import Development, Quality, as_source
from stacking.develop_raw import choose_rendering
from stacking.errors import FrameError
from stacking.frames import Source
from stacking.selection import probe
from tests.stacking.pictures import BLACK, CAMERA, SRGB, WHITE, as_bits, linear, mosaic_of, scene, write_dng, write_jpeg

ROWS, COLUMNS = 240, 324
EXPOSURE = 0.8


@pytest.fixture(scope="module")
def truth() -> NDArray[np.float64]:
    return scene(ROWS, COLUMNS, seed=5)


@pytest.fixture
def raw(tmp_path: Path, truth: NDArray[np.float64]) -> Source:
    return as_source(write_dng(tmp_path / "a.dng", mosaic_of(truth, exposure=EXPOSURE)))


def encoded(light: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * np.clip(light, 0, None) ** (1 / 2.4) - 0.055)


def psnr(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    return float(-10 * np.log10(np.mean((a - b)[8:-8, 8:-8] ** 2)))


def lab(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    xyz = linear(rgb) @ SRGB_TO_XYZ_D65.T / [0.95047, 1.0, 1.08883]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1)


def by_libraw(path: Path, **options: object) -> NDArray[np.float64]:
    """LibRaw's own development, settings spelled out: as-shot white balance, no automatic brightness, sRGB."""
    with rawpy.imread(str(path)) as raw:
        image = raw.postprocess(
            use_camera_wb=True,
            output_bps=16,
            gamma=(2.4, 12.92),
            no_auto_bright=True,
            adjust_maximum_thr=0.0,
            user_flip=0,
            **options,
        )
    return image / 65535.0


@pytest.mark.parametrize("red_at", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_every_bayer_order_gives_the_scene(tmp_path: Path, truth: NDArray[np.float64], red_at: tuple[int, int]) -> None:
    source = as_source(write_dng(tmp_path / "a.dng", mosaic_of(truth, exposure=EXPOSURE, red_at=red_at), red_at=red_at))
    expected = encoded(linear(truth) * EXPOSURE)
    fast = Development([source]).frame(source).image / 65535.0
    adaptive = Development([source], quality=Quality.FULL).frame(source).image / 65535.0
    assert psnr(fast, expected) > 33
    assert psnr(fast, expected) > psnr(adaptive, expected) + 1, psnr(adaptive, expected)


def test_full_quality_is_libraws_development(raw: Source) -> None:
    ours = Development([raw], quality="full").frame(raw).image / 65535.0
    assert np.abs(ours - by_libraw(raw.path)).max() < 1.5 / 65535


def test_colours_are_libraws(tmp_path: Path) -> None:
    """A chart of patches: no detail, so that only colour counts."""
    rng = np.random.default_rng(8)
    patches = np.kron(0.1 + 0.85 * rng.random((6, 8, 3)), np.ones((40, 40, 1)))
    source = as_source(write_dng(tmp_path / "chart.dng", mosaic_of(patches)))
    ours, theirs = Development([source]).frame(source).image / 65535.0, by_libraw(source.path)
    difference = np.linalg.norm(lab(ours) - lab(theirs), axis=-1)
    inside = np.kron(np.ones((6, 8)), np.pad(np.ones((28, 28)), 6)).astype(bool)
    assert difference[inside].mean() < 0.05
    assert difference.mean() < 1


def test_neutral_stays_neutral_up_to_the_clipping_point(tmp_path: Path) -> None:
    ramp = np.repeat(np.linspace(0.0, 1.0, COLUMNS)[None, :, None], ROWS, 0).repeat(3, 2)
    source = as_source(write_dng(tmp_path / "ramp.dng", mosaic_of(ramp, exposure=1.6)))
    image = Development([source]).frame(source).image.astype(int)
    assert np.ptp(image[8:-8, 8:-8], axis=-1).max() < 0.004 * 65535
    assert image[..., 1].max() == 65535
    middle = image[ROWS // 2, 4:-4, 1]
    assert np.diff(middle).min() > -0.002 * 65535


def test_the_camera_matrix_is_measured_from_libraw(raw: Source) -> None:
    rendering = choose_rendering(raw.path)
    to_camera = CAMERA @ SRGB
    expected = np.linalg.inv(to_camera / to_camera.sum(1, keepdims=True))
    assert rendering.matrix == pytest.approx(expected, abs=1e-3)
    white = to_camera.sum(1)
    assert rendering.white_balance == pytest.approx(tuple(white.max() / white), abs=1e-4)
    assert (rendering.black, rendering.white) == ((BLACK,) * 4, WHITE)


def test_one_white_balance_and_no_brightness_of_its_own_for_each_frame(
    tmp_path: Path, truth: NDArray[np.float64]
) -> None:
    """The second frame is darker and claims another light: it must come out darker, and of the first one's colour."""
    white = (CAMERA @ SRGB).sum(1)
    first = as_source(write_dng(tmp_path / "a.dng", mosaic_of(truth, exposure=0.8)))
    other = as_source(
        write_dng(tmp_path / "b.dng", mosaic_of(truth, exposure=0.4), neutral=white / white.max() * [0.8, 1, 1])
    )
    for quality in Quality:
        development = Development([first, other], quality=quality)
        bright, dark = (linear(development.frame(source).image / 65535.0) for source in (first, other))
        ratio = (dark[8:-8, 8:-8].mean((0, 1)) / bright[8:-8, 8:-8].mean((0, 1))).round(3)
        assert ratio == pytest.approx([0.5, 0.5, 0.5], abs=0.003)


def test_a_linear_dng_is_developed_by_libraw(tmp_path: Path, truth: NDArray[np.float64]) -> None:
    light = linear(truth) @ (CAMERA @ SRGB).T / (CAMERA @ SRGB).sum(1).max() * EXPOSURE
    path = write_dng(tmp_path / "linear.dng", np.rint(light * WHITE).astype(np.uint16), black=0)
    source = as_source(path)
    development = Development([source])
    image = development.frame(source).image
    assert choose_rendering(path).matrix is None
    assert np.abs(image / 65535.0 - by_libraw(path)).max() < 1.5 / 65535
    assert psnr(image / 65535.0, encoded(linear(truth) * EXPOSURE)) > 55
    assert development.gray_half(source).shape == (ROWS // 2, COLUMNS // 2)


def test_gray_half_lies_on_the_developed_picture(tmp_path: Path, truth: NDArray[np.float64]) -> None:
    raw = as_source(write_dng(tmp_path / "a.dng", mosaic_of(np.repeat(truth[..., 1:2], 3, 2))))
    development = Development([raw])
    half = development.gray_half(raw).astype(float)
    green = development.frame(raw).image[..., 1].astype(float) / 257
    blocks = green.reshape(ROWS // 2, 2, COLUMNS // 2, 2).mean((1, 3))

    def likeness(moved: NDArray[np.float64]) -> float:
        return float(np.corrcoef(half[4:-4, 4:-4].ravel(), moved[4:-4, 4:-4].ravel())[0, 1])

    assert likeness(blocks) > 0.99
    assert likeness(blocks) > max(likeness(np.roll(blocks, shift, axis)) for shift in (-1, 1) for axis in (0, 1)) + 0.05


@pytest.mark.parametrize("size", [(33, 40), (240, 321), (25, 31)])
def test_odd_and_small_sensors_are_developed_whole(tmp_path: Path, size: tuple[int, int]) -> None:
    rows, columns = size
    encoded_scene = scene(48, 336)[:rows, :columns] if rows < 48 else scene(240, 336)[:rows, :columns]
    source = as_source(write_dng(tmp_path / "a.dng", mosaic_of(encoded_scene)))
    development = Development([source])
    image = development.frame(source).image
    assert image.shape == (rows, columns, 3)
    assert development.gray_half(source).shape == (rows // 2, columns // 2)
    expected = encoded(linear(encoded_scene) * 0.8)
    assert np.sqrt(np.mean((image / 65535.0 - expected) ** 2)) < 0.06


def test_threads_give_the_same_bytes(tmp_path: Path, truth: NDArray[np.float64]) -> None:
    sources = [as_source(write_dng(tmp_path / f"{k}.dng", mosaic_of(truth, exposure=0.1 * k))) for k in range(1, 7)]
    development = Development(sources)
    one_by_one = [development.frame(source).image for source in sources]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda source: development.frame(source).image, sources))
    for alone, threaded in zip(one_by_one, together, strict=True):
        np.testing.assert_array_equal(alone, threaded)


def test_raw_frames_carry_srgb_and_do_not_mix_with_pictures(raw: Source, tmp_path: Path) -> None:
    development = Development([raw])
    assert "sRGB" in profile_name(development.icc)
    assert probe(raw).dtype == np.uint16
    picture = Source(write_jpeg(tmp_path / "a.jpg", as_bits(scene(ROWS, COLUMNS), 8)))
    with pytest.raises(FrameError):
        development.frame(picture)
    with pytest.raises(FrameError):
        Development([picture]).frame(raw)
