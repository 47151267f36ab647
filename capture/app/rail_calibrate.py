"""``rail calibrate``: what the rail really does, into its profile. Here against a ruler or dial gauge."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from capture.app.opening import DeviceNames, held_controller
from capture.app.output import JsonFlag, Reply, say
from capture.errors import UsageError
from capture.lengths import parse_um
from capture.settings import load_settings
from rail.grbl.axis import GrblAxis

RailOption = Annotated[str | None, typer.Option("--rail", help="Rail port: /dev/ttyUSB0, socket://host:port.")]
ProfileOption = Annotated[str | None, typer.Option("--profile", help="Rail profile: a name or a TOML file.")]

# Of a line's distance from the next: the division that its phase is read to.
_SEEN_SHARE = 0.02
_DIVISIONS = {"um": 1.0, "mm": 1000.0, "cm": 10_000.0}


def calibrate_group() -> typer.Typer:
    """The ``calibrate`` commands of this module, to which others may be added."""
    group = typer.Typer(
        help="Measure what the rail really does, and write it into its profile.",
        epilog="Example: focusrail rail calibrate steps --rail /dev/ttyUSB0 --profile t8-lead2",
        no_args_is_help=True,
    )
    example = "Example: focusrail rail calibrate steps --profile t8-lead2 --commanded 10mm --measured 9.87mm --measured 9.88mm"
    group.command("steps", epilog=example)(steps)
    return group


def steps(
    rail: RailOption = None,
    profile: ProfileOption = None,
    commanded: Annotated[str, typer.Option("--commanded", help="Distance to move; the longer, the better.")] = "10mm",
    measured: Annotated[
        list[str] | None,
        typer.Option(
            "--measured",
            help="Distance measured for it (again for each reading); then nothing moves and nobody is asked.",
        ),
    ] = None,
    readings: Annotated[int, typer.Option("--readings", min=1, max=50, help="How often to move and ask.")] = 3,
    division: Annotated[
        str | None, typer.Option("--division", help="Smallest division of the instrument, else the last digit typed.")
    ] = None,
    spacing: Annotated[
        str | None,
        typer.Option(
            "--spacing", help="The camera measures: from line to line of a ruled target that moves across its picture."
        ),
    ] = None,
    camera: Annotated[str | None, typer.Option("--camera", help="Camera port, for --spacing.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the arithmetic, write nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write a result that is far from what was.")] = False,
    json_output: JsonFlag = False,
) -> Reply:
    """Steps/mm against a ruler or dial gauge: move a distance, type what was measured (or let the camera read it), write the profile."""
    from rail.calibration import check_change, steps_per_mm, write_steps

    distance_um = parse_um(commanded, what="--commanded")
    given = [parse_um(text, what="--measured") for text in measured or []]
    smallest_um = None if division is None else parse_um(division, what="--division")
    spacing_um = None if spacing is None else parse_um(spacing, what="--spacing")
    if spacing_um is not None and (given or not spacing_um > 0):
        raise UsageError(
            "--spacing and --measured say the same thing" if given else f"--spacing {spacing} is no distance",
            remedy="Give one of them, for example --spacing 1mm.",
        )
    if not given and spacing_um is None and (json_output or not sys.stdin.isatty()):
        raise UsageError(
            "somebody has to measure, and nobody can be asked here",
            remedy="Move with `focusrail rail jog`, then give --commanded and --measured.",
        )
    loaded = load_settings(Path.cwd())
    if spacing_um is not None:
        from capture.app.calibrate_travel import lengths_seen

        names = DeviceNames(rail, profile, camera)
        given, previous, name = lengths_seen(loaded, names, distance_um, spacing_um, readings)
        smallest_um = _SEEN_SHARE * spacing_um if smallest_um is None else smallest_um
    else:
        with held_controller(loaded, rail, profile) as axis:
            previous, name = 1000.0 / axis.capabilities.resolution, axis.profile.name
            texts = list(measured or [])
            if not given:
                texts = _ask(axis, distance_um, readings)
                given = [parse_um(text, what="measured distance") for text in texts]
        smallest_um = max(_last_digit_um(text) for text in texts) if smallest_um is None else smallest_um
    result = steps_per_mm(distance_um, given, previous, division_um=smallest_um)
    lines = result.arithmetic()
    path: Path | None = None
    if not dry_run:
        if not force:
            check_change(result)
        path = write_steps(loaded.choose("profile", profile), result)
        if loaded.choose("profile", profile) is None:
            say(
                "note: no profile was named: this holds for every rail of yours that names none (give --profile NAME for one rail)"
            )
        lines += [
            f"written to {path} ({name}); it counts from the next command on",
            f"`focusrail rail settings --profile {loaded.choose('profile', profile) or 'default'} --write` tells the controller, too",
        ]
    values: dict[str, Any] = {
        "value": result.steps_per_mm,
        "uncertainty": result.uncertainty,
        "profile": None if path is None else str(path),
        "unit": "steps/mm",
        "previous": previous,
        "steps": result.steps,
        "commanded_um": distance_um,
        "measured_um": given,
        "arithmetic": result.arithmetic(),
    }
    return Reply(values, lines)


def _ask(axis: GrblAxis, distance_um: float, readings: int) -> list[str]:
    """Move and ask; the play is taken up before each reading, and the carriage goes back after it."""
    texts: list[str] = []
    run_up_um = (axis.profile.take_up_um + 100) * (1 if distance_um > 0 else -1)
    for number in range(1, readings + 1):
        axis.jog(-run_up_um)
        axis.jog(run_up_um)
        say(f"reading {number} of {readings}: set the gauge to zero, or note the ruler")
        typer.prompt("Enter when ready", default="", show_default=False, err=True)
        axis.jog(distance_um)
        texts.append(
            str(typer.prompt(f"moved {distance_um / 1000:g} mm; measured (for example 9.87mm)", err=True)).strip()
        )
        parse_um(texts[-1], what="measured distance")
        axis.jog(-distance_um)
    return texts


def _last_digit_um(text: str) -> float:
    """What the last digit typed stands for: 10 um for ``9.87mm``."""
    number = text.strip().lower().rstrip("umcµμ ")
    unit = text.strip().lower()[len(number) :].strip().replace("µ", "u").replace("μ", "u") or "um"
    decimals = len(number.partition(".")[2])
    return float(_DIVISIONS.get(unit, 1.0) * 10.0**-decimals)
