"""The process that stacks beside a session ends with it, however both were started."""

from __future__ import annotations

import subprocess
import sys
from multiprocessing import Pipe
from pathlib import Path

import pytest

from stacking.options import StackOptions
from stacking.running_orders import Begin


@pytest.mark.parametrize("trap", ["", "trap '' INT; "], ids=["at a terminal", "in a script's background"])
def test_it_ends_with_the_session(tmp_path: Path, trap: str) -> None:
    ours, theirs = Pipe(duplex=True)
    with theirs:
        process = subprocess.Popen(
            [
                "/bin/sh",
                "-c",
                f'{trap}exec "$0" -P -m stacking.running_process "$1"',
                sys.executable,
                str(theirs.fileno()),
            ],
            pass_fds=[theirs.fileno()],
        )
    with ours:
        ours.send(Begin(StackOptions(), tmp_path / "preview.jpg"))
    try:
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
