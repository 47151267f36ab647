"""The recipe: every step of colour correction as one frozen value, read from and written to TOML.

Steps are applied in the order of the fields: crop; noise reduction; in linear light white balance and exposure; on encoded
values levels and curves; hue and saturation; local contrast; sharpening; the output's colour space. A step that is not there
does nothing.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from stacking.areas_options import Area
from stacking.crop import parse_aspect
from stacking.errors import StackingUsageError
from stacking.finish.spaces import Profile

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Point = tuple[Share, Share]


class _Step(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class CropStep(_Step):
    """Cut to a rectangle of pixels, or to the largest centred one of an aspect ratio."""

    x: int | None = Field(default=None, ge=0)
    y: int | None = Field(default=None, ge=0)
    width: int | None = Field(default=None, gt=0)
    height: int | None = Field(default=None, gt=0)
    aspect: Annotated[float, Field(gt=0.01, lt=100)] | None = None
    """Width over height: a number, or ``"3:2"``."""

    @field_validator("aspect", mode="before")
    @classmethod
    def _ratio(cls, value: object) -> object:
        ratio = parse_aspect(value) if isinstance(value, str) else None
        return value if ratio is None else ratio

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        corner = (self.x, self.y, self.width, self.height)
        if self.aspect is None and None in corner:
            raise ValueError("give x, y, width and height, or aspect")
        if self.aspect is not None and any(value is not None for value in corner):
            raise ValueError("give either a rectangle or aspect")
        return self


class WhiteBalanceStep(_Step):
    """What is neutral: a light's temperature and tint, a gray point of the picture, its brightest part, or factors.

    A temperature above 6500 K makes the picture warmer, as RAW converters have it; a positive tint makes it more magenta.
    """

    temperature_k: Annotated[float, Field(ge=1700, le=25000)] | None = None
    tint: float = Field(default=0.0, ge=-150, le=150)
    gray: tuple[int, int] | None = None
    """Column and row of the uncropped picture."""
    brightest_percent: float | None = Field(default=None, gt=0, le=50)
    """So much of the picture, what is brightest in it, becomes neutral in the mean: for a ground that is to be white."""
    gains: tuple[float, float, float] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = (self.temperature_k, self.gray, self.brightest_percent, self.gains)
        if sum(way is not None for way in ways) != 1:
            raise ValueError("give one of temperature_k, gray, brightest_percent and gains")
        if self.gains is not None and not all(0.01 <= gain <= 100 for gain in self.gains):
            raise ValueError("gains lie between 0.01 and 100")
        if self.gray is not None and min(self.gray) < 0:
            raise ValueError("the gray point lies outside the picture")
        return self


class ExposureStep(_Step):
    """Brightness in stops, in linear light."""

    stops: float = Field(ge=-10, le=10)


class LevelsStep(_Step):
    """Black and white point and the middle's gamma, on encoded values.

    Where `auto`, black is the low percentile of the smallest channel and white the high percentile of the largest one.
    """

    auto: bool = False
    black: Share = 0.0
    white: Share = 1.0
    gamma: float = Field(default=1.0, ge=0.1, le=10)
    """Above 1 the middle gets brighter."""
    low_percentile: float = Field(default=0.1, ge=0, le=49)
    high_percentile: float = Field(default=99.9, ge=51, le=100)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.black >= self.white:
            raise ValueError("black must be below white")
        return self


def _rising(points: tuple[Point, ...]) -> tuple[Point, ...]:
    for (x, y), (next_x, next_y) in pairwise(points):
        if next_x <= x:
            raise ValueError("the points' inputs must rise")
        if next_y < y:
            raise ValueError("the points' outputs must not fall")
    return points


class CurvesStep(_Step):
    """Smooth monotone curves through points (input, output), on encoded values; (0, 0) and (1, 1) are there unless given."""

    points: tuple[Point, ...] = ()
    red: tuple[Point, ...] = ()
    green: tuple[Point, ...] = ()
    blue: tuple[Point, ...] = ()

    @model_validator(mode="after")
    def _all_rising(self) -> Self:
        for curve in (self.points, self.red, self.green, self.blue):
            _rising(curve)
        return self


HUES = {"red": 29.0, "orange": 65.0, "yellow": 110.0, "green": 142.0, "cyan": 195.0, "blue": 264.0, "magenta": 328.0}
"""Hues by name, degrees in OkLCh."""


class ColourRange(_Step):
    """A change for colours round one hue only; it fades out over half its width."""

    centre_degrees: float
    """Hue in OkLCh: `HUES` has those with names."""
    width_degrees: float = Field(default=60.0, gt=0, le=360)
    hue_degrees: float = Field(default=0.0, ge=-180, le=180)
    saturation: float = Field(default=1.0, ge=0, le=5)


class HueSaturationStep(_Step):
    """Turn of the hue and factor of the colourfulness at constant lightness; vibrance favours pale colours."""

    hue_degrees: float = Field(default=0.0, ge=-360, le=360)
    saturation: float = Field(default=1.0, ge=0, le=5)
    vibrance: float = Field(default=0.0, ge=-1, le=1)
    ranges: tuple[ColourRange, ...] = ()


class DenoiseStep(_Step):
    """Noise reduction where nothing was in focus: what has no more detail than noise has is smoothed, the rest is left alone.

    `threshold` is the noise's contrast, shares of full scale; measured in the picture's smoothest parts unless given.
    """

    strength: float = Field(default=1.0, ge=0, le=1)
    radius_px: float = Field(default=2.5, ge=0.5, le=20)
    threshold: Annotated[float, Field(gt=0, le=0.2)] | None = None


class LocalContrastStep(_Step):
    """Contrast of the luma against its surroundings (edge-preserving, so without halos); black and white stay."""

    amount: float = Field(ge=-1, le=2)
    radius_px: float = Field(default=40.0, ge=8, le=500)


class SharpenStep(_Step):
    """Sharpening of the luma; `threshold` is the contrast under which the background is spared.

    ``unsharp`` adds what a blur of `radius_px` takes away; ``deconvolve`` undoes such a blur (Van Cittert 1931, Jansson 1970).
    """

    amount: float = Field(ge=0, le=10)
    radius_px: float = Field(default=1.0, ge=0.3, le=50)
    threshold: float = Field(default=0.006, ge=0, le=1)
    method: Literal["unsharp", "deconvolve"] = "unsharp"
    iterations: int = Field(default=8, ge=1, le=50)
    """Of the deconvolution."""

    @model_validator(mode="after")
    def _small_enough(self) -> Self:
        if self.method == "deconvolve" and self.radius_px > 5:
            raise ValueError("a deconvolution's radius is at most 5 pixels")
        return self


class OutputStep(_Step):
    """The colour space of the result; its profile is embedded."""

    profile: Profile


class Recipe(_Step):
    """Every step of a picture's colour correction."""

    version: Literal[1] = 1
    name: str = ""
    description: str = ""
    crop: CropStep | None = None
    denoise: DenoiseStep | None = None
    white_balance: WhiteBalanceStep | None = None
    exposure: ExposureStep | None = None
    levels: LevelsStep | None = None
    curves: CurvesStep | None = None
    hue_saturation: HueSaturationStep | None = None
    local_contrast: LocalContrastStep | None = None
    sharpen: SharpenStep | None = None
    output: OutputStep | None = None
    areas: tuple[Area, ...] = ()
    """Parts of a stack that are made otherwise; a picture by itself has none."""

    @property
    def wants_wide_gamut(self) -> bool:
        """Whether the output holds colours that sRGB has not."""
        return self.output is not None and self.output.profile is not Profile.SRGB

    def to_toml(self) -> str:
        """The recipe as a TOML file's text: reading it gives an equal recipe."""
        values = self.model_dump(exclude_none=True, mode="json")
        areas = values.pop("areas")
        lines = list(_toml_lines(values))
        for area in areas:
            lines += [
                "",
                "[[areas]]",
                *_toml_lines({name: value for name, value in area.items() if value not in ("", [])}),
            ]
        return "\n".join(lines) + "\n"


