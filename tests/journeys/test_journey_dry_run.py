"""`--dry-run` says what the session itself would, and leaves no trace of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.journeys.program import focusrail

PLAN = ("--origin", "here", "--near", "0", "--far", "300um", "--step", "100um", "--settle", "0")


def roles(devices: tuple[str, ...]) -> dict[str, Any]:
    found = focusrail("camera", "info", *devices[2:], "--json").done()["roles"]
    return {name: state and state["value"] for name, state in found.items()}


def checks(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {check["name"]: check for check in values["preflight"]}


def test_the_camera_is_asked_as_the_session_asks_it_and_everything_is_put_back(
    devices: tuple[str, ...], tmp_path: Path
) -> None:
    before = roles(devices)
    assert before["autofocus"] == "On", "or this would prove nothing"
    asked = ("--iso", "400", "--shutter", "1/30", "--format", "JPEG", "--target", "memory")
    dry = focusrail("shoot", *devices, *PLAN, *asked, "--dry-run", "--out", tmp_path / "s", "--json").done()
    told = checks(dry)
    assert "focus" not in told, "the session switches autofocus off"
    assert "80 MB" in told["disk"]["message"], "four JPEG, not four RAW"
    bracket = ("--bracket", "1/60,1/15", "--shots", "3")
    dry = focusrail("shoot", *devices, *PLAN, *bracket, "--dry-run", "--out", tmp_path / "s", "--json").done()
    assert dry["exposures"] == 6
    assert "1.4 GB" in checks(dry)["disk"]["message"]
    assert roles(devices) == before


def test_what_was_left_open_is_found_with_the_cameras_settings_put_back_too(
    devices: tuple[str, ...], tmp_path: Path
) -> None:
    before, stood = roles(devices), focusrail("rail", "status", *devices[:2], "--json").done()
    assert not stood["position_known"], "or what is left behind would not show"
    given = ("--origin", "here", "--near", "0", "--far", "300um", "--step", "100um", "--settle", "auto")
    dry = focusrail("run", *devices, *given, "--iso", "400", "--dry-run", "--out", tmp_path / "s", "--json").done()
    assert dry["planned"] == 4
    assert 0 <= dry["settle_s"] < 5
    assert roles(devices) == before
    assert focusrail("rail", "status", *devices[:2], "--json").done() == stood


@pytest.mark.parametrize("wrong", [("--iso", "12345678"), ("--shutter", "1/99999999"), ("--bracket", "1/60,1/999999")])
def test_what_the_camera_does_not_offer_is_refused_as_by_the_session(
    devices: tuple[str, ...], tmp_path: Path, wrong: tuple[str, str]
) -> None:
    before = roles(devices)
    said = [
        focusrail("shoot", *devices, *PLAN, *wrong, *more, "--out", tmp_path / "s", "--json")
        for more in (("--dry-run",), ())
    ]
    assert said[0].code == said[1].code != 0
    assert said[0].values["error"]["message"] == said[1].values["error"]["message"]
    assert "nearest" in said[0].values["error"]["remedy"]
    assert {name: roles(devices)[name] for name in ("iso", "shutter")} == {n: before[n] for n in ("iso", "shutter")}
    assert not (tmp_path / "s").exists()
