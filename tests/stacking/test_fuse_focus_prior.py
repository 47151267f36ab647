"""The first pass's depth as a preference for frames: right place, right frame, never a ban."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from stacking.fuse.bands import Bands
from stacking.fuse.canvas import Canvas
from stacking.fuse.focus_prior import LEAST_PREFERENCE, FocusPrior, FocusSketch, focus_sketch

SHAPE = (256, 320)
FRAMES = 10


def scene(seed: int = 3) -> NDArray[np.float32]:
    grain = cv2.GaussianBlur(np.random.default_rng(seed).standard_normal(SHAPE), (0, 0), 1.5)
    return np.asarray(120.0 + 30.0 * grain / grain.std(), np.float32)


def frame(picture: NDArray[np.float32], number: int, shift: float = 0.0) -> NDArray[np.uint8]:
    """Upper half sharp in frame 2, lower half in frame 7; moved right by ``shift``; at half size."""
    moved = picture.copy()
    for rows, focus in ((slice(0, 128), 2), (slice(128, 256), 7)):
        blurred = cv2.GaussianBlur(picture, (0, 0), 0.2 + 1.2 * abs(number - focus))
        moved[rows] = blurred[rows]
    moved = np.asarray(
        cv2.warpAffine(moved, np.array([[1.0, 0, shift], [0, 1, 0]]), SHAPE[::-1], borderMode=cv2.BORDER_REFLECT),
        np.float32,
    )
    return np.asarray(cv2.resize(moved, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) + 0.5, np.uint8)


def prior_of(shifts: list[float], missing: tuple[int, ...] = ()) -> FocusPrior:
    picture = scene()
    with Bands(1) as bands:
        sketches = [
            None if k in missing else focus_sketch(frame(picture, k, shift), bands) for k, shift in enumerate(shifts)
        ]
        matrices = [np.array([[1.0, 0.0, shift], [0.0, 1.0, 0.0]]) for shift in shifts]
        return FocusPrior(Canvas(0, 0, SHAPE[1], SHAPE[0]), sketches, matrices, [1.0] * len(shifts), bands)


@pytest.mark.parametrize("step", [0.0, 6.0])
def test_each_half_prefers_its_own_frame_wherever_the_frames_moved(step: float) -> None:
    prior = prior_of([step * (k - 5) for k in range(FRAMES)])
    assert prior.number is not None
    inner = slice(12, -12)
    assert np.abs(prior.number[:28, inner] - 2).mean() < 0.3
    assert np.abs(prior.number[36:, inner] - 7).mean() < 0.3
    best = np.argmax([prior.at(k, 2) for k in range(FRAMES)], axis=0)
    assert np.mean(best[:28, inner] == 2) > 0.9
    assert np.mean(best[36:, inner] == 7) > 0.9


@pytest.mark.parametrize("level", [0, 1, 2, 3, 5])
def test_a_preference_fits_its_level_and_never_forbids(level: int) -> None:
    prior = prior_of([0.0] * FRAMES)
    canvas = Canvas(0, 0, SHAPE[1], SHAPE[0])
    for number in (0, 4, 9):
        plane = prior.at(number, level)
        assert plane.shape == canvas.level_shape(level)
        assert plane.dtype == np.float32
        assert plane.min() >= LEAST_PREFERENCE - 1e-6
        assert plane.max() <= 1.0 + 1e-6


def test_a_frame_without_sketch_is_preferred_by_its_neighbours_depth() -> None:
    prior = prior_of([0.0] * FRAMES, missing=(7,))
    assert prior.number is not None
    assert np.abs(prior.number[40:] - 7).mean() < 1.2


def test_without_any_sketch_all_frames_are_alike() -> None:
    nothing: list[FocusSketch | None] = [None, None]
    with Bands(1) as bands:
        prior = FocusPrior(Canvas(0, 0, 64, 48), nothing, [np.eye(2, 3)] * 2, [1.0, 1.0], bands)
    assert prior.number is None
    assert (prior.at(1, 0) == 1.0).all()
