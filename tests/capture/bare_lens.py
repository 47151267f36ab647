"""A lens motor without wires: what `LensAxis` asks of a camera, and nothing more."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from capture.bench.ptpip.lens import FocusMotor
from capture.camera.roles import Setting
from capture.errors import FocusEndError

MANUAL_FOCUS = "/main/actions/manualfocusdrive"


class BareCamera:
    """A motor and a clock that runs as it is asked; `words`: it knows small, middle and large steps only."""

    identity = "bare"

    def __init__(self, *, play: int = 12, words: bool = False) -> None:
        self.motor = FocusMotor(play_steps=play)
        self.before_order: Callable[[], object] = lambda: None
        self._words = words
        self._now_s = 0.0

    def focus_drive(self) -> Setting:
        if self._words:
            return Setting(MANUAL_FOCUS, kind="radio", choices=("Near 1", "Near 2", "None", "Far 1", "Far 2"))
        return Setting(MANUAL_FOCUS, kind="range", bounds=(-32767.0, 32767.0, 1.0))

    def focusing(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def drive_focus(self, steps: int) -> None:
        self.before_order()
        arrived = self.motor.move(steps, self._now_s)
        self._now_s += 60.0
        if not arrived:
            raise FocusEndError("at its end")

    def close(self) -> None:
        pass
