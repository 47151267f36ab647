"""The stackers that are compared: their commands, and whether they are installed."""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Job:
    """One run: a folder with nothing but the frames, where the result goes (without suffix), a folder for whatever else is written."""

    frames: Path
    result: Path
    scratch: Path

    def files(self) -> list[str]:
        return sorted(str(path) for path in self.frames.iterdir())


@dataclass(frozen=True, slots=True)
class Program:
    """A stacker with its settings: `command` makes the command line, `suffix` is that of its result, `shown` what the table says of it."""

    name: str
    shown: str
    suffix: str
    command: Callable[[Job], list[str]]
    version: str
    depth: bool = False


def ours(*, depth: bool = False) -> Program:
    """`focusrail stack` of this environment; with a depth map on request."""
    program = Path(sys.executable).with_name("focusrail")

    def command(job: Job) -> list[str]:
        asked = ["--depth", f"{job.result}.depth.tif"] if depth else []
        return [str(program), "stack", *job.files(), "-o", f"{job.result}.tif", *asked, "--json"]

    name = "focusrail, depth" if depth else "focusrail"
    return Program(
        name,
        "with a depth map" if depth else "as it comes",
        ".tif",
        command,
        importlib.metadata.version("focusrail"),
        depth,
    )


def installed_peers(environment: Path | None) -> list[Program]:
    """All peers that are there: Python ones in the given virtual environment, Debian ones on the path."""
    found: list[Program] = []
    if environment is not None:
        found += _focusweave(environment) + _shinestacker(environment)
    return found + _enfuse()


def _focusweave(environment: Path) -> list[Program]:
    program = environment / "bin" / "focusweave"
    if not program.exists():
        return []
    version = _version(environment, "focusweave")

    def with_settings(*settings: str) -> Callable[[Job], list[str]]:
        return lambda job: [str(program), str(job.frames), "--output", f"{job.result}.tif", *settings]

    tuned = ("--keep-size", "--min-shift", "0")
    return [
        Program("focusweave", "defaults", ".tif", with_settings(), version),
        Program("focusweave, tuned", " ".join(tuned), ".tif", with_settings(*tuned), version),
    ]


def _shinestacker(environment: Path) -> list[Program]:
    version = _version(environment, "shinestacker")
    if not version:
        return []
    script = Path(__file__).with_name("shinestacker_job.py")

    def with_settings(*settings: str) -> Callable[[Job], list[str]]:
        def command(job: Job) -> list[str]:
            # it writes the kind of file that it reads
            output = f"{job.result}{Path(job.files()[0]).suffix}"
            python = str(environment / "bin" / "python")
            return [python, str(script), str(job.frames), output, "--scratch", str(job.scratch), *settings]

        return command

    tuned = ("--full-size-alignment",)
    return [
        Program("shinestacker", "align, balance, pyramid", "", with_settings(), version),
        Program("shinestacker, tuned", "same, aligned at full size", "", with_settings(*tuned), version),
    ]


def _enfuse() -> list[Program]:
    align, fuse = shutil.which("align_image_stack"), shutil.which("enfuse")
    if align is None or fuse is None:
        return []
    settings = "--exposure-weight=0 --saturation-weight=0 --contrast-weight=1 --hard-mask"

    def command(job: Job) -> list[str]:
        script = f'{align} -m -a "$1/aligned_" "${{@:3}}" && {fuse} {settings} -o "$2" "$1"/aligned_*.tif'
        return ["bash", "-c", script, "bash", str(job.scratch), f"{job.result}.tif", *job.files()]

    shown = subprocess.run([fuse, "--version"], capture_output=True, text=True, check=False, timeout=30).stdout
    version = shown.split("\n", 1)[0].removeprefix("enfuse ")
    return [Program("align_image_stack + enfuse", f"-m; {settings}", ".tif", command, version)]


def _version(environment: Path, package: str) -> str:
    """Version of a package in another environment, empty where it is not there."""
    python = environment / "bin" / "python"
    if not python.exists():
        return ""
    question = f"import importlib.metadata as m; print(m.version({package!r}))"
    answer = subprocess.run([str(python), "-c", question], capture_output=True, text=True, check=False, timeout=60)
    return answer.stdout.strip()
