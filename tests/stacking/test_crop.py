from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from stacking.crop import Rectangle, largest_rectangle, of_aspect, parse_crop, valid_rectangle
from stacking.errors import RegistrationError, StackingUsageError
from stacking.options import Align, Crop, StackOptions
from stacking.stack import stack_pictures


def best_area(mask: NDArray[np.bool_]) -> int:
    """Every rectangle tried, by a summed-area table."""
    rows, columns = mask.shape
    table = np.pad(np.cumsum(np.cumsum(mask, 0), 1), ((1, 0), (1, 0)))
    best = 0
    for top in range(rows):
        for bottom in range(top + 1, rows + 1):
            line = table[bottom] - table[top]
            for left in range(columns):
                widths = np.arange(1, columns - left + 1)
                full = line[left + 1 :] - line[left] == widths * (bottom - top)
                best = max(best, int((widths * full).max(initial=0)) * (bottom - top))
    return best


@settings(max_examples=150, deadline=None)
@given(arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.booleans()))
def test_the_largest_rectangle_is_valid_and_the_largest(mask: NDArray[np.bool_]) -> None:
    found = largest_rectangle(mask)
    assert found.of(mask).all()
    assert found.area == best_area(mask)
    assert found.area == 0 or found.within(mask.shape[1], mask.shape[0])


def similarity(scale: float, degrees: float, x: float, y: float, size: tuple[int, int]) -> NDArray[np.float64]:
    """Reference to frame, about the middle."""
    angle = np.deg2rad(degrees)
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = (np.array(size) - 1) / 2
    return np.column_stack([linear, middle + (x, y) - linear @ middle])


def valid_mask(size: tuple[int, int], matrices: list[NDArray[np.float64]], margin: float) -> NDArray[np.bool_]:
    columns, rows = size
    y, x = np.mgrid[:rows, :columns]
    mask = np.ones((rows, columns), bool)
    for matrix in matrices:
        fx = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]
        fy = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]
        inside = (fx >= margin - 1e-5) & (fx <= columns - 1 - margin + 1e-5)
        mask &= inside & (fy >= margin - 1e-5) & (fy <= rows - 1 - margin + 1e-5)
    return mask


moves = st.tuples(st.floats(0.85, 1.15), st.floats(-6, 6), st.floats(-9, 9), st.floats(-9, 9))


@settings(max_examples=60, deadline=None)
@given(st.lists(moves, max_size=4), st.sampled_from([0.0, 2.5]))
def test_the_valid_rectangle_is_the_largest_in_the_common_area(
    several: list[tuple[float, float, float, float]], margin: float
) -> None:
    size = (61, 47)
    matrices = [similarity(*move, size) for move in several]
    found = valid_rectangle(size, matrices, margin_px=margin)
    mask = valid_mask(size, matrices, margin)
    assert found.of(mask).all()
    # A pixel on the very border may fall either way.
    assert abs(found.area - largest_rectangle(mask).area) <= max(found.width, found.height)


def test_no_frames_or_equal_frames_keep_everything() -> None:
    identity = np.eye(2, 3)
    assert valid_rectangle((30, 20), []) == Rectangle(0, 0, 30, 20)
    assert valid_rectangle((30, 20), [identity, identity]) == Rectangle(0, 0, 30, 20)


def test_a_shift_cuts_exactly_its_pixels() -> None:
    right = np.array([[1.0, 0.0, 4.0], [0.0, 1.0, 0.0]])
    down = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, -2.5]])
    assert valid_rectangle((30, 20), [right, down]) == Rectangle(0, 3, 26, 17)


def test_frames_without_common_area_are_refused() -> None:
    away = np.array([[1.0, 0.0, 50.0], [0.0, 1.0, 0.0]])
    with pytest.raises(RegistrationError) as caught:
        valid_rectangle((30, 20), [away])
    assert "--crop none" in caught.value.remedy


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("auto", (Crop.AUTO, None, None)),
        ("none", (Crop.NONE, None, None)),
        ("focus", (Crop.FOCUS, None, None)),
        ("3:2", (Crop.AUTO, 1.5, None)),
        ("focus,1:1", (Crop.FOCUS, 1.0, None)),
        ("none, 16:9", (Crop.NONE, 16 / 9, None)),
        ("10,20,300,200", (Crop.AUTO, None, (10, 20, 300, 200))),
    ],
)
def test_crops_are_understood(text: str, found: object) -> None:
    assert parse_crop(text) == found


