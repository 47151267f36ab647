"""A session from its devices to its outcome: opened, checked, shot; the same for one begun and one gone on with."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capture.app.focus_options import FocusWishes
from capture.app.opening import (
    DeviceNames,
    Origin,
    held_devices,
    moved_part,
    open_rail,
    standing_part,
)
from capture.app.output import InterruptedRunError, say
from capture.app.progress import ShootingProgress
from capture.app.session_control import keys_and_signals
from capture.app.session_plan import PlanWish
from capture.camera.gphoto_camera import GphotoCamera
from capture.camera.protocol import Camera, Role
from capture.camera.shutter_camera import ShutterCamera
from capture.errors import CaptureError, SessionError
from capture.session.bounded import bounded
from capture.session.certifying import LIVE_GROWTH
from capture.session.collecting import to_collect
from capture.session.control import Controls, StoppedByUserError
from capture.session.exposures import Exposures
from capture.session.folder import SessionFolder
from capture.session.log import SessionLog
from capture.session.moving import tell_ways_on
from capture.session.notify import Notifier
from capture.session.plan import StackPlan
from capture.session.records import place_in_doubt
from capture.session.shooting import AfterShooting, Shooting, ShootOutcome
from capture.session.targets import targets_of
from capture.session.watching import Companion
from capture.settings import Settings
from rail.axis import Axis
from rail.errors import RailError
from rail.grbl.axis import GrblAxis

if TYPE_CHECKING:  # array libraries are loaded by what needs them
    from capture.focus.watch import FrameWatch

_log = logging.getLogger(__name__)

# What a session that is gone on with puts back, in this order.
KEPT_ROLES = (Role.EXPOSURE_MODE, Role.FORMAT, Role.TARGET, Role.WHITE_BALANCE, Role.ISO, Role.APERTURE, Role.SHUTTER)


@dataclass(frozen=True, slots=True)
class Shoot:
    """What `shoot`, `run` and `demo` were asked for, flags and settings taken together.

    `plan` is what is to be found where something is left open. `stack` is None where nothing is stacked, else the stacker's options
    as the journal keeps them. `repair`: what the certificate misses is shot; `reshoot`: frames that were spoilt are shot again. `focus`:
    what is known of the optics. `step_given`: it need not be what the depth of field asks for. `exposures`: those of each position.
    """

    settings: Settings
    out: Path
    devices: DeviceNames
    plan: StackPlan | PlanWish
    origin: Origin
    after: AfterShooting
    camera_settings: dict[str, str | None]
    stack: dict[str, Any] | None = None
    never_beyond: float | None = None
    notify: str | None = None
    log_wire: bool = False
    repair: bool = False
    reshoot: bool = True
    focus: FocusWishes | None = None
    step_given: bool = True
    exposures: Exposures = field(default_factory=Exposures)


@dataclass(frozen=True, slots=True)
class ShotSession:
    """A session whose frames are all there: the contract's values, the same in words, and when the last was done (monotonic)."""

    values: dict[str, Any]
    lines: list[str]
    last_frame_s: float

    @property
    def incomplete(self) -> bool:
        """Pictures are still on a card, or frames are still to be shot."""
        return bool(self.values.get("to_collect") or self.values.get("to_shoot"))


@dataclass(frozen=True, slots=True)
class Devices:
    """Both devices, open; and the log that was kept since they were opened."""

    axis: Axis
    camera: Camera
    log: SessionLog


@contextmanager
def open_devices(
    settings: Settings, names: DeviceNames, never_beyond: float | None = None, *, log_wire: bool = False
) -> Iterator[Devices]:
    """The rail and the camera, held for this session; closed when the context ends, motion stopped."""
    with ExitStack() as stack:
        log = stack.enter_context(SessionLog(logging.DEBUG if log_wire else logging.INFO))
        axis, camera = stack.enter_context(held_devices(settings, names))
        yield Devices(bounded(axis, never_beyond), camera, log)


def shoot_frames(
    folder: SessionFolder,
    devices: Devices,
    wanted: Shoot,
    notifier: Notifier,
    companions: tuple[Companion, ...] = (),
) -> ShotSession:
    """Shoot what is missing of the plan of `folder`, with everything that lives beside it: progress, orders, notices.

    Raises
    ------
    CaptureError, RailError, InterruptedRunError
        Each says how many frames are safe, and how to go on.
    """
    plan = folder.plan
    with ExitStack() as stack:
        controls = stack.enter_context(Controls(folder.path))
        stack.enter_context(keys_and_signals(controls, plan.step))
        watcher = stack.enter_context(ShootingProgress(plan.count))
        watcher.on_trouble = notifier.trouble
        if isinstance(devices.camera, GphotoCamera):
            devices.camera.tell(watcher.notice, watcher.trouble)
        watch = stack.enter_context(contextlib.closing(frame_watch(folder)))
        shooting = Shooting(
            folder,
            devices.axis,
            devices.camera,
            watcher,
            controls=controls,
            companions=(watch, *companions),
            certifier=None if isinstance(devices.camera, ShutterCamera) else watch,  # it has nothing to look at yet
            repairs=wanted.repair,
            reshoots=wanted.reshoot,
            look=lambda axis: _live_growth(axis, devices.camera, watch, plan),
            reopen=lambda: bounded(_open_rail_anew(wanted, devices.camera), wanted.never_beyond),
        )
        stack.enter_context(contextlib.closing(shooting))
        outcome = _run(shooting, folder, plan, wanted.after)
        values = outcome_values(folder, outcome)
        return ShotSession(values, [f"{outcome.frames} frames in {folder.path}"], watcher.last_frame_s)


