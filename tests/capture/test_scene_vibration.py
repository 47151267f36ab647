"""The shake after a move: envelope, path, trail."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.bench.scene_vibration import SETTLED_PX, Vibration, line, trail


@given(st.floats(0.01, 5.0), st.floats(0.0, 20.0), st.floats(0.001, 2.0))
@settings(max_examples=60, deadline=None)
def test_settled_means_under_a_quarter_pixel_from_then_on(settle_s: float, later_s: float, exposure_s: float) -> None:
    path = Vibration(settle_s).path(settle_s + later_s, exposure_s)
    assert np.hypot(path[:, 0], path[:, 1]).max() <= SETTLED_PX + 1e-9


@pytest.mark.parametrize("settle_s", [0.05, 0.3, 2.0])
def test_not_settled_a_little_earlier(settle_s: float) -> None:
    vibration = Vibration(settle_s)
    assert float(vibration.envelope_px(settle_s)) == pytest.approx(SETTLED_PX)
    assert float(vibration.envelope_px(0.9 * settle_s)) > 1.2 * SETTLED_PX
    # it oscillates within its envelope: within one period before settling it does reach out
    times = np.linspace(0, settle_s, 400)
    reach = max(float(np.abs(vibration.path(t, 0.0005)).max()) for t in times)
    assert reach > 5.0


@pytest.mark.parametrize("rest_s", [10.0, math.inf])
def test_friction_ends_it_so_that_pictures_at_rest_are_identical(rest_s: float) -> None:
    assert np.array_equal(Vibration(0.3).path(rest_s, 1 / 60), np.zeros((1, 2)))


def test_no_settle_time_is_no_vibration() -> None:
    assert np.array_equal(Vibration(0.0).path(0.0, 1 / 60), np.zeros((1, 2)))


@given(st.floats(1.0, 30.0), st.floats(0.0, 360.0))
@settings(max_examples=40, deadline=None)
def test_a_line_leaves_a_trail_of_its_length_and_direction(length: float, angle_deg: float) -> None:
    kernel = trail(line(length, angle_deg))
    assert kernel is not None
    assert kernel.sum() == pytest.approx(1.0, abs=1e-5)
    offset = np.arange(kernel.shape[0]) - kernel.shape[0] // 2
    weights = kernel.astype(np.float64)
    along = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    x, y = np.meshgrid(offset, offset)
    assert (weights * x).sum() == pytest.approx(0.0, abs=1e-3)
    spread = (weights * (x * along[0] + y * along[1]) ** 2).sum()
    # splitting samples among pixels adds at most a quarter of a squared pixel along each axis
    assert length**2 / 12 * 0.95 <= spread <= length**2 / 12 + 0.5


def test_a_path_that_stays_leaves_no_trail() -> None:
    assert trail(np.zeros((1, 2))) is None
    assert trail(np.array([[5.0, -3.0], [5.05, -3.0]])) is None
