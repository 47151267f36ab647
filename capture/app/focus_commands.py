"""``step`` and ``range``: from live frames, while the rail moves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from capture.app.flags import with_flags
from capture.app.focus_options import FocusWishes
from capture.app.opening import DeviceNames, Origin, looking_devices
from capture.app.output import JsonFlag, Reply
from capture.app.session_options import CameraOption, ProfileOption, RailOption
from capture.camera.protocol import Camera
from capture.errors import UsageError
from capture.lengths import parse_length
from capture.session.bounded import bounded
from capture.settings import load_settings
from rail.axis import Axis, AxisUnit

if TYPE_CHECKING:  # array libraries are loaded by the commands that need them
    from capture.app.focus_running import Found


@dataclass(frozen=True, slots=True, kw_only=True)
class FocusFlags:
    """What to look with, and where."""

    rail: RailOption = None
    camera: CameraOption = None
    profile: ProfileOption = None
    overlap: Annotated[
        float | None, typer.Option("--overlap", help="Share by which neighbouring zones of focus overlap.")
    ] = None
    magnification: Annotated[
        float | None, typer.Option("--magnification", "-m", help="Image size over object size.")
    ] = None
    f_number: Annotated[float | None, typer.Option("--f-number", "-f", help="F-number as marked on the lens.")] = None
    pixel: Annotated[str | None, typer.Option("--pixel", help="Pixel pitch of the sensor, for example 4um.")] = None
    live_scale: Annotated[
        float | None,
        typer.Option("--live-scale", help="The still's width over the live frame's; without it, one test shot."),
    ] = None
    roi: Annotated[
        str | None, typer.Option("--roi", help="x,y,width,height of the live frame, as shares from 0 to 1.")
    ] = None
    origin: Annotated[Origin, typer.Option("--origin", help="keep; here: zero first; home: home first.")] = Origin.KEEP
    never_beyond: Annotated[
        str | None, typer.Option("--never-beyond", help="A position that is never passed: the lens must not touch.")
    ] = None
    iso: Annotated[str | None, typer.Option("--iso", help="ISO to set.")] = None
    shutter: Annotated[str | None, typer.Option("--shutter", help="Shutter time to set, for example 1/60.")] = None
    aperture: Annotated[str | None, typer.Option("--aperture", help="Aperture to set, for example 5.6.")] = None
    json_output: JsonFlag = False


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    app.command("step", epilog="Example: focusrail step --rail /dev/ttyUSB0 --origin here -m 2 -f 5.6")(
        with_flags(step, FocusFlags)
    )
    app.command("range", epilog="Example: focusrail range --rail /dev/ttyUSB0 --origin here --roi 0.2,0.2,0.6,0.6")(
        with_flags(find_range, FocusFlags)
    )


def step(flags: FocusFlags) -> Reply:
    """Measure the depth of field on live frames, and the step that follows; the rail moves until something comes into focus, and back."""
    from capture.app.focus_running import find_focus

    wishes = _wishes(flags)  # refused before anything is opened
    with _devices(flags) as (axis, camera):
        found = find_focus(axis, camera, wishes, want_range=False)
        unit = axis.capabilities.unit
    return Reply(step_values(found, unit), step_lines(found, unit))


def find_range(flags: FocusFlags) -> Reply:
    """Find the near and far end of the subject on live frames, without a margin; the rail moves and returns."""
    from capture.app.focus_running import find_focus

    wishes = _wishes(flags)
    with _devices(flags) as (axis, camera):
        found = find_focus(axis, camera, wishes, want_range=True)
        unit = axis.capabilities.unit
    estimate = found.range
    assert estimate is not None
    suffix = "um" if unit is AxisUnit.UM else "steps"
    values: dict[str, Any] = {"near_um": None, "far_um": None}
    values |= {
        f"near_{suffix}": round(estimate.near, 2),
        f"far_{suffix}": round(estimate.far, 2),
        f"near_between_{suffix}": [round(end, 2) for end in estimate.near_between],
        f"far_between_{suffix}": [round(end, 2) for end in estimate.far_between],
        f"looked_{suffix}": [round(end, 2) for end in estimate.looked],
        "confidence": estimate.confidence,
        "blocks": estimate.blocks,
        "notes": list(estimate.notes),
        "frames": estimate.frames + found.step.frames,
    }
    lines = [
        f"near {estimate.near:.1f} {unit.value}, far {estimate.far:.1f} {unit.value} (no margin), confidence {estimate.confidence:.2f}; "
        f"looked for from {estimate.looked[0]:.0f} to {estimate.looked[1]:.0f} {unit.value}",
        *(f"note: {note}" for note in estimate.notes),
    ]
    return Reply(values, lines)


def step_values(found: Found, unit: AxisUnit) -> dict[str, Any]:
    """The contract's values of `step`."""
    estimate = found.step
    suffix = "um" if unit is AxisUnit.UM else "steps"
    values: dict[str, Any] = {"blur_px_per_um": None, "dof_um": None, "step_um": None}
    values |= {
        f"blur_px_per_{'um' if unit is AxisUnit.UM else 'step'}": _rounded(estimate.blur_px_per_um, 6),
        f"dof_{suffix}": _rounded(estimate.dof_um, 3),
        f"step_{suffix}": _rounded(estimate.step_um, 3),
        "overlap": estimate.overlap,
        "confidence": estimate.confidence,
        "formula_dof_um": None if estimate.formula is None else _rounded(estimate.formula.total_um, 3),
        "live_scale": round(found.live_scale, 4),
        "pixel_um": _rounded(found.pixel_um, 4),
        "notes": list(estimate.notes),
        "frames": estimate.frames,
    }
    return values


