"""The magnification that a profile was taught is used by the formula where none is given, and said; nothing that measures takes it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from capture.app.calibrated import magnification_for
from capture.app.main import run
from capture.app.session_options import ShootFlags
from capture.app.session_plan import wish_for
from capture.settings import load_settings
from rail.errors import RailUsageError
from rail.profile_record import measured_now, record

PROFILE = 'name = "taught"\n'


@pytest.fixture
def profile(tmp_path: Path) -> str:
    path = tmp_path / "taught.toml"
    path.write_text(PROFILE)
    record(str(path), "magnification", measured_now(3.0, 0.02, "x", "target"))
    return str(path)


@pytest.mark.parametrize(
    ("flag", "environment", "used", "said"),
    [
        (None, {}, 3.0, True),
        (2.0, {}, 2.0, False),
        (None, {"FOCUSRAIL_MAGNIFICATION": "4"}, 4.0, False),
        (None, {"FOCUSRAIL_RAIL": "lens:"}, None, False),
        (None, {"FOCUSRAIL_RAIL": "lens:usb:001,002"}, None, False),
    ],
)
def test_what_is_given_goes_before_what_was_calibrated(
    profile: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    flag: float | None,
    environment: dict[str, str],
    used: float | None,
    said: bool,
) -> None:
    settings = load_settings(tmp_path, {"FOCUSRAIL_PROFILE": profile} | environment)
    assert magnification_for(settings, flag) == used
    assert ("as calibrated on" in capsys.readouterr().err) is said


def test_dof_takes_it_and_a_session_does_not(
    profile: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FOCUSRAIL_PROFILE", profile)
    assert run(["dof", "-f", "4", "--json"]) == 0
    without = json.loads(capsys.readouterr().out)
    assert run(["dof", "-f", "4", "-m", "3", "--json"]) == 0
    given = json.loads(capsys.readouterr().out)
    assert without == given
    wish = wish_for(load_settings(tmp_path), ShootFlags(out=tmp_path / "o", near="0", far="1mm", f_number=4.0))
    assert wish.step is None
    assert wish.focus.magnification is None


def test_a_profile_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RailUsageError, match="nowhere"):
        magnification_for(load_settings(tmp_path, {"FOCUSRAIL_PROFILE": "nowhere"}), None)
    untaught = tmp_path / "untaught.toml"
    untaught.write_text(PROFILE)
    assert magnification_for(load_settings(tmp_path, {"FOCUSRAIL_PROFILE": str(untaught)}), None) is None
