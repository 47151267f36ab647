"""Random set-ups of lens, sensor, light and subject: figures in docs/campaigns-focus.md."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.capture.focus_campaign import Campaign, certify_stacks, find_ranges, measure_steps, shake_frames

# Other seeds: FOCUS_SEED=5000 make soak
SEED = int(os.environ.get("FOCUS_SEED", "2000"))


def told(found: Campaign) -> dict[str, int]:
    print(found.report())  # noqa: T201
    return found.counts


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_growth_of_blur_in_thirty_set_ups() -> None:
    counts = told(measure_steps(range(SEED, SEED + 30)))
    assert counts["within 10 %"] >= 27
    assert counts["silently wrong by more than 25 %"] == 0
    assert counts["wrong magnification noticed"] == counts["magnification wrong"]
    assert counts["outside the limits"] == 0


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_ranges_in_thirty_set_ups() -> None:
    counts = told(find_ranges(range(SEED, SEED + 30)))
    assert counts["both ends within half a depth of field"] >= 24
    assert counts["both within one"] >= 28
    assert counts["outside the limits"] == 0


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_ranges_in_forty_other_scenes(tmp_path: Path) -> None:
    counts = told(find_ranges(range(SEED, SEED + 40), tmp_path))
    assert counts["both ends within half a depth of field"] >= 0.75 * counts["set-ups"]
    assert counts["both within one"] >= 0.9 * counts["set-ups"]
    assert counts["outside the limits"] == 0


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_gaps_in_twenty_five_stacks(tmp_path: Path) -> None:
    counts = told(certify_stacks(range(SEED, SEED + 25), tmp_path))
    assert counts["gap found and closed"] >= 0.95 * counts["stacks with a gap"]
    assert counts["called incomplete"] <= 0.02 * counts["complete stacks"] + 1


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_shakes_in_twenty_stacks(tmp_path: Path) -> None:
    counts = told(shake_frames(range(SEED, SEED + 20), tmp_path))
    assert counts["clean frames rejected"] <= 0.004 * counts["clean frames"]
    assert counts["sure by a second exposure, visible"] >= 0.95 * counts["shakes visible"]
    assert counts["found, visible"] >= 0.95 * counts["sure by a second exposure, visible"]
