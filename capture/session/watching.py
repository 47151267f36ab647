"""What is told about a session while it runs, and who is told."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from capture.camera.protocol import Shot
from capture.errors import CaptureError
from capture.session.control import StoppedByUserError
from rail.errors import RailError

_log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class ShootProgress:
    """How far the session is.

    Attributes
    ----------
    done, planned : int
        Frames, those that were added among them.
    position : float
        Of the last one, in the axis's unit.
    seconds_left : float or None
        From the session's own pace; None until the first frame is done.
    covered : float
        Share of the range, near end to far end, that lies between neighbouring frames that are there; 0 to 1.
    """

    done: int
    planned: int
    position: float
    seconds_left: float | None
    covered: float = 0.0


class Watcher(Protocol):
    """What is told about the session while it runs. Must return quickly."""

    def frame_done(self, progress: ShootProgress, shot: Shot) -> None:
        """A frame was accepted."""

    def notice(self, text: str) -> None:
        """Something the user should read."""

    def trouble(self, text: str) -> None:
        """Something went wrong and is tried again; the user may want to see to it."""


class Companion(Protocol):
    """What lives beside the shooting: the running stack, the checks of frames. It never delays the shutter, and never raises."""

    def frame_stored(self, number: int, position: float, paths: Sequence[Path]) -> None:
        """An accepted frame is on disk; its picture is the average of the exposures in `paths`, mostly of one."""

    def frame_withdrawn(self, number: int) -> None:
        """It does not count any more."""

    def all_stored(self) -> None:
        """No more frames come, and none is taken back; the manifest tells them all."""

    def suspects(self, *, wait: bool) -> dict[int, str]:
        """Frames to shoot again, and why, of those checked since the last call; `wait`: until all that are stored are checked."""


class Beside:
    """What lives beside the shooting never ends it: one that fails is left out from there on, and that is said.

    Parameters
    ----------
    companions : iterable of Companion
    notice : callable
    """

    def __init__(self, companions: Iterable[Companion], notice: Callable[[str], None]) -> None:
        self._companions = list(companions)
        self._notice = notice
        self._failed: set[int] = set()

    def tell(self, what: Callable[[Companion], None]) -> None:
        """Tell each of them."""
        for companion in self._companions:
            self.ask(companion, what, None, passing=(CaptureError, RailError))

    def ask(
        self,
        one: T,
        what: Callable[[T], R],
        otherwise: R,
        *,
        passing: tuple[type[Exception], ...] = (CaptureError, RailError, OSError, StoppedByUserError),
    ) -> R:
        """What `one` answers; `otherwise` from where it has failed on. What is `passing` is no failure of its own.

        Raises
        ------
        CaptureError, rail.errors.RailError, OSError, StoppedByUserError
        """
        if id(one) in self._failed:
            return otherwise
        try:
            return what(one)
        except passing:
            raise
        except Exception as error:  # noqa: BLE001
            name = type(one).__name__
            _log.error("%s failed", name, exc_info=error)
            self._failed.add(id(one))
            self._notice(f"{name} failed ({type(error).__name__}: {error}) and is left out; the shooting goes on")
            return otherwise
