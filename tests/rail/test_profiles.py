from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rail.errors import RailUsageError
from rail.profiles import load_profile, parse_profile, profile_names

PUBLISHED = {
    "t8-lead8": 400.0,
    "t8-lead2": 1600.0,
    "t8-lead1": 3200.0,
    "dvd-sled": 106.667,
    "stackshot-16tpi": 2015.748,
    "microscope-fine-focus": 24_000.0,
}


def test_steps_follow_from_the_parts() -> None:
    assert set(profile_names()) == {*PUBLISHED, "default"}
    for name, steps in PUBLISHED.items():
        assert load_profile(name).steps_per_mm == pytest.approx(steps, abs=1e-3)


def test_every_built_in_profile_says_its_own_name() -> None:
    for name in profile_names():
        profile = load_profile(name)
        assert profile.name == name
        assert profile.description
        assert profile.range_low_um < 0 < profile.range_high_um


def test_the_default_leaves_the_scale_to_the_controller() -> None:
    profile = load_profile()
    assert profile.name == "default"
    assert profile.steps_per_mm is None
    assert (profile.range_low_um, profile.range_high_um) == (-20_000.0, 20_000.0)


def test_a_full_step_of_the_dvd_sled_is_150_um() -> None:
    assert load_profile("dvd-sled").full_step_um == pytest.approx(150.0)


def test_calibration_beats_the_parts() -> None:
    profile = parse_profile('name = "x"\ncalibrated_steps_per_mm = 402.5\n[drive]\nlead_mm = 8.0\n', source="x")
    assert profile.steps_per_mm == 402.5


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("name = ''", "name"),
        ("", "name"),
        ("name = 'x'\nbacklash = 3", "backlash"),
        ("name = 'x'\nbacklash_um = -3", "backlash_um"),
        ("name = 'x'\nbacklash_um = 'lots'", "backlash_um"),
        ("name = 'x'\nfeed_um_s = 0", "feed_um_s"),
        ("name = 'x'\nfeed_um_s = nan", "feed_um_s"),
        ("name = 'x'\nrange_low_um = 5", "range_low_um"),
        ("name = 'x'\nrange_low_um = 0\nrange_high_um = 0", "range_low_um"),
        ("name = 'x'\napproach = 'left'", "approach"),
        ("name = 'x'\n[drive]\nmicrosteps = 16", "drive.lead_mm"),
        ("name = 'x'\n[drive]\nlead_mm = 0", "drive.lead_mm"),
        ("name = 'x'\n[drive]\nlead_mm = 2\nsteps = 3", "drive.steps"),
        ("name = ", "TOML"),
    ],
)
def test_a_fault_names_its_key(text: str, named: str) -> None:
    with pytest.raises(RailUsageError, match="profile mine") as caught:
        parse_profile(text, source="mine")
    assert named in caught.value.message
    assert caught.value.remedy


def test_loading_by_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\n[drive]\nlead_mm = 2\n', encoding="utf-8")
    assert load_profile(path).name == "mine"
    with pytest.raises(RailUsageError, match="cannot be read"):
        load_profile(tmp_path / "none.toml")
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(RailUsageError, match="cannot be read"):
        load_profile(path)
    with pytest.raises(RailUsageError) as caught:
        load_profile("t9")
    assert "t8-lead2" in caught.value.remedy


@given(st.text(max_size=80))
def test_any_text_is_a_profile_or_a_usage_error(text: str) -> None:
    with contextlib.suppress(RailUsageError):
        assert parse_profile(text, source="noise").name
