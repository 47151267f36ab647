"""The shooting loop: plan -> move -> settle -> expose -> download -> record, one frame after the other."""

from __future__ import annotations

import contextlib
import logging
import shutil
import threading
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from capture.camera.protocol import Camera, Shot
from capture.errors import CaptureError, SessionError, ShotIncompleteError, ShotRefusedError, UsageError
from capture.session.folder import SessionFolder
from capture.session.plan import StackPlan
from capture.session.records import EventKind, SessionState
from rail.axis import Axis
from rail.errors import RailDeviceError, RailError, RailLimitError, RailPositionUnknownError

_log = logging.getLogger(__name__)

# A shot that the camera refused exposed nothing, so trying again doubles nothing.
REFUSED_ATTEMPTS = 3
REFUSED_PAUSE_S = 1.0
ROOM_FOR_THE_JOURNAL_BYTES = 2_000_000


class AfterShooting(StrEnum):
    """Where the carriage goes after the last frame."""

    NEAR = "near"
    STAY = "stay"
    ORIGIN = "origin"


@dataclass(frozen=True, slots=True)
class ShootProgress:
    """How far the session is. `seconds_left` is None until the first frame is done."""

    done: int
    planned: int
    position: float
    seconds_left: float | None


class Watcher(Protocol):
    """What is told about the session while it runs. Must return quickly."""

    def frame_done(self, progress: ShootProgress, shot: Shot) -> None:
        """A frame was accepted."""

    def notice(self, text: str) -> None:
        """Something the user should read."""


@dataclass(frozen=True, slots=True)
class ShootOutcome:
    """What came of a session's shooting."""

    planned: int
    frames: int
    reshot: int


def check_plan(plan: StackPlan, axis: Axis) -> None:
    """Refuse, before anything moves, a plan that the axis cannot follow.

    Raises
    ------
    UsageError
        Where the unit is not the axis's, or the step is finer than the axis can go.
    RailLimitError
        Where an end lies outside the allowed range.
    """
    if plan.unit is not axis.capabilities.unit:
        raise UsageError(
            f"the plan counts in {plan.unit.value}, the axis in {axis.capabilities.unit.value}",
            remedy="Give near, far and step in the axis's unit.",
        )
    low, high = axis.limits
    for name, position in (("near", plan.near), ("far", plan.far)):
        if not low <= position <= high:
            raise RailLimitError(
                f"the {name} end at {position:g} {plan.unit.value} lies outside the allowed range, "
                f"{low:g} to {high:g} {plan.unit.value}",
                remedy="Move the subject or the range, home the rail, or widen the profile's limits.",
                state="Nothing has moved.",
            )
    if plan.step < axis.capabilities.resolution * (1 - 1e-9) and plan.count > 1:
        raise UsageError(
            f"a step of {plan.step:g} {plan.unit.value} is finer than the axis's own step of {axis.capabilities.resolution:g}",
            remedy="Take a larger step, or a rail with a finer screw.",
        )


