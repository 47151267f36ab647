"""The shooting loop: plan -> move -> settle -> expose -> download -> record, one frame after the other."""

from __future__ import annotations

import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from capture.camera.protocol import Camera, Shot
from capture.errors import CaptureError, SessionError
from capture.session.certifying import Certifier, Certifying
from capture.session.control import Controls, Extension, StoppedByUserError
from capture.session.exposing import Exposing
from capture.session.extending import EXTENDED, extend
from capture.session.folder import SessionFolder, folder_failed
from capture.session.moving import Moving
from capture.session.old_pictures import old_pictures
from capture.session.pace import Pace
from capture.session.plan import StackPlan
from capture.session.preflight import RoomWatch
from capture.session.reconcile import put_aside
from capture.session.records import EventKind, FrameRecord, SessionState, Verdict, exposed_since, reshot
from capture.session.recovering import Recovering
from capture.session.targets import Coverage, FrameTarget, check_plan, targets_of
from capture.session.watching import Beside, Companion, ShootProgress, Watcher
from rail.axis import Axis
from rail.errors import RailError

_log = logging.getLogger(__name__)

T = TypeVar("T")


class AfterShooting(StrEnum):
    """Where the carriage goes after the last frame."""

    NEAR = "near"
    STAY = "stay"
    ORIGIN = "origin"


@dataclass(frozen=True, slots=True)
class ShootOutcome:
    """What came of a session's shooting."""

    planned: int
    frames: int
    added: int
    reshot: int


