"""``dof``, ``devices`` and ``config``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from capture.app.calibrated import magnification_for
from capture.app.output import JsonFlag, Reply
from capture.depth_of_field import (
    DEFAULT_COC_UM,
    DEFAULT_OVERLAP,
    DEFAULT_WAVELENGTH_NM,
    PIXELS_PER_COC,
    Optics,
    depth_of_field,
)
from capture.errors import UsageError
from capture.lengths import parse_um
from capture.settings import load_settings, settings_paths


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    app.command("dof", epilog="Example: focusrail dof --magnification 5 --f-number 4 --pixel 4um")(dof)
    app.command("devices", epilog="Example: focusrail devices")(devices)
    app.command("config", epilog="Example: FOCUSRAIL_RAIL=/dev/ttyUSB0 focusrail config")(config)


def dof(
    magnification: Annotated[
        float | None, typer.Option("--magnification", "-m", help="Image size over object size.")
    ] = None,
    f_number: Annotated[float | None, typer.Option("--f-number", "-f", help="F-number as marked on the lens.")] = None,
    pupil: Annotated[
        float | None, typer.Option(help="Pupil magnification (exit over entrance pupil); 1 if unknown.")
    ] = None,
    coc: Annotated[str | None, typer.Option(help="Circle of confusion on the sensor, for example 30um.")] = None,
    pixel: Annotated[str | None, typer.Option(help="Pixel pitch; the circle of confusion is then two pixels.")] = None,
    na: Annotated[float | None, typer.Option("--na", help="Numerical aperture of a microscope objective.")] = None,
    wavelength: Annotated[float | None, typer.Option(help="Wavelength of the light in nm.")] = None,
    index: Annotated[float, typer.Option(help="Refractive index of the medium in front of the lens.")] = 1.0,
    overlap: Annotated[float | None, typer.Option(help="Share by which neighbouring zones of focus overlap.")] = None,
    json_output: JsonFlag = False,
) -> Reply:
    """Depth of field, formula by formula, and the step it allows."""
    settings = load_settings(Path.cwd())
    magnification = magnification_for(settings, magnification)
    if magnification is None:
        raise UsageError(
            "the magnification is missing",
            remedy="Give --magnification, for example --magnification 2; or measure it: focusrail rail calibrate magnification.",
        )
    if coc is not None and pixel is not None:
        raise UsageError("--coc and --pixel say the same thing", remedy="Give one of them.")
    pixel_um = parse_um(pixel, what="--pixel") if pixel is not None else settings.choose("pixel_um", None)
    coc_um = parse_um(coc, what="--coc") if coc is not None else settings.choose("coc_um", None)
    if coc_um is None:
        coc_um = DEFAULT_COC_UM if pixel_um is None else PIXELS_PER_COC * pixel_um
    optics = Optics(
        magnification=magnification,
        f_number=settings.choose("f_number", f_number) if na is None else f_number,
        pupil_ratio=settings.choose("pupil", pupil, 1.0),
        numerical_aperture=na,
        coc_um=coc_um,
        wavelength_nm=settings.choose("wavelength_nm", wavelength, DEFAULT_WAVELENGTH_NM),
        refractive_index=index,
    )
    depth = depth_of_field(optics, settings.choose("overlap", overlap, DEFAULT_OVERLAP))
    values = {
        "geometric_um": depth.geometric_um,
        "wave_um": depth.wave_um,
        "total_um": depth.total_um,
        "step_um": depth.step_um,
        "overlap": depth.overlap,
        "effective_f_number": optics.effective_f_number,
        "numerical_aperture": optics.object_na,
        "coc_um": coc_um,
    }
    lines = [
        f"geometric   {depth.geometric_um:10.2f} um   2 N_eff c / m^2, N_eff = {optics.effective_f_number:.3g}, c = {coc_um:g} um",
        f"wave        {depth.wave_um:10.2f} um   lambda n / NA^2, NA = {optics.object_na:.4g}",
        f"total       {depth.total_um:10.2f} um   their sum",
        f"step        {depth.step_um:10.2f} um   at an overlap of {depth.overlap:.0%}",
    ]
    return Reply(values, lines)


def config(json_output: JsonFlag = False) -> Reply:
    """Every setting, its value, and where it came from."""
    listing = load_settings(Path.cwd()).listing()
    width = max(map(len, listing))
    lines = [
        f"{name:{width}}  {'-' if entry.value is None else entry.value}  ({entry.source})"
        for name, entry in listing.items()
    ]
    here, users = settings_paths(Path.cwd())
    lines.append(f"files looked at: {here}, {users}")
    values = {name: {"value": entry.value, "source": entry.source} for name, entry in listing.items()}
    return Reply({"settings": values, "files": [str(here), str(users)]}, lines)


def devices(json_output: JsonFlag = False) -> Reply:
    """Serial ports and cameras, who holds a busy one, and what permission is missing."""
    from capture.devices import find_devices

    return Reply(*find_devices())
