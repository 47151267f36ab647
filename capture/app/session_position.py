"""Where the carriage stands, established again before a session is gone on with: by the switch, by images, or by the user's hand."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import typer

from capture.app.output import say
from capture.app.session_options import ResumeOrigin
from capture.app.session_running import Devices
from capture.camera.shutter_camera import ShutterCamera
from capture.errors import SessionError
from capture.session.folder import SessionFolder
from capture.session.moving import counts_as_before, ways_on
from capture.session.plan import StackPlan
from capture.session.records import place_in_doubt
from rail.axis import Axis, AxisState
from rail.errors import RailPositionUnknownError

if TYPE_CHECKING:  # array libraries are loaded by what needs them
    from capture.session.placing import Placed

_NOTHING_YET = "Nothing has moved, nothing was shot."


def establish_position(
    devices: Devices, origin: ResumeOrigin, folder: SessionFolder, *, check: bool = True
) -> dict[str, Any]:
    """Make sure that the axis counts as it did when the session was begun; how that was done, as the journal keeps it.

    `check`: an origin that was set by hand is compared with the session's frames by one still.

    Raises
    ------
    rail.errors.RailError, CameraError, SessionError
        Where it does not, or cannot be known to.
    """
    axis = devices.axis
    blind = isinstance(devices.camera, ShutterCamera)
    if blind and origin is ResumeOrigin.IMAGES:
        raise SessionError(
            "a camera that hangs on a shutter release gives no pictures to find the place by",
            remedy=f"Bring the carriage to the session's 0, then: focusrail resume {folder.path} --origin here",
            state=_NOTHING_YET,
        )
    homed = bool(folder.journal.opened().get("homed", False))
    _refuse_another_origin(origin, folder, homed=homed)
    doubted = place_in_doubt(folder.journal.events(), homed=homed)
    if origin is ResumeOrigin.KEEP and not homed and (doubted or not counts_as_before(folder, axis.status())):
        origin = _ask(axis)
    how: dict[str, Any] = {"origin": origin.value}
    match origin:
        case ResumeOrigin.HOME:
            say("homing the rail")
            axis.home()
        case ResumeOrigin.HERE:
            if axis.status().state is AxisState.ALARM:
                axis.unlock()
            axis.zero()
        case ResumeOrigin.IMAGES:
            how |= _by_images(devices, folder)
        case ResumeOrigin.KEEP:
            pass
    status = axis.status()
    keeps = origin is ResumeOrigin.KEEP
    doubted = doubted and keeps
    if (
        doubted
        or not status.position_known
        or status.homed != homed
        or (keeps and not counts_as_before(folder, status))
    ):
        what = (
            "unknown"
            if not status.position_known
            else "in doubt since it was lost, whoever has given it a count meanwhile"
            if doubted
            else "counted from another origin than the session's"
        )
        raise RailPositionUnknownError(
            f"the position of the rail is {what}; the session counts from {_counts_from(homed=homed)}",
            remedy=ways_on(folder, locked=status.state is AxisState.ALARM),
            state=f"{_NOTHING_YET} The frames so far are safe.",
        )
    if check and folder.planned and not homed and not blind and origin is not ResumeOrigin.IMAGES:
        from capture.session.placing import Placing

        placed = Placing(folder, axis, devices.camera, say).check(folder.plan)
        if placed is not None:
            how |= _told(placed, folder.plan)
    how["origin_name"] = axis.status().origin
    return how


def _counts_from(*, homed: bool) -> str:
    return "the end switch" if homed else "where the rail was zeroed"


def _refuse_another_origin(origin: ResumeOrigin, folder: SessionFolder, *, homed: bool) -> None:
    if origin is ResumeOrigin.HOME and not homed:
        raise SessionError(
            f"the session counts from {_counts_from(homed=False)}, not from the end switch: homing would shift its frames",
            remedy=f"Find the place by images: focusrail resume {folder.path} --origin images. Or bring the carriage to the "
            f"session's 0, then: focusrail resume {folder.path} --origin here",
            state=_NOTHING_YET,
        )
    if origin in (ResumeOrigin.HERE, ResumeOrigin.IMAGES) and homed:
        raise SessionError(
            "the session counts from the end switch, which is more exact than a place found by hand or by images",
            remedy=f"focusrail resume {folder.path} --origin home",
            state=_NOTHING_YET,
        )


def _by_images(devices: Devices, folder: SessionFolder) -> dict[str, Any]:
    from capture.session.placing import Placing

    if not folder.planned:
        raise SessionError(
            "the session has no frames yet to find the place by",
            remedy=f"Bring the carriage to the session's 0, then: focusrail resume {folder.path} --origin here",
            state=_NOTHING_YET,
        )
    return _told(Placing(folder, devices.axis, devices.camera, say).find(folder.plan), folder.plan)


def _told(placed: Placed, plan: StackPlan) -> dict[str, Any]:
    """What was found, said, and as the journal keeps it."""
    unit = plan.unit.value
    aside = f"; the picture lies {placed.shift_px:.1f} px aside" if placed.shift_px >= 1 else ""
    say(f"the carriage stands at {placed.position:.2f} {unit}, to within {placed.error:.2g} {unit}{aside}")
    return {
        "position": round(placed.position, 4),
        "error": round(placed.error, 4),
        "stills": placed.stills,
        "shift_px": round(placed.shift_px, 2),
    }


def _ask(axis: Axis) -> ResumeOrigin:
    """At a terminal, what to do about a place that is lost; else nothing."""
    if sys.stdin is None or not sys.stdin.isatty():
        return ResumeOrigin.KEEP
    say("The rail does not know where it stands. Either type: images, and a few stills will tell the place;")
    say("or bring the carriage by hand to the session's 0, where it was zeroed, and type: here")
    answer = typer.prompt("images or here", default="", show_default=False, err=True)
    asked = answer.strip().casefold()
    return ResumeOrigin(asked) if asked in (ResumeOrigin.IMAGES, ResumeOrigin.HERE) else ResumeOrigin.KEEP
