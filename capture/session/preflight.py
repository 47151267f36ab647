"""What must be right before a session is left alone: told before its first frame, each with its remedy."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from capture.camera.protocol import CameraInfo, FileFormat, Role
from capture.camera.readiness import Obstacle
from capture.session.bounded import BoundedAxis
from capture.session.notify import DESKTOP, unready
from capture.session.plan import StackPlan
from capture.session.targets import check_plan
from rail.axis import Axis
from rail.errors import RailError

# Generous sizes of one exposure's files, before the first frame tells the true one.
EXPECTED_BYTES = {FileFormat.RAW: 60_000_000, FileFormat.JPEG: 20_000_000, FileFormat.RAW_JPEG: 80_000_000}
# The picture (16 bit, three channels, compressed by little) in sizes of a frame: RAW is 12 to 16 bit of one channel, JPEG a few bit.
PICTURE_TIMES = {FileFormat.RAW: 4, FileFormat.JPEG: 15, FileFormat.RAW_JPEG: 3}
_BUILT = datetime(2024, 1, 1, tzinfo=UTC)
_OFF = {"0", "off", "false", "none", ""}
ROOM_FOR_THE_JOURNAL_BYTES = 2_000_000
LARGER = 1.1
"""By this factor a frame may be larger than the largest so far."""
# Told once more when no more frames than this have room.
_NEARLY_FULL_FRAMES = 3


@runtime_checkable
class TellsObstacles(Protocol):
    """A camera that can say what stands in the way of many frames."""

    def obstacles(self, *, frames: int = 1, bytes_a_frame: int | None = None) -> tuple[Obstacle, ...]:
        """What is in the way."""

    def info(self) -> CameraInfo:
        """Model and roles as they stand now."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the preflight. `fatal`: the session must not begin so."""

    name: str
    passed: bool
    message: str
    remedy: str = ""
    fatal: bool = False

    def values(self) -> dict[str, Any]:
        """The same for JSON."""
        return {"name": self.name, "passed": self.passed, "message": self.message, "remedy": self.remedy}


def preflight(
    plan: StackPlan,
    folder: Path,
    axis: Axis | None,
    camera: object | None,
    file_format: FileFormat,
    *,
    frames: int | None = None,
    frame_bytes: int | None = None,
    last_event: str | None = None,
    stacks: bool = False,
    exposures: int = 1,
) -> list[Check]:
    """Look at everything that can be looked at without moving or exposing.

    Parameters
    ----------
    plan : StackPlan
    folder : Path
        Where the session is or will be.
    axis, camera : Axis, Camera or None
        None where it is not there (a dry run).
    file_format : FileFormat
    frames : int, optional
        Frames still to shoot; the whole plan without it.
    frame_bytes : int, optional
        Size of a frame, all its exposures together, where it is known.
    last_event : str, optional
        When the session last recorded something, ISO 8601: the clock must not lie before it.
    stacks : bool
        Whether a picture is made of the frames, on the same disk.
    exposures : int
        At each position.
    """
    left = plan.count if frames is None else frames
    one_bytes = None if frame_bytes is None else frame_bytes / exposures
    checks = [_disk(folder, left, exposures, file_format, one_bytes, stacks=stacks), _clock(folder, last_event)]
    if axis is not None:
        checks += [_travel(plan, axis)]
    return checks + camera_checks(camera, left * exposures, None if one_bytes is None else round(one_bytes))


def _travel(plan: StackPlan, axis: Axis) -> Check:
    try:
        check_plan(plan, axis)
    except RailError as error:
        return Check("travel", False, error.message, error.remedy, fatal=True)
    low, high = axis.limits
    words = f"{plan.near:g} to {plan.far:g} {plan.unit.value} lies within {low:g} to {high:g}"
    if isinstance(axis, BoundedAxis):
        words += f", and never beyond {axis.never_beyond:g}"
    return Check("travel", True, words)


def _disk(
    folder: Path, frames: int, exposures: int, file_format: FileFormat, one_bytes: float | None, *, stacks: bool
) -> Check:
    above = next((path for path in (folder, *folder.absolute().parents) if path.is_dir()), Path("/"))
    free = shutil.disk_usage(above).free
    one = EXPECTED_BYTES[file_format] if one_bytes is None else one_bytes
    of_frames = frames * exposures * one
    needed = of_frames + (PICTURE_TIMES[file_format] * one if stacks else 0)
    measured = "" if one_bytes is not None else "up to "
    what = f"{frames} frames and their picture" if stacks else f"{frames} frames"
    words = f"{what} need {measured}{_size(needed)}, {_size(free)} are free"
    if free >= needed:
        return Check("disk", True, words)
    # a guess must not stop anybody: what the frames really take is judged before each of them (`RoomWatch`)
    return Check(
        "disk",
        False,
        words,
        f"Free some space on the disk of {above}" + (", or choose another with --out." if one_bytes is None else "."),
        fatal=one_bytes is not None and free < of_frames,
    )


