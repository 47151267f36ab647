"""``depth``: meshes, views and profiles from a picture and its depth file, without the frames."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from capture.app.flags import with_flags
from capture.app.output import JsonFlag, Reply
from capture.app.relief_options import ReliefFlags, ScaleFlags
from capture.errors import UsageError
from capture.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add the command of this module to `app`."""
    app.command(
        "depth", epilog="Example: focusrail depth beetle.tif depth.tif --mesh beetle.glb --magnification 2 --pixel 4um"
    )(with_flags(depth, _Asked, ReliefFlags, ScaleFlags))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What is read."""

    picture: Annotated[Path, typer.Argument(help="The picture that stack wrote.", metavar="PICTURE")]
    depth: Annotated[Path, typer.Argument(help="Its depth: the .tif of --depth or --depth-16bit.", metavar="DEPTH")]
    confidence: Annotated[Path | None, typer.Option(help="Its confidence: the file of --depth-confidence.")] = None
    frames: Annotated[
        bool, typer.Option("--frames", help="The depth counts frames, as it does where positions are not known.")
    ] = False
    force: Annotated[bool, typer.Option("--force", help="Write over existing files.")] = False
    json_output: JsonFlag = False


def depth(asked: _Asked, flags: ReliefFlags, optics: ScaleFlags) -> Reply:
    """Meshes, views and profiles from a picture and its depth."""
    from stacking.develop import read_picture
    from stacking.errors import SourceError
    from stacking.relief.files import read_relief
    from stacking.relief.outputs import write_relief
    from stacking.relief.surface import DepthUnit

    options = flags.relief_options(load_settings(Path.cwd()), optics)
    if not options.targets():
        raise UsageError("nothing was asked for", remedy="Name a file, for example --mesh beetle.glb.")
    options.check(force=asked.force)
    unit = DepthUnit.FRAMES if asked.frames else DepthUnit.UM
    relief = read_relief(asked.depth, asked.confidence, unit=unit, pixel_um=options.pixel_um)
    if not asked.picture.is_file():
        raise SourceError(f"{asked.picture} is no file", remedy="Name the picture that stack wrote.")
    picture = read_picture(asked.picture)
    if picture.shape[:2] != relief.depth.shape:
        raise SourceError(
            f"{asked.picture.name} and {asked.depth.name} differ in size", remedy="Give picture and depth of one stack."
        )
    written = write_relief(options, relief, picture, force=asked.force)
    low, high = relief.span
    values = {
        "outputs": {name: str(path.resolve()) for name, path in written.items()},
        "unit": relief.scale.unit.value,
        "near": low,
        "far": high,
        "pixel_um": relief.scale.pixel_um,
        "to_scale": relief.scale.true,
        "holes": float(relief.holes.mean()),
    }
    return Reply(values, [str(path) for path in written.values()])
