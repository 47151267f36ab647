"""Options of the depth's files, shared by ``stack``, ``run`` and ``depth``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from capture.errors import UsageError
from capture.lengths import parse_um
from capture.settings import Settings
from stacking.relief.options import ReliefOptions, parse_line


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleFlags:
    """How large the subject is in the picture."""

    magnification: Annotated[
        float | None, typer.Option("--magnification", "-m", help="Image size over object size, for true scale.")
    ] = None
    pixel: Annotated[str | None, typer.Option("--pixel", help="Pixel pitch of the sensor, for example 4um.")] = None

    def pixel_um(self, settings: Settings) -> float | None:
        """Side of a pixel on the subject; None where the optics are not known.

        Raises
        ------
        UsageError
        """
        pitch = parse_um(self.pixel, what="--pixel") if self.pixel is not None else settings.choose("pixel_um", None)
        magnification = settings.choose("magnification", self.magnification)
        if any(value is not None and not 0 < value < math.inf for value in (pitch, magnification)):
            raise UsageError(
                "pixel pitch and magnification are greater than zero", remedy="Give for example --pixel 4um -m 2."
            )
        if magnification is None or pitch is None:
            return None
        return float(pitch) / float(magnification)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliefFlags:
    """Files made of the depth."""

    depth_16bit: Annotated[
        Path | None,
        typer.Option("--depth-16bit", help="Write the depth as a 16-bit TIFF; its description has the scale."),
    ] = None
    depth_confidence: Annotated[
        Path | None,
        typer.Option("--depth-confidence", help="Write how sure the depth is (.tif float, 0 to 1; 0: a hole)."),
    ] = None
    depth_filled: Annotated[
        Path | None, typer.Option("--depth-filled", help="Write the depth with its holes filled (.tif float).")
    ] = None
    depth_picture: Annotated[
        Path | None,
        typer.Option("--depth-picture", help="Write the depth in colours with a scale; filled holes are hatched."),
    ] = None
    mesh: Annotated[
        Path | None, typer.Option("--mesh", help="Write a mesh: .glb with the picture on it, .ply or .stl.")
    ] = None
    stereo: Annotated[Path | None, typer.Option("--stereo", help="Write a stereo pair, left eye left.")] = None
    anaglyph: Annotated[Path | None, typer.Option("--anaglyph", help="Write an anaglyph for red and cyan glasses.")] = (
        None
    )
    rocking: Annotated[
        Path | None, typer.Option("--rocking", help="Write a video of the picture rocking: .mp4, .avi or .gif.")
    ] = None
    depth_profile: Annotated[
        Path | None,
        typer.Option("--depth-profile", help="Write the depth along a line: .csv, and its plot beside it as .svg."),
    ] = None
    depth_line: Annotated[
        str | None,
        typer.Option("--depth-line", help="The profile's line x0,y0,x1,y1 in pixels (default: across the middle)."),
    ] = None

    def relief_options(self, settings: Settings, optics: ScaleFlags) -> ReliefOptions:
        """The flags as one frozen value.

        Raises
        ------
        UsageError, StackingUsageError
        """
        return ReliefOptions(
            depth_16bit=self.depth_16bit,
            depth_confidence=self.depth_confidence,
            depth_filled=self.depth_filled,
            depth_picture=self.depth_picture,
            mesh=self.mesh,
            stereo=self.stereo,
            anaglyph=self.anaglyph,
            rocking=self.rocking,
            profile=self.depth_profile,
            line=None if self.depth_line is None else parse_line(self.depth_line),
            pixel_um=optics.pixel_um(settings),
        )
