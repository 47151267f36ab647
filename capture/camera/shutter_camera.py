"""A camera that only its shutter release is known of: it hangs on the rail's controller, and keeps its pictures on its card.

It downloads nothing: a shot has no files, only the moment of its release, by which `capture.session.collecting` finds its picture later.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from capture.camera.protocol import CameraInfo, FileFormat, LiveFrame, Role, RoleState, Shot
from capture.camera.values import shutter_seconds
from capture.errors import CameraError, CameraSettingError
from rail.errors import RailError
from rail.shutter import Outputs, ShutterRelease, ShutterTimes

_log = logging.getLogger(__name__)

PORT = "shutter"
"""What names this camera where others have a port."""

MODEL = "shutter release on the rail's controller"
UNTOLD_S = 1.0
"""Exposure that is waited for where nobody said how long it is."""

_FORMATS = tuple(kind.value for kind in FileFormat)


class ShutterCamera:
    """A `capture.camera.protocol.Camera` without a wire of its own.

    Parameters
    ----------
    axis : Outputs
        Open; it is left open.
    times : ShutterTimes, optional
    """

    def __init__(self, axis: Outputs, times: ShutterTimes | None = None) -> None:
        self._release = ShutterRelease(axis, times)
        self._shutter = ""
        self._format = FileFormat.RAW.value
        self._untold = True

    def use(self, axis: Outputs) -> None:
        """Go on with a rail that was opened anew."""
        self._release.use(axis)

    def info(self) -> CameraInfo:
        """The model's name says what it is; the roles are what was told of it."""
        roles: dict[Role, RoleState | None] = dict.fromkeys(Role)
        roles[Role.FORMAT] = RoleState("format", self._format, _FORMATS)
        roles[Role.SHUTTER] = RoleState("shutter", self._shutter, ())
        return CameraInfo(MODEL, roles)

    def get(self, role: Role) -> RoleState:
        """What was told of `role`.

        Raises
        ------
        CameraSettingError
        """
        state = self.info().roles[role]
        if state is None:
            raise self._cannot(role)
        return state

    def set(self, role: Role, value: str) -> RoleState:
        """Take note of the exposure time or the file format that the camera is set to; nothing else is of use here.

        Raises
        ------
        CameraSettingError
        """
        if role is Role.SHUTTER:
            seconds = shutter_seconds(value)
            if seconds is None or not math.isfinite(seconds):
                raise CameraSettingError(
                    f"{value!r} is no exposure time",
                    remedy="Say how long the shutter is to be open, for example --shutter 1/60 or 2s; a camera at B is held open as long.",
                    state="Nothing was shot.",
                )
            self._shutter = value
        elif role is Role.FORMAT and value in _FORMATS:
            self._format = value
        elif role is not Role.TARGET or value != "card":
            raise self._cannot(role)
        else:
            return RoleState("target", "card", ("card",))
        return self.get(role)

    def shoot(self, folder: Path, stem: str) -> Shot:  # noqa: ARG002 - nothing is downloaded
        """Press the release for as long as the exposure lasts. The shot has no files; its exposure says when it was `released`.

        Raises
        ------
        CameraError
        """
        seconds = shutter_seconds(self._shutter) if self._shutter else None
        try:
            at = self._release.release(UNTOLD_S if seconds is None else seconds, bulb=seconds is not None)
        except RailError as error:
            raise CameraError(
                f"the shutter was not released as it should be: {error.message}",
                remedy=error.remedy,
                state=f"{error.state} The camera may hold a picture of this frame that does not count.".strip(),
            ) from error
        released = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
        exposure: dict[str, str | float] = {"released": released}
        if seconds is not None:
            exposure["shutter_s"] = seconds
        _log.info("%s released at %s", stem, released)
        return Shot((), exposure, warnings=self._warnings(seconds))

    def _warnings(self, seconds: float | None) -> tuple[str, ...]:
        """What is worth a word with the first shot."""
        first, self._untold = self._untold, False
        if not first or seconds is not None:
            return ()
        return (f"nobody said how long the exposures are: {UNTOLD_S:g} s are waited for each (--shutter TIME says it)",)

    def preview(self) -> LiveFrame:
        """There is none.

        Raises
        ------
        CameraError
        """
        raise self.blind()

    def live(self) -> AbstractContextManager[Iterator[LiveFrame]]:
        """There is none.

        Raises
        ------
        CameraError
        """
        raise self.blind()

    def close(self) -> None:
        """The release is let go of already; the rail belongs to somebody else."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @staticmethod
    def _cannot(role: Role) -> CameraSettingError:
        return CameraSettingError(
            f"a camera that hangs on a shutter release alone cannot be asked for its {role.value}",
            remedy=f"Set the {role.value} on the camera itself, and leave it out here.",
            state="Nothing was shot.",
        )

    @staticmethod
    def blind() -> CameraError:
        """What there is to say where a live picture is wanted."""
        return CameraError(
            "a camera that hangs on a shutter release alone shows no live picture, so nothing can be found or measured with it",
            remedy="Give --near, --far and --step (or --magnification and --f-number for the step), and --settle in seconds.",
            state="Nothing was shot.",
        )