def _clock(folder: Path, last_event: str | None) -> Check:
    now = datetime.now(UTC)
    newest = _BUILT
    if last_event is not None:
        newest = max(newest, datetime.fromisoformat(last_event))
    if folder.is_dir():
        newest = max(newest, datetime.fromtimestamp(folder.stat().st_mtime, UTC))
    if now >= newest.replace(microsecond=0):
        return Check("clock", True, f"the clock says {now.isoformat(timespec='seconds')}")
    return Check(
        "clock",
        False,
        f"the clock says {now.isoformat(timespec='seconds')}, which is before {newest.isoformat(timespec='seconds')}",
        "Set the computer's clock. The session does not depend on it: order and waits come from elsewhere.",
    )


def camera_checks(camera: object | None, frames: int = 1, frame_bytes: int | None = None) -> list[Check]:
    """What a camera says of itself before so many frames; empty for one that tells nothing, and where there is none."""
    return list(_camera(camera, frames, frame_bytes)) if isinstance(camera, TellsObstacles) else []


def _camera(camera: TellsObstacles, frames: int, frame_bytes: int | None) -> Iterable[Check]:
    found = camera.obstacles(frames=frames, bytes_a_frame=frame_bytes)
    for obstacle in found:
        yield Check(obstacle.about, False, obstacle.message, obstacle.remedy, fatal=obstacle.fatal)
    roles = camera.info().roles
    live = roles.get(Role.LIVE_VIEW)
    if live is not None and live.value.casefold() not in _OFF:
        yield Check(
            "live view", False, f"live view is on ({live.name} is {live.value})", "It warms the sensor: end it."
        )
    if not any(obstacle.fatal for obstacle in found):
        battery = roles.get(Role.BATTERY)
        charge = "" if battery is None else f", battery {battery.value}"
        yield Check("camera", True, f"{camera.info().model} is ready{charge}")


def notification(way: str | None) -> list[Check]:
    """Whether anybody can be told by `way`, as far as it can be seen without telling; empty where nobody is to be told."""
    if way is None:
        return []
    if not (why := unready(way)):
        return [Check("notification", True, f"tells of the end and of trouble by: {way}")]
    remedy = "Install it (apt install libnotify-bin)" if way == DESKTOP else "Install it, or give its whole path"
    return [Check("notification", False, f"nobody will be notified: {why}", f"{remedy}, or choose another --notify.")]


class RoomWatch:
    """Whether a session's disk holds the frames to come: judged anew before each of them, by what the frames really took.

    Parameters
    ----------
    path : Path
        The session's folder.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._told: int | None = None  # how many frames would fit when it was last told; None: all

    def look(self, frames: int, frame_bytes: int) -> str:
        """What there is to say since the last look, "" where nothing: it is too small, it is nearly full, it is large enough again.

        Parameters
        ----------
        frames : int
            Still to be shot.
        frame_bytes : int
            Largest of the frames so far; 0 where none is known: nothing is said.

        Raises
        ------
        OSError
        """
        if not frame_bytes or not os.access(self._path, os.W_OK):
            return ""
        free = shutil.disk_usage(self._path).free
        fit = int(max(0, free - ROOM_FOR_THE_JOURNAL_BYTES) // (LARGER * frame_bytes))
        # RAW files of one scene differ by some per cent
        if free - ROOM_FOR_THE_JOURNAL_BYTES >= 0.9 * frames * frame_bytes:
            again, self._told = self._told is not None, None
            return f"the disk has room for the {frames} frames to come again" if again else ""
        if self._told is not None and (fit > _NEARLY_FULL_FRAMES or self._told <= _NEARLY_FULL_FRAMES):
            return ""
        self._told = fit
        return (
            f"the disk has room for {fit} of the {frames} frames to come: at {_size(frame_bytes)} each they need "
            f"{_size(frames * frame_bytes)}; {_size(free)} are free, of which {_size(ROOM_FOR_THE_JOURNAL_BYTES)} are kept for the "
            f"session's records; free some while it shoots, it stops before the disk is full"
        )


def _size(count: float) -> str:
    if count >= 1e9:
        return f"{count / 1e9:.1f} GB"
    return f"{count / 1e6:.0f} MB" if count >= 1e7 else f"{count / 1e6:.1f} MB"
