"""What a run of the stacker is asked to do, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from stacking.relief.options import ReliefOptions
from stacking.slab_options import Method, SlabOptions

if TYPE_CHECKING:
    from stacking.areas_options import Area

__all__ = ["Align", "Crop", "Method", "Prefer", "StackOptions"]

PAGE_SUFFIXES = (".html", ".htm")


class Align(StrEnum):
    """Whether frames are registered, or lie on each other already."""

    AUTO = "auto"
    NONE = "none"


class Crop(StrEnum):
    """Whether the result is cut to the area that all frames have, to where anything is in focus, or keeps the whole frame."""

    AUTO = "auto"
    FOCUS = "focus"
    NONE = "none"


class Prefer(StrEnum):
    """Which of several sharp depths at one place is shown: the sharpest, the nearest, the farthest."""

    SHARPEST = "sharpest"
    NEAR = "near"
    FAR = "far"


@dataclass(frozen=True, slots=True)
class StackOptions:
    """Options of a run.

    Attributes
    ----------
    method : Method
    align : Align
    crop : Crop
    crop_aspect : float or None
        Width over height that the crop is cut to.
    crop_rectangle : (int, int, int, int) or None
        By hand: x, y, width and height in pixels of the reference frame, in place of `crop`.
    depth : Path or None
        Where the depth map is written: float32 TIFF, or 16 bit by the suffix ``.png``.
    report : Path or None
        Where the report is written: a page by the suffix ``.html``, else JSON.
    recipe : Path or None
        A recipe of colour correction, applied to the result.
    memory_bytes : int or None
        The most memory the run may take; None: as much as it needs.
    force : bool
        Write over existing files.
    relief : ReliefOptions
        What else is wanted of the depth.
    layers : Path or None
        A layered file: ``.psd``, ``.psb`` or ``.tif``.
    layer_frames : int, tuple of int, or None
        Source frames in it: how many, or which by index; None: as many as fit, at most 24.
    areas : tuple of Area
        Parts of the picture that are made otherwise, besides those of the recipe.
    slabs : SlabOptions
        Whether frames are fused in slabs.
    wide_gamut : bool
        Keep the colours of RAW frames that lie outside of sRGB, as a recipe with another output space wants.
    quality : int
        JPEG quality of a ``.jpg`` result, 1 to 100.
    threads : int or None
        Threads that compute; None: one per core. The result does not depend on it.
    """

    method: Method = Method.AUTO
    align: Align = Align.AUTO
    crop: Crop = Crop.AUTO
    crop_aspect: float | None = None
    crop_rectangle: tuple[int, int, int, int] | None = None
    depth: Path | None = None
    report: Path | None = None
    recipe: Path | None = None
    memory_bytes: int | None = None
    force: bool = False
    wide_gamut: bool = False
    quality: int = 95
    threads: int | None = None
    layers: Path | None = None
    layer_frames: int | tuple[int, ...] | None = None
    areas: tuple[Area, ...] = ()
    slabs: SlabOptions = field(default_factory=SlabOptions)
    relief: ReliefOptions = field(default_factory=ReliefOptions)

    @property
    def wants_sharpness(self) -> bool:
        """Whether the sharpness of every frame has to be kept."""
        return self.wants_page or 0 in self.slabs.sizes or self.crop is Crop.FOCUS

    @property
    def wants_page(self) -> bool:
        """Whether the report is a page."""
        return self.report is not None and self.report.suffix.lower() in PAGE_SUFFIXES

    @property
    def wants_depth(self) -> bool:
        """Whether anything is made of the depth."""
        by_depth = any(area.wants_depth for area in self.areas)
        return self.depth is not None or bool(self.relief.targets()) or by_depth
