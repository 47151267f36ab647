"""The session's side of the child process with libgphoto2: calls with deadlines, and the camera opened anew after every failure.

What was asked of the camera is kept here and put back when it had to be opened again; live view is ended at every opening, because a
session that died may have left it on.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from capture.camera.deadlines import Deadlines
from capture.camera.faults import (
    OPENING,
    camera_error,
    died,
    hung,
    is_link_gone,
    is_refusal,
    opening_error,
    reading_error,
    setting_error,
)
from capture.camera.holders import describe_holders, find_holders, whole_port
from capture.camera.process import FailedCallError, LibraryProcess, ProcessDiedError, ProcessHungError
from capture.camera.protocol import Role
from capture.camera.roles import Setting, candidates, stands
from capture.camera.values import same
from capture.camera.wire import Failed, OpenedCamera, Progress
from capture.errors import (
    CameraBusyError,
    CameraError,
    CameraLostError,
    CameraNotFoundError,
    CameraSettingError,
)

_T = TypeVar("_T")

# The order in which settings are put back: the mode first, since it decides what the others may be.
_RESTORE_ORDER = (
    Role.EXPOSURE_MODE,
    Role.FORMAT,
    Role.AUTOFOCUS,
    Role.DRIVE_MODE,
    Role.MIRROR,
    Role.WHITE_BALANCE,
    Role.ISO,
    Role.SHUTTER,
    Role.APERTURE,
)


_NEWS_S = 0.1
_TOGGLES = {"viewfinder", "eosviewfinder"}


class SpentError(Exception):
    """The camera object is spent and must be opened anew; `error` is what the user is told if that fails.

    `answered`: the library refused by itself, without a reason, and did not lose the camera.
    """

    def __init__(self, error: CameraError, *, answered: bool = False) -> None:
        super().__init__(error.message)
        self.error = error
        self.answered = answered


class GphotoLink:
    """One camera behind a child process.

    Attributes
    ----------
    deadlines : Deadlines
    tree : list of Setting
        The configuration as last read.
    asked : dict of Role to str
        What was set, by the camera's own choice strings.
    notice : callable
        Told what is waited for, and how long at most.
    trouble : callable
        Told that the camera is gone, not opened by a first try, and that it is back from there.
    """

    def __init__(self, port: str | None, deadlines: Deadlines, start: Callable[[], LibraryProcess]) -> None:
        self.deadlines = deadlines
        self.tree: list[Setting] = []
        self.asked: dict[Role, str] = {}
        self.notice: Callable[[str], None] = _nobody
        self.trouble: Callable[[str], None] = _nobody
        self._port = whole_port(port)
        self._start = start
        self._process: LibraryProcess | None = None
        self._model = ""

    @property
    def pid(self) -> int | None:
        """Process id of the child; None while there is none."""
        return self._process.pid if self._process is not None else None

    @property
    def port(self) -> str:
        """Where the camera was opened; empty before."""
        return self._port or ""

    @property
    def model(self) -> str:
        """The camera's name: its own, else libgphoto2's."""
        own = next((setting.value for setting in self.tree if setting.name == "cameramodel" and setting.value), "")
        return own or self._model

    # -- opening ---------------------------------------------------------------------------------------------------------------

    def connect(self) -> None:
        """Start a child, open the camera, end live view, put the settings back; `CameraError` where that fails."""
        self.drop()
        self._process = self._start()
        where = f" at {self._port}" if self._port else ""
        try:
            opened = self.ask("open", f"{OPENING} the camera{where}", deadline_s=self.deadlines.open_s, port=self._port)
            if not isinstance(opened, OpenedCamera):
                raise TypeError(type(opened))
            self._port, self._model = opened.port, opened.model
            self.read_tree()
            self.end_live_view()
            self._put_back()
        except SpentError as spent:
            raise spent.error from None
        except BaseException:
            self.drop()
            raise

    def connect_patiently(self) -> None:
        """As `connect`, trying again while the camera is busy, until the deadline for opening."""
        end = time.monotonic() + self.deadlines.open_s / 2
        pause = threading.Event()
        while True:
            try:
                self.connect()
            except CameraBusyError:
                if time.monotonic() >= end:
                    raise
                pause.wait(0.5)  # no event tells when another program lets go
            else:
                return

    def drop(self) -> None:
        """Let the child release the camera and end; idempotent."""
        process, self._process = self._process, None
        if process is not None:
            process.close()

    def _spend(self) -> None:
        """End a child whose camera does not answer any more."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()

    def recover(self, error: CameraError) -> None:
        """Get the camera back within the deadline; where that fails, the error says both why it was lost and why it stays so."""
        end = time.monotonic() + self.deadlines.recover_s
        self.notice(f"{error.message.rstrip('.')}; it is opened again, for at most {self.deadlines.recover_s:.0f} s")
        pause = threading.Event()
        wait_s, gone = 0.2, False
        while True:
            try:
                self.connect()
            except CameraError as again:
                if time.monotonic() + wait_s >= end:
                    kind = CameraLostError if isinstance(again, CameraNotFoundError) else type(again)
                    why = "." if again.message == error.message else f": {again.message}"
                    raise kind(
                        f"{error.message} It could not be opened again within {self.deadlines.recover_s:.0f} s{why}",
                        remedy=again.remedy,
                        state=again.state,
                    ) from error
                if not gone:
                    gone = True
                    self.trouble(f"the camera is gone: {again.message}")
                pause.wait(wait_s)  # between two attempts to open: no event tells when a camera is back
                wait_s = min(2.0, wait_s * 2)
            else:
                (self.trouble if gone else self.notice)("the camera is back")
                return

    def idempotent(self, call: Callable[[], _T]) -> _T:
        """Run a call that may be repeated; once more with a fresh camera where this one is spent."""
        try:
            self.ensure()
            return call()
        except SpentError as spent:
            self.recover(spent.error)
        try:
            return call()
        except SpentError as spent:
            raise spent.error from None

    def ensure(self) -> None:
        """Open the camera where it is not; one that was lost is waited for once more."""
        if self._process is not None:
            return
        try:
            self.connect()
        except CameraError as error:
            self.recover(error)

    # -- calls -----------------------------------------------------------------------------------------------------------------

    def ask(
        self,
        operation: str,
        doing: str,
        *,
        deadline_s: float,
        watched: Path | None = None,
        on_progress: Callable[[Progress], float | None] | None = None,
        error_of: Callable[[Failed, str], CameraError] = camera_error,
        **arguments: object,
    ) -> object:
        """One call of the driver while `doing` something; `CameraError` where the camera refuses, `SpentError` where it is spent."""
        process = self._process
        if process is None:
            raise SpentError(CameraLostError(f"The camera was not open while {doing}.", state="closed"))
        try:
            return process.ask(
                operation,
                deadline_s=deadline_s,
                watched=watched,
                on_progress=on_progress,
                on_silence=lambda silent_s, all_s: self.notice(
                    f"the camera has been silent for {silent_s:.0f} s while {doing}; it is given up after {all_s:.0f} s"
                ),
                arguments=arguments,
            )
        except FailedCallError as error:
            told = self._told(operation, error.failed, doing, error_of)
            if is_refusal(error.failed) and operation != "open":
                raise told from None
            self._spend()
            raise SpentError(told, answered=not is_link_gone(error.failed)) from None
        except ProcessHungError as error:
            self._process = None
            raise SpentError(hung(doing, error.waited_s)) from None
        except ProcessDiedError as error:
            self._process = None
            raise SpentError(died(doing, error.cause)) from None

    def _told(
        self, operation: str, failed: Failed, doing: str, error_of: Callable[[Failed, str], CameraError]
    ) -> CameraError:
        if operation == "open":
            return opening_error(failed, doing, self.port, describe_holders(find_holders(self._port)))
        return error_of(failed, doing)

    # -- settings ----------------------------------------------------------------------------------------------------------------

    def read_tree(self) -> list[Setting]:
        """Read the whole configuration."""
        tree = self.ask("tree", "reading the camera's settings", deadline_s=self.deadlines.call_s * 2)
        if not isinstance(tree, list):
            raise TypeError(type(tree))
        self.tree = tree
        return tree

    def entry(self, role: Role) -> Setting | None:
        """The entry that serves a role, as last read."""
        found = candidates(role, self.tree)
        return found[0] if found else None

    def read(self, setting: Setting) -> Setting:
        """Read one entry."""
        return self._remember(
            self.ask(
                "read",
                f"reading {setting.name}",
                deadline_s=self.deadlines.call_s,
                error_of=reading_error,
                path=setting.path,
            )
        )

    def hear(self) -> None:
        """Let the camera tell what changed: some bodies tell their settings in their events only, and the library keeps what it read."""
        self.ask("refresh", "hearing the camera's news", deadline_s=self.deadlines.call_s, limit_s=_NEWS_S)

    def read_anew(self, setting: Setting) -> Setting:
        """Read one entry as the camera tells it now, not as it was last told."""
        self.hear()
        return self.as_it_is(self.read(setting))

    def as_it_is(self, setting: Setting) -> Setting:
        """An entry as read: Canon's toggle of live view says what the library last ordered; where the picture goes says what is."""
        output = next((entry for entry in candidates(Role.LIVE_VIEW, self.tree) if entry.name == "output"), None)
        if output is None or setting.kind != "toggle" or setting.name not in _TOGGLES:
            return setting
        return replace(setting, value=str(int("pc" in self.read(output).value.casefold())))

    def write(self, setting: Setting, value: str) -> Setting:
        """Write one entry and read it back, waiting while the camera is busy; it may still keep its old value."""

        def once() -> Setting:
            return self._remember(
                self.ask(
                    "write",
                    f"setting {setting.name} to {value}",
                    deadline_s=self.deadlines.call_s,
                    error_of=setting_error,
                    path=setting.path,
                    value=value,
                )
            )

        return self.patiently(once, self.deadlines.call_s)

    def patiently(self, call: Callable[[], _T], within_s: float) -> _T:
        """A call, made again while the camera is busy; `CameraBusyError` where it stays so for `within_s`."""
        end = time.monotonic() + within_s
        while True:
            try:
                return call()
            except CameraBusyError:
                if time.monotonic() >= end:
                    raise
                self.pause("waiting for the camera")

    def pause(self, doing: str) -> None:
        """Wait a moment for news from the camera."""
        self.ask("wait_event", doing, deadline_s=self.deadlines.call_s, wait_ms=50)

    def _remember(self, read: object) -> Setting:
        if not isinstance(read, Setting):
            raise TypeError(type(read))
        self.tree = [read if known.path == read.path else known for known in self.tree]
        return read

    def _put_back(self) -> None:
        """Write what was asked for before the camera was lost, where it stands otherwise now."""
        for role in _RESTORE_ORDER:
            setting = self.entry(role)
            if role in self.asked and setting is not None and not same(role, setting.value, self.asked[role]):
                with contextlib.suppress(CameraSettingError):
                    self.write(setting, self.asked[role])
        setting = self.entry(Role.TARGET)
        if (
            Role.TARGET in self.asked
            and setting is not None
            and not stands(Role.TARGET, setting, self.asked[Role.TARGET])
        ):
            self.write(setting, self.asked[Role.TARGET])

    def end_live_view(self) -> None:
        """Close the shutter and lower the mirror, where the body has a switch for it."""
        setting = self.entry(Role.LIVE_VIEW)
        if setting is None:
            return  # bodies that show live frames on demand only
        off = (
            "0"
            if setting.kind == "toggle"
            else next((word for word in ("Off", "TFT") if word in setting.choices), None)
        )
        if off is not None and self.read_anew(setting).value != off:
            with contextlib.suppress(CameraSettingError):
                self.write(setting, off)


def _nobody(text: str) -> None:
    """Nobody is to be told."""
