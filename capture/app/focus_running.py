"""Step, range and settle time from live frames, for the commands that show them and for sessions that take them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from capture.app.focus_options import FocusWishes
from capture.app.opening import moved_part
from capture.app.output import say
from capture.camera.protocol import Camera, Role
from capture.camera.values import BULB_S, shutter_seconds
from capture.depth_of_field import DEFAULT_OVERLAP, PIXELS_PER_COC, Optics
from capture.errors import CameraSettingError, FocusError
from capture.focus.axis_view import look_at_still, looking
from capture.focus.range import RangeEstimate, find_range
from capture.focus.settle import measure_settle
from capture.focus.step import StepEstimate, StillOptics, measure_step
from capture.focus.sweep import check_region
from rail.axis import Axis, AxisUnit
from rail.errors import RailLimitError

_QUICK_MOVES = 4
# Live frames that are darker in the mean, of white in linear light, show too little.
_DARK = 0.008
# Below this a measured growth is not acted on.
USABLE_CONFIDENCE = 0.3


@dataclass(frozen=True, slots=True)
class Found:
    """What the live frames told.

    Attributes
    ----------
    step : StepEstimate
    range : RangeEstimate or None
        None where it was not asked for.
    live_scale : float
    pixel_um : float or None
    shot_bytes : int or None
        Size of the files of the test shot; None where none was taken.
    """

    step: StepEstimate
    range: RangeEstimate | None
    live_scale: float
    pixel_um: float | None
    shot_bytes: int | None = None


def _refuse_outside(axis: Axis) -> None:
    """Refuse to look for focus from a place that could not be come back to."""
    position, (low, high) = axis.status().position, axis.limits
    slack = axis.capabilities.resolution
    if position is not None and not low - slack <= position <= high + slack:
        unit = axis.capabilities.unit.value
        raise RailLimitError(
            f"the {moved_part(axis)} stands at {position:g} {unit}; {low:g} to {high:g} {unit} is allowed",
            remedy="Move it inside first, or allow more (--never-beyond, the rail profile's travel).",
            state="Nothing has moved.",
        )


def find_focus(axis: Axis, camera: Camera, wishes: FocusWishes, *, want_range: bool, come_back: bool = True) -> Found:
    """Measure the step, and find the range where asked; the carriage is back where it was afterwards unless it need not `come_back`.

    Raises
    ------
    FocusError, CameraError, rail.errors.RailError
    """
    _refuse_outside(axis)
    scale, pixel_um = wishes.live_scale, wishes.pixel_um
    told: StillOptics | None = None
    shot_bytes = None
    if scale is None or (pixel_um is None and wishes.magnification is not None):
        say("one test shot, for the size of its pixels")
        still = look_at_still(camera)
        shot_bytes = still.size_bytes
        pixel_um = still.pixel_um if pixel_um is None else pixel_um
        scale = still.live_scale if scale is None else scale
        if still.f_number is not None and pixel_um is not None and axis.capabilities.unit is AxisUnit.UM:
            told = StillOptics(still.f_number, pixel_um)
    # optics are known in um; in steps of a lens only the measurement counts
    in_um = axis.capabilities.unit is AxisUnit.UM
    optics = wishes.optics(pixel_um, None if told is None else told.f_number) if in_um else None
    if optics is None and in_um and wishes.magnification is not None and wishes.f_number is not None:
        say("note: the pixel pitch is not known, so formula and measurement are not compared; give --pixel")
    with looking(axis, camera, come_back=come_back) as view:
        begun, first = view.here, view.again()
        light = float(first.mean())
        check_region(first, wishes.region)
        step = measure_step(
            view, scale, wishes.overlap, optics, still=told, region=wishes.region, reach=view.reach, say=say
        )
        if step.dof_um is None:
            raise nothing_in_focus(step, axis)
        found_range = None
        if want_range:
            growth = _growth_for_range(axis, step, optics, scale)
            found_range = find_range(
                view,
                growth,
                dof=step.dof_um,
                region=wishes.region,
                seen=step.seen,
                begun=begun,
                farther=in_um,
                say=say,
            )
    if light < _DARK:
        note = (
            f"the live frames are dark, {light:.1%} of white in the mean, and weak texture is lost: lengthen the exposure, or light "
            "the subject better"
        )
        step = replace(step, notes=(*step.notes, note))
        if found_range is not None:
            surely = round(found_range.confidence * light / _DARK, 3)
            found_range = replace(found_range, notes=(*found_range.notes, note), confidence=surely)
    return Found(step, found_range, scale, pixel_um, shot_bytes)


def _growth_for_range(axis: Axis, step: StepEstimate, optics: Optics | None, scale: float) -> float:
    if step.blur_px_per_um is not None and (step.confidence >= USABLE_CONFIDENCE or step.formula is None):
        return step.blur_px_per_um / scale
    if step.formula is None or optics is None:
        raise nothing_in_focus(step, axis)
    return 2 * PIXELS_PER_COC / step.formula.geometric_um / scale


def nothing_in_focus(step: StepEstimate, axis: Axis) -> FocusError:
    """The error for an estimate from which nothing follows."""
    if any("shorten the exposure" in note for note in step.notes):
        remedy = "Shorten the exposure, or light the subject less: what is white has no texture."
    else:
        remedy = "Jog until the subject is about in focus, light it well"
        given = step.formula is not None or moved_part(axis) == "lens"
        remedy += ", or give near, far and step." if given else ", or give --magnification and --f-number."
    low, high = axis.limits
    return FocusError(
        "nothing in view goes in and out of focus: " + "; ".join(step.notes),
        remedy=f"{remedy} Positions from {low:.0f} to {high:.0f} {axis.capabilities.unit.value} are allowed here.",
        state=f"The {moved_part(axis)} stands where it was.",
    )


def look_for_growth(axis: Axis, camera: Camera, still_px: int, within: tuple[float, float]) -> float | None:
    """Growth of the blur circle per unit of position, in pixels of the still, seen from round here; None where it is not sure.

    Parameters
    ----------
    still_px : int
        The longer side of the still.
    within : (float, float)
        Where the axis may go.

    Raises
    ------
    CaptureError, rail.errors.RailError
    """
    with looking(axis, camera, within=within) as view:
        scale = still_px / max(view.again().shape)
        step = measure_step(view, scale, DEFAULT_OVERLAP, reach=view.reach, say=say)
    return step.blur_px_per_um if step.confidence >= USABLE_CONFIDENCE else None


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

    The carriage stands there afterwards; after Ctrl-C it stays where it was stopped.

    Raises
    ------
    CaptureError, rail.errors.RailError
        What the devices failed with.
    """
    known = calibrated_settle_s(axis, camera)
    if known is not None:
        say(f"settle {known:g} s, as calibrated")
        return known
    scale = look_at_still(camera).live_scale if live_scale is None else live_scale
    low, high = axis.limits
    try:
        with camera.live() as frames:
            found = measure_settle(
                axis,
                frames,
                scale,
                step=approach_sign(axis) * abs(step),
                place=min(max(place, low + abs(step)), high - abs(step)),
                exposure_s=live_exposure_s(camera),
                moves=_QUICK_MOVES,
                say=say,
            )
    except FocusError as error:
        say(f"note: the settle time could not be measured: {error.message}")
        return None
    for note in found.notes:
        say(f"note: {note}")
    value = round(found.value_s + found.open_s / 2, 3)
    say(f"settle {value:g} s, measured on live frames; `focusrail rail calibrate settle` measures it better")
    return value


def live_exposure_s(camera: Camera) -> float | None:
    """Exposure time that the camera is set to; None where it does not tell one."""
    try:
        seconds = shutter_seconds(camera.get(Role.SHUTTER).value)
    except CameraSettingError:
        return None
    return seconds if seconds is not None and seconds != BULB_S else None


def approach_sign(axis: Axis) -> int:
    """The side from which the axis approaches its targets: 1 going up, -1 going down."""
    profile = getattr(axis, "profile", None)
    return -1 if profile is not None and profile.approach_sign < 0 else 1
