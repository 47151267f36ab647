"""The plan that flags and settings ask for; what they leave open is found on live frames."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, NoReturn

from capture.app.focus_options import FocusWishes
from capture.app.opening import moved_part
from capture.app.output import say
from capture.app.session_options import AUTO, ShootFlags
from capture.camera.protocol import Camera
from capture.camera.shutter_camera import ShutterCamera
from capture.depth_of_field import DEFAULT_COC_UM, depth_of_field
from capture.errors import FocusError, UsageError
from capture.focus.region import Region
from capture.lengths import Length, parse_length
from capture.session.plan import StackPlan, check_ends, check_settle, check_step
from capture.settings import Settings
from rail.axis import Axis, AxisUnit

DEFAULT_SETTLE_S = 0.3
# Beyond what was found, in depths of field: the nearest hair is in focus with its neighbours, not at the edge of its zone.
_MARGIN_DOF = 0.5
_BELIEVED = 0.3
# Move, exposure and transfer of a frame.
_FRAME_S = 2.0


@dataclass(frozen=True, slots=True)
class PlanWish:
    """What is known of the plan before the devices are open; None: to be found.

    Attributes
    ----------
    near, far, step : Length or None
    settle_s : float or None
    focus : FocusWishes
    """

    near: Length | None
    far: Length | None
    step: Length | None
    settle_s: float | None
    focus: FocusWishes

    @property
    def plan(self) -> StackPlan | None:
        """The plan where nothing is to be found."""
        if self.near is None or self.far is None or self.step is None or self.settle_s is None:
            return None
        return StackPlan(self.near.value, self.far.value, self.step.value, self.settle_s, self.near.unit)

    @property
    def ends(self) -> tuple[float, ...]:
        """The ends that are known."""
        return tuple(end.value for end in (self.near, self.far) if end is not None)

    @property
    def unit(self) -> AxisUnit | None:
        """What those that are known count in."""
        return next((length.unit for length in (self.near, self.far, self.step) if length is not None), None)

    def record(self) -> dict[str, Any]:
        """As the journal keeps it."""
        lengths = {"near": self.near, "far": self.far, "step": self.step}
        return {
            **{name: None if one is None else [one.value, one.unit.value] for name, one in lengths.items()},
            "settle_s": self.settle_s,
            "focus": asdict(self.focus),
        }

    @classmethod
    def recorded(cls, kept: Mapping[str, Any]) -> PlanWish:
        """What `record` gave."""
        near, far, step = (
            None if kept[name] is None else Length(kept[name][0], AxisUnit(kept[name][1]))
            for name in ("near", "far", "step")
        )
        focus = FocusWishes(**{**kept["focus"], "region": Region(**kept["focus"]["region"])})
        return cls(near, far, step, kept["settle_s"], focus)


def expected_s(plan: StackPlan, exposures: int = 1) -> float:
    """About how long the frames of a plan take, each of some exposures; the session itself says it better after its first."""
    return plan.count * (plan.settle_s + _FRAME_S * exposures)


@dataclass(frozen=True, slots=True)
class PlanFound:
    """A plan, and what of it was found: as the journal keeps it; and the size of a shot, where one was taken to find it."""

    plan: StackPlan
    focus: dict[str, Any]
    shot_bytes: int | None = None


def wish_for(settings: Settings, flags: ShootFlags) -> PlanWish:
    """What flags and settings say; the step from the formula where magnification and f-number are known and it is not `auto`.

    Raises
    ------
    UsageError
    """
    near, far, step = (_length(getattr(flags, name), f"--{name}") for name in ("near", "far", "step"))
    if len({length.unit for length in (near, far, step) if length is not None}) > 1:
        raise UsageError("near, far and step do not count the same", remedy="Give all in um (or mm), or all in st.")
    if step is not None:  # what cannot be is refused before anything is opened, also where the rest is yet to be found
        check_step(step.value, step.unit)
    if near is not None and far is not None:
        check_ends(near.value, far.value)
    if step is not None and flags.overlap is not None:
        raise UsageError("--step and --overlap say the same thing", remedy="Give one of them.")
    focus = FocusWishes.chosen(
        settings,
        magnification=flags.magnification,
        f_number=flags.f_number,
        pixel=flags.pixel,
        overlap=flags.overlap,
        roi=flags.roi,
        live_scale=flags.live_scale,
    )
    counts_um = near is not None and near.unit is AxisUnit.UM
    if step is None and flags.step is None and counts_um and far is not None:
        step = formula_step(focus)
    settle_s = None if flags.settle == AUTO else settings.choose("settle_s", _seconds(flags.settle), DEFAULT_SETTLE_S)
    if settle_s is not None:
        check_settle(settle_s)
    wish = PlanWish(near, far, step, settle_s, focus)
    _ = wish.plan  # too many frames
    if near is not None and far is not None and step is not None:
        _remark_wide(step.value, far.value - near.value, step.unit)
    return wish


def _remark_wide(step: float, way: float, unit: AxisUnit, dof: float | None = None) -> None:
    """Say where a step that was given leaves planes out for sure."""
    if dof is not None and step > dof:
        say(
            f"note: the step of {step:g} {unit.value} is {step / dof:.1f} depths of field: planes between its frames are sharp in none"
        )
    elif 0 < way < step:
        say(f"note: the step of {step:g} {unit.value} is wider than all of the way, {way:g} {unit.value}: two frames")


def check_wish(wish: PlanWish, axis: Axis, camera: Camera) -> None:
    """Refuse what cannot be found on these devices, before anything moves.

    Raises
    ------
    UsageError, CameraError
    """
    unit = axis.capabilities.unit
    if wish.unit not in (None, unit):
        raise UsageError(
            f"the plan counts in {wish.unit}, the axis in {unit.value}",
            remedy="Give near, far and step in the axis's unit.",
        )
    if isinstance(camera, ShutterCamera) and None in (wish.near, wish.far, wish.step):
        raise camera.blind()


def find_plan(wish: PlanWish, axis: Axis, camera: Camera) -> PlanFound:
    """The plan, found where flags and settings leave it open; the carriage is where it was afterwards.

    Raises
    ------
    FocusError, CameraError, rail.errors.RailError, UsageError
    """
    from capture.focus.axis_view import returning

    if wish.plan is not None:
        return PlanFound(wish.plan, {})
    check_wish(wish, axis, camera)
    with returning(axis):
        return _looked_for(wish, axis, camera)


def _looked_for(wish: PlanWish, axis: Axis, camera: Camera) -> PlanFound:
    """The same, with the carriage wherever it was looked last."""
    from capture.app.focus_running import find_focus

    unit = axis.capabilities.unit
    if wish.near is not None and wish.far is not None and wish.step is not None:
        settle_s = _settle_s(wish, axis, camera, wish.step.value, (wish.near.value, wish.far.value))
        return PlanFound(StackPlan(wish.near.value, wish.far.value, wish.step.value, settle_s, unit), {})
    wants_range = wish.near is None or wish.far is None
    found = find_focus(axis, camera, wish.focus, want_range=wants_range, come_back=False)
    for note in (*found.step.notes, *(found.range.notes if found.range else ())):
        say(f"note: {note}")
    dof = found.step.dof_um
    measured = found.step.blur_px_per_um is not None and found.step.confidence >= _BELIEVED
    if not measured and found.step.formula is not None:
        dof = found.step.formula.total_um
        say("note: the step is the formula's; what was measured is not sure enough")
    elif not measured:
        raise FocusError(
            "the step cannot be measured surely enough here: " + "; ".join(found.step.notes),
            remedy="Give --step, or --magnification and --f-number to have it computed; or light the subject better.",
            state=f"The {moved_part(axis)} stands where it was; no frame of a plan was shot.",
        )
    assert dof is not None
    step = dof * (1 - wish.focus.overlap) if wish.step is None else wish.step.value
    step = max(step, axis.capabilities.resolution)
    low, high = axis.limits
    near = wish.near.value if wish.near is not None else max(_found_end(found, near=True) - _MARGIN_DOF * dof, low)
    far = wish.far.value if wish.far is not None else min(_found_end(found, near=False) + _MARGIN_DOF * dof, high)
    if far < near:
        _refuse_given_beyond_found(wish, found, axis)
    if wish.step is None and far - near > step:  # no steps wider than found, and no sliver at the end
        step = max((far - near) / math.ceil((far - near) / step), axis.capabilities.resolution)
    if wish.step is not None:
        _remark_wide(step, far - near, unit, dof)
    settle_s = _settle_s(wish, axis, camera, step, (near, far), found.live_scale)
    plan = StackPlan(near, far, step, settle_s, unit)
    say(
        f"found: {near:.0f} to {far:.0f} {unit.value} ({'with a margin of half a depth of field, ' * (wish.near is None)}"
        f"depth of field {dof:.1f} {unit.value}, {'measured' if measured else 'formula'})"
    )
    return PlanFound(plan, focus_record(found, dof, measured=measured), found.shot_bytes)


def _settle_s(
    wish: PlanWish,
    axis: Axis,
    camera: Camera,
    step: float,
    ends: tuple[float, float],
    live_scale: float | None = None,
) -> float:
    """As told, as calibrated, or as measured now, whichever there is first."""
    from capture.app.focus_running import settle_for

    if wish.settle_s is not None:
        return wish.settle_s
    found = settle_for(axis, camera, step, sum(ends) / 2, live_scale)
    return DEFAULT_SETTLE_S if found is None else found


def focus_record(found: Any, dof: float, *, measured: bool) -> dict[str, Any]:
    """What the journal keeps of a measurement."""
    step, reach = found.step, found.range
    return {
        "dof": dof,
        "dof_measured": measured,
        "blur_px_per_unit": step.blur_px_per_um,
        "step_confidence": step.confidence,
        "formula_dof": None if step.formula is None else step.formula.total_um,
        "near_found": None if reach is None else reach.near,
        "far_found": None if reach is None else reach.far,
        "range_confidence": None if reach is None else reach.confidence,
        "live_scale": found.live_scale,
        "pixel_um": found.pixel_um,
        "notes": [*step.notes, *(() if reach is None else reach.notes)],
    }


def _found_end(found: Any, *, near: bool) -> float:
    return float(found.range.near if near else found.range.far)


def _refuse_given_beyond_found(wish: PlanWish, found: Any, axis: Axis) -> NoReturn:
    """Raise for the end that was given and lies on the other side of the one that was found."""
    unit = axis.capabilities.unit.value
    if wish.near is not None:
        given, found_end = f"--near {wish.near.value:g} {unit} lies beyond the far end", _found_end(found, near=False)
    else:
        assert wish.far is not None
        given, found_end = f"--far {wish.far.value:g} {unit} lies before the near end", _found_end(found, near=True)
    raise FocusError(
        f"{given} that was found, {found_end:.0f} {unit}",
        remedy="Give another position, or auto for both ends.",
        state=f"The {moved_part(axis)} stands where it was; no frame of a plan was shot.",
    )


def _length(text: str | None, what: str) -> Length | None:
    return None if text is None or text == AUTO else parse_length(text, what=what)


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return float(text.removesuffix("s"))
    except ValueError:
        raise UsageError(
            f"--settle {text} is no time", remedy="Give seconds, for example --settle 0.5, or auto."
        ) from None


def formula_step(focus: FocusWishes) -> Length | None:
    """Step from the computed depth of field; None where magnification or f-number is not known."""
    optics = replace(focus, coc_um=focus.coc_um or DEFAULT_COC_UM).optics(None)
    if optics is None:
        return None
    field = depth_of_field(optics, focus.overlap)
    say(f"step {field.step_um:.1f} um, from a depth of field of {field.total_um:.1f} um (formula)")
    return Length(field.step_um, AxisUnit.UM)