# What is wanted where pydantic's fault begins with the key.
_WANTED = {
    "float": "a number",
    "int": "a whole number",
    "finite_number": "a finite number",
    "bool": "true or false",
    "string": "a text",
    "tuple": "a list",
    "list": "a list",
    "model": "a table of values",
    "dict": "a table of values",
}


def read_recipe(path: Path) -> Recipe:
    """Read a recipe file, or one that comes along by its name.

    Raises
    ------
    StackingUsageError
        Where it cannot be read, is no TOML, or holds a step that does not exist or makes no sense.
    """
    if not path.exists() and path.name in shipped_recipes():
        return shipped_recipe(path.name)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StackingUsageError(
            f"the recipe {path} cannot be read: {_why_unread(error)}",
            remedy=f"Name a recipe's TOML file. {_shipped_hint()}",
        ) from error
    recipe = parse_recipe(text, origin=str(path))
    return recipe.model_copy(update={"areas": tuple(area.beside(path.absolute().parent) for area in recipe.areas)})


def parse_recipe(text: str, *, origin: str = "the recipe") -> Recipe:
    """A recipe from TOML text; `origin` is named in errors.

    Raises
    ------
    StackingUsageError
        As `read_recipe`.
    """
    try:
        return Recipe.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise StackingUsageError(f"{origin} is no TOML: {error}", remedy="Correct the file.") from error
    except ValidationError as error:
        raise StackingUsageError(f"{origin}: {first_fault(error)}", remedy="Correct the file.") from error


