"""Which parts of the picture are made otherwise than the rest, as frozen values of a recipe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from stacking.layer_options import parse_frame_list
from stacking.options import Method, Prefer

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Area(BaseModel):
    """A part of the picture, and what serves it.

    Where: all of `mask`, `polygon`, `depth` and `confidence_below` that are given must hold; none: the whole picture.
    What: either `slab`, or any of `frames`, `method` and `prefer`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = ""
    mask: str | None = None
    """A painted picture as large as the result or as a frame: white, or opaque where it has transparency, is the area."""
    polygon: tuple[tuple[Share, Share], ...] = ()
    """Corners, as shares of the result's width and height."""
    depth: tuple[float, float] | None = None
    """From and to, in the depth file's unit."""
    confidence_below: Share | None = None
    """Where the depth is less sure than that."""
    frames: str | None = None
    """Such as ``3,7-9``, counted from 1 in the order of the stack."""
    slab: Annotated[int, Field(ge=1)] | None = None
    """Number of a slab of frames, counted from 1."""
    method: Method | None = None
    prefer: Prefer | None = None
    feather_px: float = Field(default=12.0, ge=0, le=500)
    level: bool = True
    """Whether brightness and colour are matched along the seam."""

    @field_validator("polygon")
    @classmethod
    def _has_an_inside(cls, points: tuple[Any, ...]) -> tuple[Any, ...]:
        if 0 < len(points) < 3:
            raise ValueError("a polygon has three corners or more")
        return points

    @field_validator("frames")
    @classmethod
    def _frames_are_named(cls, text: str | None) -> str | None:
        if text is not None:
            try:
                parse_frame_list(text, what="frames")
            except Exception as error:
                raise ValueError(str(error)) from error
        return text

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.depth is not None and self.depth[0] >= self.depth[1]:
            raise ValueError("the depth goes from the smaller to the larger")
        asked = [self.frames is not None, self.method is not None, self.prefer is not None]
        if self.slab is not None and any(asked):
            raise ValueError("give a slab, or frames, method and prefer")
        if self.slab is None and not any(asked):
            raise ValueError("say what serves the area: frames, slab, method or prefer")
        return self

    @property
    def label(self) -> str:
        """What messages call it."""
        return f"area '{self.name}'" if self.name else "an area"

    @property
    def wants_depth(self) -> bool:
        """Whether the depth says where it is."""
        return self.depth is not None or self.confidence_below is not None

    @property
    def everywhere(self) -> bool:
        """Whether it is the whole picture."""
        return self.mask is None and not self.polygon and not self.wants_depth

    def frame_indices(self) -> tuple[int, ...] | None:
        """Its frames, counted from 0; None: all."""
        return None if self.frames is None else parse_frame_list(self.frames, what="frames")

    def beside(self, folder: Path) -> Area:
        """With its mask looked for from `folder`, where the recipe is."""
        return self if self.mask is None else self.model_copy(update={"mask": str(folder / self.mask)})


def preferring(prefer: Prefer, mask: Path | None) -> tuple[Area, ...]:
    """The areas that ``--prefer`` and ``--prefer-in`` ask for."""
    if prefer is Prefer.SHARPEST:
        return ()
    return (Area(prefer=prefer, mask=None if mask is None else str(mask.absolute()), name=f"prefer {prefer}"),)


def areas_of(record: Sequence[Any]) -> tuple[Area, ...]:
    """Areas from plain values, as a record keeps them."""
    return tuple(Area.model_validate(values) for values in record)
