"""``stack`` and ``finish``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from capture.app.flags import with_flags
from capture.app.loading import end_imports
from capture.app.output import InterruptedRunError, JsonFlag, Reply
from capture.app.progress import StackingProgress
from capture.app.relief_options import ScaleFlags
from capture.app.stack_options import RecipeOption, StackFlags
from capture.errors import UsageError
from capture.settings import load_settings

ForceOption = Annotated[bool, typer.Option("--force", help="Write over an existing file.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    app.command("stack", epilog="Example: focusrail stack frames/ -o beetle.tif")(
        with_flags(stack, _InOut, StackFlags, ScaleFlags)
    )
    app.command("finish", epilog="Example: focusrail finish beetle.tif -o beetle.jpg --levels auto --sharpen 0.6")(
        with_flags(finish, _Finished, _Steps)
    )
    app.command("recipes", epilog="Example: focusrail recipes specimen -o mine.toml")(recipes)


@dataclass(frozen=True, slots=True, kw_only=True)
class _InOut:
    """What is read and written."""

    paths: Annotated[list[Path], typer.Argument(help="A folder, picture files, or a session.", metavar="PATH...")]
    output: Annotated[Path, typer.Option("-o", "--output", help="Picture to write: .tif (16 bit), .png or .jpg.")]
    force: ForceOption = False
    json_output: JsonFlag = False


def stack(asked: _InOut, flags: StackFlags, optics: ScaleFlags) -> Reply:
    """Merge a focus stack: pictures in, one picture out."""
    from stacking.fuse.preload import preload

    preload()  # beside all that is imported now
    from stacking.stack import stack_pictures

    end_imports()
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
    lines += [f"note: {note}" for note in values["notes"]]
    lines.append(
        f"{values['result']}: {values['width']}x{values['height']} from {values['frames_used']} frames, "
        f"{values['seconds']:.1f} s, {values['peak_rss_mb']:.0f} MB"
    )
    return Reply(values, lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Finished:
    """What is corrected, and where it goes."""

    file: Annotated[Path, typer.Argument(help="Picture to correct.")]
    output: Annotated[Path, typer.Option("-o", "--output", help="Picture to write: .tif (16 bit), .png or .jpg.")]
    recipe: RecipeOption = None
    save_recipe: Annotated[
        Path | None, typer.Option("--save-recipe", help="Write every step as a recipe's TOML file, for other pictures.")
    ] = None
    force: ForceOption = False
    json_output: JsonFlag = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Steps:
    """The steps of colour correction."""

    crop: Annotated[str | None, typer.Option(help="x,y,width,height in pixels, 3:2, or none.")] = None
    denoise: Annotated[
        str | None, typer.Option(help="Smooth what was nowhere in focus: strength (0 to 1), and radius in pixels.")
    ] = None
    white_balance: Annotated[
        str | None, typer.Option(help="5200K, 5200K,10 (tint), gray:x,y, gains:r,g,b or as-shot.")
    ] = None
    exposure: Annotated[str | None, typer.Option(help="In stops, for example 0.3.")] = None
    levels: Annotated[
        str | None, typer.Option(help="auto, auto:0.1,99.9 (percent), or black,white (and gamma): 0.02,0.98.")
    ] = None
    curves: Annotated[
        str | None,
        typer.Option(help="Points in:out: 0.25:0.2,0.75:0.8; of one channel blue=0.5:0.52; between ; several."),
    ] = None
    hue: Annotated[str | None, typer.Option(help="Turn in degrees; of some colours red:-10,blue:5.")] = None
    saturation: Annotated[str | None, typer.Option(help="Factor: 1.1; of some colours 1.05,green:0.8.")] = None
    vibrance: Annotated[str | None, typer.Option(help="Colourfulness of pale colours, -1 to 1.")] = None
    local_contrast: Annotated[str | None, typer.Option(help="Amount, or amount,radius in pixels: 0.3,60.")] = None
    sharpen: Annotated[
        str | None,
        typer.Option(help="Amount, or amount,radius in pixels; deconvolve:1,0.9 undoes a blur of that radius."),
    ] = None
    profile: Annotated[
        str | None,
        typer.Option(help="Colour space of the result: srgb, display-p3, adobe-rgb, prophoto; none: the input's."),
    ] = None


def finish(asked: _Finished, steps: _Steps) -> Reply:
    """Colour correction alone, each step as an option or from a recipe; an option replaces the recipe's step."""
    from stacking.finish import FinishTexts, finish_picture, recipe_from_options
    from stacking.writers import check_target, replacing

    wanted = recipe_from_options(asked.recipe, FinishTexts(**asdict(steps)))
    if asked.save_recipe is not None:
        check_target(asked.save_recipe, force=asked.force, suffixes=(".toml",))
    shown = finish_picture(asked.file, asked.output, wanted, force=asked.force)
    if asked.save_recipe is not None:
        with replacing(asked.save_recipe, force=asked.force) as file:
            file.write(wanted.to_toml().encode())
    values = {"result": str(asked.output.resolve()), "crop": list(shown), "recipe": wanted.to_toml()}
    return Reply(values, [str(asked.output)])


def recipes(
    name: Annotated[str | None, typer.Argument(help="Show this recipe's file, to be changed and used.")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write it here.")] = None,
    force: ForceOption = False,
    json_output: JsonFlag = False,
) -> Reply:
    """The recipes that come along: names and what they are for; with a name, the recipe itself."""
    from stacking.finish import shipped_recipe, shipped_recipes
    from stacking.writers import check_target, replacing

    if name is not None:
        text = shipped_recipe(name).to_toml()
        if output is not None:
            check_target(output, force=force, suffixes=(".toml",))
            with replacing(output, force=force) as file:
                file.write(text.encode())
        return Reply({"name": name, "recipe": text}, text.splitlines())
    if output is not None:
        raise UsageError("no recipe was named", remedy="Say which: focusrail recipes specimen -o mine.toml")
    known = [shipped_recipe(each) for each in shipped_recipes()]
    values = {"recipes": [{"name": recipe.name, "description": recipe.description} for recipe in known]}
    return Reply(values, [f"{recipe.name:<12} {recipe.description}" for recipe in known])