def shipped_recipes() -> list[str]:
    """Names of the recipes that come with the program."""
    return sorted(
        entry.name.removesuffix(".toml") for entry in _shipped_folder().iterdir() if entry.name.endswith(".toml")
    )


def shipped_recipe(name: str) -> Recipe:
    """A recipe that comes with the program.

    Raises
    ------
    StackingUsageError
        Where there is none of that name.
    """
    if name not in shipped_recipes():
        raise StackingUsageError(f"no recipe is called '{name}'", remedy=_shipped_hint())
    return parse_recipe((_shipped_folder() / f"{name}.toml").read_text(encoding="utf-8"), origin=f"recipe '{name}'")


def first_fault(error: ValidationError) -> str:
    """Where and why a recipe is refused, in one line."""
    fault = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in fault["loc"]) or "the recipe"
    return f"{place}: {_own_words(fault)}"


def _own_words(fault: ErrorDetails) -> str:
    kind, context = fault["type"], fault.get("ctx", {})
    bounds = {"greater_than": "gt", "greater_than_equal": "ge", "less_than": "lt", "less_than_equal": "le"}
    if kind in bounds:
        relation = {"gt": "greater than", "ge": "at least", "lt": "less than", "le": "at most"}[bounds[kind]]
        return f"{fault['input']} is outside of what it may be: {relation} {context[bounds[kind]]}"
    if kind in ("too_short", "too_long"):
        side, limit = ("fewer", "min_length") if kind == "too_short" else ("more", "max_length")
        return f"{context['actual_length']} values are {side} than the {context[limit]} that belong there"
    if kind in ("literal_error", "enum"):
        return f"{fault['input']!r} is none of {context['expected']}"
    if kind == "value_error":
        return str(context["error"])
    wanted = next((words for start, words in _WANTED.items() if kind.startswith(start)), None)
    if wanted is not None:
        return f"{fault['input']!r} is not {wanted}"
    return {"extra_forbidden": "there is no such step or value", "missing": "a value is missing"}.get(
        kind, str(fault["msg"])
    )


def _why_unread(error: OSError | UnicodeDecodeError) -> str:
    return str(error.strerror or error) if isinstance(error, OSError) else "it is no text in UTF-8"


def _shipped_folder() -> Any:
    return files("stacking.finish") / "recipes"


def _shipped_hint() -> str:
    return f"Recipes that come along: {', '.join(shipped_recipes())}."


def _toml_lines(table: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in table.items():
        if not isinstance(value, dict):
            yield f"{key} = {_toml_value(value)}"
    for key, value in table.items():
        if isinstance(value, dict):
            yield ""
            yield f"[{prefix}{key}]"
            yield from _toml_lines(value, f"{prefix}{key}.")


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):  # an enumeration's members too
        value = str(value)
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return '"' + "".join(f"\\u{ord(c):04x}" if ord(c) < 32 or ord(c) == 127 else c for c in escaped) + '"'
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(_toml_value(item) for item in value) + "]"
    return repr(value)
