"""Places beyond the ends of a stack, of curves that follow the law of defocus exactly."""

from __future__ import annotations

import numpy as np
import pytest

from capture.focus.defocus import HALF_ENERGY_X, energy_of
from capture.focus.end_blocks import focus_at_ends

GROWTH_PX = 0.05
STEP = 28.0


@pytest.mark.parametrize("end", ["near", "far"])
@pytest.mark.parametrize("out", [0.0, 30.0, 45.0, 75.0])
def test_a_band_wider_than_the_step_tells_places_beyond_and_a_narrower_one_says_that_it_does_not(
    end: str, out: float
) -> None:
    positions = np.arange(12) * STEP
    place = positions[0] - out if end == "near" else positions[-1] + out
    noise = np.full((1, 1), 1e-6, np.float32)
    told = {}
    for frequency in (0.11, 0.35):
        curve = energy_of((np.pi * frequency * GROWTH_PX * (positions - place)) ** 2)
        energies = np.asarray(1e-2 * curve, np.float32)[:, None, None] + noise
        places, close = focus_at_ends(positions, energies, noise, frequency, GROWTH_PX)
        half_width = HALF_ENERGY_X / (np.pi * frequency * GROWTH_PX)
        assert bool(close[0, 0]) is (half_width > STEP)
        told[frequency] = float(places[0, 0])
    assert told[0.11] == pytest.approx(place, abs=6.0)
    if out == 75.0:  # the narrower one would have it inside
        assert positions[0] < told[0.35] < positions[-1]
