from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from stacking.crop import Rectangle, largest_rectangle, valid_rectangle
from stacking.errors import RegistrationError


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
