"""``rail calibrate magnification``: through the camera, into the rail's profile."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from capture.app.calibrate_commands import CalibrateFlags, devices, where, written
from capture.app.flags import with_flags
from capture.app.focus_options import parse_region
from capture.app.output import Reply, say
from capture.camera.protocol import Camera
from capture.errors import FocusError, UsageError
from capture.focus.region import Region
from capture.lengths import parse_um
from rail.axis import Axis, AxisUnit

if TYPE_CHECKING:  # commands are listed before any array library is loaded
    from capture.focus.target import Magnified


@dataclass(frozen=True, slots=True, kw_only=True)
class MagnificationFlags:
    """Of `magnification` alone."""

    pixel: Annotated[
        str | None, typer.Option("--pixel", help="Pixel pitch of the still; without it, what its file says.")
    ] = None
    spacing: Annotated[
        str | None,
        typer.Option(
            "--spacing", help="From line to line of a ruled target that fills the picture, for example 100um."
        ),
    ] = None


def register(group: typer.Typer) -> None:
    """Add the commands of this module to `group`, which is ``rail calibrate``."""
    example = "Example: focusrail rail calibrate magnification --rail /dev/ttyUSB0 --spacing 100um"
    group.command("magnification", epilog=example)(with_flags(magnification, CalibrateFlags, MagnificationFlags))


def magnification(flags: CalibrateFlags, own: MagnificationFlags) -> Reply:
    """Measure the magnification: on a ruled target in focus (--spacing), else from how fast blur grows with the rail's travel."""
    spacing_um = _above_zero(own.spacing, "--spacing")
    pixel_um = _above_zero(own.pixel, "--pixel")
    region = parse_region(flags.roi)
    with devices(flags, positioned=spacing_um is None) as (axis, camera):
        if axis.capabilities.unit is not AxisUnit.UM:
            raise UsageError(
                "a lens keeps no profile that a magnification could be written into, and its own changes with its focus",
                remedy="Give --rail the port of a rail.",
            )
        found = (
            _by_travel(axis, camera, pixel_um, region)
            if spacing_um is None
            else _on_target(camera, spacing_um, pixel_um, region)
        )
    value, uncertainty = round(found.value, 4), round(found.uncertainty, 4)
    path = written(flags, "magnification", None, value, uncertainty, "x", found.note)
    values = {"value": value, "uncertainty": uncertainty, "unit": "x", "note": found.note, "profile": path}
    return Reply(values, [f"magnification {value:g}, +- {uncertainty:g} (95 %): {found.note}", *where(path)])


def _on_target(camera: Camera, spacing_um: float, pixel_um: float | None, region: Region) -> Magnified:
    from capture.focus.bands import linear_gray
    from capture.focus.survey import HALF_PX
    from capture.focus.target import magnification_of_target
    from stacking.develop import Development, as_source

    say("one test shot of the target")
    with TemporaryDirectory(prefix="focusrail-") as folder:
        shot = camera.shoot(Path(folder), "target")
        if not shot.files:
            raise FocusError(
                "this camera gives no pictures to look at", remedy="Measure without --spacing, by the rail's travel."
            )
        told = shot.exposure.get("pixel_um")
        pitch = pixel_um if pixel_um is not None else told if isinstance(told, float) else None
        source = as_source(shot.files[0].path)
        gray = linear_gray(Development([source]).gray_half(source))
    return magnification_of_target(region.crop(gray), HALF_PX * _known(pitch), spacing_um)


def _by_travel(axis: Axis, camera: Camera, pixel_um: float | None, region: Region) -> Magnified:
    from capture.app.focus_running import USABLE_CONFIDENCE
    from capture.focus.axis_view import look_at_still, looking
    from capture.focus.step import measure_step
    from capture.focus.target import magnification_of_travel

    say("one test shot, for the size of its pixels")
    still = look_at_still(camera)
    pitch = _known(still.pixel_um if pixel_um is None else pixel_um)
    if still.f_number is None:
        raise FocusError(
            "the picture does not name the f-number, so growth of blur tells no magnification",
            remedy="Let a ruled target fill the picture, and give its --spacing.",
            state="Nothing was written.",
        )
    with looking(axis, camera) as view:
        step = measure_step(view, still.live_scale, 0.0, region=region, say=say)
    if step.blur_px_per_um is None or step.confidence < USABLE_CONFIDENCE:
        raise FocusError(
            "nothing in view goes in and out of focus surely enough: " + "; ".join(step.notes),
            remedy="Jog until a subject with texture is about in focus, light it well; or use a ruled target (--spacing).",
            state="The carriage is back where it stood; nothing was written.",
        )
    return magnification_of_travel(step.blur_px_per_um, still.f_number, pitch)


def _known(pixel_um: float | None) -> float:
    if pixel_um is None:
        raise FocusError(
            "the pixel pitch is not known: the picture does not name it",
            remedy="Give --pixel, for example --pixel 4um.",
            state="Nothing was written.",
        )
    return pixel_um


def _above_zero(text: str | None, what: str) -> float | None:
    if text is None:
        return None
    length_um = parse_um(text, what=what)
    if not length_um > 0:
        raise UsageError(f"{what} {text} is no distance", remedy=f"Give {what} a length above zero, for example 100um.")
    return length_um
