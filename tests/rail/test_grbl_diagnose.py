from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rail.grbl.diagnose import Severity, diagnose
from rail.profiles import load_profile

HEALTHY = {
    0: 10, 1: 255, 10: 1, 13: 0, 20: 0, 21: 0, 22: 0, 23: 0, 24: 25, 25: 500, 27: 1, 32: 0,
    100: 400.0, 110: 500.0, 120: 10.0, 130: 200.0,
}  # fmt: skip


def test_nothing_is_wrong_with_a_healthy_rail() -> None:
    assert diagnose(HEALTHY, load_profile("t8-lead8")) == []
    assert diagnose(HEALTHY, load_profile()) == []


@pytest.mark.parametrize(
    ("change", "key", "severity"),
    [
        ({1: 25}, "$1", Severity.WRONG),
        ({0: 1}, "$0", Severity.WRONG),
        ({20: 1}, "$20", Severity.WRONG),
        ({21: 1}, "$21", Severity.NOTE),
        ({22: 1}, "$22", Severity.NOTE),
        ({22: 1, 27: 0}, "$27", Severity.WRONG),
        ({13: 1}, "$13", Severity.WARNING),
        ({10: 0}, "$10", Severity.NOTE),
        ({10: 2}, "$10", Severity.NOTE),
        ({32: 1}, "$32", Severity.WARNING),
        ({100: 250.0}, "$100", Severity.WARNING),
        ({100: 0.0}, "$100", Severity.WRONG),
        ({110: 0.0}, "$110", Severity.WRONG),
        ({110: 9000.0}, "$110", Severity.WRONG),
        ({120: 0.0}, "$120", Severity.WRONG),
    ],
)
def test_each_mistake_is_named_with_its_remedy(change: dict[int, float], key: str, severity: Severity) -> None:
    found = diagnose({**HEALTHY, **change}, load_profile("t8-lead8"))
    (finding,) = [f for f in found if f.key == key]
    assert finding.severity is severity
    assert finding.message
    assert finding.remedy


def test_a_travel_longer_than_the_controllers() -> None:
    profile = load_profile("t8-lead8").model_copy(update={"travel_um": 250_000.0})
    assert "$130" in {f.key for f in diagnose({**HEALTHY, 22: 1}, profile)}


def test_a_restart_on_opening_is_told() -> None:
    (finding,) = diagnose(HEALTHY, load_profile(), reset_on_open=True)
    assert finding.key == "reset-on-open"


@given(st.dictionaries(st.integers(0, 140), st.floats(-1e6, 1e6)))
def test_any_settings_can_be_diagnosed_worst_first(settings: dict[int, float]) -> None:
    ranks = [list(Severity).index(f.severity) for f in diagnose(settings, load_profile("t8-lead2"))]
    assert ranks == sorted(ranks)
