"""``rail calibrate backlash`` and ``settle``: measured through the camera, written into the rail's profile."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from capture.app.flags import with_flags
from capture.app.focus_options import parse_region
from capture.app.opening import Origin, apply_camera_settings, camera_beside, held_rail, set_origin
from capture.app.output import InterruptedRunError, JsonFlag, Reply, say
from capture.app.session_options import CameraOption, ProfileOption, RailOption
from capture.app.session_running import release_autofocus
from capture.camera.protocol import Camera, Role
from capture.errors import CameraSettingError, FocusError, UsageError
from capture.settings import Settings, load_settings
from rail.axis import Axis, AxisState, AxisUnit

_TAKE_UP = 1.25
_UNKNOWN_TAKE_UP_UM = 250.0
_SETTLE_STEP_DOF = 0.7
_REST_S = 1.0
_QUICK_MOVES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrateFlags:
    """What to look with, and what becomes of it."""

    rail: RailOption = None
    camera: CameraOption = None
    profile: ProfileOption = None
    roi: Annotated[
        str | None, typer.Option("--roi", help="x,y,width,height of the live frame, as shares from 0 to 1.")
    ] = None
    origin: Annotated[Origin, typer.Option("--origin", help="keep; here: zero first; home: home first.")] = Origin.KEEP
    write: Annotated[bool, typer.Option("--write/--no-write", help="Write the value into the profile.")] = True
    iso: Annotated[str | None, typer.Option("--iso", help="ISO to set.")] = None
    shutter: Annotated[str | None, typer.Option("--shutter", help="Shutter time to set, for example 1/60.")] = None
    aperture: Annotated[str | None, typer.Option("--aperture", help="Aperture to set, for example 5.6.")] = None
    json_output: JsonFlag = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BacklashFlags:
    """Of `backlash` alone."""

    repeats: Annotated[int, typer.Option("--repeats", min=2, max=10, help="Pairs of passes from both sides.")] = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleFlags:
    """Of `settle` alone."""

    step: Annotated[
        str | None, typer.Option("--step", help="The move that is watched; without it, 0.7 of the depth of field.")
    ] = None
    live_scale: Annotated[
        float | None,
        typer.Option("--live-scale", help="The still's width over the live frame's; without it, one test shot."),
    ] = None
    stills: Annotated[bool, typer.Option("--stills/--no-stills", help="Confirm the value with a few stills.")] = True


def register(group: typer.Typer) -> None:
    """Add the commands of this module to `group`, which is ``rail calibrate``."""
    example = "Example: focusrail rail calibrate {} --rail /dev/ttyUSB0"
    group.command("backlash", epilog=example.format("backlash"))(with_flags(backlash, CalibrateFlags, BacklashFlags))
    group.command("settle", epilog=example.format("settle"))(with_flags(settle, CalibrateFlags, SettleFlags))


def backlash(flags: CalibrateFlags, own: BacklashFlags) -> Reply:
    """Measure the backlash: the subject's focus come to from both sides, several times. Begin with the subject about in focus."""
    from capture.focus.backlash import measure_backlash

    region = parse_region(flags.roi)
    with devices(flags) as (axis, camera, _):
        if axis.capabilities.unit is not AxisUnit.UM:
            raise UsageError(
                "a lens keeps no profile that backlash could be written into",
                remedy="Its play is taken up in each move anyway; give --rail the port of a rail.",
            )
        profile = getattr(axis, "profile", None)
        expected = profile.backlash_um if profile is not None else _UNKNOWN_TAKE_UP_UM
        with stopping(axis), camera.live() as frames:
            found = measure_backlash(
                axis, frames, max(_TAKE_UP * expected, 50.0), repeats=own.repeats, region=region, say=say
            )
    value, uncertainty = round(found.value, 2), round(found.uncertainty, 2)
    path = written(flags, "backlash", "backlash_um", value, uncertainty, "um", "camera, both sides")
    values = {
        "value": value,
        "uncertainty": uncertainty,
        "unit": "um",
        "repeats": [round(one, 3) for one in found.repeats],
        "frames": found.frames,
        "profile": path,
    }
    return Reply(values, [f"backlash {value:g} um, +- {uncertainty:g} (95 %)", *where(path)])


