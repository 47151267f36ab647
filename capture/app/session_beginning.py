"""A session from its devices on: opened, checked, written down, its plan found where something of it was left open, then shot."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from capture.app.opening import (
    Origin,
    apply_camera_settings,
    release_autofocus,
    require_position,
    set_origin,
    where_it_stands,
)
from capture.app.output import InterruptedRunError, say
from capture.app.session_plan import PlanFound, PlanWish, check_wish, expected_s, find_plan
from capture.app.session_running import KEPT_ROLES, Devices, Shoot, ShotSession, open_devices, shoot_frames
from capture.camera.protocol import Camera, FileFormat, Role
from capture.camera.values import find_choice
from capture.errors import CameraError, CaptureError, FocusError, SessionError, UsageError
from capture.session.bounded import refuse_beyond
from capture.session.exposures import Exposures
from capture.session.folder import SessionFolder, check_new_folder
from capture.session.moving import tell_ways_on
from capture.session.notify import Notifier
from capture.session.plan import StackPlan
from capture.session.preflight import Check, camera_checks, notification, preflight
from capture.session.records import EventKind, SessionState
from capture.session.targets import check_plan
from capture.session.watching import Companion
from capture.settings import Settings
from rail.axis import Axis
from rail.errors import RailError


def shoot_session(wanted: Shoot, companions: tuple[Companion, ...] = ()) -> ShotSession:
    """Shoot a whole new session; `companions` live beside it.

    It is written down before the first sweep of live frames: whatever ends it from then on, it can be gone on with.

    Raises
    ------
    CaptureError, RailError, InterruptedRunError
    """
    check_new_folder(wanted.out)
    given = wanted.plan if isinstance(wanted.plan, StackPlan) else None
    if given is not None:
        refuse_beyond(given, wanted.never_beyond)
    with ExitStack() as stack:
        devices = stack.enter_context(
            open_devices(wanted.settings, wanted.devices, wanted.never_beyond, log_wire=wanted.log_wire)
        )
        axis, camera = devices.axis, devices.camera
        if wanted.origin is Origin.KEEP:
            check_ready(given, axis)
        if isinstance(wanted.plan, PlanWish):
            check_wish(wanted.plan, axis, camera)
        written = set_camera(camera, wanted.settings, wanted.camera_settings)
        release_autofocus(camera)
        exposures = metered_exposures(camera, wanted.exposures)
        if given is None:
            refuse_unready(camera, axis)
        set_origin(axis, wanted.origin, ends=ends_of(wanted.plan))
        file_format = format_of(wanted.camera_settings, wanted.settings)
        if given is not None:
            check_ready(given, axis)
            clear_the_way(checks_of(PlanFound(given, {}), wanted, axis, camera, file_format, exposures), axis)
        folder = stack.enter_context(
            SessionFolder.create(
                wanted.out,
                given,
                devices={
                    "rail": {"port": wanted.devices.rail, "profile": wanted.devices.profile},
                    "camera": {"port": wanted.devices.camera, "model": camera.info().model},
                },
                settings=written,
                origin=wanted.origin.value,
                homed=axis.status().homed,
                origin_name=axis.status().origin,
                after=wanted.after.value,
                file_format=file_format.value,
                camera_state=camera_state(camera),
                stack=wanted.stack,
                never_beyond=wanted.never_beyond,
                repair=wanted.repair,
                reshoot=wanted.reshoot,
                judged_by=judged_by(wanted, {}),
                wish=None if isinstance(wanted.plan, StackPlan) else wanted.plan.record(),
                step_given=wanted.step_given,
                exposures=exposures.record(),
                searched_from=axis.status().position,
            )
        )
        return shoot_in(folder, devices, wanted, companions)


def shoot_in(
    folder: SessionFolder, devices: Devices, wanted: Shoot, companions: tuple[Companion, ...] = ()
) -> ShotSession:
    """Shoot what is missing in `folder`; its plan is found first where it has none yet.

    Raises
    ------
    CaptureError, RailError, InterruptedRunError
        Each says how far it came, and how to go on.
    """
    devices.log.write_to(folder.path / "log.txt")
    clear_the_way(notification(wanted.notify), devices.axis)
    with contextlib.closing(Notifier(wanted.notify, folder.path, say)) as notifier:
        try:
            if not folder.planned:
                with _searching(folder, devices.axis):
                    _find(folder, devices, wanted)
            shot = shoot_frames(folder, devices, wanted, notifier, companions)
        except (CaptureError, RailError) as error:
            notifier.trouble(error.message)
            raise
        if wanted.stack is None:
            notifier.finished(f"{shot.values['frames']} frames in {folder.path}")
        return shot


def _find(folder: SessionFolder, devices: Devices, wanted: Shoot) -> None:
    """Find the plan, and write it down."""
    axis, camera = devices.axis, devices.camera
    _go_where_it_began(axis, folder.journal.opened().get("searched_from"))
    found = plan_of(wanted.plan, axis, camera, folder.exposures.count)
    check_ready(found.plan, axis)
    folder.set_plan(found.plan, focus=found.focus, judged_by=judged_by(wanted, found.focus))
    file_format = FileFormat(folder.journal.opened()["file_format"])
    clear_the_way(checks_of(found, wanted, axis, camera, file_format, folder.exposures), axis)


def _go_where_it_began(axis: Axis, begun: float | None) -> None:
    """A search that is begun anew starts where the first one did: the subject was in sight there."""
    at = axis.status().position
    if begun is not None and (at is None or abs(at - begun) > axis.capabilities.resolution):
        axis.move_to(begun)


def checks_of(
    found: PlanFound,
    wanted: Shoot,
    axis: Axis | None,
    camera: Camera | None,
    file_format: FileFormat,
    exposures: Exposures,
) -> list[Check]:
    """The preflight of a whole plan; a device that is None is not looked at."""
    return preflight(
        found.plan,
        wanted.out,
        axis,
        camera,
        file_format,
        frame_bytes=None if found.shot_bytes is None else found.shot_bytes * exposures.count,
        stacks=wanted.stack is not None,
        exposures=exposures.count,
    )


@contextmanager
def _searching(folder: SessionFolder, axis: Axis) -> Iterator[None]:
    """What ends the search for the plan is in the journal before it is raised, and says how to go on."""
    resume = f"focusrail resume {folder.path}"
    try:
        yield
    except KeyboardInterrupt:
        with contextlib.suppress(RailError):  # what it says to that must not hide why we leave
            axis.stop()
        folder.end(SessionState.INTERRUPTED, reason="interrupted while the plan was looked for")
        raise InterruptedRunError(
            "interrupted while the plan was looked for",
            state=f"Motion is stopped. {where_it_stands(axis)} No frame was shot.",
            remedy=f"Go on with: {resume} (what was left to auto is measured anew). Or give the same command again.",
        ) from None
    except (CaptureError, RailError) as error:
        with contextlib.suppress(SessionError):  # the journal itself may be what failed
            folder.journal.record(EventKind.FAILED, error=error.kind, message=error.message)
            folder.end(SessionState.FAILED, reason=error.message)
        tell_ways_on(folder, error)
        if isinstance(error, FocusError | UsageError):
            error.remedy += f" Or begin anew, with other options: --out {folder.path} is free for that."
        raise


def ends_of(plan: StackPlan | PlanWish) -> tuple[float, ...]:
    """The ends that are known before anything is looked at."""
    return (plan.near, plan.far) if isinstance(plan, StackPlan) else plan.ends


def plan_of(plan: StackPlan | PlanWish, axis: Axis, camera: Camera, exposures: int = 1) -> PlanFound:
    """The plan to shoot, of so many exposures at each position; what is left open of it is found on live frames.

    Raises
    ------
    CaptureError, rail.errors.RailError
    """
    if isinstance(plan, StackPlan):
        return PlanFound(plan, {})
    found = find_plan(plan, axis, camera)
    unit = found.plan.unit.value
    say(
        f"the plan: {found.plan.count} frames from {found.plan.near:.0f} to {found.plan.far:.0f} {unit}, "
        f"step {found.plan.step:.1f} {unit}, about {expected_s(found.plan, exposures) / 60:.1f} min"
    )
    return found


def judged_by(wanted: Shoot, focus_found: dict[str, Any]) -> dict[str, Any]:
    """By what the certificate judges, as the journal keeps it (the fields of `WatchWishes`)."""
    judged: dict[str, Any] = {"dof": focus_found.get("dof")}
    focus = wanted.focus
    if focus is not None:
        judged["overlap"] = None if wanted.step_given else focus.overlap
        judged["pixel_um"] = focus.pixel_um
        judged |= {name: getattr(focus, name) for name in ("magnification", "f_number", "pupil", "wavelength_nm")}
    return judged


def check_ready(plan: StackPlan | None, axis: Axis) -> None:
    """Refuse a plan that the axis cannot follow from where it is, before a folder is made for it; None: it is not known yet.

    Raises
    ------
    rail.errors.RailPositionUnknownError, rail.errors.RailLimitError, UsageError
    """
    if plan is not None:
        check_plan(plan, axis)
    require_position(axis)


def camera_state(camera: Camera) -> dict[str, str]:
    """What decides how a frame looks, as it stands now."""
    roles = camera.info().roles
    return {role.value: state.value for role in KEPT_ROLES if (state := roles.get(role)) is not None}


def clear_the_way(checks: list[Check], axis: Axis) -> None:
    """Say what stands in the way; raise where no frame can come. The axis may have homed, swept or been compared by then.

    Raises
    ------
    CameraError, SessionError
        For a card that is full, a battery that is empty, a disk without room, a mode in which nothing can be set.
    """
    for check in checks:
        if check.passed:
            continue
        if check.fatal:
            kind = SessionError if check.name in ("disk", "travel") else CameraError
            raise kind(check.message, remedy=check.remedy, state=f"No frame was shot. {where_it_stands(axis)}")
        say(f"note: {check.message.rstrip('.')}. {check.remedy}")


def refuse_unready(camera: Camera, axis: Axis) -> None:
    """Refuse a camera that can take no frame, before anything is looked for with it; what else there is to say the preflight says.

    Raises
    ------
    CameraError
    """
    clear_the_way([check for check in camera_checks(camera) if check.fatal], axis)


def format_of(flags: dict[str, str | None], settings: Settings) -> FileFormat:
    """The files that a shot will make; RAW where a camera's own word does not tell."""
    try:
        return FileFormat(settings.choose("format", flags.get("format"), FileFormat.RAW.value))
    except ValueError:
        return FileFormat.RAW


