from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stacking.statistics import SharpnessCurves


@given(
    peak=st.floats(-500, 9000),
    step=st.floats(2, 200),
    width=st.floats(0.8, 3.0),
    height=st.floats(0.5, 5000),
    offset=st.floats(-0.5, 0.5),
)
@settings(max_examples=80, deadline=None)
def test_a_gaussian_is_found_again(peak: float, step: float, width: float, height: float, offset: float) -> None:
    positions = peak + (np.arange(-8, 9) + offset) * step
    curves = SharpnessCurves((2, 3), origin=float(positions.mean()), scale=float(np.ptp(positions) / 2))
    for z in positions:
        y = height * np.exp(-((z - peak) ** 2) / (2 * (width * step) ** 2))
        curves.add(float(z), np.full((2, 3), y))
    found = curves.peaks()
    np.testing.assert_allclose(found.position, peak, atol=0.02 * step)
    np.testing.assert_allclose(found.width, width * step, rtol=0.02)
    np.testing.assert_allclose(found.height, height, rtol=0.02)
    assert (found.confidence > 0.98).all()


def test_order_does_not_matter() -> None:
    rng = np.random.default_rng(3)
    maps = [(float(k), 10 * np.exp(-((k - 6.3) ** 2) / 8) + rng.random((4, 5))) for k in range(12)]
    one, two = SharpnessCurves((4, 5), origin=6, scale=6), SharpnessCurves((4, 5), origin=6, scale=6)
    for z, y in maps:
        one.add(z, y)
    for z, y in reversed(maps):
        two.add(z, y)
    np.testing.assert_allclose(one.peaks().position, two.peaks().position, rtol=1e-9)


def test_nothing_sharp_has_no_peak() -> None:
    curves = SharpnessCurves((2, 2), origin=2, scale=2)
    for k in range(5):
        curves.add(k, np.zeros((2, 2)))
    found = curves.peaks()
    assert np.isnan(found.position).all()
    assert (found.confidence == 0).all()


def test_two_frames_are_too_few() -> None:
    curves = SharpnessCurves((1, 1))
    curves.add(0, np.array([[1.0]]))
    curves.add(1, np.array([[2.0]]))
    assert np.isnan(curves.peaks().position).all()


def test_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="expected"):
        SharpnessCurves((2, 2)).add(0, np.zeros((3, 2)))
    with pytest.raises(ValueError, match="scale"):
        SharpnessCurves((2, 2), scale=0)
