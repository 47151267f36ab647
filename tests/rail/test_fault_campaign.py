"""Every fault at a random moment of a move, a jog, a homing, a press or a zero, on all four controllers."""

from __future__ import annotations

import json

import pytest

from tests.rail.fault_campaign import FAULTS, NOT_MARLINS, WIRE, befall
from tests.rail.faults import Befallen, quiet

__all__ = ["quiet"]

DIALECTS = ("grbl", "grblhal", "fluidnc", "marlin")
WITHIN_S = 1.0
"""From the fault to the error, with motion and shutter stopped, device time."""

SHOWN_S = 1.5
"""From the first damaged byte: a wrong target shows when the carriage leaves the way to the right one."""


def check(figures: Befallen) -> None:
    for fault in ("reset", "boot loader", "switch"):
        # What comes with the last byte of an operation is told by the next one.
        assert figures.told[fault] >= 0.9 * figures.came[fault], (fault, figures)
        assert figures.lost[fault] >= figures.came[fault], (fault, figures)
    for what, took_s in figures.slowest_s.items():
        assert took_s < (SHOWN_S if what.split()[0] in WIRE else WITHIN_S), (what, figures)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_faults_at_random_moments(dialect: str) -> None:
    check(befall(dialect, 24, 3))


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_faults_at_random_moments_long(dialect: str) -> None:
    faults = len(FAULTS) - (len(NOT_MARLINS) if dialect == "marlin" else 0)
    figures = befall(dialect, 500 * faults, 30)
    print(json.dumps({dialect: vars(figures)}))  # noqa: T201
    check(figures)
