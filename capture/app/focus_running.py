"""Step and range from live frames, for the commands that show them and for sessions that take them."""

from __future__ import annotations

from dataclasses import dataclass

from capture.app.focus_options import FocusWishes
from capture.app.output import say
from capture.camera.protocol import Camera
from capture.depth_of_field import DEFAULT_OVERLAP, PIXELS_PER_COC, Optics
from capture.errors import FocusError
from capture.focus.axis_view import live_scale, look_at_still, looking
from capture.focus.range import RangeEstimate, find_range
from capture.focus.step import StepEstimate, StillOptics, measure_step
from rail.axis import Axis, AxisUnit

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
    """

    step: StepEstimate
    range: RangeEstimate | None
    live_scale: float
    pixel_um: float | None


def find_focus(axis: Axis, camera: Camera, wishes: FocusWishes, *, want_range: bool) -> Found:
    """Measure the step, and find the range where asked; the carriage is back where it was afterwards.

    Raises
    ------
    FocusError, CameraError, rail.errors.RailError
    """
    scale, pixel_um = wishes.live_scale, wishes.pixel_um
    told: StillOptics | None = None
    if scale is None or (pixel_um is None and wishes.magnification is not None):
        say("one test shot, for the size of its pixels")
        still = look_at_still(camera)
        pixel_um = still.pixel_um if pixel_um is None else pixel_um
        scale = live_scale(still, camera) if scale is None else scale
        if still.f_number is not None and pixel_um is not None and axis.capabilities.unit is AxisUnit.UM:
            told = StillOptics(still.f_number, pixel_um)
    optics = wishes.optics(pixel_um)
    if optics is None and wishes.magnification is not None and wishes.f_number is not None:
        say("note: the pixel pitch is not known, so formula and measurement are not compared; give --pixel")
    with looking(axis, camera) as view:
        step = measure_step(view, scale, wishes.overlap, optics, still=told, region=wishes.region, say=say)
        found_range = None
        if want_range:
            growth = _growth_for_range(step, optics, scale)
            found_range = find_range(view, growth, dof=step.dof_um, region=wishes.region, say=say)
    return Found(step, found_range, scale, pixel_um)


def _growth_for_range(step: StepEstimate, optics: Optics | None, scale: float) -> float:
    if step.blur_px_per_um is not None and (step.confidence >= USABLE_CONFIDENCE or step.formula is None):
        return step.blur_px_per_um / scale
    if step.formula is None or optics is None:
        raise FocusError(
            "nothing in view goes in and out of focus: " + "; ".join(step.notes),
            remedy="Jog until the subject is about in focus, light it well, or give --magnification and --f-number.",
            state="The rail stands where it was.",
        )
    return 2 * PIXELS_PER_COC / step.formula.geometric_um / scale


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
        step = measure_step(view, scale, DEFAULT_OVERLAP, say=say)
    return step.blur_px_per_um if step.confidence >= USABLE_CONFIDENCE else None
