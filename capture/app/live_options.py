"""The options of ``live``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from capture.app.opening import Origin
from capture.app.output import JsonFlag
from capture.app.session_options import CameraOption, ProfileOption, RailOption


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveFlags:
    """What to show, where, and for how long."""

    rail: RailOption = None
    camera: CameraOption = None
    profile: ProfileOption = None
    origin: Annotated[Origin, typer.Option("--origin", help="keep; here: zero first; home: home first.")] = Origin.KEEP
    jog: Annotated[str | None, typer.Option("--jog", help="Distance of one press of a key, for example 20um.")] = None
    near: Annotated[str | None, typer.Option("--near", help="Near end, to be marked.")] = None
    far: Annotated[str | None, typer.Option("--far", help="Far end, to be marked.")] = None
    step: Annotated[str | None, typer.Option("--step", help="Step of the stack: the next zone is marked.")] = None
    dof: Annotated[str | None, typer.Option("--dof", help="Depth of field; without it, the step.")] = None
    show: Annotated[
        str,
        typer.Option("--show", help="auto, kitty, iterm, sixel, blocks, window or none: where the picture is shown."),
    ] = "auto"
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the last frame there; without a bound, one frame.")
    ] = None
    frames: Annotated[
        Path | None, typer.Option("--frames", help="Folder for every frame as JPEG, and frames.jsonl with its numbers.")
    ] = None
    jsonl: Annotated[bool, typer.Option("--jsonl", help="One JSON object a frame on stdout.")] = False
    seconds: Annotated[float | None, typer.Option("--seconds", min=0, help="Stop after this time.")] = None
    count: Annotated[int | None, typer.Option("--count", min=1, help="Stop after so many frames.")] = None
    magnify: Annotated[
        str | None, typer.Option("--magnify", help="Magnify live view: a choice of the role magnify, for example 100%.")
    ] = None
    force: Annotated[bool, typer.Option("--force", help="Write over an existing file.")] = False
    iso: Annotated[str | None, typer.Option("--iso", help="ISO to set.")] = None
    shutter: Annotated[str | None, typer.Option("--shutter", help="Shutter time to set, for example 1/60.")] = None
    aperture: Annotated[str | None, typer.Option("--aperture", help="Aperture to set, for example 5.6.")] = None
    json_output: JsonFlag = False
