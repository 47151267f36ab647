"""``dof``: depth of field, computed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from capture.app.calibrated import magnification_for
from capture.app.flags import with_flags
from capture.app.optics_options import circle_of_confusion_um, focal_length_mm, parse_f_numbers, pixel_pitch_um
from capture.app.output import JsonFlag, Reply
from capture.depth_of_field import (
    DEFAULT_COC_UM,
    DEFAULT_MADE_FOR_MM,
    DEFAULT_OVERLAP,
    DEFAULT_WAVELENGTH_NM,
    FULL_STOPS,
    PIXELS_PER_COC,
    DepthOfField,
    Optics,
    depth_of_field,
    with_tube_lens,
)
from capture.errors import UsageError
from capture.settings import Settings, load_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class DofFlags:
    """The optics, and which apertures."""

    magnification: Annotated[
        float | None,
        typer.Option("--magnification", "-m", help="Image size over object size; with --tube-lens, as marked."),
    ] = None
    f_number: Annotated[
        list[str] | None,
        typer.Option("--f-number", "-f", help="F-number as marked on the lens; several, as 2.8,4,5.6, make a table."),
    ] = None
    table: Annotated[
        bool, typer.Option("--table", help="A table over the full stops, f/1.4 to f/32, and those of --f-number.")
    ] = False
    pupil: Annotated[
        float | None,
        typer.Option("--pupil", help="Pupil magnification (exit over entrance pupil); 1 if unknown."),
    ] = None
    coc: Annotated[str | None, typer.Option("--coc", help="Circle of confusion on the sensor, for example 30um.")] = (
        None
    )
    pixel: Annotated[
        str | None, typer.Option("--pixel", help="Pixel pitch; the circle of confusion is then two pixels.")
    ] = None
    na: Annotated[float | None, typer.Option("--na", help="Numerical aperture of a microscope objective.")] = None
    tube_lens: Annotated[
        str | None,
        typer.Option("--tube-lens", help="Focal length of the tube lens an infinity objective is used with: 135mm."),
    ] = None
    made_for: Annotated[
        str | None,
        typer.Option("--made-for", help="Focal length of the tube lens the objective was made for (default 200mm)."),
    ] = None
    wavelength: Annotated[float | None, typer.Option("--wavelength", help="Wavelength of the light in nm.")] = None
    index: Annotated[float, typer.Option("--index", help="Refractive index of the medium in front of the lens.")] = 1.0
    overlap: Annotated[
        float | None, typer.Option("--overlap", help="Share by which neighbouring zones of focus overlap.")
    ] = None
    json_output: JsonFlag = False


@dataclass(frozen=True, slots=True)
class _Scale:
    """The magnification, and how it came about; None: no tube lens was told."""

    magnification: float
    marked_magnification: float | None = None
    tube_lens_mm: float | None = None
    made_for_mm: float | None = None

    def note(self, *, told: bool) -> str | None:
        if self.tube_lens_mm is None:
            return None
        why = "" if told else " (the default; otherwise give --made-for: Olympus 180mm, Zeiss 165mm)"
        return (
            f"magnification {self.magnification:.4g}: marked {self.marked_magnification:g}, used with a tube lens of "
            f"{self.tube_lens_mm:g} mm, made for {self.made_for_mm:g} mm{why}"
        )


@dataclass(frozen=True, slots=True)
class _Row:
    """One aperture of the table."""

    f_number: float | None
    optics: Optics
    depth: DepthOfField

    @property
    def values(self) -> dict[str, Any]:
        return {
            "geometric_um": self.depth.geometric_um,
            "wave_um": self.depth.wave_um,
            "total_um": self.depth.total_um,
            "step_um": self.depth.step_um,
            "effective_f_number": self.optics.effective_f_number,
            "numerical_aperture": self.optics.object_na,
        }


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("dof", epilog="Example: focusrail dof --magnification 5 --f-number 2.8,4,5.6 --pixel 4um")(
        with_flags(dof, DofFlags)
    )


def dof(flags: DofFlags) -> Reply:
    """Depth of field, formula by formula, and the step it allows; for one aperture or a table of several."""
    settings = load_settings(Path.cwd())
    _check(flags)
    scale = _scale(settings, flags)
    coc_um = _coc_um(settings, flags)
    overlap = settings.choose("overlap", flags.overlap, DEFAULT_OVERLAP)
    given = _apertures(settings, flags)

    def row(f_number: float | None) -> _Row:
        optics = Optics(
            magnification=scale.magnification,
            f_number=f_number,
            pupil_ratio=settings.choose("pupil", flags.pupil, 1.0),
            numerical_aperture=flags.na,
            coc_um=coc_um,
            wavelength_nm=settings.choose("wavelength_nm", flags.wavelength, DEFAULT_WAVELENGTH_NM),
            refractive_index=flags.index,
        )
        return _Row(f_number, optics, depth_of_field(optics, overlap))

    rows = [row(stop) for stop in given]
    for one in rows:
        _check_reachable(one.optics)
    if flags.table:
        others = [row(stop) for stop in FULL_STOPS if stop not in given]
        chosen = rows[0] if rows else None
        rows = sorted([*rows, *(one for one in others if _reachable(one.optics))], key=lambda one: one.f_number or 0.0)
    else:
        rows = rows or [row(None)]  # an objective; or refused, for its aperture is missing
        chosen = rows[0]
    first = rows[0] if chosen is None else chosen
    notes = [note for note in (scale.note(told=flags.made_for is not None), _diffraction(rows)) if note]
    values = dict.fromkeys(first.values) if chosen is None else chosen.values
    values |= {
        "overlap": first.depth.overlap,
        "coc_um": coc_um,
        "f_number": None if chosen is None else chosen.f_number,
        **asdict(scale),
        "apertures": [{"f_number": one.f_number, **one.values} for one in rows],
        "notes": notes,
    }
    lines = _one(first) if len(rows) == 1 else _table(rows)
    return Reply(values, lines + [f"note: {note}" for note in notes])


def _check(flags: DofFlags) -> None:
    """Refuse what contradicts itself, or would be left unread."""
    if flags.coc is not None and flags.pixel is not None:
        raise UsageError("--coc and --pixel say the same thing", remedy="Give one of them.")
    if flags.na is not None:
        beside = {"--f-number": flags.f_number, "--table": flags.table, "--pupil": flags.pupil is not None}
        for name in (name for name, there in beside.items() if there):
            raise UsageError(
                f"--na tells the aperture already, {name} cannot be told beside it",
                remedy=f"Leave {name} out for a microscope objective, or --na for a lens with a diaphragm.",
            )
    if flags.made_for is not None and flags.tube_lens is None:
        raise UsageError(
            "--made-for alone changes nothing",
            remedy="Add the tube lens that is used, for example --tube-lens 135mm; or leave it out.",
        )
    if flags.tube_lens is not None and flags.na is None:
        raise UsageError(
            "a tube lens belongs to a microscope objective, whose aperture is missing",
            remedy="Give it as marked on the objective, for example --na 0.28.",
        )
    if flags.tube_lens is not None and flags.magnification is None:
        raise UsageError(
            "with --tube-lens the magnification marked on the objective is needed; what was set or calibrated is the real one",
            remedy="Give it, for example -m 10; or leave --tube-lens out.",
        )


def _scale(settings: Settings, flags: DofFlags) -> _Scale:
    found = magnification_for(settings, flags.magnification)
    if found is None:
        raise UsageError(
            "the magnification is missing",
            remedy="Give --magnification, for example --magnification 2; or measure it: focusrail rail calibrate magnification.",
        )
    if flags.tube_lens is None:
        return _Scale(found)
    used_mm = focal_length_mm(flags.tube_lens, "--tube-lens")
    made_for_mm = DEFAULT_MADE_FOR_MM if flags.made_for is None else focal_length_mm(flags.made_for, "--made-for")
    return _Scale(with_tube_lens(found, used_mm, made_for_mm), found, used_mm, made_for_mm)


def _coc_um(settings: Settings, flags: DofFlags) -> float:
    pixel_um = pixel_pitch_um(settings, flags.pixel)
    coc_um = None if flags.pixel is not None else circle_of_confusion_um(settings, flags.coc)  # flags before settings
    if coc_um is not None:
        return coc_um
    return DEFAULT_COC_UM if pixel_um is None else PIXELS_PER_COC * pixel_um


def _apertures(settings: Settings, flags: DofFlags) -> tuple[float, ...]:
    """The f-numbers that were asked for, else the one that was set; none for an objective."""
    if flags.na is not None:
        return ()
    if flags.f_number:
        return parse_f_numbers(flags.f_number)
    stop = settings.choose("f_number", None)
    return () if stop is None else (float(stop),)


def _reachable(optics: Optics) -> bool:
    """Whether the lens gathers light from less than all directions."""
    return optics.object_na < optics.refractive_index


def _check_reachable(optics: Optics) -> None:
    if not _reachable(optics):
        raise UsageError(
            f"f/{optics.f_number:g} at this magnification would be a numerical aperture of {optics.object_na:.3g}, "
            f"impossible in a medium of index {optics.refractive_index:g}",
            remedy="Give the f-number as marked on the lens, for example -f 2.8, and the pupil ratio as exit over entrance.",
        )


def _diffraction(rows: list[_Row]) -> str | None:
    """Where a smaller aperture gains no resolution: a wave part above the geometric one is 2 lambda N_eff above c.

    The Airy disc, 2.44 lambda N_eff wide, is then wider than c in best focus (R. Littlefield, photomacrography.net, 2009; docs/focus.md).
    """
    if len(rows) < 2:
        return None
    from_there_on = [
        row.f_number for row in rows if row.f_number is not None and row.depth.wave_um > row.depth.geometric_um
    ]
    if not from_there_on:
        return None
    return (
        f"from f/{min(from_there_on):g} on the wave part is the larger one: diffraction draws a point wider than the circle of confusion "
        "even in best focus, so that a smaller aperture gains depth, but no resolution"
    )


def _one(row: _Row) -> list[str]:
    optics, depth = row.optics, row.depth
    formula = "2 N_eff c / m^2" if optics.refractive_index == 1 else "2 n N_eff c / m^2"
    n_eff, coc_um = optics.effective_f_number, optics.coc_um
    return [
        f"geometric   {depth.geometric_um:10.2f} um   {formula}, N_eff = {n_eff:.3g}, c = {coc_um:g} um",
        f"wave        {depth.wave_um:10.2f} um   lambda n / NA^2, NA = {optics.object_na:.4g}",
        f"total       {depth.total_um:10.2f} um   their sum",
        f"step        {depth.step_um:10.2f} um   at an overlap of {depth.overlap:.0%}",
    ]


def _table(rows: list[_Row]) -> list[str]:
    optics, overlap = rows[0].optics, rows[0].depth.overlap
    lines = [
        f"magnification {optics.magnification:.4g}, c = {optics.coc_um:g} um, {optics.wavelength_nm:g} nm, "
        f"overlap {overlap:.0%}; depths in um",
        f"{'aperture':<9}{'N_eff':>8}{'NA':>9}{'geometric':>12}{'wave':>12}{'total':>12}{'step':>12}",
    ]
    for row in rows:
        depth, stop = row.depth, f"f/{row.f_number:g}"
        lines.append(
            f"{stop:<9}{row.optics.effective_f_number:>8.3g}{row.optics.object_na:>9.3g}"
            f"{depth.geometric_um:>12.2f}{depth.wave_um:>12.2f}{depth.total_um:>12.2f}{depth.step_um:>12.2f}"
        )
    return lines
