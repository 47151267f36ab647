"""Measured values in profiles: written where they belong, everything else as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rail.errors import RailUsageError
from rail.profile_record import measured_now, record, with_table, with_value
from rail.profiles import load_profile, parse_profile, profile_names

OWN = """# my rail
name = "mine"   # on the bench
backlash_um = 150 # a guess
settle_s=0.5

[drive]  # T8
lead_mm = 2.0
backlash = 3 # not this one
"""


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "focusrail" / "profiles"


def test_a_built_in_profile_is_copied_and_then_goes_first(config: Path) -> None:
    assert load_profile("t8-lead2").backlash_um == 150
    written = record("t8-lead2", "backlash", measured_now(64.9, 0.3, "um", "camera"), key="backlash_um")
    assert written == config / "t8-lead2.toml"
    profile = load_profile("t8-lead2")
    assert profile.backlash_um == 64.9
    assert profile.calibration["backlash"].uncertainty == 0.3
    assert profile.calibration["backlash"].date.startswith("20")
    assert profile.drive is not None
    assert "t8-lead2" in profile_names()
    record(None, "settle", measured_now(0.31, 0.02, "s"), key="settle_s")
    assert load_profile().settle_s == 0.31
    assert load_profile("t8-lead1").backlash_um == 150


def test_a_file_is_changed_in_place_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(OWN.replace("backlash = 3 # not this one\n", ""))
    for value in (80.0, 64.5):
        assert record(str(path), "backlash", measured_now(value, 0.5, "um"), key="backlash_um") == path
    record(str(path), "settle", measured_now(0.2, 0.01, "s"), key="settle_s")
    text = path.read_text()
    assert text.startswith('# my rail\nname = "mine"   # on the bench\nbacklash_um = 64.5 # a guess\nsettle_s=0.2\n')
    assert "[drive]  # T8\n" in text
    assert text.count("[calibration.backlash]") == 1
    assert load_profile(path).calibration.keys() == {"backlash", "settle"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["mine.toml"]


def test_only_keys_of_the_top_are_changed() -> None:
    text = with_value("[drive]\nsettle_s = 1\n", "settle_s", 0.25)
    assert text == "\nsettle_s = 0.25\n\n[drive]\nsettle_s = 1\n"
    assert with_value(OWN, "backlash", 9.0).count("backlash = 3 # not this one") == 1


@given(st.floats(0, 5000), st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=40))
def test_whatever_is_written_reads_back(value: float, note: str) -> None:
    measured = measured_now(value, 0.0, "um", note)
    text = with_table(with_value('name = "x"\n', "backlash_um", value), "calibration.backlash", measured.model_dump())
    again = with_table(text, "calibration.backlash", measured.model_dump())
    assert again == text
    profile = parse_profile(text, source="x")
    assert profile.backlash_um == value
    assert profile.calibration["backlash"] == measured


def test_what_cannot_be_written_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    inline = (
        'name = "mine"\ncalibration = {backlash = {value = 1.0, uncertainty = 0.1, unit = "um", date = "2026-01-01"}}\n'
    )
    path.write_text(inline)
    with pytest.raises(RailUsageError):
        record(str(path), "backlash", measured_now(64.5, 0.5, "um"), key="backlash_um")
    assert path.read_text() == inline
    path.write_text('name = "mine"\n')
    with pytest.raises(RailUsageError, match="backlash_um"):
        record(str(path), "backlash", measured_now(-1.0, 0.5, "um"), key="backlash_um")
    assert path.read_text() == 'name = "mine"\n'
    with pytest.raises(RailUsageError, match="no profile"):
        record("nowhere", "backlash", measured_now(1.0, 0.5, "um"))
