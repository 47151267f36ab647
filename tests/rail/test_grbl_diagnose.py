from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rail.errors import RailRefusedError, RailTimeoutError
from rail.grbl.diagnose import diagnose
from rail.grbl.findings import Finding, Setup, Severity
from rail.grbl.identity import Identity
from rail.opening import describe_settings
from rail.profiles import load_profile
from tests.rail.grbl_virtual import VirtualRail

HEALTHY = {
    0: 10, 1: 255, 10: 1, 13: 0, 20: 0, 21: 0, 22: 0, 23: 0, 24: 25, 25: 500, 27: 1, 32: 0,
    100: 400.0, 110: 500.0, 120: 10.0, 130: 200.0,
}  # fmt: skip


def test_nothing_is_wrong_with_a_healthy_rail() -> None:
    assert diagnose(Setup(HEALTHY, load_profile("t8-lead8"))) == []
    assert diagnose(Setup(HEALTHY, load_profile())) == []


def found(change: dict[int, float], key: str, profile: str = "t8-lead8", **more: object) -> Finding:
    findings = diagnose(Setup({**HEALTHY, **change}, load_profile(profile), **more))  # type: ignore[arg-type]
    (finding,) = [f for f in findings if f.key == key]
    return finding


@pytest.mark.parametrize(
    ("change", "key", "severity"),
    [
        ({1: 25}, "$1", Severity.WRONG),
        ({0: 1}, "$0", Severity.WRONG),
        ({2: 1}, "$2", Severity.NOTE),
        ({4: 1}, "$4", Severity.WARNING),
        ({20: 1}, "$20", Severity.WRONG),
        ({21: 1}, "$21", Severity.NOTE),
        ({22: 1}, "$22", Severity.WARNING),
        ({22: 1, 27: 0}, "$27", Severity.WRONG),
        ({22: 1, 24: 600}, "$24", Severity.WARNING),
        ({22: 1, 24: 400, 25: 450}, "$24", Severity.WARNING),
        ({22: 1, 25: 9000}, "$25", Severity.NOTE),
        ({22: 1, 25: 9000, 110: 3000}, "$25", Severity.WARNING),
        ({22: 1, 25: 0}, "$25", Severity.WRONG),
        ({22: 1, 130: 0.5}, "$130", Severity.WRONG),
        ({3: 1}, "$3", Severity.NOTE),
        ({13: 1}, "$13", Severity.WARNING),
        ({10: 0}, "$10", Severity.NOTE),
        ({10: 2}, "$10", Severity.NOTE),
        ({32: 1}, "$32", Severity.WARNING),
        ({100: 250.0}, "$100", Severity.WARNING),
        ({100: 0.0}, "$100", Severity.WRONG),
        ({110: 0.0}, "$110", Severity.WRONG),
        ({110: 9000.0}, "$110", Severity.WRONG),
        ({110: 4000.0}, "$110", Severity.WARNING),
        ({110: 1.0}, "$110", Severity.WARNING),
        ({120: 0.0}, "$120", Severity.WRONG),
        ({120: 9000.0}, "$120", Severity.WARNING),
        ({120: 0.1}, "$120", Severity.WARNING),
    ],
)
def test_each_mistake_is_named_with_its_remedy(change: dict[int, float], key: str, severity: Severity) -> None:
    finding = found(change, key)
    assert finding.severity is severity
    assert finding.message
    assert finding.remedy


def test_what_the_profile_knows_better() -> None:
    profile = load_profile("t8-lead8")
    knows = {"travel_um": 250_000.0, "direction_inverted": False, "acceleration_um_s2": 50_000.0}
    findings = diagnose(Setup({**HEALTHY, 3: 1}, profile.model_copy(update=knows)))
    assert {f.key for f in findings} == {"$130", "$3", "$120"}
    twice = diagnose(Setup({**HEALTHY, 3: 1}, profile.model_copy(update={"invert": True})))
    assert [f.severity for f in twice] == [Severity.WARNING]