class Shooting:
    """Shoots the frames of a session that are still missing, in the order of the plan.

    Parameters
    ----------
    folder : SessionFolder
        Opened with the plan; its journal is written before and after each step.
    axis, camera : Axis, Camera
        Open, and left open.
    watcher : Watcher
    stop : threading.Event
        When set, the loop ends after the frame it is at (`SessionState.INTERRUPTED`).
    """

    def __init__(
        self, folder: SessionFolder, axis: Axis, camera: Camera, watcher: Watcher, stop: threading.Event | None = None
    ) -> None:
        self._folder = folder
        self._axis = axis
        self._camera = camera
        self._watcher = watcher
        self._stop = stop or threading.Event()
        self._reshot = 0
        self._frame_bytes = 0

    def run(self, plan: StackPlan, after: AfterShooting = AfterShooting.NEAR) -> ShootOutcome:
        """Shoot `plan` and park the carriage. Whatever ends it early is in the journal before it is raised.

        Raises
        ------
        SessionError
            Where the journal or the folder failed.
        CaptureError, RailError
            What a device failed with; the session can be gone on with.
        KeyboardInterrupt
            As it came; motion has been stopped.
        """
        check_plan(plan, self._axis)
        _log.info("%d frames from %g to %g %s, step %g", plan.count, plan.near, plan.far, plan.unit.value, plan.step)
        journal = self._folder.journal
        try:
            self._frames(plan)
            self._park(plan, after)
        except KeyboardInterrupt:
            self._stop_motion()
            self._folder.end(SessionState.INTERRUPTED, reason="interrupted by the user")
            raise
        except SessionError as error:
            self._stop_motion()
            with contextlib.suppress(SessionError):  # the journal itself may be what failed
                self._folder.end(SessionState.FAILED, reason=error.message)
            raise
        except (CaptureError, RailError) as error:
            _log.error("stopped: %s", error.message)
            journal.record(EventKind.FAILED, error=error.kind, message=error.message)
            self._folder.end(SessionState.FAILED, reason=error.message)
            raise
        self._folder.end(SessionState.FINISHED)
        return ShootOutcome(plan.count, plan.count, self._reshot)

    def _stop_motion(self) -> None:
        """Stop on the way out; what the rail has to say about it must not hide why we leave."""
        try:
            self._axis.stop()
        except RailError as error:
            self._watcher.notice(f"the rail could not be told to stop: {error.message}. {error.remedy}")

    def _frames(self, plan: StackPlan) -> None:
        started_s = time.monotonic()
        for index, target in enumerate(plan.positions):
            if self._stop.is_set():
                raise KeyboardInterrupt
            number = index + 1
            self._folder.journal.record(EventKind.INTENDED, number, target=target)
            reached = self._move(number, target)
            self._folder.journal.record(EventKind.MOVED, number, position=reached)
            # The settle time is a length of time by its nature; the stop event cuts it short.
            if self._stop.wait(plan.settle_s):
                raise KeyboardInterrupt
            shot = self._shoot(number, plan)
            self._folder.refresh_manifest()
            spent_s = time.monotonic() - started_s
            left_s = spent_s / number * (plan.count - number)
            self._watcher.frame_done(ShootProgress(number, plan.count, reached, left_s), shot)

    def _move(self, number: int, target: float) -> float:
        """Go to `target`; where the carriage came to rest. A position lost in mid-session is a device that failed."""
        lost = "the controller restarted or lost count"
        try:
            reached = self._axis.move_to(target).position
        except RailPositionUnknownError as error:
            if number == 1:
                raise
            reached, lost = None, error.message
        if reached is None:
            raise RailDeviceError(
                f"the rail lost its position before frame {number}: {lost}",
                remedy="Home or zero the rail, then shoot again into a new folder.",
            )
        return reached

    def _shoot(self, number: int, plan: StackPlan) -> Shot:
        journal = self._folder.journal
        stem = self._folder.stem(number, plan.count)
        for attempt in range(1, REFUSED_ATTEMPTS + 1):
            self._require_room(number)
            journal.record(EventKind.EXPOSING, number, attempt=attempt)
            try:
                shot = self._camera.shoot(self._folder.frames_path, stem)
            except ShotRefusedError as error:
                journal.record(EventKind.FAILED, number, error=error.kind, message=error.message, attempt=attempt)
                if attempt == REFUSED_ATTEMPTS or self._stop.wait(REFUSED_PAUSE_S):
                    raise
                self._watcher.notice(f"frame {number}: {error.message}; trying again")
                continue
            except ShotIncompleteError as error:
                journal.record(EventKind.REJECTED, number, reason=error.message, files=self._set_aside(stem, attempt))
                self._require_room(number)
                if attempt == REFUSED_ATTEMPTS:
                    raise
                self._reshot += 1
                self._watcher.notice(f"frame {number}: {error.message}; set aside and shot again")
                continue
            files = [
                {"file": f"frames/{file.path.name}", "sha256": file.sha256, "bytes": file.size_bytes, "raw": file.raw}
                for file in shot.files
            ]
            self._frame_bytes = max(self._frame_bytes, sum(file.size_bytes for file in shot.files))
            journal.record(EventKind.STORED, number, files=files, exposure=shot.exposure, notes=list(shot.notes))
            journal.record(EventKind.ACCEPTED, number)
            for note in shot.notes:
                _log.warning("frame %d: %s", number, note)
            _log.info("frame %d: %s", number, ", ".join(file.path.name for file in shot.files))
            return shot
        raise AssertionError("the loop returns or raises")

    def _require_room(self, number: int) -> None:
        """Stop before a frame that the disk has no room for: an exposure that cannot be kept is none."""
        free = shutil.disk_usage(self._folder.frames_path).free
        needed = int(1.1 * self._frame_bytes) + ROOM_FOR_THE_JOURNAL_BYTES
        if free < needed:
            raise SessionError(
                f"the disk is full: frame {number} needs about {needed / 1e6:.0f} MB and {free / 1e6:.0f} MB are free",
                remedy="Free some space and shoot the rest, or shoot to another disk. The frames so far are kept.",
            )

    def _set_aside(self, stem: str, attempt: int) -> list[dict[str, object]]:
        """Move what arrived of a failed shot to `frames/rejected/`, under a name of its own."""
        moved: list[dict[str, object]] = []
        for path in sorted(self._folder.frames_path.glob(f"{stem}.*")):
            target = self._folder.rejected_path / f"{path.stem}-{attempt}{path.suffix}"
            while target.exists():
                target = target.with_name(f"{target.stem}-again{target.suffix}")
            path.replace(target)
            moved.append({"file": f"frames/rejected/{target.name}", "sha256": None})
        return moved

    def _park(self, plan: StackPlan, after: AfterShooting) -> None:
        if after is AfterShooting.STAY:
            return
        target = plan.near if after is AfterShooting.NEAR else 0.0
        low, high = self._axis.limits
        reached = self._axis.move_to(min(max(target, low), high))
        self._folder.journal.record(EventKind.PARKED, position=reached.position)
