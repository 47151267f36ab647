"""The simulated lens: formulas by table, kernels by property."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.bench.optics import Lens, disc


@pytest.mark.parametrize(
    ("magnification", "f_number", "pupil_ratio", "effective"),
    [(1.0, 2.8, 1.0, 5.6), (2.0, 2.8, 1.0, 8.4), (5.0, 4.0, 1.0, 24.0), (5.0, 4.0, 2.0, 14.0), (0.5, 8.0, 1.0, 12.0)],
)
def test_effective_f_number(magnification: float, f_number: float, pupil_ratio: float, effective: float) -> None:
    lens = Lens(magnification=magnification, f_number=f_number, pupil_ratio=pupil_ratio)
    assert lens.f_number_effective == pytest.approx(effective)


def test_blur_circle_grows_with_m_squared_over_effective_aperture() -> None:
    lens = Lens(magnification=2.0, f_number=2.8, pixel_um=4.0)
    # 100 um of defocus: 100 * 4 / 8.4 um on the sensor
    assert 100 * lens.blur_px_per_um == pytest.approx(47.619 / 4.0, rel=1e-4)


def test_depth_of_field_adds_geometric_and_wave_part() -> None:
    lens = Lens(magnification=5.0, f_number=4.0, pixel_um=15.0)  # a blur circle of two pixels: 30 um
    assert lens.depth_of_field_um == pytest.approx(57.6 + 0.55 / (5.0 / 48.0) ** 2)


@pytest.mark.parametrize("name", ["magnification", "f_number", "pixel_um", "focal_length_mm"])
@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_a_lens_that_cannot_be_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        Lens(**{name: value})


def test_perspective_is_that_of_a_pinhole_at_the_entrance_pupil() -> None:
    lens = Lens(magnification=1.0, focal_length_mm=100.0)
    assert lens.pupil_distance_um == pytest.approx(200_000)
    shrink = lens.shrink(np.array([1000.0, 3000.0], dtype=np.float32), 2000.0)
    assert shrink == pytest.approx([199 / 200, 201 / 200], rel=1e-6)


@given(st.floats(0.01, 400.0))
@settings(max_examples=60, deadline=None)
def test_a_disc_has_the_variance_asked_for(variance: float) -> None:
    kernel = disc(variance).astype(np.float64)
    offset = np.arange(kernel.shape[0]) - kernel.shape[0] // 2
    assert kernel.sum() == pytest.approx(1.0, abs=1e-5)
    assert kernel.min() >= 0.0
    for axis in (0, 1):
        assert (kernel.sum(axis=axis) * offset**2).sum() == pytest.approx(variance, rel=2e-3)


def test_a_large_disc_is_flat_and_round() -> None:
    kernel = disc(20.0**2 / 4)
    middle = kernel.shape[0] // 2
    assert kernel[middle, middle] == pytest.approx(1 / (math.pi * 400), rel=0.02)
    assert kernel[middle, middle + 15] == pytest.approx(kernel[middle, middle], rel=1e-3)
    assert kernel[middle + 16, middle + 16] == 0.0


@pytest.mark.parametrize("f_number", [2.8, 8.0])
def test_the_spread_has_the_transfer_of_pupil_filter_and_pixel(f_number: float) -> None:
    lens = Lens(magnification=2.0, f_number=f_number)
    kernel = lens.spread().astype(np.float64)
    assert kernel.sum() == pytest.approx(1.0, abs=1e-5)
    offset = np.arange(kernel.shape[0]) - kernel.shape[0] // 2
    cutoff = lens.pixel_um / (lens.wavelength_um * lens.f_number_effective)
    for frequency in (0.1, 0.25, 0.4):
        nu = min(frequency / cutoff, 1.0)
        pupil = 2 / math.pi * (math.acos(nu) - nu * math.sqrt(1 - nu * nu))
        expected = pupil * np.sinc(frequency) * math.cos(math.pi * frequency * 0.8)
        measured = (kernel.sum(axis=0) * np.cos(2 * math.pi * frequency * offset)).sum()
        # cutting the Airy pattern's tail off lifts the transfer by what was cut
        assert measured == pytest.approx(expected, abs=0.06)


def test_stopping_down_widens_the_spread() -> None:
    peaks = [Lens(f_number=f_number).spread().max() for f_number in (2.8, 5.6, 11.0, 16.0)]
    assert peaks == sorted(peaks, reverse=True)
