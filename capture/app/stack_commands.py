"""``stack`` and ``finish``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from capture.app.flags import with_flags
from capture.app.output import InterruptedRunError, JsonFlag, Reply
from capture.app.progress import StackingProgress
from capture.app.relief_options import ScaleFlags
from capture.app.stack_options import RecipeOption, StackFlags
from capture.settings import load_settings

ForceOption = Annotated[bool, typer.Option("--force", help="Write over an existing file.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    app.command("stack", epilog="Example: focusrail stack frames/ -o beetle.tif")(
        with_flags(stack, _InOut, StackFlags, ScaleFlags)
    )
    app.command("finish", epilog="Example: focusrail finish beetle.tif -o beetle.jpg --levels auto --sharpen 0.6")(
        finish
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _InOut:
    """What is read and written."""

    paths: Annotated[list[Path], typer.Argument(help="A folder, picture files, or a session.", metavar="PATH...")]
    output: Annotated[Path, typer.Option("-o", "--output", help="Picture to write: .tif (16 bit), .png or .jpg.")]
    force: ForceOption = False
    json_output: JsonFlag = False


def stack(asked: _InOut, flags: StackFlags, optics: ScaleFlags) -> Reply:
    """Merge a focus stack: pictures in, one picture out."""
    from stacking.engine import stack_pictures

    options = flags.options(load_settings(Path.cwd()), force=asked.force, optics=optics)
    try:
        with StackingProgress() as progress:
            outcome = stack_pictures(asked.paths, asked.output, options, progress)
    except KeyboardInterrupt:
        raise InterruptedRunError(
            "interrupted while stacking", state="Nothing was written.", remedy="Start the same command again."
        ) from None
    values = outcome.values()
    left_out = values["frames_left_out"]
    lines = [f"left out: {entry['file']}: {entry['reason']}" for entry in left_out]
    lines.append(
        f"{values['result']}: {values['width']}x{values['height']} from {values['frames_used']} frames, "
        f"{values['seconds']:.1f} s, {values['peak_rss_mb']:.0f} MB"
    )
    return Reply(values, lines)


def finish(
    file: Annotated[Path, typer.Argument(help="Picture to correct.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Picture to write: .tif, .png or .jpg.")],
    crop: Annotated[str | None, typer.Option(help="x,y,width,height in pixels, 3:2, or none.")] = None,
    white_balance: Annotated[
        str | None, typer.Option(help="5200K, 5200K,10 (tint), gray:x,y, gains:r,g,b or as-shot.")
    ] = None,
    exposure: Annotated[str | None, typer.Option(help="In stops, for example 0.3.")] = None,
    levels: Annotated[str | None, typer.Option(help="auto, or black,white (and gamma), for example 0.02,0.98.")] = None,
    curves: Annotated[str | None, typer.Option(help="Points in:out, for example 0.25:0.2,0.75:0.8.")] = None,
    hue: Annotated[str | None, typer.Option(help="Turn of the hue in degrees.")] = None,
    saturation: Annotated[str | None, typer.Option(help="Factor, for example 1.1.")] = None,
    sharpen: Annotated[str | None, typer.Option(help="Amount, or amount,radius in pixels.")] = None,
    recipe: RecipeOption = None,
    force: ForceOption = False,
    json_output: JsonFlag = False,
) -> Reply:
    """Colour correction alone: crop, white balance, exposure, levels, curves, hue, saturation, sharpening."""
    from stacking.finish import finish_picture, recipe_from_options

    wanted = recipe_from_options(
        recipe,
        crop=crop,
        white_balance=white_balance,
        exposure=exposure,
        levels=levels,
        curves=curves,
        hue=hue,
        saturation=saturation,
        sharpen=sharpen,
    )
    finish_picture(file, output, wanted, force=force)
    return Reply({"result": str(output.resolve())}, [str(output)])
