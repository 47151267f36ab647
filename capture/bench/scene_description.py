"""What a scene file may hold: optics, depth, and layers from back to front."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Tint = tuple[float, float, float]
Pair = tuple[float, float]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OpticsDescription(_Strict):
    """The lens and the pixel; None where the bench's own default holds."""

    magnification: float | None = Field(None, gt=0, le=100)
    f_number: float | None = Field(None, gt=0, le=64)
    pixel_um: float | None = Field(None, gt=0, le=50)
    focal_length_mm: float | None = Field(None, gt=0)
    wavelength_um: float | None = Field(None, gt=0.2, le=2)
    pupil_ratio: float | None = Field(None, gt=0)


class DepthDescription(_Strict):
    """Where the scene begins, and how deep it is (None: 14 depths of field)."""

    near_um: float | None = None
    depth_um: float | None = Field(None, gt=0)


class LayerDescription(_Strict):
    """One layer: its kind, the depths it spans, and what its kind understands of the rest."""

    kind: Literal["ground", "plate", "hairs", "bristles"]
    depth: Pair
    direction_deg: float = 0.0
    tint: Tint = (0.3, 0.3, 0.3)
    second_tint: Tint = (0.1, 0.1, 0.1)
    textured: bool = True
    # ground
    domes: int = Field(0, ge=0, le=40)
    dome_radius: Pair = (0.08, 0.2)
    dome_height: float = Field(0.2, ge=0, le=1)
    dome_tints: tuple[Tint, ...] = ((0.3, 0.1, 0.05),)
    # plate
    at: Pair = (0.5, 0.5)
    size: float = Field(0.2, gt=0, le=2)
    mark_size: float = Field(1.0, gt=0, le=20)
    # hairs and bristles
    count: int = Field(8, ge=0, le=300)
    width_px: Pair = (2.0, 4.0)
    first_share: float = Field(0.5, ge=0, le=1)
    grow_deg: float = -90.0

    @model_validator(mode="after")
    def _is_ordered(self) -> LayerDescription:
        for name in ("dome_radius", "width_px"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ValueError(f"{name} must be two rising positive numbers")
        return self


class SceneDescription(_Strict):
    """A whole scene file."""

    optics: OpticsDescription = Field(default_factory=lambda: OpticsDescription.model_validate({}))
    depth: DepthDescription = Field(default_factory=lambda: DepthDescription.model_validate({}))
    layer: tuple[LayerDescription, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _has_a_ground(self) -> SceneDescription:
        if self.layer[0].kind != "ground":
            raise ValueError("the first layer, farthest back, must be of kind ground")
        if any(layer.kind == "ground" for layer in self.layer[1:]):
            raise ValueError("only the first layer can be of kind ground: it would hide those before it")
        return self