def metered_exposures(camera: Camera, exposures: Exposures) -> Exposures:
    """With the exposure of a bracket chosen that the picture is made of; every time is tried on the camera, which stands at that one then.

    Raises
    ------
    CameraSettingError
        One that the camera does not offer; its shutter is as it was.
    """
    if not exposures.bracket:
        return exposures
    before = camera.get(Role.SHUTTER).value
    chosen = exposures.chosen(before)
    try:
        for time in (*chosen.bracket, chosen.metered):
            camera.set(Role.SHUTTER, time)
    except CameraError:
        with contextlib.suppress(CameraError):
            camera.set(Role.SHUTTER, before)
        raise
    say(
        f"a bracket of {len(chosen.bracket)} at each position; the picture is made of the exposures of {chosen.metered}"
    )
    return chosen


def set_camera(camera: Camera, settings: Settings, flags: dict[str, str | None]) -> dict[str, str]:
    """As `apply_camera_settings`; RAW where nobody says what the files shall be, and the camera knows the word."""
    written = apply_camera_settings(camera, settings, flags)
    if "format" in written:
        return written
    state = camera.info().roles.get(Role.FORMAT)
    if state is not None and find_choice(Role.FORMAT, FileFormat.RAW.value, state.choices) is not None:
        return written | {"format": camera.set(Role.FORMAT, FileFormat.RAW.value).value}
    stands = "has no setting for its files" if state is None else f"offers no RAW; its files stay {state.value}"
    say(f"the camera {stands}")
    return written
