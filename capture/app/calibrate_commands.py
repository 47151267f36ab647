"""``rail calibrate backlash`` and ``settle``: measured through the camera, written into the rail's profile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from capture.app.flags import with_flags
from capture.app.focus_options import parse_region
from capture.app.opening import DeviceNames, Origin, looking_devices
from capture.app.output import JsonFlag, Reply, say
from capture.app.session_options import CameraOption, ProfileOption, RailOption
from capture.camera.protocol import Camera
from capture.errors import FocusError, UsageError
from capture.focus.region import Region
from capture.settings import load_settings
from rail.axis import Axis, AxisUnit
from rail.profiles import TAKE_UP

_UNKNOWN_TAKE_UP_UM = 250.0
_SETTLE_STEP_DOF = 0.7
_REST_S = 1.0
# Share of a settle time by which it differed from run to run where the axis does not tell its motor's stop.
_UNTOLD_REST = 0.3
_NO_PROFILE = "a lens keeps no profile that the value could be written into: give it as --settle where you shoot"


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
    with devices(flags, positioned=False) as (axis, camera):
        if axis.capabilities.unit is not AxisUnit.UM:
            raise UsageError(
                "a lens keeps no profile that backlash could be written into",
                remedy="Its play is taken up in each move anyway; give --rail the port of a rail.",
            )
        profile = getattr(axis, "profile", None)
        expected = profile.backlash_um if profile is not None else _UNKNOWN_TAKE_UP_UM
        with camera.live() as frames:
            found = measure_backlash(
                axis, frames, max(TAKE_UP * expected, 50.0), repeats=own.repeats, region=region, say=say
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
    from capture.app.focus_running import mode_name

    region = parse_region(flags.roi)
    with devices(flags, positioned=True) as (axis, camera):
        unit = axis.capabilities.unit
        if unit is not AxisUnit.UM:
            say(f"note: {_NO_PROFILE}")
        found = settle_here(axis, camera, own, region)
    value, uncertainty = round(found["value"], 3), round(found["uncertainty"], 3)
    mode = found["shutter_mode"]
    path = None
    if unit is AxisUnit.UM:
        note = f"shutter {mode}" if mode else ""
        path = written(flags, "settle", "settle_s", value, uncertainty, "s", note)
        if mode and path is not None:
            written(flags, mode_name(mode), None, value, uncertainty, "s", note)
    else:
        found["notes"].append(_NO_PROFILE)
    lines = [f"settle {value:g} s, +- {uncertainty:g} (95 %)" + (f", shutter {mode}" if mode else "")]
    lines += [f"note: {note}" for note in found["notes"]] + where(path)
    return Reply({**found, "value": value, "uncertainty": uncertainty, "unit": "s", "profile": path}, lines)


def settle_here(axis: Axis, camera: Camera, own: SettleFlags, region: Region) -> dict[str, Any]:
    """Measure where the subject is in focus, near where the axis stands; it goes back there."""
    from capture.app.focus_running import approach_sign, live_exposure_s, shutter_mode
    from capture.focus.axis_view import look_at_still, returning
    from capture.focus.backlash import FocusingView
    from capture.focus.settle import measure_settle
    from capture.focus.settle_still import confirm_with_stills
    from capture.focus.step import measure_step
    from capture.lengths import parse_length

    scale = own.live_scale
    if scale is None:
        say("one test shot, for the size of its pixels")
        scale = look_at_still(camera).live_scale
    with returning(axis):
        with camera.live() as frames:
            view = FocusingView(axis, frames, region)
            growth = measure_step(view, scale, 0.0, region=region, reach=view.reach, say=say).blur_px_per_um
            if growth is None:
                raise FocusError(
                    "nothing in view goes in and out of focus, so no shake can be seen surely",
                    remedy="Jog until a subject with texture is about in focus, light it well, and try again.",
                    state="The carriage stands where it was; nothing was written.",
                )
            wanted = _SETTLE_STEP_DOF * 4.0 / growth
            if own.step is not None:
                wanted = abs(parse_length(own.step, what="--step").value)
            step = approach_sign(axis) * max(wanted, axis.capabilities.resolution)
            axis.move_to(view.sharpest)
            exposure_s = live_exposure_s(camera)
            found = measure_settle(axis, frames, scale, step=step, exposure_s=exposure_s, region=region, say=say)
        value, still_px = found.value_s, None
        if own.stills:
            longest_s = 2.0 * found.value_s + _REST_S
            value, still_px = confirm_with_stills(axis, camera, step, found.value_s, longest_s=longest_s, say=say)
    law, notes, uncertainty_s = found.law, list(found.notes), found.open_s
    if not hasattr(axis, "rested_s"):
        uncertainty_s = max(uncertainty_s, _UNTOLD_REST * value)
        notes.append(
            "nothing tells when the lens's motor stopped, only when the camera answered: values of two runs differ; take the longer"
        )
    return {
        "value": value,
        "uncertainty": uncertainty_s,
        "live_value": round(found.value_s, 3),
        "still_px": None if still_px is None else round(still_px, 3),
        "amplitude_px": None if law is None else round(law.amplitude, 2),
        "frequency_hz": None if law is None else round(law.frequency_hz, 2),
        "step": round(abs(step), 2),
        "shutter_mode": shutter_mode(camera),
        "moves": found.moves,
        "frames": found.frames,
        "notes": notes,
    }


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
def devices(flags: CalibrateFlags, *, positioned: bool) -> Iterator[tuple[Axis, Camera]]:
    """The rail and the camera, set up as the flags say; Ctrl-C stops the motion."""
    names = DeviceNames(flags.rail, flags.profile, flags.camera)
    exposure = {"iso": flags.iso, "shutter": flags.shutter, "aperture": flags.aperture}
    with looking_devices(load_settings(Path.cwd()), names, flags.origin, exposure, positioned=positioned) as opened:
        yield opened
