"""The stacker's options, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Method(StrEnum):
    """How the frames are merged."""

    AUTO = "auto"
    PYRAMID = "pyramid"
    DEPTHMAP = "depthmap"
    AVERAGE = "average"


class Align(StrEnum):
    """Whether the frames are registered."""

    AUTO = "auto"
    NONE = "none"


class Crop(StrEnum):
    """What becomes of the borders that not every frame reaches."""

    AUTO = "auto"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class StackOptions:
    """What `stacking.engine.stack_pictures` is asked for.

    Attributes
    ----------
    method, align, crop : Method, Align, Crop
    depth, report : Path or None
        Where to write the depth map and the report; None for not.
    recipe : Path or None
        Colour correction to apply to the result.
    memory_bytes : int or None
        Cap on memory; None leaves it to the engine.
    force : bool
        Write over existing files.
    """

    method: Method = Method.AUTO
    align: Align = Align.AUTO
    crop: Crop = Crop.AUTO
    depth: Path | None = None
    report: Path | None = None
    recipe: Path | None = None
    memory_bytes: int | None = None
    force: bool = False