def test_a_limit_input_that_is_active_at_rest() -> None:
    finding = found({21: 1}, "$5", pins="X")
    assert finding.severity is Severity.WRONG
    assert "$5=1" in finding.remedy
    hal = found({21: 1}, "$5", pins="XYZ", identity=Identity("1.1f", "", "grblhal", "grblHAL"))
    assert "normally closed" in hal.message
    assert "$5=7" in hal.remedy
    assert found({}, "$5", pins="X").severity is Severity.WARNING


def test_a_controller_that_homes_x_alone_is_not_warned_of_z() -> None:
    own = Identity("1.1h.20260101:focusrail", "M", homes_alone=True)
    assert diagnose(Setup({**HEALTHY, 22: 1}, load_profile(), own)) == []


@pytest.mark.parametrize(("dialect", "change"), [("grbl", {}), ("grblhal", {44: 4.0, 45: 3.0, 46: 0.0})])
def test_a_rail_that_is_homed_is_not_told_that_it_cannot(dialect: str, change: dict[int, float]) -> None:
    setup = Setup({**HEALTHY, **change, 22: 1}, load_profile(), Identity("1.1h", "V", dialect))
    assert len(diagnose(setup)) == 1
    assert diagnose(replace(setup, homed=True)) == []


@pytest.mark.parametrize("dialect", ["grbl", "grblhal", "fluidnc", "marlin"])
def test_a_line_that_is_run_at_each_start_is_told_of(dialect: str) -> None:
    rail = VirtualRail(dialect=dialect, profile="[drive]\nlead_mm = 8.0")
    axis = rail.open()
    assert axis.diagnose() == []
    if dialect in {"grbl", "grblhal"}:
        axis._controller.command("$N1=G10L20P1X0")
        (finding,) = axis.diagnose()
        assert (finding.key, finding.severity) == ("$N1", Severity.WARNING)
        assert "G10L20P1X0" in finding.message
        assert "$N1=" in finding.remedy
    axis.close()


def test_a_restart_on_opening_is_told_and_how_to_cure_it() -> None:
    (finding,) = diagnose(Setup(HEALTHY, load_profile(), reset_on_open=True))
    assert finding.key == "reset-on-open"
    assert "capacitor" in finding.remedy
    assert "stty -hupcl" in finding.remedy


@given(
    st.dictionaries(st.integers(0, 140), st.floats(-1e6, 1e6)),
    st.sampled_from(["grbl", "grblhal", "fluidnc", "marlin"]),
)
def test_any_settings_can_be_diagnosed_worst_first(settings: dict[int, float], dialect: str) -> None:
    setup = Setup(settings, load_profile("t8-lead2"), Identity("", "", dialect), "XP")
    ranks = [list(Severity).index(f.severity) for f in diagnose(setup)]
    assert ranks == sorted(ranks)


# On the controllers themselves ----------------------------------------------------------------------------------

SWITCH = {21: 1, 130: 60, 25: 600, 24: 60}
NAMES = {  # GRBL's number: the same setting elsewhere
    "grbl": {},
    "grblhal": {},
    "fluidnc": {1: "$/stepping/idle_ms", 20: "$/axes/x/soft_limits", 100: "$/axes/x/steps_per_mm", 110: "$/axes/x/max_rate_mm_per_min",
                120: "$/axes/x/acceleration_mm_per_sec2", 24: "$/axes/x/homing/feed_mm_per_min"},
    "marlin": {100: "M92 X", 110: "M203 X", 120: "M201 X"},
}  # fmt: skip