def settle(flags: CalibrateFlags, own: SettleFlags) -> Reply:
    """Measure how long the picture shakes after a move, on live frames, and confirm it with stills."""
    region = parse_region(flags.roi)
    with devices(flags) as (axis, camera, settings):
        if not axis.status().position_known:
            say("note: the rail's position is not known, so where it stands is called 0")
            axis.zero()
        with stopping(axis):
            found = settle_here(axis, camera, settings, own, region)
    value, uncertainty = round(found["value"], 3), round(found["uncertainty"], 3)
    mode = found["shutter_mode"]
    path = None
    if axis.capabilities.unit is AxisUnit.UM:
        note = f"shutter {mode}" if mode else ""
        path = written(flags, "settle", "settle_s", value, uncertainty, "s", note)
        if mode and path is not None:
            written(flags, mode_name(mode), None, value, uncertainty, "s", note)
    lines = [f"settle {value:g} s, +- {uncertainty:g} (95 %)" + (f", shutter {mode}" if mode else "")]
    lines += [f"note: {note}" for note in found["notes"]] + where(path)
    return Reply({**found, "value": value, "uncertainty": uncertainty, "unit": "s", "profile": path}, lines)


def settle_here(axis: Axis, camera: Camera, settings: Settings, own: SettleFlags, region: Any) -> dict[str, Any]:
    """Measure where the subject is in focus, near where the axis stands; it goes back there."""
    from capture.focus.axis_view import live_scale, look_at_still
    from capture.focus.backlash import FocusingView
    from capture.focus.settle import measure_settle
    from capture.focus.settle_still import confirm_with_stills
    from capture.focus.step import measure_step
    from capture.lengths import parse_length

    scale = own.live_scale
    if scale is None:
        say("one test shot, for the size of its pixels")
        scale = live_scale(look_at_still(camera), camera)
    stood = axis.status().position
    profile = getattr(axis, "profile", None)
    sign = -1 if profile is not None and profile.approach_sign < 0 else 1
    with camera.live() as frames:
        view = FocusingView(axis, frames, region)
        growth = measure_step(view, scale, 0.0, region=region, say=say).blur_px_per_um
        if growth is None:
            raise FocusError(
                "nothing in view goes in and out of focus, so no shake can be seen surely",
                remedy="Jog until a subject with texture is about in focus, light it well, and try again.",
                state="The carriage stands within the sweep it made; nothing was written.",
            )
        step = parse_length(own.step, what="--step").value if own.step is not None else _SETTLE_STEP_DOF * 4.0 / growth
        step = sign * max(abs(step), axis.capabilities.resolution)
        axis.move_to(view.sharpest)
        found = measure_settle(
            axis, frames, scale, step=step, exposure_s=_live_exposure_s(camera), region=region, say=say
        )
    value, still_px = found.value_s, None
    if own.stills:
        longest_s = 2.0 * found.value_s + _REST_S
        value, still_px = confirm_with_stills(axis, camera, step, found.value_s, longest_s=longest_s, say=say)
    if stood is not None:
        axis.move_to(stood)
    law = found.law
    return {
        "value": value,
        "uncertainty": found.uncertainty_s,
        "live_value": round(found.value_s, 3),
        "still_px": None if still_px is None else round(still_px, 3),
        "amplitude_px": None if law is None else round(law.amplitude, 2),
        "frequency_hz": None if law is None else round(law.frequency_hz, 2),
        "step": round(abs(step), 2),
        "shutter_mode": shutter_mode(camera),
        "moves": found.moves,
        "frames": found.frames,
        "notes": list(found.notes),
    }


def shutter_mode(camera: Camera) -> str:
    """How the camera opens its shutter now, as far as it tells; empty where it does not."""
    try:
        return camera.get(Role.SHUTTER_TYPE).value
    except CameraSettingError:
        return ""


