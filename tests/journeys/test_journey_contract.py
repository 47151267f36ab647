"""The command line's contract, where no device is needed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from capture.app.main import COMMANDS as COMMAND_MODULES
from capture.app.main import build_app
from tests.journeys.program import focusrail

COMMANDS = [
    ("demo",), ("bench-sim",), ("devices",), ("dof",), ("shoot",), ("run",), ("stack",), ("finish",), ("config",),
    ("resume",), ("control",), ("report-bug",), ("step",), ("range",),
    *[("rail", word) for word in ("status", "home", "zero", "unlock", "move", "jog", "stop", "settings", "doctor")],
    *[("camera", word) for word in ("info", "get", "set", "preview", "shot")],
]  # fmt: skip


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example(words: tuple[str, ...]) -> None:
    finished = focusrail(*words, "--help")
    assert finished.code == 0
    flat = " ".join(finished.stdout.replace("│", " ").split())
    assert f"focusrail {' '.join(words)}" in flat.split("Example:")[1]


def test_every_command_is_found_in_the_module_it_is_said_to_be_in() -> None:
    assert {name: name in commands_of(build_app(name)) for name in COMMAND_MODULES} == dict.fromkeys(
        COMMAND_MODULES, True
    )
    assert sorted(commands_of(build_app())) == sorted(COMMAND_MODULES)


def commands_of(app: typer.Typer) -> list[str]:
    group = typer.main.get_command(app)
    return list(group.commands)  # type: ignore[attr-defined]


def test_help_lists_every_command() -> None:
    listed = focusrail("--help").stdout
    assert all(words[0] in listed for words in COMMANDS)


def test_dof_prints_both_formulas_and_their_sum() -> None:
    values = focusrail("dof", "--magnification", 5, "--f-number", 4, "--coc", "30um", "--overlap", 0.3, "--json").done()
    assert values["geometric_um"] == pytest.approx(57.6)
    assert values["wave_um"] == pytest.approx(50.688)
    assert values["total_um"] == pytest.approx(108.288)
    assert values["step_um"] == pytest.approx(75.8016)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("dof", "--magnification", "x"), 2),
        (("dof",), 2),
        (("dof", "--magnification", "2"), 2),
        (("nothing",), 2),
        (("stack", "--no-such-option"), 2),
        (("rail", "move", "12parsec", "--rail", "socket://127.0.0.1:1"), 2),
        (("rail", "status"), 2),
        (("shoot", "--out", "x"), 2),
        (("rail", "status", "--rail", "socket://127.0.0.1:1"), 3),
        (("rail", "status", "--rail", "/dev/does-not-exist"), 3),
        (("camera", "info", "--camera", "ptpip:127.0.0.1:1:1"), 3),
        (("stack", "does-not-exist", "-o", "x.tif"), 1),
    ],
)
def test_failures_are_one_json_object_with_the_right_exit_code(
    arguments: tuple[str, ...], code: int, tmp_path: Path
) -> None:
    finished = focusrail(*arguments, "--json", cwd=tmp_path)
    assert finished.code == code, finished.stderr
    error = finished.values["error"]
    assert set(error) == {"kind", "message", "remedy", "state"}
    assert error["message"]
    assert error["remedy"]
    assert error["message"] in finished.stderr
    assert list(tmp_path.iterdir()) == []


def test_settings_come_from_where_config_says(tmp_path: Path) -> None:
    (tmp_path / "focusrail.toml").write_text("magnification = 5\nf_number = 4\ncoc_um = 30\n")
    settings = focusrail("config", "--json", cwd=tmp_path).done()["settings"]
    assert settings["magnification"] == {"value": 5.0, "source": str(tmp_path / "focusrail.toml")}
    assert focusrail("dof", "--json", cwd=tmp_path).done()["geometric_um"] == pytest.approx(57.6)


def test_devices_answers_on_a_machine_without_any() -> None:
    values = focusrail("devices", "--json").done()
    assert isinstance(values["rails"], list)
    assert isinstance(values["cameras"], list)


def test_people_read_stderr_and_programs_stdout(tmp_path: Path) -> None:
    finished = focusrail("dof", "-m", 2, "-f", 4)
    assert finished.stdout == ""
    assert "geometric" in finished.stderr
    assert json.loads(focusrail("dof", "-m", 2, "-f", 4, "--json").stdout)