def _live_growth(axis: Axis, camera: Camera, watch: FrameWatch, plan: StackPlan) -> float | None:
    """Growth of blur, in pixels of the still, from live frames about the middle of the plan; None where it cannot be seen."""
    from capture.app.focus_running import look_for_growth
    from capture.focus.axis_view import returning

    if watch.still_px is None:
        return None
    say("the frames do not tell the depth of field: measuring it on live frames")
    with returning(axis):  # where the carriage stays is the plan's to say
        axis.move_to((plan.near + plan.far) / 2)
        return look_for_growth(axis, camera, watch.still_px, (plan.near, plan.far))


def _open_rail_anew(wanted: Shoot, camera: Camera) -> Axis:
    axis = open_rail(wanted.settings, wanted.devices.rail, wanted.devices.profile, wanted.devices.camera)
    if isinstance(camera, ShutterCamera) and isinstance(axis, GrblAxis):
        camera.use(axis)  # its release hangs on the rail's controller
    return axis


def frame_watch(folder: SessionFolder) -> FrameWatch:
    """Watches and certifies the frames of a session, by what it was opened with."""
    from capture.focus.judged_depth import WatchWishes
    from capture.focus.watch import FrameWatch

    known = {one.name for one in fields(WatchWishes)}
    judged = folder.journal.opened().get("judged_by", {})
    wishes = WatchWishes(**{name: value for name, value in judged.items() if name in known})
    watch = FrameWatch(wishes, folder.plan.unit)
    for event in folder.journal.events():
        if LIVE_GROWTH in event.detail:  # of a run that was stopped before it had judged its frames
            watch.learn_growth(float(event.detail[LIVE_GROWTH]))
    return watch


def outcome_values(folder: SessionFolder, outcome: ShootOutcome) -> dict[str, Any]:
    """The contract's values of `shoot`."""
    rejected = [dict(entry) for frame in folder.frames().values() for entry in frame.rejected]
    return {
        "session": str(folder.path.resolve()),
        "planned": outcome.planned,
        "frames": outcome.frames,
        "added": outcome.added,
        "reshot": outcome.reshot,
        "left_out": rejected,
        "coverage": folder.manifest()["coverage"],
        "to_collect": len(to_collect(folder)),
        "collected": None,
    }


def _run(shooting: Shooting, folder: SessionFolder, plan: StackPlan, after: AfterShooting) -> ShootOutcome:
    try:
        return shooting.run(plan, after)
    except (KeyboardInterrupt, StoppedByUserError) as reason:
        done = folder.accepted()
        status = shooting.axis.status()
        where = "at an unknown position" if status.position is None else f"at {status.position:g} {plan.unit.value}"
        asked = " as asked" if isinstance(reason, StoppedByUserError) else ""
        stackable = any(frame.files for frame in done)
        stacks = f" Or stack what is there: focusrail stack {folder.path} -o picture.tif" if stackable else ""
        raise InterruptedRunError(
            f"stopped{asked} after {len(done)} of {_wanted_frames(folder, plan)} frames",
            state=f"Motion is stopped, the {standing_part(shooting.axis)} stands {where}. The frames are in {folder.path}.",
            remedy=f"Go on with: focusrail resume {folder.path}.{stacks}",
        ) from None
    except (CaptureError, RailError) as error:
        with contextlib.suppress(SessionError):  # the journal itself may be what failed
            safe = len(folder.accepted())
            status = shooting.axis.status()
            where = (
                "its position is unknown"
                if status.position is None or place_in_doubt(folder.journal.events(), homed=status.homed)
                else f"it stands at {status.position:g} {plan.unit.value}"
            )
            part = moved_part(shooting.axis)
            kept = f"{safe} of {_wanted_frames(folder, plan)} frames are safe in {folder.path}."
            kept += f" The {part} is {status.state.value}; {where}."
            told = error.state[:1].upper() + error.state[1:].rstrip(".")
            error.state = f"{told}. {kept}" if told else kept
            tell_ways_on(folder, error)
        raise


def _wanted_frames(folder: SessionFolder, plan: StackPlan) -> int:
    """How many frames the session is to have, those that were added among them."""
    return len(targets_of(plan, folder.frames()))
