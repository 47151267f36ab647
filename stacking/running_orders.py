"""What is said between a session and the process that stacks its frames (`stacking.running_process`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stacking.errors import StackingError
from stacking.options import StackOptions
from stacking.report import StackReport


@dataclass(frozen=True, slots=True)
class Begin:
    """What will be made, and where the preview goes."""

    options: StackOptions
    preview: Path


@dataclass(frozen=True, slots=True)
class Add:
    """A frame is on disk; see `RunningStack.add`."""

    number: int
    paths: tuple[Path, ...]
    place: float
    position_um: float | None


@dataclass(frozen=True, slots=True)
class Withdraw:
    """A frame does not count any more."""

    number: int


@dataclass(frozen=True, slots=True)
class Finish:
    """All frames are there: make the picture."""

    paths: tuple[Path, ...]
    output: Path
    options: StackOptions


@dataclass(frozen=True, slots=True)
class Told:
    """Progress of the final run."""

    stage: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Finished:
    """What came of it: a report, or the error that the run ended with; and what went wrong before and only cost time."""

    report: StackReport | None
    error: StackingError | None


@dataclass(frozen=True, slots=True)
class Shown:
    """The preview was written with so many frames of those that came; `note`: what went wrong since."""

    frames: int
    note: str


Order = Begin | Add | Withdraw | Finish
Answer = Told | Finished | Shown
