"""The plan that flags and settings ask for."""

from __future__ import annotations

from capture.app.output import say
from capture.app.session_options import ShootFlags
from capture.depth_of_field import DEFAULT_COC_UM, DEFAULT_OVERLAP, Optics, depth_of_field
from capture.errors import UsageError
from capture.lengths import Length, parse_length, parse_um
from capture.session.plan import StackPlan
from capture.settings import Settings
from rail.axis import AxisUnit

DEFAULT_SETTLE_S = 0.3


def make_plan(settings: Settings, flags: ShootFlags) -> StackPlan:
    """The plan that flags and settings ask for; the step from the formula where it is not given.

    Raises
    ------
    UsageError
    """
    near, far, step = flags.near, flags.far, flags.step
    if near is None or far is None:
        raise UsageError("the range is missing", remedy="Give --near and --far, for example --near 0 --far 1.5mm.")
    ends = (parse_length(near, what="--near"), parse_length(far, what="--far"))
    pace = parse_length(step, what="--step") if step is not None else None
    units = {length.unit for length in (*ends, pace) if length is not None}
    if len(units) > 1:
        raise UsageError("near, far and step do not count the same", remedy="Give all in um (or mm), or all in st.")
    if pace is not None and flags.overlap is not None:
        raise UsageError("--step and --overlap say the same thing", remedy="Give one of them.")
    if pace is None:
        pace = formula_step(settings, flags)
    settle_s = settings.choose("settle_s", _seconds(flags.settle), DEFAULT_SETTLE_S)
    return StackPlan(ends[0].value, ends[1].value, pace.value, settle_s, ends[0].unit)


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return float(text.removesuffix("s"))
    except ValueError:
        raise UsageError(
            f"--settle {text} is no time", remedy="Give seconds, for example --settle 0.5, or auto."
        ) from None


def formula_step(settings: Settings, flags: ShootFlags) -> Length:
    """Step from the computed depth of field."""
    scale, stop = settings.choose("magnification", flags.magnification), settings.choose("f_number", flags.f_number)
    if scale is None or stop is None:
        raise UsageError(
            "the step is missing", remedy="Give --step, or --magnification and --f-number to have it computed."
        )
    pixel_um = parse_um(flags.pixel, what="--pixel") if flags.pixel is not None else settings.choose("pixel_um", None)
    coc_um = settings.choose("coc_um", None, DEFAULT_COC_UM if pixel_um is None else 2 * pixel_um)
    optics = Optics(scale, stop, settings.choose("pupil", None, 1.0), coc_um=coc_um)
    field = depth_of_field(optics, settings.choose("overlap", flags.overlap, DEFAULT_OVERLAP))
    say(f"step {field.step_um:.1f} um, from a depth of field of {field.total_um:.1f} um (formula)")
    return Length(field.step_um, AxisUnit.UM)
