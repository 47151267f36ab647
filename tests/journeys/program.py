"""Journeys run the program as users do: as a process of its own, against a bench that is another."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# A small sensor keeps a shot cheap; the devices run faster than real.
BENCH_OPTIONS = ("--seed", "5", "--sensor", "480x320", "--time-scale", "20")


@dataclass(frozen=True)
class Finished:
    """A command that has ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def values(self) -> dict[str, Any]:
        """The one JSON object of a command with --json."""
        lines = self.stdout.splitlines()
        assert len(lines) == 1, f"not exactly one JSON object on stdout: {self.stdout!r}\n{self.stderr}"
        values: dict[str, Any] = json.loads(lines[0])
        return values

    def done(self) -> dict[str, Any]:
        """The same, of a command that must have succeeded."""
        assert self.code == 0, f"exit code {self.code}\n{self.stdout}\n{self.stderr}"
        return self.values


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-P", "-m", "capture.app", *arguments]


def focusrail(
    *arguments: object, cwd: Path | None = None, environment: dict[str, str] | None = None, longest_s: float = 110
) -> Finished:
    """Run one command to its end."""
    done = subprocess.run(
        command(*map(str, arguments)),
        capture_output=True,
        text=True,
        timeout=longest_s,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
    )
    return Finished(done.returncode, done.stdout, done.stderr)
