from __future__ import annotations

from pathlib import Path

import pytest

from capture.errors import ConfigurationError
from capture.settings import load_settings
from capture.settings_model import SettingsModel


@pytest.fixture(autouse=True)
def users_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "config"
    (home / "focusrail").mkdir(parents=True)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    return home / "focusrail" / "focusrail.toml"


def test_flag_before_environment_before_folder_before_user(tmp_path: Path, users_config: Path) -> None:
    users_config.write_text('rail = "user"\ncamera = "user"\niso = "user"\nshutter = "user"\n')
    (tmp_path / "focusrail.toml").write_text('rail = "folder"\ncamera = "folder"\niso = "folder"\n')
    settings = load_settings(tmp_path, {"FOCUSRAIL_RAIL": "environment", "FOCUSRAIL_CAMERA": "environment"})
    assert settings.choose("rail", "flag") == "flag"
    assert settings.choose("camera", None) == "environment"
    assert settings.choose("iso", None) == "folder"
    assert settings.choose("shutter", None) == "user"
    assert settings.choose("aperture", None, "default") == "default"


def test_a_switch_may_be_off_in_file_and_environment(tmp_path: Path) -> None:
    assert load_settings(tmp_path, {"FOCUSRAIL_LIVE_CHECK": "false"}).choose("live_check", None, True) is False
    (tmp_path / "focusrail.toml").write_text("live_check = false\n")
    assert load_settings(tmp_path, {}).choose("live_check", None, True) is False


def test_every_value_says_where_it_came_from(tmp_path: Path) -> None:
    (tmp_path / "focusrail.toml").write_text("magnification = 2.5\n")
    listing = load_settings(tmp_path, {"FOCUSRAIL_F_NUMBER": "5.6"}).listing()
    assert set(listing) == set(SettingsModel.model_fields)
    assert (listing["magnification"].value, listing["magnification"].source) == (2.5, str(tmp_path / "focusrail.toml"))
    assert (listing["f_number"].value, listing["f_number"].source) == (5.6, "FOCUSRAIL_F_NUMBER")
    assert listing["rail"].source == "default"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("rail = ", "TOML"),
        ("speed = 3\n", "speed"),
        ('magnification = "big"\n', "magnification"),
        ("overlap = 1.5\n", "overlap"),
    ],
)
def test_a_bad_file_is_refused_by_name_and_key(tmp_path: Path, text: str, names: str) -> None:
    (tmp_path / "focusrail.toml").write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load_settings(tmp_path, {})
    assert "focusrail.toml" in caught.value.message
    assert names in caught.value.message
    assert caught.value.remedy


def test_a_bad_variable_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="FOCUSRAIL_OVERLAP"):
        load_settings(tmp_path, {"FOCUSRAIL_OVERLAP": "lots"})


@pytest.mark.parametrize(("text", "um"), [("30um", 30.0), ("0.03mm", 30.0), ("30", 30.0)])
def test_lengths_take_units(tmp_path: Path, text: str, um: float) -> None:
    assert load_settings(tmp_path, {"FOCUSRAIL_COC_UM": text}).choose("coc_um", None) == pytest.approx(um)
    with pytest.raises(ConfigurationError, match="COC_UM"):
        load_settings(tmp_path, {"FOCUSRAIL_COC_UM": "3 parsec"})


def test_variables_of_other_purposes_are_left_alone(tmp_path: Path) -> None:
    load_settings(tmp_path, {"FOCUSRAIL_RAIL_PORT": "/dev/ttyUSB0", "FOCUSRAIL_RAIL": ""})