class Shooting:
    """Shoots the frames of a session that are still missing, from near to far.

    Parameters
    ----------
    folder : SessionFolder
        Opened with the plan; its journal is written before and after each step.
    axis, camera : Axis, Camera
        Open, and left open. Where the axis was opened anew (`reopen`), the new one is closed by `close`.
    watcher : Watcher
    controls : Controls, optional
        Orders that come while it runs.
    companions : iterable of Companion
    certifier : Certifier, optional
        Judges the frames together, once all are there.
    repairs : bool
        Whether what it misses is shot.
    reshoots : bool
        Whether frames that were spoilt are shot again at their positions; else they are named.
    look : callable, optional
        Growth of blur, pixels of the still per unit, from live frames; asked where the frames do not tell it.
    reopen : callable, optional
        Opens the rail again after its link was lost.
    """

    def __init__(
        self,
        folder: SessionFolder,
        axis: Axis,
        camera: Camera,
        watcher: Watcher,
        *,
        controls: Controls | None = None,
        companions: Iterable[Companion] = (),
        certifier: Certifier | None = None,
        repairs: bool = False,
        reshoots: bool = True,
        look: Callable[[Axis], float | None] | None = None,
        reopen: Callable[[], Axis] | None = None,
    ) -> None:
        self._folder = folder
        self._watcher = watcher
        self._controls = Controls() if controls is None else controls
        self._own_controls = controls is None
        self._beside = Beside(companions, watcher.notice)
        self._moving = Moving(folder, axis, watcher, self._pause, reopen)
        self._reshoots = reshoots
        self._exposing = Exposing(folder, camera, watcher.trouble, self._pause)
        self._recovering = Recovering(folder, camera, watcher.trouble, watcher.notice, lies_at=self._lies_at)
        self._certifying = None
        if certifier is not None:
            self._certifying = Certifying(
                folder, camera, certifier, watcher.notice, repairs=repairs, reshoots=reshoots, look=look
            )

    @property
    def axis(self) -> Axis:
        """The axis in use now."""
        return self._moving.axis

    def close(self) -> None:
        """Close what was opened here; until then `axis` tells in what state things were left."""
        self._moving.close()
        if self._own_controls:
            self._controls.close()

    def run(self, plan: StackPlan, after: AfterShooting = AfterShooting.NEAR) -> ShootOutcome:
        """Shoot what is missing of `plan` and park the carriage. Whatever ends it early is in the journal before it is raised.

        Raises
        ------
        SessionError
            Where the journal or the folder failed.
        CaptureError, RailError
            What a device failed with; the session can be gone on with.
        KeyboardInterrupt
            As it came; motion has been stopped.
        StoppedByUserError
            As asked; the carriage stands at the last frame.
        """
        check_plan(plan, self.axis)
        _log.info("%d frames from %g to %g %s, step %g", plan.count, plan.near, plan.far, plan.unit.value, plan.step)
        journal = self._folder.journal
        try:
            self._frames(plan)
            self._park(plan, after)
        except StoppedByUserError:
            self._folder.end(SessionState.INTERRUPTED, reason="stopped by the user after a frame")
            raise
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
            with contextlib.suppress(SessionError):  # what the device failed with must not be hidden
                journal.record(EventKind.FAILED, error=error.kind, message=error.message)
                self._folder.end(SessionState.FAILED, reason=error.message)
            raise
        except OSError as error:
            self._stop_motion()
            failed = folder_failed(self._folder, error)
            with contextlib.suppress(SessionError):
                self._folder.end(SessionState.FAILED, reason=failed.message)
            raise failed from error
        self._folder.end(SessionState.FINISHED)
        frames = self._folder.frames()
        added = sum(bool(frame.added) and frame.verdict is Verdict.ACCEPTED for frame in frames.values())
        again = reshot(self._folder.journal.events())
        return ShootOutcome(plan.count, len(self._folder.accepted()), added, again)

    def _stop_motion(self) -> None:
        """Stop on the way out; what the rail has to say about it must not hide why we leave."""
        try:
            self.axis.stop()
        except RailError as error:
            self._watcher.notice(f"the rail could not be told to stop: {error.message}. {error.remedy}")

    # -- frames ------------------------------------------------------------------------------------------------------------------

    def _frames(self, plan: StackPlan) -> None:
        records = self._folder.frames()
        todo: deque[FrameTarget] = deque()
        done: dict[int, float] = {}
        coverage = Coverage(plan)
        for target in targets_of(plan, records):
            if target.added == EXTENDED:
                coverage.extend(target.position)
            record = records.get(target.number)
            if record is not None and record.verdict is Verdict.ACCEPTED:
                done[target.number] = target.position
                coverage.add(target.position)
                self._take_up(target, record)
            else:
                todo.append(target)
        pace = Pace()
        shot_again: dict[int, int] = {}
        room = RoomWatch(self._folder.path)

        self._controls.extend = lambda distance: self._extend(plan, todo, coverage, distance)
        while True:
            while todo:
                self._obey()
                pace.begin()
                if said := room.look(len(todo), self._exposing.frame_bytes):
                    self._watcher.trouble(said)
                target = todo.popleft()
                shot, position = self._frame(target, plan)
                done[target.number] = target.position
                total = len(done) + len(todo)
                self._folder.refresh_manifest()
                coverage.add(target.position)
                pace.done()
                left_s = pace.left_s(len(todo))
                self._watcher.frame_done(ShootProgress(len(done), total, position, left_s, coverage.share), shot)
                self._follow(plan, todo, done, wait=not todo)
            again = self._doubtful(shot_again)
            if not again:
                self._obey()
                again = self._shaken(plan, done, shot_again)
            todo.extend(FrameTarget(number, done.pop(number)) for number in again)
            self._obey()
            if not todo:
                self._certified(lambda one: one.learn(self.axis), None)
                with self._folder.journal.together():  # killed half way, what is added would be another plan
                    todo.extend(self._certified(lambda one: one.repairs(plan, done, self.axis.limits), []))
            self._obey()
            if not todo:
                break
        self._controls.extend = _too_late
        if done:
            # the picture is fused while the frames are judged together and the carriage goes home
            self._folder.write_manifest()
            self._beside.tell(lambda companion: companion.all_stored())
            self._certified(lambda one: bool(one.certify()), False)

    def _take_up(self, target: FrameTarget, record: FrameRecord) -> None:
        """A frame of an earlier run of the session."""
        exposing = self._exposing
        exposing.digests.update(str(entry["sha256"]) for entry in record.files)
        exposing.frame_bytes = max(exposing.frame_bytes, sum(int(entry["bytes"]) for entry in record.files))
        if record.files and record.position is not None:
            paths = self._folder.picture_paths(record)
            number, position = target.number, record.position
            self._beside.tell(lambda companion: companion.frame_stored(number, position, paths))

    def _obey(self) -> None:
        """What the user asked for since the last frame; waits while the session is paused."""
        controls = self._controls
        controls.wait(0)
        if controls.paused and not controls.stopping:
            self._folder.journal.record(EventKind.NOTED, text="paused")
            self._watcher.notice("paused: the carriage stands, its motor held")
            controls.wait_while_paused()
            self._folder.journal.record(EventKind.NOTED, text="going on")
            self._watcher.notice("going on")
        if controls.stopping:
            raise StoppedByUserError

    def _extend(self, plan: StackPlan, todo: deque[FrameTarget], coverage: Coverage, distance: float) -> Extension:
        added, refused = extend(self._folder, plan, self.axis.limits[1], distance)
        if refused:
            self._watcher.notice(f"the far end is not extended: {refused}")
            return Extension(refused)
        todo.extend(added)
        coverage.extend(added[-1].position)
        self._watcher.notice(f"the far end is extended to {added[-1].position:g} {plan.unit.value}")
        return Extension(far=added[-1].position)

    def _doubtful(self, shot_again: dict[int, int]) -> list[int]:
        """Frames that their checks reject; each is shot again at its position, once."""
        events = self._folder.journal.events()
        there = {frame.number for frame in self._folder.accepted()}
        reasons = {number: why for number, why in old_pictures(events).items() if number in there}
        self._beside.tell(lambda companion: reasons.update(companion.suspects(wait=True)))
        return self._shoot_again(reasons, shot_again)

    def _shaken(self, plan: StackPlan, done: dict[int, float], shot_again: dict[int, int]) -> list[int]:
        """Frames that a second exposure shows to be shaken."""

        def go(number: int, target: float) -> None:
            self._obey()
            self._go(plan, number, target)

        reasons: dict[int, str] = self._certified(lambda one: one.shaken(done, go), {})
        # twice at most: the second exposure has shown that it can be sharp there
        again = self._shoot_again(reasons, shot_again, most=2)
        self._certified(lambda one: one.certifier.discount(reasons.keys() - again), None)
        return again

    def _follow(self, plan: StackPlan, todo: deque[FrameTarget], done: dict[int, float], *, wait: bool) -> None:
        """Look after the rail's place where the frames speak against it; what was shot at a wrong one is to be shot again."""
        while found := self._certified(lambda one: one.certifier.strayed(wait=wait), None):
            number, why = found
            since, earlier = exposed_since(self._folder.journal.events(), number)
            doubtful = since & done.keys()
            try:
                lost = self._recovering.look_after(self.axis, plan, number, why, doubtful, earlier=earlier)
            except RailError:
                self._withdraw_all(doubtful, f"shot after the rail had lost its place: {why}", again=False)
                raise
            if lost:
                self._withdraw_all(doubtful, f"shot after the rail had lost its place: {why}")
                again = [FrameTarget(number, done.pop(number)) for number in doubtful]
                targets = sorted([*again, *todo], key=lambda target: (target.position, target.number))
                todo.clear()
                todo.extend(targets)
                return
            self._trust(number)

    def _trust(self, number: int) -> None:
        self._certified(lambda one: one.certifier.trust(number), None)

    def _go(self, plan: StackPlan, number: int, target: float) -> None:
        self._moving.move(number, target)
        self._settle(plan)

    def _lies_at(self, plan: StackPlan, number: int, target: float) -> bool | None:
        self._go(plan, number, target)
        return self._certified(lambda one: one.lies_at(number), None)

    def _withdraw_all(self, numbers: Iterable[int], reason: str, *, again: bool = True) -> None:
        records = self._folder.frames()
        for number in sorted(numbers):
            self._withdraw(records[number], reason, again=again)

    def _shoot_again(self, reasons: dict[int, str], shot_again: dict[int, int], most: int = 1) -> list[int]:
        again = []
        records = self._folder.frames()
        for number in sorted(reasons):
            if shot_again.get(number, 0) >= most or number not in records or not self._reshoots:
                self._keep(number, reasons[number])
                continue
            shot_again[number] = shot_again.get(number, 0) + 1
            self._withdraw(records[number], reasons[number])
            again.append(number)
        return again

    def _keep(self, number: int, reason: str) -> None:
        said = f"frame {number} is kept as it is: {reason}"
        self._watcher.notice(said)
        self._certified(lambda one: one.certifier.note(said), None)

    def _withdraw(self, record: FrameRecord, reason: str, *, again: bool = True) -> None:
        self._beside.tell(lambda companion: companion.frame_withdrawn(record.number))
        paths = [self._folder.path / str(entry["file"]) for entry in record.files]
        moved = [{"file": put_aside(self._folder, path), "sha256": None} for path in paths]
        self._folder.journal.record(EventKind.REJECTED, record.number, reason=reason, files=moved)
        self._watcher.notice(f"frame {record.number} is set aside{', and shot again' if again else ''}: {reason}")

    def _frame(self, target: FrameTarget, plan: StackPlan) -> tuple[Shot, float]:
        number = target.number
        self._folder.journal.record(EventKind.INTENDED, number, target=target.position)
        reached = self._moving.move(number, target.position)
        self._folder.journal.record(EventKind.MOVED, number, position=reached)
        self._settle(plan)
        shot = self._exposing.shoot(number, plan.count)
        if shot.files:
            paths = self._folder.picture_paths(self._folder.frames()[number])
            self._beside.tell(lambda companion: companion.frame_stored(number, reached, paths))
        return shot, reached

    def _certified(self, what: Callable[[Certifying], T], otherwise: T) -> T:
        """What the certifier says: without one the frames are kept as they are."""
        return otherwise if self._certifying is None else self._beside.ask(self._certifying, what, otherwise)

    def _settle(self, plan: StackPlan) -> None:
        """A length of time by its nature; orders are taken meanwhile, and obeyed before the next frame."""
        end_s = time.monotonic() + plan.settle_s
        while (left_s := end_s - time.monotonic()) > 0:
            self._controls.wait(left_s)

    def _pause(self, seconds: float) -> None:
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            self._controls.wait(left_s)
            if self._controls.stopping:
                raise StoppedByUserError

    def _park(self, plan: StackPlan, after: AfterShooting) -> None:
        self._obey()
        self._controls.end()  # an order that came too late is refused, not taken and forgotten
        if self._controls.stopping:
            raise StoppedByUserError
        if after is AfterShooting.STAY:
            return
        target = plan.near if after is AfterShooting.NEAR else 0.0
        low, high = self.axis.limits
        reached = self.axis.move_to(min(max(target, low), high))
        self._folder.journal.record(EventKind.PARKED, position=reached.position)


def _too_late(distance: float) -> Extension:
    del distance
    return Extension("all frames are done")
