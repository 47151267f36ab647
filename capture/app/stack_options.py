"""The stacker's options as the command line takes them, shared by ``stack``, ``run`` and ``demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from capture.errors import UsageError
from capture.lengths import parse_size_bytes
from capture.settings import Settings
from stacking.options import Align, Crop, Method, StackOptions

MethodOption = Annotated[Method | None, typer.Option("--method", help="How frames are merged (default auto).")]
AlignOption = Annotated[
    Align, typer.Option("--align", help="auto: register the frames; none: they lie on each other already.")
]
CropOption = Annotated[
    Crop, typer.Option("--crop", help="auto: the largest area valid in all frames; none: keep the full frame.")
]
DepthOption = Annotated[
    Path | None, typer.Option("--depth", help="Write the depth map here (.tif float, .png 16 bit).")
]
ReportOption = Annotated[Path | None, typer.Option("--report", help="Write what was done here (JSON).")]
RecipeOption = Annotated[
    Path | None, typer.Option("--recipe", help="Colour correction to apply: a recipe's TOML file.")
]
MemoryOption = Annotated[str | None, typer.Option("--memory", help="Memory the stacker may use, for example 4G.")]


def stack_options(
    settings: Settings,
    method: Method | None,
    align: Align,
    crop: Crop,
    depth: Path | None,
    report: Path | None,
    recipe: Path | None,
    memory: str | None,
    *,
    force: bool,
) -> StackOptions:
    """Flags and settings as one frozen value.

    Raises
    ------
    UsageError
        For a method or a size in the settings that does not exist.
    """
    named = settings.choose("method", method, Method.AUTO)
    try:
        chosen = Method(named)
    except ValueError:
        raise UsageError(f"'{named}' is no fusion method", remedy=f"Choose one of {', '.join(Method)}.") from None
    size = settings.choose("memory", memory)
    return StackOptions(
        method=chosen,
        align=align,
        crop=crop,
        depth=depth,
        report=report,
        recipe=recipe,
        memory_bytes=None if size is None else parse_size_bytes(str(size), what="--memory"),
        force=force,
    )
