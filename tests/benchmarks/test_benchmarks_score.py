"""The score: forgives what no stacker can be blamed for, and nothing else."""

from __future__ import annotations

import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.make_stack import StackPlan, make_stack
from benchmarks.score import ScoreError, Truth, main, read_picture, score, score_picture, ssim_map
from benchmarks.yardstick import best_selection

Floats = NDArray[np.float32]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stack")
    make_stack(StackPlan(width=420, height=300, frames=5, seed=3, max_blur_px=5.0), folder)
    return folder


@pytest.fixture(scope="module")
def truth(stack: Path) -> Truth:
    return Truth.read(stack)


def noise(truth: Truth, sigma: float) -> Floats:
    return np.random.default_rng(4).normal(0, sigma, truth.picture.shape).astype(np.float32)


def warped(truth: Truth, matrix: NDArray[np.float64]) -> Floats:
    size = (truth.picture.shape[1], truth.picture.shape[0])
    return np.asarray(
        cv2.warpAffine(truth.picture, matrix, size, flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT), np.float32
    )


def test_the_truth_is_perfect(stack: Path) -> None:
    figures = score(stack / "truth.tif", stack, stack / "truth_depth.tif")
    assert figures.psnr == figures.psnr_fit == math.inf
    assert figures.ssim == pytest.approx(1)
    assert (figures.halo_p95, figures.open_p95) == (0, 0)
    assert figures.detail == pytest.approx(1)
    assert figures.depth_rank == pytest.approx(1)
    assert figures.scored_share > 0.9


@pytest.mark.parametrize("sigma", [1.0, 4.0, 12.0])
def test_known_noise_gives_its_psnr(truth: Truth, sigma: float) -> None:
    figures = score_picture(truth.picture + noise(truth, sigma), truth)
    assert figures.psnr == pytest.approx(20 * math.log10(255 / sigma), abs=0.1)
    assert figures.detail > 1
    # luma averages the three channels' noise
    luma = sigma * math.sqrt(0.114**2 + 0.587**2 + 0.299**2)
    assert figures.open_p95 == pytest.approx(1.96 * luma, rel=0.06)


@pytest.mark.parametrize("sigma", [1.0, 3.0])
def test_smooth_noise_is_the_noise_where_the_truth_is_smooth(truth: Truth, sigma: float) -> None:
    picture = truth.picture.copy()
    picture[:, 200:] = 100
    half_smooth = Truth(picture, np.full_like(truth.depth, 0.5), truth.max_blur_px)
    added = noise(truth, sigma)
    added[:, :190] *= 4
    figures = score_picture(picture + added, half_smooth)
    assert figures.smooth_rms == pytest.approx(sigma * math.sqrt(0.114**2 + 0.587**2 + 0.299**2), rel=0.12)


@pytest.mark.parametrize(("down", "across"), [(0, 0), (7, -3), (-11, 5)])
def test_a_shift_by_whole_pixels_is_forgiven(truth: Truth, down: int, across: int) -> None:
    moved = warped(truth, np.array([[1, 0, across], [0, 1, down]], float))
    figures = score_picture(moved + noise(truth, 2.0), truth)
    assert figures.psnr == pytest.approx(20 * math.log10(255 / 2), abs=0.15)
    assert figures.matrix[0] == (1, 0, across)
    assert figures.matrix[1] == (0, 1, down)


@pytest.mark.parametrize(
    "matrix", [[[1, 0, 2.4], [0, 1, -3.7]], [[1.01, 0.004, -5.3], [-0.004, 1.01, 4.6]], [[0.98, 0, 3], [0, 0.98, 3]]]
)
def test_another_geometry_is_forgiven(truth: Truth, matrix: list[list[float]]) -> None:
    wanted = np.array(matrix)
    figures = score_picture(warped(truth, wanted), truth)
    np.testing.assert_allclose(np.array(figures.matrix)[:, :2], wanted[:, :2], atol=4e-4)
    corner = np.array([truth.picture.shape[1], truth.picture.shape[0], 1])
    np.testing.assert_allclose(np.array(figures.matrix) @ corner, wanted @ corner, atol=0.12)
    assert figures.psnr > 38


def test_a_crop_is_forgiven_and_its_depth_map_with_it(truth: Truth) -> None:
    part = (slice(20, -30), slice(40, -10))
    figures = score_picture(truth.picture[part] + noise(truth, 2.0)[part], truth, depth=truth.depth[part])
    assert figures.psnr == pytest.approx(20 * math.log10(255 / 2), abs=0.15)
    assert figures.depth_rank == pytest.approx(1)
    assert figures.scored_share < 0.8


def test_two_geometries_in_one_picture_are_not_forgiven(truth: Truth) -> None:
    mixed = (truth.picture + warped(truth, np.array([[1, 0, 3.0], [0, 1, 0]]))) / 2
    assert score_picture(mixed, truth).psnr < 30


