"""Stacking a session's frames: as they are shot, in a process beside the session; the picture at the end."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from capture.app.progress import StackingProgress
from capture.errors import SessionError
from capture.session.folder import SessionFolder
from capture.session.records import EventKind
from stacking.options import StackOptions
from stacking.report import StackReport
from stacking.running_orders import Add, Answer, Begin, Finish, Finished, Order, Shown, Told, Withdraw

_log = logging.getLogger(__name__)

RESULT_NAME = "stacked.tif"
PREVIEW_NAME = "preview.jpg"
_END_S = 10.0


class RunningStacker:
    """A companion of the shooting: hands the frames to the process that stacks them. Never waits, never raises, while frames come.

    Where that process fails, the session goes on without it, and the picture is made here at the end.

    Parameters
    ----------
    session : Path
        The session's folder; need not be there before the first frame is.
    options : StackOptions
        Of the picture at the end.
    name : str
        Of the picture's file in ``result/``.

    Attributes
    ----------
    options, name
    """

    def __init__(self, session: Path, options: StackOptions, name: str = RESULT_NAME) -> None:
        self._session = session.absolute()
        self.name = name
        self.options = options
        self._output = self._session / "result" / name
        self._in_um = True
        self._orders: queue.SimpleQueue[Order | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Told | Finished | None] = queue.SimpleQueue()
        self._started = False
        self._ordered = False
        self._child: subprocess.Popen[bytes] | None = None
        self._connection: Connection[Order, Answer] | None = None

    # -- a companion -------------------------------------------------------------------------------------------------------------

    def frame_stored(self, number: int, position: float, paths: Sequence[Path]) -> None:
        """An accepted frame is on disk."""
        if not self._started:
            self._start()
        absolute = tuple(path.absolute() for path in paths)
        self._orders.put(Add(number, absolute, position, position if self._in_um else None))

    def frame_withdrawn(self, number: int) -> None:
        """It does not count any more."""
        self._orders.put(Withdraw(number))

    def all_stored(self) -> None:
        """The picture can be made; `finish` asks for it."""
        if self._child is not None and not self._output.exists():
            self._order(force=self.options.force)

    def suspects(self, *, wait: bool) -> dict[int, str]:
        """The stack judges frames when all are there."""
        del wait
        return {}

    # -- the end -----------------------------------------------------------------------------------------------------------------

    def finish(self, progress: StackingProgress, *, force: bool = False) -> StackReport | None:
        """The picture of the session's accepted frames, once; None where the process failed, and it has to be made here.

        Parameters
        ----------
        progress : StackingProgress
        force : bool
            Write over the picture of a run that was killed.

        Raises
        ------
        StackingError
            What the run ended with.
        """
        if self._child is None:
            return None
        self._order(force=force)
        while (answer := self._answers.get()) is not None:
            if isinstance(answer, Told):
                progress(answer.stage, answer.done, answer.total)
            elif answer.error is not None:
                raise answer.error
            else:
                return answer.report
        _log.warning("the process that stacks ended unexpectedly: the picture is made without it")
        return None

    def _order(self, *, force: bool) -> None:
        if not self._ordered:
            self._ordered = True
            self._orders.put(Finish((self._session,), self._output, replace(self.options, force=force)))

    def close(self) -> None:
        """End the process; it leaves nothing behind."""
        if self._child is None:
            return
        self._orders.put(None)
        if self._connection is not None:
            with contextlib.suppress(OSError):
                # closing alone would not reach the other end while a thread of ours waits for its word
                with socket.socket(fileno=os.dup(self._connection.fileno())) as ours:
                    ours.shutdown(socket.SHUT_RDWR)
                self._connection.close()
        # it ends by itself then, and clears away what it was writing
        for harder in (None, self._child.terminate, self._child.kill):
            if harder is not None:
                harder()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(_END_S)
                break
        self._child = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- inside ------------------------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self._started = True
        try:
            manifest = json.loads((self._session / "manifest.json").read_text(encoding="utf-8"))
            self._in_um = "near_um" in manifest["plan"]
            ours, theirs = Pipe(duplex=True)
            with theirs:
                self._child = subprocess.Popen(
                    [sys.executable, "-P", "-m", "stacking.running_process", str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
                    start_new_session=True,
                )
        except (OSError, ValueError, KeyError) as error:
            _log.warning("frames cannot be stacked as they come: %s", error)
            return
        self._connection = ours
        self._orders.put(Begin(self.options, self._session / "result" / PREVIEW_NAME))
        threading.Thread(target=self._send, args=(ours,), name="stacker-orders", daemon=True).start()
        threading.Thread(target=self._receive, args=(ours,), name="stacker-answers", daemon=True).start()

    def _send(self, connection: Connection[Order, Answer]) -> None:
        with contextlib.suppress(OSError, ValueError):
            while (order := self._orders.get()) is not None:
                connection.send(order)

    def _receive(self, connection: Connection[Order, Answer]) -> None:
        try:
            while True:
                answer = connection.recv()
                if not isinstance(answer, Shown):
                    self._answers.put(answer)
                elif answer.note:
                    _log.warning("stacking as frames come: %s", answer.note)
        except (EOFError, OSError, TypeError):  # TypeError: closed by us while it waited
            self._answers.put(None)


def picture_of(folder: SessionFolder) -> str | None:
    """The picture made of a session's frames as they are, below its folder; None where there is none, or a frame came after it."""
    for event in reversed(folder.journal.events()):
        if event.kind is EventKind.ACCEPTED:
            return None
        if event.kind is EventKind.STACKED:
            name = str(event.detail["result"])
            return name if (folder.path / name).is_file() else None
    return None


def over_what_is_outdated(folder: SessionFolder, options: StackOptions, name: str = RESULT_NAME) -> StackOptions:
    """`options`, allowed to write over the picture called `name` where it is not that of the frames as they are: a run left it that was
    killed before it could be recorded, or frames came after it.
    """
    outdated = (folder.result_path / name).exists() and picture_of(folder) != f"result/{name}"
    return replace(options, force=options.force or outdated)


def stack_session(
    folder: SessionFolder, options: StackOptions, running: RunningStacker | None = None
) -> dict[str, Any]:
    """Stack a session's accepted frames into its result folder, and record that.

    `running`: what saw them come; it has options and a name for the picture of its own.
    """
    from stacking.stack import stack_pictures

    if not folder.accepted():
        raise SessionError(
            f"{folder.path} holds no accepted frame",
            remedy=f"Go on with it: focusrail resume {folder.path}",
            state="Nothing was stacked.",
        )
    name = RESULT_NAME
    if running is not None:
        name, options = running.name, running.options
    result = folder.result_path / name
    options = over_what_is_outdated(folder, options, name)
    with StackingProgress() as progress:
        report = None if running is None else running.finish(progress, force=options.force)
        if report is None:
            report = stack_pictures([folder.path], result, options, progress)
    values = report.values()
    folder.journal.record(EventKind.STACKED, result=f"result/{name}", frames_used=values["frames_used"])
    folder.write_manifest()
    return values
