"""Shifts, the law of a shake, and the place of a frame in a sweep, against what made them."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from capture.focus.bands import BandEnergies
from capture.focus.matching import Matcher, natural_spline
from capture.focus.settle_law import SETTLED_PX, conclude
from capture.focus.shake import fit_shake
from capture.focus.shift import ShiftMeter

F64 = NDArray[np.float64]


def scene(seed: int = 1, shape: tuple[int, int] = (150, 220)) -> NDArray[np.float32]:
    noise = np.random.default_rng(seed).normal(size=(shape[0] + 40, shape[1] + 40)).astype(np.float32)
    return np.asarray(1.0 + 0.3 * cv2.GaussianBlur(noise, (0, 0), 1.5), np.float32)


def seen(picture: NDArray[np.float32], x: float, y: float) -> NDArray[np.float32]:
    matrix = np.array([[1.0, 0.0, x - 20], [0.0, 1.0, y - 20]])
    size = (picture.shape[1] - 40, picture.shape[0] - 40)
    return np.asarray(cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_LANCZOS4), np.float32)


@settings(max_examples=25, deadline=None)
@given(st.floats(-9, 9), st.floats(-9, 9), st.floats(0.7, 1.4))
def test_shifts_are_measured_to_a_few_hundredths(x: float, y: float, light: float) -> None:
    picture = scene()
    found = ShiftMeter(seen(picture, 0, 0)).shift(np.asarray(seen(picture, x, y) * light, np.float32))
    assert found == pytest.approx((x, y), abs=0.05)


@pytest.mark.parametrize(
    "shape", [(90, 135), (91, 133)]
)  # the transform takes the first as they are, the second widened
def test_a_meter_measures_the_hundredth_frame_as_the_first(shape: tuple[int, int]) -> None:
    picture = scene(shape=shape)
    meter, frame = ShiftMeter(seen(picture, 0, 0)), seen(picture, 1.5, -0.7)
    found = [meter.shift(frame) for _ in range(100)]
    assert found[0] == pytest.approx((1.5, -0.7), abs=0.05)
    assert np.array_equal(found[0], found[-1])


def test_what_has_no_texture_has_no_shift() -> None:
    with pytest.raises(ValueError, match="texture"):
        ShiftMeter(np.ones((100, 100), np.float32))


def shaken(times_s: F64, amplitude: float, tau_s: float, frequency_hz: float, phase: float, exposure_s: float) -> F64:
    """Shifts by numeric integration over the exposure, of an elliptic motion."""
    t = times_s[:, None] + (np.arange(64) + 0.5) / 64 * exposure_s
    envelope = amplitude * np.exp(-t / tau_s)
    angle = 2 * np.pi * frequency_hz * t + phase
    return np.stack([(envelope * np.cos(angle)).mean(axis=1), 0.4 * (envelope * np.sin(angle)).mean(axis=1)], axis=1)


@settings(max_examples=12, deadline=None)
@given(
    settle_s=st.floats(0.1, 1.5),
    amplitude=st.floats(2.0, 15.0),
    frequency_hz=st.floats(6.0, 45.0),
    phase=st.floats(0, 6.28),
    seed=st.integers(0, 99),
)
def test_the_settle_time_follows_from_shifts_at_chance_times(
    settle_s: float, amplitude: float, frequency_hz: float, phase: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    tau_s, exposure_s = settle_s / math.log(amplitude / SETTLED_PX), 1 / 60
    moves = max(8, round(3.0 / settle_s))
    times = [np.sort(rng.uniform(0, 1.4 * settle_s + 0.1, 8)) for _ in range(moves)]
    t, move = np.concatenate(times), np.repeat(np.arange(moves), 8)
    shifts = shaken(t, amplitude, tau_s, frequency_hz, phase, exposure_s) + rng.normal(0, 0.03, (len(t), 2))
    found = conclude(t, shifts, move, exposure_s, 0.04)
    assert found.law is not None
    assert found.value_s == pytest.approx(settle_s, rel=0.1)
    assert found.law.frequency_hz == pytest.approx(frequency_hz, rel=0.05)
    assert found.uncertainty_s < 0.3 * settle_s


def test_a_picture_at_rest_needs_no_settling() -> None:
    rng = np.random.default_rng(3)
    t, move = rng.uniform(0, 0.3, 60), np.repeat(np.arange(6), 10)
    found = conclude(t, rng.normal(0, 0.03, (60, 2)), move, 1 / 60, 0.045)
    assert (found.value_s, found.law) == (0.0, None)


@pytest.mark.parametrize("seed", range(4))
def test_a_shake_of_chance_phases_is_told_by_its_size(seed: int) -> None:
    rng = np.random.default_rng(seed)
    t = np.tile(np.linspace(0.02, 0.8, 12), 8)
    size = 5 * np.exp(-t / 0.12)
    angle = rng.uniform(0, 2 * np.pi, len(t))
    shifts = np.stack([size * np.cos(angle), size * np.sin(angle)], axis=1)
    found = conclude(t, shifts, np.repeat(np.arange(8), 12), 1 / 60, 0.03)
    assert found.law is None
    assert any("size alone" in note for note in found.notes)
    assert found.value_s == pytest.approx(0.12 * math.log(5 / SETTLED_PX), rel=0.25)


def test_a_shake_without_a_law_ends_where_none_is_seen_any_more() -> None:
    rng = np.random.default_rng(4)
    t = np.tile([0.05, 0.4, 0.75], 8)
    angle = rng.uniform(0, 2 * np.pi, len(t))
    size = np.where(t < 0.5, rng.uniform(1, 4, len(t)), 0.02)
    shifts = np.stack([size * np.cos(angle), size * np.sin(angle)], axis=1)
    found = conclude(t, shifts, np.repeat(np.arange(8), 3), 1 / 60, 0.03)
    assert found.law is None
    assert 0.4 <= found.value_s <= 0.8


def test_too_few_shifts_have_no_law() -> None:
    assert fit_shake(np.zeros(3), np.zeros((3, 2)), 0.01) is None


def test_the_spline_goes_through_its_points_and_is_smooth_between() -> None:
    x = np.array([0.0, 1.0, 2.5, 3.0, 4.2, 5.0, 6.0])
    y = np.stack([np.sin(x), 2 * x - 1], axis=1)
    assert natural_spline(x, y, x) == pytest.approx(y, abs=1e-5)
    at = np.linspace(1, 5, 30)
    assert natural_spline(x, y, at)[:, 1] == pytest.approx(2 * at - 1, abs=1e-5)
    assert natural_spline(x, y, at)[:, 0] == pytest.approx(np.sin(at), abs=0.05)


def test_a_frame_is_found_between_the_positions_of_the_sweep() -> None:
    texture = np.random.default_rng(5).normal(size=(160, 240)).astype(np.float32)

    def frame(position: float, seed: int) -> NDArray[np.float32]:
        blurred = cv2.GaussianBlur(texture, (0, 0), 0.8 + abs(position) / 8)
        noise = np.random.default_rng(seed).normal(0, 0.002, texture.shape)
        return np.asarray(0.4 * (1 + 0.3 * blurred + noise), np.float32)

    bands = BandEnergies(texture.shape, (0.06, 0.13, 0.27))
    positions = np.arange(-30.0, 31.0, 5.0)
    energies = np.stack([bands.measure(frame(p, k)) for k, p in enumerate(positions)])
    noise, clipped = bands.noise(frame(0, 90), frame(0, 91)), bands.clipped(frame(0, 92))
    matcher = Matcher(positions, energies, noise, clipped, bands)
    for place in (6.3, 14.0, 21.7):
        match = matcher.find(frame(place, 50))
        assert match.inside
        assert abs(match.position) == pytest.approx(place, abs=0.5)  # this blur is the same on both sides
    assert not matcher.find(frame(60.0, 51)).inside
    with pytest.raises(ValueError, match="too little"):
        Matcher(positions, energies[:1].repeat(len(positions), 0), noise, clipped, bands)
