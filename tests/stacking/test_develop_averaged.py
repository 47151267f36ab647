"""Frames that are the average of several exposures of one place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import rawpy
from numpy.typing import NDArray

from stacking.develop import Development, Quality, as_source
from stacking.errors import FrameError
from stacking.frames import Source
from tests.stacking.pictures import WHITE, mosaic_of, scene, write_dng

SHOTS, NOISE = 4, 60.0


@pytest.fixture(scope="module")
def clean() -> NDArray[np.uint16]:
    return mosaic_of(scene(120, 160, seed=5), exposure=0.5)


@pytest.fixture
def shots(tmp_path: Path, clean: NDArray[np.uint16]) -> list[Source]:
    chance = np.random.default_rng(3)
    noisy = [np.clip(clean + np.rint(chance.normal(0, NOISE, clean.shape)), 0, WHITE) for _ in range(SHOTS)]
    return [as_source(write_dng(tmp_path / f"{k}.dng", one.astype(np.uint16))) for k, one in enumerate(noisy)]


def averaged(shots: list[Source]) -> Source:
    return replace(shots[0], also=tuple(shot.path for shot in shots[1:]))


@pytest.mark.parametrize("quality", [Quality.FAST, Quality.FULL])
def test_the_samples_are_averaged_and_then_developed(
    tmp_path: Path, clean: NDArray[np.uint16], shots: list[Source], quality: Quality
) -> None:
    mosaics = []
    for shot in shots:
        with rawpy.imread(str(shot.path)) as raw:
            mosaics.append(raw.raw_image.astype(np.float64))
    whole = np.floor(np.mean(mosaics, axis=0) + 0.5).astype(np.uint16)
    mean, without = (as_source(write_dng(tmp_path / f"{n}.dng", m)) for n, m in (("mean", whole), ("clean", clean)))
    development = Development([without], quality=quality)
    assert np.array_equal(development.frame(averaged(shots)).image, development.frame(mean).image)
    assert np.array_equal(development.gray_half(averaged(shots)), development.gray_half(mean))
    true = development.frame(without).image.astype(np.float64)
    noise = [float(np.std(development.frame(source).image - true)) for source in (averaged(shots), shots[0])]
    assert noise[0] < 0.6 * noise[1], noise


def test_pictures_are_averaged_too(tmp_path: Path) -> None:
    paths = [tmp_path / f"{k}.png" for k in range(3)]
    for path, level in zip(paths, (10, 20, 33), strict=True):
        assert cv2.imwrite(str(path), np.full((8, 8, 3), level, np.uint8))
    source = replace(as_source(paths[0]), also=tuple(paths[1:]))
    development = Development([source])
    assert np.unique(development.frame(source).image).tolist() == [21]
    assert np.unique(development.gray_half(source)).tolist() == [21]


def test_an_exposure_of_another_size_is_none_of_the_frame(tmp_path: Path, shots: list[Source]) -> None:
    other = write_dng(tmp_path / "other.dng", mosaic_of(scene(100, 160, seed=5)))
    with pytest.raises(FrameError, match=r"other\.dng"):
        Development(shots).frame(replace(shots[0], also=(other,)))
