"""Commands that are short load no arrays: each is a process, and an order is wanted at once."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("command", ["control", "rail", "config"])
def test_short_commands_load_no_arrays(command: str) -> None:
    code = (
        "import sys; from capture.app.main import build_app; build_app(sys.argv[1]);"
        "print(sorted({'numpy', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code, command], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
