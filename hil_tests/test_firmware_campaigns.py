"""Campaigns on firmware in the AVR simulator: a short share here, the long ones by `make soak` (docs/campaigns-rail.md)."""

from __future__ import annotations

import json
import os

import pytest

from hil_tests.firmware_campaigns import ALWAYS_LOSES, COMPARED_HOMING, VISIBLE, Slipped, befall, slip, wander
from hil_tests.firmware_sim import OURS, Build, other_build
from tests.rail.faults import Befallen, quiet

__all__ = ["quiet"]

pytestmark = pytest.mark.timeout(300)

FINE = Build(um_per_step=0.625, setup=("$110=900", "$120=500", "$270=20000"), speed=40)
OTHER = other_build()
ROUNDS = {"wander": 10_000, "befall": 500 * len(VISIBLE), "slip": 1500}


def rounds(name: str, share: int) -> int:
    return int(os.environ.get(f"FOCUSRAIL_{name.upper()}", ROUNDS[name])) // share


def check_befallen(figures: Befallen) -> None:
    """What must lose the position did whenever it came, and a hold never."""
    for fault in ALWAYS_LOSES:
        # A switch may close with the last pulses, when nothing moves any more.
        spared = 1 + 0.03 * figures.came[fault] if fault == "switch" else 0
        assert figures.lost[fault] >= figures.came[fault] - spared, (fault, figures)
    assert figures.lost["unplug"] > 0 or figures.came["unplug"] < 10, (
        figures
    )  # half of the boards lose their power with it
    assert figures.lost["hold"] == 0, figures


def check_slipped(figures: Slipped) -> None:
    assert figures.told == figures.harmful, figures
    assert figures.false_alarms == 0, figures


def test_positions_equal_counted_steps() -> None:
    assert wander(FINE, 25, 5).rests == 25


def test_faults_at_random_moments() -> None:
    check_befallen(befall(OURS, 3 * len(VISIBLE), 1))


def test_slips_are_told_at_the_switch() -> None:
    check_slipped(slip(OURS, 12, 3))


LONG = [pytest.mark.soak, pytest.mark.timeout(7200)]
PARTS = [pytest.param(seed, marks=LONG, id=f"part{seed}") for seed in range(4)]  # for as many cores


def tell(name: str, figures: object) -> None:
    print(json.dumps({name: vars(figures)}))  # noqa: T201


@pytest.mark.parametrize("seed", PARTS)
def test_positions_equal_counted_steps_long(seed: int) -> None:
    tell("wander", wander(FINE, rounds("wander", len(PARTS)), 60 + seed))


@pytest.mark.parametrize("seed", PARTS)
def test_faults_at_random_moments_long(seed: int) -> None:
    figures = befall(OURS, rounds("befall", len(PARTS)), 20 + seed)
    tell("befall", figures)
    check_befallen(figures)


@pytest.mark.parametrize("seed", PARTS)
def test_slips_are_told_at_the_switch_long(seed: int) -> None:
    figures = slip(OURS, rounds("slip", len(PARTS)), 40 + seed)
    tell("slip", figures)
    check_slipped(figures)


if OTHER is not None:

    @pytest.mark.timeout(7200)  # as long as was asked for
    def test_positions_equal_counted_steps_on_other_firmware() -> None:
        assert OTHER is not None
        tell("wander", wander(OTHER, int(os.environ.get("FOCUSRAIL_WANDER", "25")), 5))

    @pytest.mark.skipif("$22=1" not in OTHER.setup, reason="only for a build that homes X alone: $22=1 in the set-up")
    @pytest.mark.timeout(7200)
    @pytest.mark.parametrize("hard", [0, 1])
    def test_slips_are_told_at_the_switch_of_other_firmware(hard: int) -> None:
        assert OTHER is not None
        count = int(os.environ.get("FOCUSRAIL_SLIP", "15"))
        figures = slip(OTHER, count, 3, (f"$21={hard}", *COMPARED_HOMING))
        tell("slip", figures)
        check_slipped(figures)

    @pytest.mark.timeout(7200)
    def test_faults_at_random_moments_on_other_firmware() -> None:
        assert OTHER is not None
        figures = befall(OTHER, int(os.environ.get("FOCUSRAIL_BEFALL", str(2 * len(VISIBLE)))), 1)
        tell("befall", figures)
        check_befallen(figures)