def step_lines(found: Found, unit: AxisUnit) -> list[str]:
    """The same in words."""
    estimate, word = found.step, unit.value
    lines = []
    if estimate.blur_px_per_um is not None:
        lines.append(f"blur grows by {estimate.blur_px_per_um:.4g} pixels of the still per {word}")
    if estimate.dof_um is not None and estimate.step_um is not None:
        source = "measured" if estimate.blur_px_per_um is not None else "formula"
        lines.append(
            f"depth of field {estimate.dof_um:.1f} {word} ({source}), step {estimate.step_um:.1f} {word} "
            f"at an overlap of {estimate.overlap:.0%}, confidence {estimate.confidence:.2f}"
        )
    if estimate.formula is not None:
        lines.append(f"formula: depth of field {estimate.formula.total_um:.1f} um")
    return lines + [f"note: {note}" for note in estimate.notes]


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def _wishes(flags: FocusFlags) -> FocusWishes:
    return FocusWishes.chosen(
        load_settings(Path.cwd()),
        magnification=flags.magnification,
        f_number=flags.f_number,
        pixel=flags.pixel,
        overlap=flags.overlap,
        roi=flags.roi,
        live_scale=flags.live_scale,
    )


def _position(text: str, axis: Axis) -> float:
    length = parse_length(text, what="--never-beyond")
    if length.unit is not axis.capabilities.unit:
        raise UsageError(
            f"--never-beyond {text} does not count as the axis does",
            remedy=f"Give it in {axis.capabilities.unit.value}.",
        )
    return length.value


@contextmanager
def _devices(flags: FocusFlags) -> Iterator[tuple[Axis, Camera]]:
    names = DeviceNames(flags.rail, flags.profile, flags.camera)
    exposure = {"iso": flags.iso, "shutter": flags.shutter, "aperture": flags.aperture}
    with looking_devices(load_settings(Path.cwd()), names, flags.origin, exposure) as (axis, camera):
        bound = None if flags.never_beyond is None else _position(flags.never_beyond, axis)
        yield bounded(axis, bound), camera
