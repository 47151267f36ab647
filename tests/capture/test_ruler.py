"""The spacing of ruled targets against how they were drawn."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from capture.focus.ruler import find_spacing


def ruled(
    period_px: float, angle_deg: float, *, width: float = 0.3, blur_px: float = 1.2, noise: float = 0.05
) -> NDArray[np.float32]:
    y, x = np.mgrid[:300, :440].astype(np.float64)
    across = x * np.cos(np.radians(angle_deg)) + y * np.sin(np.radians(angle_deg))
    dark = (across / period_px % 1.0) < width
    picture = cv2.GaussianBlur(np.where(dark, 0.2, 0.8).astype(np.float32), (0, 0), blur_px)
    shading = 0.7 + 0.3 * (x / 440)
    rng = np.random.default_rng(round(period_px * 100))
    return np.asarray(picture * shading + rng.normal(0, noise, picture.shape), np.float32)


@settings(max_examples=6, deadline=None)
@given(st.floats(6, 50), st.floats(0, 179), st.floats(0.15, 0.85))
def test_the_spacing_is_found_at_any_angle(period_px: float, angle_deg: float, width: float) -> None:
    found = find_spacing(ruled(period_px, angle_deg, width=width))
    assert found is not None
    assert found.px == pytest.approx(period_px, rel=3e-3)


def test_without_lines_there_is_none() -> None:
    noise = np.random.default_rng(1).normal(size=(300, 440)).astype(np.float32)
    assert find_spacing(noise) is None
    assert find_spacing(np.asarray(cv2.GaussianBlur(noise, (0, 0), 3.0), np.float32)) is None
    assert find_spacing(np.ones((300, 440), np.float32)) is None
