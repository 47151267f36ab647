from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stacking.focus_measure import (
    FocusMeasure,
    focus_map,
    focus_value,
    noise_compensated,
    noise_energy,
    noise_sigma,
)

CLOSED_FORM = [
    FocusMeasure.ENERGY_OF_LAPLACIAN,
    FocusMeasure.MODIFIED_LAPLACIAN,
    FocusMeasure.GRADIENT_ENERGY,
    FocusMeasure.SQUARED_GRADIENT,
    FocusMeasure.TENENGRAD,
]


def texture(seed: int = 1) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return np.clip(128 + 40 * rng.standard_normal((96, 128)), 0, 255).astype(np.float32)


@pytest.mark.parametrize("measure", list(FocusMeasure))
def test_more_blur_is_less_focus(measure: FocusMeasure) -> None:
    sharp = texture()
    values = [focus_value(sharp if s == 0 else cv2.GaussianBlur(sharp, (0, 0), s), measure) for s in (0, 0.7, 1.5, 3)]
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0.6 * values[0]


@pytest.mark.parametrize("measure", list(FocusMeasure))
def test_a_flat_picture_has_no_focus(measure: FocusMeasure) -> None:
    flat = np.full((20, 30), 77, np.uint8)
    assert focus_map(flat, measure).max() == pytest.approx(0, abs=1e-3)
    assert focus_value(flat, measure) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("measure", list(FocusMeasure))
def test_the_map_shows_where(measure: FocusMeasure) -> None:
    picture = np.full((60, 120), 128, np.float32)
    picture[:, 60:] = texture()[:60, :60]
    found = focus_map(picture, measure, 5)
    assert found.shape == picture.shape
    assert found.dtype == np.float32
    assert found.min() >= 0
    assert found[:, 75:].mean() > 20 * found[:, :45].mean() + 0.1


@pytest.mark.parametrize("measure", list(FocusMeasure))
def test_sixteen_bits_measure_as_eight(measure: FocusMeasure) -> None:
    eight = texture().astype(np.uint8)
    sixteen = eight.astype(np.uint16) * 257
    np.testing.assert_allclose(focus_map(eight, measure), focus_map(sixteen, measure), rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("measure", CLOSED_FORM)
@pytest.mark.parametrize("sigma", [0.5, 3.0])
def test_noise_has_the_energy_that_is_reckoned_with(measure: FocusMeasure, sigma: float) -> None:
    noise = np.random.default_rng(5).normal(100, sigma, (300, 400)).astype(np.float32)
    assert focus_value(noise, measure) == pytest.approx(noise_energy(measure, sigma), rel=0.03)
    left = noise_compensated(noise, measure, 31, sigma).mean()
    assert left < 0.1 * noise_energy(measure, sigma)


@given(st.floats(0.3, 8.0), st.integers(0, 2**31))
@settings(max_examples=20, deadline=None)
def test_noise_is_estimated_under_a_smooth_picture(sigma: float, seed: int) -> None:
    y, x = np.mgrid[0:160, 0:200].astype(np.float32)
    picture = 60 + 0.4 * x + 0.3 * y + np.random.default_rng(seed).normal(0, sigma, (160, 200)).astype(np.float32)
    assert noise_sigma(picture.astype(np.float32)) == pytest.approx(sigma, rel=0.06)


def test_noise_without_closed_form_is_refused() -> None:
    with pytest.raises(ValueError, match="closed form"):
        noise_energy(FocusMeasure.VOLLATH_AUTOCORRELATION, 1.0)


@pytest.mark.parametrize("window", [0, 2, -3])
def test_windows_are_odd(window: int) -> None:
    with pytest.raises(ValueError, match="odd"):
        focus_map(np.zeros((5, 5), np.uint8), window=window)


def test_colour_is_refused() -> None:
    with pytest.raises(ValueError, match="grayscale"):
        focus_map(np.zeros((5, 5, 3), np.uint8))


def test_names_are_those_of_pertuz() -> None:
    assert {m.name: m.value for m in FocusMeasure}["TENENGRAD"] == "GRA6"
    assert FocusMeasure("LAP2") is FocusMeasure.MODIFIED_LAPLACIAN
