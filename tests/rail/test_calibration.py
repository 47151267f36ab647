"""Steps/mm from a gauge: arithmetic, uncertainty, and what is left in the profile; and the commands around it on a real wire."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.app.rail_calibrate import steps
from capture.app.rail_commands import settings
from capture.errors import UsageError
from rail.calibration import StepsResult, check_change, steps_per_mm, write_steps
from rail.errors import RailUsageError
from rail.profiles import load_profile, parse_profile, profile_names, profile_text, user_profile_path
from rail.simulator import DeviceClock, RailOptions, SimulatedRail


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's own configuration that is nobody's."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_arithmetic() -> None:
    result = steps_per_mm(10_000, [9870], 1600, division_um=10)
    assert result.steps == 16_000
    assert result.steps_per_mm == pytest.approx(16_000 / 9.87)
    assert result.uncertainty / result.steps_per_mm == pytest.approx(10 / math.sqrt(6) / 9870)
    assert any("16000 steps / 9.8700 mm = 1621.0740 steps/mm" in line for line in result.arithmetic())


@given(
    st.floats(100, 8000),
    st.floats(-0.1, 0.1),
    st.floats(5_000, 40_000),
    st.integers(2, 9),
    st.floats(0.0, 50.0),
    st.booleans(),
)
def test_what_was_wrong_by_a_factor_comes_out(
    true: float, error: float, commanded_um: float, count: int, spread_um: float, downwards: bool
) -> None:
    believed = true * (1 + error)
    moved_um = round(commanded_um * believed / 1000) / true * 1000
    readings = [moved_um + spread_um * math.cos(2 * math.pi * index / count) for index in range(count)]
    sign = -1 if downwards else 1
    result = steps_per_mm(sign * commanded_um, [sign * value for value in readings], believed, division_um=0.0)
    assert result.steps_per_mm == pytest.approx(true, rel=1e-6)
    assert result.uncertainty == pytest.approx(
        true * result.spread_um / math.sqrt(count) / moved_um, rel=1e-6, abs=1e-12
    )
    check_change(result)


@pytest.mark.parametrize("readings", [[], [0.0], [math.nan], [9870, 0]])
def test_readings_that_are_no_distance(readings: list[float]) -> None:
    with pytest.raises(RailUsageError) as caught:
        steps_per_mm(10_000, readings, 1600, division_um=10)
    assert caught.value.remedy


def test_a_result_that_no_screw_explains_names_the_part() -> None:
    with pytest.raises(RailUsageError, match="twice the microsteps") as caught:
        check_change(steps_per_mm(10_000, [5000], 400, division_um=10))
    assert "jumpers" in caught.value.remedy


def gauged(value: float) -> StepsResult:
    return steps_per_mm(10_000, [16_000 / value * 1000], 1600, division_um=10)


@pytest.mark.parametrize("name", profile_names())
def test_a_shipped_profile_is_copied_and_keeps_the_rest(name: str) -> None:
    before = load_profile(name)
    path = write_steps(name, gauged(1534.5678))
    assert path == user_profile_path(name)
    after = load_profile(name)
    assert after.steps_per_mm == pytest.approx(1534.5678)
    assert after.calibration["steps"].uncertainty == pytest.approx(gauged(1534.5678).uncertainty, abs=1e-4)
    kept = {"calibrated_steps_per_mm": after.calibrated_steps_per_mm, "calibration": after.calibration}
    assert after == before.model_copy(update=kept)
    write_steps(name, gauged(1535.0))
    assert load_profile(name).steps_per_mm == pytest.approx(1535.0)
    assert profile_text(name).count("calibrated_steps_per_mm") == 1


def test_a_file_of_ones_own_is_changed_in_place_with_its_comments(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("# my rail\nname = 'mine'  # the red one\n\n[drive]\nlead_mm = 2.0 # T8\n")
    write_steps(str(path), gauged(1590.25))
    assert "# the red one" in path.read_text()
    assert "lead_mm = 2.0 # T8" in path.read_text()
    assert load_profile(path).steps_per_mm == pytest.approx(1590.25)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = 'x'\n\n[drive]\nlead_mm = -2.0\n", "drive.lead_mm (line 4)"),
        ("name = 'x'\nbaclash_um = 5\n", "baclash_um (line 2)"),
        ("name = 'x'\n[drive]\nmicrosteps = 16\n", "drive.lead_mm"),
        ("name = 'x'\nfeed_um_s = 'fast'\n", "feed_um_s (line 2)"),
        ("name = x\n", "line 1"),
    ],
)
def test_a_mistake_in_a_profile_is_named_with_its_line(text: str, said: str) -> None:
    with pytest.raises(RailUsageError) as caught:
        parse_profile(text, source="mine.toml")
    assert said in caught.value.message
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("name", "expected"),
    [("t8-lead8", 200 * 16 / 8), ("t8-lead2", 200 * 16 / 2), ("t8-lead1", 200 * 16 / 1), ("stackshot-16tpi", 200 * 16 * 16 / 25.4),
     ("dvd-sled", 20 * 16 / 3), ("microscope-fine-focus", 200 * 4 * (60 / 20) / 0.1), ("default", None)],
)  # fmt: skip
def test_the_shipped_profiles_follow_from_their_parts(name: str, expected: float | None) -> None:
    assert load_profile(name).steps_per_mm == (None if expected is None else pytest.approx(expected))


# The commands ---------------------------------------------------------------------------------------------------


@pytest.fixture
def rail() -> Iterator[SimulatedRail]:
    simulated = SimulatedRail(RailOptions(settings={1: 25}), DeviceClock(4.0))
    simulated.start()
    yield simulated
    simulated.stop()


def test_steps_are_calibrated_from_readings_without_moving(rail: SimulatedRail) -> None:
    before = rail.sample().position_um
    reply = steps(rail=rail.url, profile="t8-lead2", commanded="10mm", measured=["9.87mm", "9.88mm"], json_output=True)
    assert reply.values["value"] == pytest.approx(16_000 / 9.875)
    assert 0 < reply.values["uncertainty"] < 2
    assert reply.values["profile"] == str(user_profile_path("t8-lead2"))
    assert rail.sample().position_um == before
    again = steps(rail=rail.url, profile="t8-lead2", commanded="10mm", measured=["10.00mm"], dry_run=True)
    assert again.values["profile"] is None
    assert again.values["previous"] == pytest.approx(16_000 / 9.875, abs=1e-3)  # the profile counts from now on


def test_nobody_to_measure_is_said(rail: SimulatedRail) -> None:
    with pytest.raises(UsageError, match="measure"):
        steps(rail=rail.url, profile="t8-lead2", json_output=True)


def test_settings_are_shown_then_written_and_only_when_agreed(rail: SimulatedRail) -> None:
    shown = settings(rail=rail.url, profile="t8-lead8", json_output=True).values
    assert {change["name"] for change in shown["changes"]} == {"$1", "$100"}
    assert shown["written"] is False
    with pytest.raises(UsageError, match="nobody can be asked"):
        settings(rail=rail.url, profile="t8-lead8", write=True, json_output=True)
    written = settings(rail=rail.url, profile="t8-lead8", write=True, yes=True, json_output=True).values
    assert written["written"] is True
    assert written["settings"]["$100"]["value"] == 400
    assert written["settings"]["$1"]["value"] == 255
    assert settings(rail=rail.url, profile="t8-lead8").values["changes"] == []