@pytest.mark.parametrize("dialect", NAMES)
@pytest.mark.parametrize(
    ("settings", "number"),
    [({1: 25}, 1), ({20: 1}, 20), ({100: 250}, 100), ({110: 60_000}, 110), ({120: 9000}, 120), ({13: 1}, 13), ({10: 2}, 10),
     ({32: 1}, 32), ({3: 1}, 3), ({**SWITCH, 24: 900}, 24)],
)  # fmt: skip
def test_each_controller_is_seen_through(dialect: str, settings: dict[int, float], number: int) -> None:
    if dialect == "marlin" and number not in NAMES["marlin"]:
        return  # it has no such setting
    if dialect == "fluidnc" and number in {3, 13, 10, 32}:
        return
    homing = number == 24
    rail = VirtualRail(dialect=dialect, homing=homing, settings=settings, profile="[drive]\nlead_mm = 8.0")
    axis = rail.open()
    key = NAMES[dialect].get(number, f"${number}")
    findings = {finding.key: finding for finding in axis.diagnose()}
    assert key in findings, findings
    assert key.rstrip("X ") in findings[key].remedy
    axis.close()
    healthy = VirtualRail(
        dialect=dialect, homing=homing, settings=SWITCH if homing else None, profile="[drive]\nlead_mm = 8.0"
    ).open()
    assert key not in {finding.key for finding in healthy.diagnose()}
    healthy.close()


def test_an_unwired_grblhal_says_that_its_inputs_are_normally_closed() -> None:
    axis = VirtualRail(dialect="grblhal", settings={5: 0}).open()
    (finding,) = [f for f in axis.diagnose() if f.key == "$5"]
    assert "normally closed" in finding.message
    axis.close()


@pytest.mark.parametrize("dialect", NAMES)
def test_the_profiles_settings_are_written_and_read_back(dialect: str) -> None:
    profile = "feed_um_s = 1500\nacceleration_um_s2 = 40000\n[drive]\nlead_mm = 2.0"
    rail = VirtualRail(dialect=dialect, settings={1: 25}, profile=profile)
    axis = rail.open()
    axis.zero()
    changes = axis.changes()
    assert {c.number for c in changes} >= {100, 110, 120} | (set() if dialect == "marlin" else {1})
    axis.write(changes)
    assert axis.changes() == []
    assert not axis.status().position_known  # it was counted under another scale
    assert axis.capabilities.resolution == pytest.approx(1000 / 1600)
    axis.zero()
    before = rail.steps()
    axis.move_to(500)
    assert rail.steps() - before == 800
    axis.close()
    rail.restart()
    kept = rail.open()
    left = {c.number for c in kept.changes()}
    assert left == ({1, 100, 110, 120} if dialect == "fluidnc" else set())  # FluidNC keeps them in its file only
    kept.close()


@pytest.mark.parametrize("feed_um_s", [333, 1003])
def test_a_speed_that_marlin_rounds_is_written_all_the_same(feed_um_s: int) -> None:
    rail = VirtualRail(dialect="marlin", profile=f"feed_um_s = {feed_um_s}")
    axis = rail.open()
    (change,) = axis.changes()
    assert change.wanted == pytest.approx(feed_um_s / 1000)  # mm/s, as Marlin shows it
    assert "mm/s" in change.meaning
    assert axis.write([change]) == ""
    assert axis.changes() == []
    assert describe_settings(axis)["M203 X"] == {"value": round(feed_um_s / 1000, 2), "meaning": change.meaning}
    axis.close()


def test_what_was_written_before_a_refusal_counts() -> None:
    rail = VirtualRail(profile="feed_um_s = 1500\n[drive]\nlead_mm = 2.0")
    axis = rail.open()
    axis.zero()
    changes = axis.changes()
    assert [change.number for change in changes] == [100, 110]
    with pytest.raises(RailRefusedError):
        axis.write([changes[0], replace(changes[1], wanted=-1.0)])
    assert not axis.status().position_known
    axis.zero()
    before = rail.steps()
    axis.move_to(500)
    assert rail.steps() - before == 800
    axis.close()


def test_what_was_written_before_a_silence_counts() -> None:
    rail = VirtualRail(profile="feed_um_s = 1500\n[drive]\nlead_mm = 2.0")
    axis = rail.open()
    axis.zero()

    def fall_silent(data: bytes) -> bytes:
        if b"$110" in data:
            rail.port.mangle_in = lambda data: b""
        return data

    rail.port.mangle_out = fall_silent
    with pytest.raises(RailTimeoutError):
        axis.write(axis.changes())
    rail.port.mangle_in = rail.port.mangle_out = lambda data: data
    axis.zero()
    before = rail.steps()
    axis.move_to(500)
    assert rail.steps() - before == 800
    axis.close()
