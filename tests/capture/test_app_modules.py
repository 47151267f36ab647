"""Each command loads its own module alone, and is the same then as among all."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer

from capture.app.main import MODULES, build_app

COMMANDS = [command for commands in MODULES.values() for command in commands]


def commands_of(app: typer.Typer) -> list[str]:
    return list(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def test_all_commands_have_their_module() -> None:
    assert sorted(commands_of(build_app())) == sorted(COMMANDS)
    assert len(set(COMMANDS)) == len(COMMANDS)
    assert sorted(commands_of(build_app("no-such-command"))) == sorted(COMMANDS)


@pytest.mark.parametrize(("module", "commands"), MODULES.items())
def test_a_command_is_found_with_its_module_alone(module: str, commands: tuple[str, ...]) -> None:
    for command in commands:
        assert commands_of(build_app(command)) == list(commands), module


@pytest.mark.parametrize("command", ["control", "rail", "camera", "config"])
def test_short_commands_load_no_arrays(command: str) -> None:
    code = (
        "import sys; from capture.app.main import build_app; build_app(sys.argv[1]);"
        "print(sorted({'numpy', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code, command], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
