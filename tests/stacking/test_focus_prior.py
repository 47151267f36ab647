"""The focus prior: its loops against plain numpy and OpenCV, and what it must prefer."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from stacking.fuse import focus_prior_kernels as kernels
from stacking.fuse.bands import Bands
from stacking.fuse.canvas import Canvas
from stacking.fuse.focus_prior import FocusPrior, detail_energy

F32 = NDArray[np.float32]


def plane(rows: int, columns: int, seed: int = 0) -> F32:
    return (np.random.default_rng(seed).random((rows, columns)) * 255).astype(np.float32)


def levels(fine: F32) -> tuple[F32, F32, F32]:
    half = cv2.pyrDown(fine)
    return fine, half, cv2.pyrDown(half)


def factors(picture: F32, noise_energy: float = 1.0, threads: int = 1) -> FocusPrior:
    with Bands(threads) as bands:
        prior = FocusPrior(Canvas(0, 0, picture.shape[1], picture.shape[0]), bands, noise_energy)
        prior.look(*levels(picture), 1.0)
    return prior


@pytest.mark.parametrize(("rows", "columns"), [(64, 96), (37, 41), (32, 33)])
def test_detail_is_the_energy_of_two_levels(rows: int, columns: int) -> None:
    fine, half, quarter = levels(plane(rows, columns))
    with Bands(1) as bands:
        grid = np.empty(((quarter.shape[0] + 1) // 2, quarter.shape[1]), np.float32)
        found = detail_energy(fine, half, quarter, 1.0, bands, grid)
    up0 = cv2.pyrUp(half, dstsize=(columns, rows))
    up1 = cv2.pyrUp(quarter, dstsize=half.shape[::-1])
    squares = [(p - u) ** 2 * np.maximum(1 - u / 255, 0.02) for p, u in ((fine, up0), (half, up1))]
    kernel = np.array([0.25, 0.5, 0.25], np.float32)

    def halved(values: F32) -> F32:
        smooth = cv2.sepFilter2D(values, -1, kernel, np.ones(1, np.float32), borderType=cv2.BORDER_REFLECT_101)
        return np.asarray(smooth[:, ::2], np.float32)

    expected = halved(squares[1][::4]) + halved(halved(squares[0][::8]))
    inside = (slice(1, -1), slice(2, -2))
    np.testing.assert_allclose(found[inside], expected[inside], rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("size", [(40, 60), (4, 5), (12, 3)])
def test_smoothing_is_that_of_opencv(size: tuple[int, int]) -> None:
    taps = np.array([1, 2, 4, 2, 1], np.float32) / 10
    values, out = plane(*size), np.empty(size, np.float32)
    kernels.smooth_rows(values, taps, out, 0, size[0])
    expected = cv2.sepFilter2D(values, -1, taps, taps, borderType=cv2.BORDER_REFLECT_101)
    np.testing.assert_allclose(out, expected, rtol=1e-4)


def test_a_texture_weaker_than_the_noise_floor_is_preferred_where_it_is_sharp() -> None:
    rng = np.random.default_rng(3)
    texture = cv2.GaussianBlur(rng.standard_normal((160, 160)), (0, 0), 1.0).astype(np.float32)
    noise = [rng.standard_normal((160, 160)).astype(np.float32) for _ in range(3)]
    flat, sharp, blurred = (
        factors(np.asarray(100 + t + 0.6 * n, np.float32)).favour[8:-8, 8:-8]
        for t, n in zip((0 * texture, 6 * texture, 6 * cv2.GaussianBlur(texture, (0, 0), 3)), noise, strict=True)
    )
    assert (sharp > 1.3 * blurred).all()
    assert blurred.mean() == pytest.approx(flat.mean(), rel=0.1)


def test_a_strong_edge_counts_no_more_than_its_area() -> None:
    rng = np.random.default_rng(4)
    texture = cv2.GaussianBlur(rng.standard_normal((160, 160)), (0, 0), 0.8).astype(np.float32)
    with_texture = np.asarray(100 + 12 * texture, np.float32)
    with_edge = np.asarray(100 + cv2.GaussianBlur(12 * texture, (0, 0), 3), np.float32)
    with_edge[:, 78:82] = 250
    ahead, behind = factors(with_texture), factors(with_edge)
    beside = (slice(8, -8), slice(24, 27))  # 16 to 28 px from the edge
    assert (ahead.favour[beside] > behind.favour[beside]).all()


def test_of_equal_detail_the_darker_counts_more() -> None:
    texture = plane(96, 96) / 10
    dark, bright = factors(texture + 40).favour, factors(texture + 60).favour
    assert (dark > 1.2 * bright).all()


@pytest.mark.parametrize("value", [0.0, 255.0])
def test_black_white_and_noiseless_frames_have_factors(value: float) -> None:
    prior = factors(np.full((48, 64), value, np.float32), noise_energy=0.0)
    assert np.isfinite(prior.favour).all()
    assert (prior.favour > 0).all()
    assert np.isfinite(prior.detail).all()


def test_threads_do_not_change_a_byte() -> None:
    picture = plane(300, 130)
    one, three = factors(picture, threads=1), factors(picture, threads=3)
    np.testing.assert_array_equal(one.favour, three.favour)
    np.testing.assert_array_equal(one.detail, three.detail)
