"""Whether a wait is long enough, told by the stills themselves: one after that wait against one after a long rest."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from capture.camera.protocol import Camera
from capture.errors import FocusError
from capture.focus.bands import linear_gray
from capture.focus.settle_law import SETTLED_PX
from capture.focus.shift import ShiftMeter
from capture.focus.sweep import Say, silent
from rail.axis import Axis
from stacking.develop import Development, as_source

F32 = NDArray[np.float32]

_HALF_PX = 2.0
_LONGER = 1.3
_ROUNDS = 4
_SHOTS = 2
_LEAST_WAIT_S = 0.05


class _Stills:
    def __init__(self, axis: Axis, camera: Camera, step: float, folder: Path) -> None:
        self._axis, self._camera, self._step, self._folder = axis, camera, step, folder
        position = axis.status().position
        assert position is not None
        self._place = position
        self._number = 0
        self._development: Development | None = None

    def gray(self, wait_s: float) -> F32:
        """A still after the move and `wait_s`."""
        self._axis.move_to(self._place - self._step)
        self._axis.move_to(self._place)
        time.sleep(wait_s)  # the very wait that is tried
        self._number += 1
        shot = self._camera.shoot(self._folder, f"settle-{self._number}")
        if not shot.files:
            raise FocusError(
                "this camera gives no pictures to look at", remedy="Leave the stills out with --no-stills."
            )
        source = as_source(shot.files[0].path)
        if self._development is None:
            self._development = Development([source])
        gray = linear_gray(self._development.gray_half(source))
        for file in shot.files:
            file.path.unlink()
        return gray


def confirm_with_stills(
    axis: Axis, camera: Camera, step: float, wait_s: float, *, longest_s: float, say: Say = silent
) -> tuple[float, float]:
    """Shoot after `wait_s` and after a long rest; lengthen the wait until the stills are alike.

    Parameters
    ----------
    axis : Axis
        Stands at the place where it is to be tried, and knows its position.
    camera : Camera
    step : float
        The move before each shot; its sign is the side from which the axis comes.
    wait_s, longest_s : float
    say : callable

    Returns
    -------
    (float, float)
        The wait, and the largest shift seen after it, in pixels of the still.

    Raises
    ------
    FocusError
        Not even `longest_s` are enough.
    CaptureError, StackingError, rail.errors.RailError
    """
    with TemporaryDirectory(prefix="focusrail-") as folder:
        stills = _Stills(axis, camera, step, Path(folder))
        try:
            meter = ShiftMeter(stills.gray(longest_s))
        except ValueError as error:
            raise FocusError(
                f"no shake can be seen in the stills: {error}",
                remedy="Light the subject well, and bring it into focus.",
            ) from None
        for _ in range(_ROUNDS):
            shifts = [float(np.hypot(*meter.shift(stills.gray(wait_s)))) * _HALF_PX for _ in range(_SHOTS)]
            say(f"stills after {wait_s:.2f} s: shifted by {max(shifts):.2f} px")
            if max(shifts) < SETTLED_PX:
                return wait_s, max(shifts)
            if wait_s >= longest_s:
                break
            wait_s = min(max(wait_s * _LONGER, _LEAST_WAIT_S), longest_s)
    raise FocusError(
        f"stills are still shifted by {max(shifts):.2f} px after {wait_s:.2f} s",
        remedy="Put the rail on a firm table, use the electronic shutter or a delay after the mirror, and try again.",
        state="The carriage stands where it was; nothing was written.",
    )
