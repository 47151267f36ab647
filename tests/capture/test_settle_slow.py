"""Settle time where live frames come slowly: nothing moved, and nothing says that something did."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from capture.bench.ptpip.lens import FocusMotor
from capture.camera.lens_axis import LensAxis
from capture.camera.lens_ledger import LensLedger
from capture.camera.protocol import LiveFrame
from capture.camera.roles import Setting
from capture.errors import FocusError
from capture.focus.settle import measure_settle


class Bench:
    """A lens motor, a picture that may move between frames, and the clock that the frames move: slowly from frame `since` on."""

    identity = "slow"

    def __init__(self, since: int, slow_s: float, shake_px: float) -> None:
        self._motor = FocusMotor()
        noise = np.random.default_rng(1).normal(size=(150, 220)).astype(np.float32)
        self._picture = np.clip(120 + 120 * cv2.GaussianBlur(noise, (0, 0), 1.5), 0, 255)
        self._since, self._slow_s, self._shake_px = since, slow_s, shake_px
        self._count, self.now_s = 0, 0.0

    def focus_drive(self) -> Setting:
        return Setting("/main/actions/manualfocusdrive", kind="range", bounds=(-32767.0, 32767.0, 1.0))

    def focusing(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def drive_focus(self, steps: int) -> None:
        assert self._motor.move(steps, self.now_s)

    def close(self) -> None:
        pass

    def __iter__(self) -> Iterator[LiveFrame]:
        while True:
            self._count += 1
            late = self._count >= self._since
            self.now_s += self._slow_s if late else 0.05
            shift = self._shake_px * (self._count % 2) if late else 0.0
            moved = cv2.warpAffine(self._picture, np.array([[1.0, 0.0, shift], [0.0, 1.0, 0.0]]), (220, 150))
            yield LiveFrame(cv2.imencode(".png", moved.astype(np.uint8))[1].tobytes(), self.now_s)


@pytest.mark.parametrize(
    ("since", "slow_s", "shake_px", "words"),
    [
        (10, 2.5, 0.0, "live view is too slow"),
        (10, 2.5, 3.0, "live view is too slow"),
        (10, 0.4, 3.0, "still moves"),
        (20, 0.1, 3.0, "still moves"),  # from a later move on
    ],
)
def test_what_moves_is_told_from_what_comes_slowly(
    tmp_path: Path, since: int, slow_s: float, shake_px: float, words: str
) -> None:
    bench = Bench(since, slow_s, shake_px)
    with LensAxis(bench, ledger=LensLedger("slow", tmp_path)) as axis:
        axis.zero()
        with pytest.raises(FocusError, match=words) as caught:
            measure_settle(axis, iter(bench), 1.0, step=90.0, clock=lambda: bench.now_s)
        assert caught.value.remedy