def mode_name(mode: str) -> str:
    """The name under which a profile keeps the settle time of a shutter mode."""
    return "settle-" + re.sub(r"[^a-z0-9]+", "-", mode.casefold()).strip("-")


def calibrated_settle_s(axis: Axis, camera: Camera | None = None) -> float | None:
    """The settle time that was calibrated for this rail, in the camera's shutter mode where that was; None where none was."""
    profile = getattr(axis, "profile", None)
    known = {} if profile is None else profile.calibration
    mode = shutter_mode(camera) if camera is not None and any(name.startswith("settle-") for name in known) else ""
    found = known.get(mode_name(mode)) or known.get("settle")
    return None if found is None else float(found.value)


def settle_for(axis: Axis, camera: Camera, step: float, place: float, live_scale: float | None = None) -> float | None:
    """The settle time for a session: as calibrated, else measured on live frames at `place`; None where it cannot be seen there.

    Raises
    ------
    CaptureError, rail.errors.RailError
        What the devices failed with.
    """
    known = calibrated_settle_s(axis, camera)
    if known is not None:
        say(f"settle {known:g} s, as calibrated")
        return known
    from capture.focus.axis_view import live_scale as scale_of
    from capture.focus.axis_view import look_at_still
    from capture.focus.settle import measure_settle

    scale = scale_of(look_at_still(camera), camera) if live_scale is None else live_scale
    stood = axis.status().position
    profile = getattr(axis, "profile", None)
    sign = -1 if profile is not None and profile.approach_sign < 0 else 1
    low, high = axis.limits
    try:
        axis.move_to(min(max(place, low + abs(step)), high - abs(step)))
        with camera.live() as frames:
            exposure_s = _live_exposure_s(camera)
            found = measure_settle(
                axis, frames, scale, step=sign * abs(step), exposure_s=exposure_s, moves=_QUICK_MOVES, say=say
            )
    except FocusError as error:
        say(f"note: the settle time could not be measured: {error.message}")
        return None
    finally:
        if stood is not None and axis.status().state is AxisState.IDLE:
            axis.move_to(stood)
    value = round(found.value_s + found.uncertainty_s / 2, 3)
    say(f"settle {value:g} s, measured on live frames; `focusrail rail calibrate settle` measures it better")
    return value


def _live_exposure_s(camera: Camera) -> float | None:
    from capture.camera.values import shutter_seconds

    try:
        seconds = shutter_seconds(camera.get(Role.SHUTTER).value)
    except CameraSettingError:
        return None
    return seconds if seconds is not None and seconds > 0 else None


def written(
    flags: CalibrateFlags, name: str, key: str | None, value: float, uncertainty: float, unit: str, note: str
) -> str | None:
    """Write a value into the profile; where that stands, None where it was not to be written."""
    from rail.profile_record import measured_now, record

    if not flags.write:
        return None
    profile = load_settings(Path.cwd()).choose("profile", flags.profile)
    return str(record(profile, name, measured_now(value, uncertainty, unit, note), key=key).resolve())


def where(path: str | None) -> list[str]:
    """What became of the value, in words."""
    return ["not written"] if path is None else [f"written into {path}"]


@contextmanager
def devices(flags: CalibrateFlags) -> Iterator[tuple[Axis, Camera, Settings]]:
    """The rail and the camera, set up as the flags say."""
    settings = load_settings(Path.cwd())
    with ExitStack() as stack:
        axis = stack.enter_context(held_rail(settings, flags.rail, flags.profile, flags.camera))
        camera = stack.enter_context(camera_beside(axis, settings, flags.camera))
        wishes = {"iso": flags.iso, "shutter": flags.shutter, "aperture": flags.aperture}
        apply_camera_settings(camera, settings, wishes)
        release_autofocus(camera)
        set_origin(axis, flags.origin)
        yield axis, camera, settings


@contextmanager
def stopping(axis: Axis) -> Iterator[None]:
    """Ctrl-C stops the motion at once."""
    try:
        yield
    except KeyboardInterrupt:
        axis.stop()
        raise InterruptedRunError(
            "interrupted", state="Motion is stopped; nothing was written.", remedy="Begin again when it suits."
        ) from None
