"""Sheets of several programs' pictures of one stack: the places that are shown, and that each shows the same thing."""

from __future__ import annotations

import cv2
import numpy as np

from benchmarks.compare import sheet, usual_places
from benchmarks.score import Floats

SIDE = 40


def textured(seed: int) -> Floats:
    grain = np.random.default_rng(seed).normal(0, 30, (240, 320, 3)).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(grain, (0, 0), 1.5) * 3 + 120, np.float32)


def test_places_are_where_pictures_differ_and_where_one_is_smooth_or_bright() -> None:
    first = textured(1)
    first[150:200, 60:110] = 90.0
    first[30:50, 250:270] = 250.0
    other = first.copy()
    other[80:100, 200:220] += textured(2)[80:100, 200:220] - 120
    places = usual_places(first, [other], SIDE)
    assert np.abs(np.subtract(places["difference 1"], (210, 90))).max() < 25
    assert np.abs(np.subtract(places["smoothest"], (85, 175))).max() < 12
    assert np.abs(np.subtract(places["brightest"], (260, 40))).max() < 12
    assert places["last corner"] == (300, 220)


def test_a_change_of_exposure_is_no_difference() -> None:
    first = textured(1)
    other = first + 12
    other[80:100, 200:220] += 0.2 * (textured(2)[80:100, 200:220] - 120)
    assert np.abs(np.subtract(usual_places(first, [other], SIDE)["difference 1"], (210, 90))).max() < 25


def test_each_column_shows_the_same_place_in_whole_pixels() -> None:
    first = np.round(textured(1)).clip(0, 255)
    moved = np.roll(first, (7, -11), (0, 1))
    matrices = {"ours": np.eye(2, 3), "theirs": np.array([[1.0, 0, -11], [0, 1, 7]])}
    drawn = sheet({"ours": first, "theirs": moved}, matrices, {"middle": (160, 120), "corner": (310, 230)}, SIDE, 2)
    rows, columns = drawn.shape[0] // 2, drawn.shape[1] // 2
    left, right = drawn[rows - 2 * SIDE : rows, : 2 * SIDE], drawn[rows - 2 * SIDE : rows, columns : columns + 2 * SIDE]
    np.testing.assert_array_equal(left, right)
    np.testing.assert_array_equal(left[::2, ::2], first[100:140, 140:180].astype(np.uint8))
    # beyond the border there is a colour that no picture has
    np.testing.assert_array_equal(drawn[-1, 2 * SIDE - 1], (255, 0, 255))
