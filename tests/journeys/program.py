"""Journeys run the program as users do: as a process of its own, against a bench that is another."""

from __future__ import annotations

import functools
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

from capture.app.entry import main
from capture.app.main import COMMANDS

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
    """Run one command to its end, in a process of its own.

    The process is forked from one that has imported the program already: its start is a third of the whole suite's cost
    otherwise. With an environment of its own, which the interpreter may read as it starts, it is started as users start it.
    """
    words = [str(argument) for argument in arguments]
    if environment is not None:
        done = subprocess.run(
            command(*words),
            capture_output=True,
            text=True,
            timeout=longest_s,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
        )
        return Finished(done.returncode, done.stdout, done.stderr)
    with tempfile.TemporaryDirectory(prefix="focusrail-journey-") as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        process = _forks().Process(target=_run, args=(words, str(cwd or Path.cwd()), dict(os.environ), out, err))
        process.start()
        try:
            process.join(longest_s)
            if process.exitcode is None:
                raise subprocess.TimeoutExpired(words, longest_s, out.read_bytes(), err.read_bytes())
            return Finished(process.exitcode, out.read_text(), err.read_text())
        finally:
            process.kill()
            process.join()
            process.close()


@functools.cache
def _forks() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([f"capture.app.{module}" for module in ("main", *sorted(set(COMMANDS.values())))])
    return context


def _run(words: list[str], cwd: str, environment: dict[str, str], out: Path, err: Path) -> None:
    """In the forked process: what `python -m capture.app` does."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    for path, descriptor in ((out, 1), (err, 2)):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.argv = ["focusrail", *words]
    main()
