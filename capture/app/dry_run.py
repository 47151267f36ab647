"""``--dry-run``: all that `shoot` and `run` would look at before their first frame, as they do it, and everything put back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from capture.app.opening import (
    EXPOSURE_ROLES,
    Origin,
    camera_beside,
    held_camera,
    held_rail,
    refuse_ends_from_here,
    release_autofocus,
    set_origin,
)
from capture.app.output import Reply, say
from capture.app.session_beginning import (
    check_ready,
    checks_of,
    ends_of,
    format_of,
    metered_exposures,
    plan_of,
    set_camera,
)
from capture.app.session_plan import PlanFound, PlanWish, check_wish, expected_s
from capture.app.session_running import Shoot, open_devices
from capture.camera.protocol import Camera, Role
from capture.camera.shutter_camera import PORT as SHUTTER
from capture.camera.values import same
from capture.errors import CameraError
from capture.session.bounded import bounded, refuse_beyond
from capture.session.folder import check_new_folder
from capture.session.from_here import AxisFromHere
from capture.session.plan import StackPlan
from capture.session.preflight import notification
from capture.session.targets import check_plan
from rail.axis import Axis

_LENT = (Role.FORMAT, Role.TARGET, Role.AUTOFOCUS, *EXPOSURE_ROLES.values())


def dry_run(wanted: Shoot) -> Reply:
    """The plan in words, checked against the devices that are named; nothing moves, unless something of the plan is to be found.

    Raises
    ------
    CaptureError, rail.errors.RailError, InterruptedRunError
    """
    check_new_folder(wanted.out)
    if isinstance(wanted.plan, StackPlan):
        refuse_beyond(wanted.plan, wanted.never_beyond)
    file_format, exposures = format_of(wanted.camera_settings, wanted.settings), wanted.exposures
    with ExitStack() as stack:
        axis, camera = stack.enter_context(_named_devices(wanted))
        if axis is not None:
            given = wanted.plan if isinstance(wanted.plan, StackPlan) else None
            if wanted.origin is Origin.HERE:
                refuse_ends_from_here(axis, ends_of(wanted.plan))
                axis = AxisFromHere(axis)
            axis = bounded(axis, wanted.never_beyond)
            if wanted.origin is Origin.KEEP:
                check_ready(given, axis)
            elif given is not None:
                check_plan(given, axis)
        if camera is not None:
            stack.enter_context(_lent(camera))
            set_camera(camera, wanted.settings, wanted.camera_settings)
            release_autofocus(camera)
            exposures = metered_exposures(camera, exposures)
        if isinstance(wanted.plan, PlanWish):
            assert axis is not None
            assert camera is not None
            check_wish(wanted.plan, axis, camera)
            if wanted.origin is Origin.HOME:
                set_origin(axis, wanted.origin)
            found = plan_of(wanted.plan, axis, camera, exposures.count)
        else:
            found = PlanFound(wanted.plan, {})
        checks = checks_of(found, wanted, axis, camera, file_format, exposures) + notification(wanted.notify)
    return _reply(wanted, found, [check.values() for check in checks], exposures.count)


@contextmanager
def _named_devices(wanted: Shoot) -> Iterator[tuple[Axis | None, Camera | None]]:
    """Both devices where they are needed to find the plan, else those that are named."""
    settings, names = wanted.settings, wanted.devices
    with ExitStack() as stack:
        if isinstance(wanted.plan, PlanWish):
            devices = stack.enter_context(open_devices(settings, names, log_wire=wanted.log_wire))
            yield devices.axis, devices.camera
        elif names.rail is not None:
            axis = stack.enter_context(held_rail(settings, names.rail, names.profile, names.camera))
            camera = None
            if names.camera is not None:
                camera = stack.enter_context(camera_beside(axis, settings, names.camera))
            yield axis, camera
        elif names.camera not in (None, SHUTTER):
            yield None, stack.enter_context(held_camera(settings, names.camera))
        else:
            yield None, None


@contextmanager
def _lent(camera: Camera) -> Iterator[None]:
    """What is set on the camera meanwhile is put back."""
    before = camera.info().roles
    try:
        yield
    finally:
        with contextlib.suppress(CameraError):
            for role, now in camera.info().roles.items():
                was = before.get(role)
                if role not in _LENT or was is None or now is None or same(role, was.value, now.value):
                    continue
                try:
                    camera.set(role, was.value)
                except CameraError as error:
                    say(
                        f"note: {role.value} was {was.value}, stands at {now.value}, and is not put back: {error.message}"
                    )


def _reply(wanted: Shoot, found: PlanFound, checks: list[dict[str, Any]], exposures: int) -> Reply:
    plan, unit = found.plan, found.plan.unit.value
    values: dict[str, Any] = {
        "session": None,
        "planned": plan.count,
        "frames": 0,
        "added": 0,
        "reshot": 0,
        "left_out": [],
        "coverage": None,
        "positions": list(plan.positions),
        "near": plan.near,
        "far": plan.far,
        "step": plan.step,
        "settle_s": plan.settle_s,
        "unit": unit,
        "exposures": exposures,
        "expected_s": round(expected_s(plan, exposures), 1),
        "focus": found.focus or None,
        "preflight": checks,
        **({"result": None, "seconds_after_last_frame": None} if wanted.stack is not None else {}),
    }
    each = f" of {exposures} exposures each" if exposures > 1 else ""
    lines = [
        f"{plan.count} frames{each} from {plan.near:g} to {plan.far:g} {unit}, step {plan.step:g} {unit}, "
        f"about {expected_s(plan, exposures) / 60:.1f} min"
    ]
    lines += [check["message"] if check["passed"] else f"{check['message']} {check['remedy']}" for check in checks]
    return Reply(values, lines)
