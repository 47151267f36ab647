"""What cannot be is refused by `step`, `range`, `shoot`, `run` and `live` before anything is opened, with what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from capture.app.main import run

NOWHERE = "--rail socket://127.0.0.1:2"
REFUSED = [
    *[
        (f"{command} {NOWHERE} {words}", remedy)
        for command in ("step", "range", "shoot --out new", "run --out new")
        for words, remedy in (
            ("-m -2", "--magnification"),
            ("-m nan -f 4", "--magnification"),
            ("-m 2 -f 0", "--f-number"),
            ("--pixel 4mm", "--pixel 4um"),
            ("--pixel 0", "--pixel 4um"),
            ("--overlap 1", "share"),
            ("--live-scale nan", "--live-scale"),
            ("--roi 0,0,nan,1", "--roi"),
        )
    ],
    *[
        (f"shoot --out new {NOWHERE} {words}", remedy)
        for words, remedy in (
            ("--settle -1", "--settle 0.5"),
            ("--settle nan", "--settle 0.5"),
            ("--settle inf", "--settle 0.5"),
            ("--settle soon", "--settle 0.5"),
            ("--near 0 --far 1mm --step 40um --settle -1", "--settle 0.5"),
            ("--step 0", "greater than zero"),
            ("--near 0 --far 1mm --step -4um", "greater than zero"),
            ("--near 2mm --far 1mm --step auto", "near < far"),
            ("--near 2mm --far 1mm --step 40um --settle auto", "near < far"),
            ("--near 0 --far 1m --step 1um", "units"),
        )
    ],
    *[
        (f"live {NOWHERE} {words}", remedy)
        for words, remedy in (
            ("--near 2mm --far 1mm", "near < far"),
            ("--near 2 --far 1st", "both"),
            ("--near 20st --far 10st", "near < far"),
            ("--step 0", "20um"),
        )
    ],
]


@pytest.mark.parametrize(("words", "remedy"), REFUSED, ids=[words for words, _ in REFUSED])
def test_what_cannot_be_is_refused_with_what_to_do(
    words: str, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    error = error_of(words, 2, capsys)
    assert error["kind"] == "usage"
    assert error["message"]
    assert remedy in error["remedy"]
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(("name", "value"), [("PIXEL_UM", "4mm"), ("WAVELENGTH_NM", "0.55")])
def test_settings_that_cannot_be_are_refused_likewise(
    name: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(f"FOCUSRAIL_{name}", value)
    assert error_of(f"step {NOWHERE}", 2, capsys)["remedy"]


def test_ends_that_meet_are_no_error_of_live(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    # on to the rail, which is not there
    assert error_of(f"live {NOWHERE} --near 1mm --far 1mm", 3, capsys)["kind"] != "usage"


def error_of(words: str, code: int, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert run([*words.split(), "--json"]) == code
    error: dict[str, Any] = json.loads(capsys.readouterr().out)["error"]
    return error