def test_another_exposure_counts_only_before_the_fit(truth: Truth) -> None:
    figures = score_picture(truth.picture * np.float32(0.9) + np.float32(5) + noise(truth, 1.0), truth)
    assert figures.psnr < 30
    assert figures.psnr_fit == pytest.approx(20 * math.log10(255 * 0.9), abs=0.3)
    assert max(figures.bias) < 0


def test_halo_and_open_are_told_apart(truth: Truth) -> None:
    edges = cv2.dilate(truth.depth, np.ones((3, 3))) - cv2.erode(truth.depth, np.ones((3, 3))) > 0.08
    beside = cv2.dilate(edges.astype(np.uint8), np.ones((5, 5), np.uint8))[..., None] > 0
    error = np.float32(20) * np.sign(noise(truth, 1.0)[..., :1])
    haloed = score_picture(truth.picture + np.where(beside, error, np.float32(0)), truth)
    opened = score_picture(truth.picture + np.where(beside, np.float32(0), error), truth)
    assert haloed.halo_p95 > 15
    assert opened.open_p95 > 15
    assert haloed.open_p95 < 0.5 * haloed.halo_p95
    assert haloed.halo_p95 - haloed.open_p95 > opened.halo_p95 - opened.open_p95 + 5


def test_blur_lowers_detail_and_similarity(truth: Truth) -> None:
    blurred = [score_picture(np.asarray(cv2.GaussianBlur(truth.picture, (0, 0), sigma)), truth) for sigma in (0.6, 1.2)]
    assert 1 > blurred[0].detail > blurred[1].detail
    assert 1 > blurred[0].ssim > blurred[1].ssim


@pytest.mark.parametrize(("change", "expected"), [("cube", 1.0), ("negative", -1.0), ("constant", 0.0), ("holes", 1.0)])
def test_depth_counts_by_rank(truth: Truth, change: str, expected: float) -> None:
    holes = np.where(np.arange(truth.depth.shape[1]) % 3 == 0, np.float32(np.nan), truth.depth)
    given = {"cube": truth.depth**3, "negative": -truth.depth, "constant": np.zeros_like(truth.depth), "holes": holes}[
        change
    ]
    figures = score_picture(truth.picture, truth, depth=given.astype(np.float32))
    assert figures.depth_rank == pytest.approx(expected, abs=1e-6)


def test_what_cannot_be_scored_is_said(truth: Truth, stack: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.tif").write_bytes(b"II*\0nothing")
    with pytest.raises(ScoreError, match="cannot read"):
        score(tmp_path / "broken.tif", stack)
    with pytest.raises(ScoreError, match="texture"):
        score_picture(np.full_like(truth.picture, 128), truth)
    with pytest.raises(ScoreError, match="look like"):
        score_picture(np.random.default_rng(1).uniform(0, 255, truth.picture.shape).astype(np.float32), truth)
    with pytest.raises(ScoreError, match="depth map is"):
        score_picture(truth.picture, truth, depth=truth.depth[:-1])
    with pytest.raises(ScoreError, match="unknown"):
        score_picture(truth.picture, truth, depth=np.full_like(truth.depth, np.nan))


def test_pictures_are_read_on_one_scale(tmp_path: Path) -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    cv2.imwrite(str(tmp_path / "8.png"), grey)
    cv2.imwrite(str(tmp_path / "16.png"), grey.astype(np.uint16) * 257)
    for name in ("8.png", "16.png"):
        picture, valid = read_picture(tmp_path / name)
        np.testing.assert_allclose(picture, np.repeat(grey[..., None], 3, 2), atol=1e-4)
        assert valid.all()
    clear = np.dstack([grey, grey, grey, np.where(grey < 128, 0, 255).astype(np.uint8)])
    cv2.imwrite(str(tmp_path / "alpha.png"), clear)
    np.testing.assert_array_equal(read_picture(tmp_path / "alpha.png")[1], grey >= 128)


def test_ssim_of_a_picture_with_itself_is_one_and_symmetric(truth: Truth) -> None:
    first, second = truth.picture[..., 1], truth.picture[..., 2]
    np.testing.assert_allclose(ssim_map(first, first), 1, atol=1e-4)
    np.testing.assert_allclose(ssim_map(first, second), ssim_map(second, first), atol=1e-6)
    assert (ssim_map(first, second) <= 1 + 1e-4).all()


def test_the_yardstick_is_better_than_any_frame(truth: Truth, stack: Path) -> None:
    best = score_picture(best_selection(stack), truth)
    middle = score(stack / "frame_0002.jpg", stack)
    assert best.psnr_fit > middle.psnr_fit + 3
    assert best.halo_p95 < middle.halo_p95


def test_command_line(stack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(stack / "frame_0002.jpg"), str(stack), "--depth", str(stack / "truth_depth.tif")])
    figures = json.loads(capsys.readouterr().out)
    assert 10 < figures["psnr"] < 50
    assert figures["depth_rank"] == pytest.approx(1, abs=1e-6)
