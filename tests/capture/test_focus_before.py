"""What stands before the rest, told from curves made here by the law of defocus."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from capture.focus.before import find_before
from capture.focus.defocus import energy_of
from capture.focus.depths import ALIKE_PX, Depths
from capture.focus.range import find_range
from tests.capture.tilted_scene import Scene

F64 = NDArray[np.float64]

FREQUENCY, GROWTH, NOISE = 0.27, 0.1, 1e-5
POSITIONS = np.arange(-120.0, 320.0, 12.0)
ROWS, COLUMNS, HAIR = 12, 30, 14


def of_law(place: float | F64) -> F64:
    """Energy over position, shape (frames, ...), of texture in focus at `place`."""
    away = POSITIONS.reshape(-1, *[1] * np.ndim(place)) - place
    return np.asarray(energy_of((np.pi * FREQUENCY * GROWTH * away) ** 2), np.float64)


def ground_at(far: float, slope: float, seed: int) -> tuple[Depths, F64]:
    """A ground that falls off to the right, and its energies with noise."""
    rng = np.random.default_rng(seed)
    depth = np.broadcast_to(far + slope * np.arange(COLUMNS), (ROWS, COLUMNS)).astype(np.float64)
    energy = of_law(depth) * 10 ** rng.uniform(-4, -2, depth.shape)
    noisy = energy * rng.uniform(0.85, 1.15, energy.shape) + NOISE * rng.chisquare(6, energy.shape) / 6
    return Depths(depth, ALIKE_PX / GROWTH, 0, 0, depth.size), noisy


@settings(max_examples=25, deadline=None)
@given(place=st.floats(-80.0, 60.0), height=st.floats(2e-3, 2e-2), seed=st.integers(0, 99))
def test_a_hair_is_found_before_rougher_ground(place: float, height: float, seed: int) -> None:
    depths, energy = ground_at(place + 150.0, 1.0, seed)  # up to five times as strong
    energy[:, :, HAIR : HAIR + 2] += height * of_law(place)[:, None, None]
    found = find_before(POSITIONS, energy, np.full((ROWS, COLUMNS), NOISE), FREQUENCY, GROWTH, depths)
    on_hair = found[:, HAIR : HAIR + 2]
    assert np.isfinite(on_hair).mean() > 0.8
    assert np.nanmedian(np.abs(on_hair - place)) < 5.0
    assert np.isnan(np.delete(found, [HAIR, HAIR + 1], axis=1)).all()


@settings(max_examples=25, deadline=None)
@given(far=st.floats(-60.0, 250.0), slope=st.floats(-4.0, 4.0), seed=st.integers(0, 99))
def test_nothing_stands_before_ground_alone(far: float, slope: float, seed: int) -> None:
    depths, energy = ground_at(far, slope, seed)
    found = find_before(POSITIONS, energy, np.full((ROWS, COLUMNS), NOISE), FREQUENCY, GROWTH, depths)
    assert np.isnan(found).all()


def test_the_range_is_found_from_outside_the_subject() -> None:
    scene = Scene(13, 0.1, 0.0, 200.0, noise=0.0005, shape=(96, 192))
    scene.here = -650.0
    found = find_range(scene, 0.1, dof=40.0)
    assert (found.near, found.far) == (pytest.approx(0.0, abs=20.0), pytest.approx(200.0, abs=20.0))
