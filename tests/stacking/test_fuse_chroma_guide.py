"""Colour at full size from half-size chroma: exact where it can be, sharper than interpolation at edges."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stacking.fuse.bands import Bands
from stacking.fuse.chroma_guide import compose_picture

F32 = NDArray[np.float32]
WEIGHTS = np.array([0.299, 0.587, 0.114])


def split(rgb: NDArray[np.float64]) -> tuple[F32, F32, F32]:
    """Luma at full size; red and blue minus luma at half size, low-passed, samples at even pixels."""
    luma = (rgb @ WEIGHTS).astype(np.float32)
    kernel = np.array([0.25, 0.5, 0.25])
    halves = [
        np.ascontiguousarray(cv2.sepFilter2D(rgb[..., k] - luma, -1, kernel, kernel)[::2, ::2], np.float32)
        for k in (0, 2)
    ]
    return luma, halves[0], halves[1]


@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(1, 41),
    columns=st.integers(1, 41),
    colour=st.tuples(*[st.integers(0, 255)] * 3),
)
def test_one_colour_comes_back_at_every_size(rows: int, columns: int, colour: tuple[int, int, int]) -> None:
    rgb = np.full((rows, columns, 3), colour, np.float64)
    with Bands(1) as bands:
        result = compose_picture(*split(rgb), bands)
    assert result.shape == (rows, columns, 3)
    np.testing.assert_allclose(result / 257.0, rgb, atol=0.02)


def test_an_edge_between_two_colours_stays_as_sharp_as_the_luma() -> None:
    y, x = np.mgrid[:96, :96]
    inside = (((x - 47.3) ** 2 + (y - 45.1) ** 2) < 30.0**2)[..., None]
    rgb = cv2.GaussianBlur(np.where(inside, [200.0, 60.0, 40.0], [30.0, 90.0, 150.0]), (0, 0), 0.6)
    luma, red, blue = split(rgb)
    with Bands(1) as bands:
        result = compose_picture(luma.copy(), red, blue, bands) / 257.0
    plain = np.stack([cv2.resize(c, (96, 96), interpolation=cv2.INTER_LINEAR) for c in (red, blue)], axis=-1)
    plain_error = np.abs(plain + luma[..., None] - rgb[..., [0, 2]])[4:-4, 4:-4].mean()
    error = np.abs(result - rgb)[4:-4, 4:-4].mean()
    assert error < 0.2 * plain_error


def test_a_gray_picture_stays_gray() -> None:
    gray = np.random.default_rng(1).uniform(20, 230, (50, 63, 1)).repeat(3, axis=2)
    with Bands(1) as bands:
        result = compose_picture(*split(gray), bands).astype(np.int64)
    assert np.abs(result - result[..., :1]).max() <= 1
    np.testing.assert_allclose(result / 257.0, gray, atol=0.01)


def test_luma_keeps_to_the_range_of_the_frames() -> None:
    random = np.random.default_rng(2)
    luma = random.uniform(0, 255, (40, 40)).astype(np.float32)
    none = np.zeros((20, 20), np.float32)
    low = np.full((40, 40), 100, np.uint8)
    high = np.full((40, 40), 150, np.uint8)
    expected = np.clip(luma, 100, 150)
    with Bands(1) as bands:
        result = compose_picture(luma, none, none, bands, (low, high))
    np.testing.assert_allclose(result[..., 1] / 257.0, expected, atol=0.01)


def test_fine_detail_is_strengthened_where_it_is_strong_and_within_the_range_of_the_frames() -> None:
    columns = np.arange(64)
    wave = np.where(columns % 2, 40.0, -40.0).astype(np.float32)[None].repeat(48, axis=0)
    luma = 128 + wave
    luma[:16] = 128 + 0.17 * wave[:16]  # as noise may be
    none = np.zeros((24, 32), np.float32)
    low, high = np.full(luma.shape, 60, np.uint8), np.full(luma.shape, 200, np.uint8)
    low[32:], high[32:] = 87, 171
    with Bands(1) as bands:
        plain, sharp = (
            compose_picture(luma.copy(), none, none, bands, (low, high), sharpens=sharpens)[..., 1] / 257.0
            for sharpens in (False, True)
        )
    np.testing.assert_array_equal(sharp[:15], plain[:15])
    # this wave is all departure from the mean of its surroundings
    np.testing.assert_allclose(np.ptp(sharp[20:28, 10:50]), 1.2 * np.ptp(plain[20:28, 10:50]), rtol=1e-3)
    np.testing.assert_allclose(sharp[34:], np.where(wave[34:] > 0, 170, 88), atol=0.01)


@pytest.mark.parametrize("sharpens", [False, True])
@pytest.mark.parametrize("shape", [(130, 97), (257, 64)])
def test_bytes_do_not_depend_on_the_number_of_threads(shape: tuple[int, int], sharpens: bool) -> None:
    random = np.random.default_rng(3)
    limits = np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8)
    planes = split(random.uniform(0, 255, (*shape, 3)))
    results = []
    for threads in (1, 2, 3):
        with Bands(threads) as bands:
            results.append(compose_picture(planes[0].copy(), *planes[1:], bands, limits, sharpens=sharpens).tobytes())
    assert len(set(results)) == 1
