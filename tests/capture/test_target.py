"""Magnification from ruled targets and from the growth of blur, against how they were made."""

from __future__ import annotations

import numpy as np
import pytest

from capture.depth_of_field import Optics, depth_of_field
from capture.errors import FocusError
from capture.focus.target import magnification_of_target, magnification_of_travel
from tests.capture.test_ruler import ruled


@pytest.mark.parametrize(("period_px", "angle_deg"), [(9.3, 12.0), (14.1, 95.0)])
def test_a_ruled_target_tells_the_magnification(period_px: float, angle_deg: float) -> None:
    truth = period_px * 8.0 / 50.0  # pixels of 8 um, lines every 50 um
    found = magnification_of_target(ruled(period_px, angle_deg), 8.0, 50.0)
    assert found.value == pytest.approx(truth, abs=max(found.uncertainty, 1e-3 * truth))
    assert found.uncertainty < 0.01 * truth


def test_a_target_that_does_not_fill_the_picture_is_refused() -> None:
    picture = ruled(12.0, 0.0)
    picture[:, 150:] = np.random.default_rng(3).normal(0.5, 0.05, (300, 290))
    with pytest.raises(FocusError, match="parts of the picture"):
        magnification_of_target(picture, 8.0, 50.0)


def test_a_picture_without_lines_is_refused() -> None:
    with pytest.raises(FocusError, match="no evenly ruled lines"):
        magnification_of_target(np.random.default_rng(1).normal(0.5, 0.1, (300, 440)).astype(np.float32), 8.0, 50.0)


@pytest.mark.parametrize(("m", "f_number"), [(0.5, 16.0), (2.0, 5.6), (10.0, 2.8)])
def test_the_growth_of_blur_tells_the_magnification(m: float, f_number: float) -> None:
    growth_px = 4 / depth_of_field(Optics(m, f_number, coc_um=8.0)).geometric_um
    found = magnification_of_travel(growth_px, f_number, 4.0)
    assert found.value == pytest.approx(m, rel=1e-6)
    assert 0.03 * m < found.uncertainty < 0.12 * m
    high = magnification_of_travel(1.08 * growth_px, f_number, 4.0)
    assert abs(high.value - m) < high.uncertainty