@pytest.mark.parametrize(
    "text", ["", "all", "1,2,3", "3:0", "1000:1", "auto,none", "focus,3:2,1", "-1,2,3,4", "1.5,2,3,4"]
)
def test_other_crops_are_refused(text: str) -> None:
    with pytest.raises(StackingUsageError, match="crop"):
        parse_crop(text)


@given(st.integers(1, 400), st.integers(1, 400), st.floats(0.1, 10))
def test_an_aspect_ratio_fits_inside_and_fills_one_side(width: int, height: int, aspect: float) -> None:
    within = Rectangle(7, 9, width, height)
    cut = of_aspect(within, aspect)
    assert cut.x >= 7
    assert cut.y >= 9
    assert cut.x + cut.width <= 7 + width
    assert cut.y + cut.height <= 9 + height
    assert cut.width == width or cut.height == height
    assert abs(cut.x - 7 - (width - cut.width) / 2) < 1


def subject_before_a_blurred_ground(folder: Path) -> Path:
    """A textured disc that is sharp in some frames, before a ground that never is."""
    rng = np.random.default_rng(3)
    shape = (300, 400)
    fine = cv2.GaussianBlur(rng.standard_normal(shape), (0, 0), 1.0)
    ground = cv2.GaussianBlur(rng.standard_normal(shape), (0, 0), 14)
    sharp = 128 + 40 * fine / fine.std()
    far = 120 + 20 * ground / ground.std()
    mask = np.zeros(shape)
    cv2.ellipse(mask, (250, 170), (80, 60), 0, 0, 360, 1.0, -1)
    folder.mkdir()
    for k in range(5):
        blurred = cv2.GaussianBlur(sharp, (0, 0), 0.3 + 1.2 * abs(k - 2))
        soft = cv2.GaussianBlur(mask, (0, 0), 0.3 + 1.2 * abs(k - 2))
        image = blurred * soft + far * (1 - soft) + rng.normal(0, 1.5, shape)
        cv2.imwrite(str(folder / f"{k}.png"), np.clip(image, 0, 255).astype(np.uint8))
    return folder


def test_a_stack_is_cropped_to_where_anything_is_in_focus(tmp_path: Path) -> None:
    frames = subject_before_a_blurred_ground(tmp_path / "in")

    def crop(text: str) -> tuple[int, int, int, int]:
        chosen, aspect, rectangle = parse_crop(text)
        options = StackOptions(
            crop=chosen, crop_aspect=aspect, crop_rectangle=rectangle, align=Align.NONE, threads=1, force=True
        )
        report = stack_pictures([frames], tmp_path / "o.tif", options)
        assert tifffile.imread(tmp_path / "o.tif").shape[:2] == (report.height, report.width)
        assert report.crop[2:] == (report.width, report.height)
        return report.crop

    assert crop("auto") == (0, 0, 400, 300)
    x, y, width, height = crop("focus")
    # the disc is at 170 to 330, 110 to 230: all of it, and not much more
    assert 125 <= x <= 170
    assert 70 <= y <= 110
    assert 330 <= x + width <= 375
    assert 230 <= y + height <= 270
    square = crop("focus,1:1")
    assert square[2] == square[3] == height
    assert crop("4:1") == (0, 100, 400, 100)
    assert crop("11,22,210,120") == (11, 22, 210, 120)
    assert crop("none") == (0, 0, 400, 300)
    with pytest.raises(StackingUsageError, match="inside"):
        crop("300,0,200,100")


def test_the_crop_by_hand_shows_that_part_of_the_whole(tmp_path: Path) -> None:
    frames = subject_before_a_blurred_ground(tmp_path / "in")
    whole = stack_pictures([frames], tmp_path / "a.tif", StackOptions(crop=Crop.NONE, align=Align.NONE, threads=1))
    part = StackOptions(crop_rectangle=(160, 100, 176, 144), align=Align.NONE, threads=1)
    stack_pictures([frames], tmp_path / "b.tif", part)
    del whole
    expected = tifffile.imread(tmp_path / "a.tif")[100:244, 160:336].astype(float)
    inner = np.s_[16:-16, 16:-16]
    assert np.abs(tifffile.imread(tmp_path / "b.tif")[inner] - expected[inner]).mean() < 300
