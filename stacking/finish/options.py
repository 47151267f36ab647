"""The options of ``finish`` as they are typed, turned into the steps of a recipe.

=================  =========================================================================================
``--crop``         ``x,y,width,height`` in pixels, an aspect ratio (``3:2``), or ``none``
``--white-balance``  a light (``5200K``, with tint ``5200K,10``), a gray point (``gray:812,430``), factors
                   (``gains:1.1,1,0.9``), or ``as-shot``
``--denoise``      strength 0 to 1, radius in pixels, noise: ``1`` or ``1,2.5`` or ``1,2.5,0.01``
``--exposure``     stops: ``0.3``
``--levels``       ``auto``, ``auto:low,high`` in percent, or ``black,white`` and gamma: ``0.02,0.98,1.1``
``--curves``       points ``in:out``: ``0.25:0.2,0.75:0.8``; of one channel ``blue=0.5:0.52``; several between ``;``
``--hue``          degrees: ``-10``; of some colours ``red:-10,blue:5``
``--saturation``   factor: ``1.1``; of some colours ``1.05,green:0.8``
``--vibrance``     -1 to 1
``--local-contrast``  amount -1 to 2, radius in pixels: ``0.3`` or ``0.3,60``
``--sharpen``      amount, radius in pixels, threshold: ``0.6`` or ``0.6,1.2`` or ``0.6,1.2,0.01``; ``deconvolve:1,0.9``
``--profile``      ``srgb``, ``display-p3``, ``adobe-rgb`` or ``prophoto``
=================  =========================================================================================

Levels and curves are shares of full scale.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from stacking.crop import parse_aspect
from stacking.errors import StackingUsageError
from stacking.finish.recipe import (
    HUES,
    CropStep,
    CurvesStep,
    DenoiseStep,
    ExposureStep,
    HueSaturationStep,
    LevelsStep,
    LocalContrastStep,
    OutputStep,
    Recipe,
    SharpenStep,
    WhiteBalanceStep,
    first_fault,
    read_recipe,
)
from stacking.finish.spaces import Profile

Step = TypeVar("Step")

_KELVIN = re.compile(r"(\d+(?:\.\d+)?)\s*[kK](?:\s*,\s*([+-]?\d+(?:\.\d+)?))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishTexts:
    """The options of ``finish`` as typed; None: not given."""

    crop: str | None = None
    denoise: str | None = None
    white_balance: str | None = None
    exposure: str | None = None
    levels: str | None = None
    curves: str | None = None
    hue: str | None = None
    saturation: str | None = None
    vibrance: str | None = None
    local_contrast: str | None = None
    sharpen: str | None = None
    profile: str | None = None


def recipe_from_options(recipe: Path | None = None, texts: FinishTexts | None = None, **given: str | None) -> Recipe:
    """A recipe from a file and options; an option replaces the file's step.

    Parameters
    ----------
    recipe : Path or None
    texts : FinishTexts, optional
    given : str or None
        In place of `texts`.

    Raises
    ------
    StackingUsageError
        For an option that cannot be understood, with its syntax as the remedy.
    """
    base = Recipe() if recipe is None else read_recipe(recipe)
    asked = FinishTexts(**given) if texts is None else texts
    steps: dict[str, Any] = {}
    for field, text, parse in (
        ("crop", asked.crop, parse_crop),
        ("denoise", asked.denoise, parse_denoise),
        ("white_balance", asked.white_balance, parse_white_balance),
        ("exposure", asked.exposure, parse_exposure),
        ("levels", asked.levels, parse_levels),
        ("curves", asked.curves, parse_curves),
        ("local_contrast", asked.local_contrast, parse_local_contrast),
        ("sharpen", asked.sharpen, parse_sharpen),
        ("output", asked.profile, parse_profile),
    ):
        if text is not None:
            steps[field] = parse(text)
    if (asked.hue, asked.saturation, asked.vibrance) != (None, None, None):
        steps["hue_saturation"] = parse_hue_saturation(
            asked.hue, asked.saturation, asked.vibrance, base=base.hue_saturation
        )
    return base.model_copy(update=steps)


def parse_crop(text: str) -> CropStep | None:
    """``x,y,width,height``, ``3:2``, or ``none``."""
    remedy = "Give --crop x,y,width,height in pixels, for example 100,80,3000,2000, or an aspect ratio such as 3:2."
    if text.strip() == "none":
        return None
    aspect = parse_aspect(text)
    if aspect is not None:
        return _step("crop", text, remedy, lambda: CropStep(aspect=aspect))
    try:
        x, y, width, height = (int(part) for part in text.split(","))
    except ValueError:
        raise _refused("crop", text, "it is not four whole numbers", remedy) from None
    return _step("crop", text, remedy, lambda: CropStep(x=x, y=y, width=width, height=height))


def parse_white_balance(text: str) -> WhiteBalanceStep | None:
    """``5200K``, ``5200K,10``, ``gray:x,y``, ``gains:r,g,b``, or ``as-shot``."""
    remedy = "Give --white-balance 5200K, 5200K,10 (with tint), gray:812,430 (a point), gains:1.1,1,0.9, or as-shot."
    what, _, rest = text.strip().partition(":")
    if text.strip() == "as-shot":
        return None
    light = _KELVIN.fullmatch(text.strip())
    if light:
        return _step(
            "white-balance",
            text,
            remedy,
            lambda: WhiteBalanceStep(temperature_k=float(light[1]), tint=float(light[2] or 0)),
        )
    if what in ("gray", "grey"):
        column, row = _numbers("white-balance", text, rest, (2,), remedy)
        return _step("white-balance", text, remedy, lambda: WhiteBalanceStep(gray=(int(column), int(row))))
    if what == "gains":
        red, green, blue = _numbers("white-balance", text, rest, (3,), remedy)
        return _step("white-balance", text, remedy, lambda: WhiteBalanceStep(gains=(red, green, blue)))
    raise _refused("white-balance", text, "it names no light, point or factors", remedy)


def parse_exposure(text: str) -> ExposureStep:
    """Stops."""
    remedy = "Give --exposure in stops between -10 and 10, for example 0.3."
    (stops,) = _numbers("exposure", text, text, (1,), remedy)
    return _step("exposure", text, remedy, lambda: ExposureStep(stops=stops))


def parse_levels(text: str) -> LevelsStep:
    """``auto``, ``auto:low,high``, ``black,white`` or ``black,white,gamma``."""
    remedy = "Give --levels auto, or black,white (and gamma) as shares of full scale, for example 0.02,0.98."
    what, _, rest = text.strip().partition(":")
    if what == "auto":
        if not rest:
            return LevelsStep(auto=True)
        low, high = _numbers("levels", text, rest, (2,), remedy)
        return _step("levels", text, remedy, lambda: LevelsStep(auto=True, low_percentile=low, high_percentile=high))
    black, white, *gamma = _numbers("levels", text, text, (2, 3), remedy)
    return _step("levels", text, remedy, lambda: LevelsStep(black=black, white=white, gamma=gamma[0] if gamma else 1.0))


def parse_curves(text: str) -> CurvesStep:
    """``in:out,in:out,...``, of one channel ``blue=in:out,...``; several between ``;``."""
    remedy = (
        "Give --curves as points in:out, shares of full scale that rise: 0.25:0.2,0.75:0.8; of a channel blue=0.5:0.52."
    )
    curves: dict[str, tuple[tuple[float, float], ...]] = {}
    for part in text.split(";"):
        channel, equals, points = part.rpartition("=")
        name = channel.strip() if equals else "points"
        if name not in CurvesStep.model_fields or name in curves:
            raise _refused("curves", text, f"'{name}' is no channel, or there twice", remedy)
        curves[name] = _points(text, points, remedy)
    return _step("curves", text, remedy, lambda: CurvesStep(**curves))


def _points(whole: str, text: str, remedy: str) -> tuple[tuple[float, float], ...]:
    points: list[tuple[float, float]] = []
    for part in text.split(","):
        before, colon, after = part.partition(":")
        try:
            points.append((float(before), float(after)))
        except ValueError:
            why = f"'{part.strip()}' is not in:out" if not colon else f"'{part.strip()}' is not two numbers"
            raise _refused("curves", whole, why, remedy) from None
    return tuple(points)


def parse_hue_saturation(
    hue: str | None, saturation: str | None, vibrance: str | None = None, *, base: HueSaturationStep | None = None
) -> HueSaturationStep:
    """Degrees, factors and vibrance, each over the one in `base`; of all colours or of some: ``1.05,green:0.8``."""
    values: dict[str, Any] = {} if base is None else base.model_dump()
    ranges = {kept["centre_degrees"]: kept for kept in values.get("ranges", ())}
    for option, text, all_colours, some, remedy in (
        ("hue", hue, "hue_degrees", "hue_degrees", "Give --hue in degrees: -10; of some colours red:-10,blue:5."),
        ("saturation", saturation, "saturation", "saturation", "Give --saturation as a factor: 1.1; of some: red:1.2."),
    ):
        if text is None:
            continue
        for name, number in _coloured(option, text, remedy):
            if name is None:
                values[all_colours] = number
            else:
                ranges.setdefault(HUES[name], {"centre_degrees": HUES[name]})[some] = number
        values["ranges"] = tuple(ranges.values())
        _step(option, text, remedy, lambda: HueSaturationStep(**values))
    if vibrance is not None:
        remedy = "Give --vibrance between -1 and 1, for example 0.2."
        (values["vibrance"],) = _numbers("vibrance", vibrance, vibrance, (1,), remedy)
        _step("vibrance", vibrance, remedy, lambda: HueSaturationStep(**values))
    return HueSaturationStep(**values)


def _coloured(option: str, text: str, remedy: str) -> Iterator[tuple[str | None, float]]:
    """``1.1,green:0.8`` as (None, 1.1), ("green", 0.8)."""
    seen: set[str] = set()
    for part in text.split(","):
        name, colon, number = part.rpartition(":")
        if colon and name.strip() not in HUES:
            raise _refused(option, text, f"'{name.strip()}' is none of the colours {', '.join(HUES)}", remedy)
        if name.strip() in seen:
            raise _refused(option, text, "one colour is there twice", remedy)
        seen.add(name.strip())
        (value,) = _numbers(option, text, number, (1,), remedy)
        yield (name.strip() if colon else None), value


def parse_denoise(text: str) -> DenoiseStep | None:
    """``strength``, ``strength,radius``, ``strength,radius,noise``, or ``none``."""
    remedy = "Give --denoise strength (0 to 1), and if wanted radius in pixels and the noise's contrast, as 1,2.5,0.01."
    if text.strip() == "none":
        return None
    strength, *rest = _numbers("denoise", text, text, (1, 2, 3), remedy)
    names = dict(zip(("radius_px", "threshold"), rest, strict=False))
    return _step("denoise", text, remedy, lambda: DenoiseStep(strength=strength, **names))


def parse_local_contrast(text: str) -> LocalContrastStep:
    """``amount`` or ``amount,radius``."""
    remedy = "Give --local-contrast amount (-1 to 2), and if wanted radius in pixels (8 to 500), as 0.3,60."
    amount, *rest = _numbers("local-contrast", text, text, (1, 2), remedy)
    names = dict(zip(("radius_px",), rest, strict=False))
    return _step("local-contrast", text, remedy, lambda: LocalContrastStep(amount=amount, **names))


def parse_sharpen(text: str) -> SharpenStep:
    """``amount``, ``amount,radius`` or ``amount,radius,threshold``; ``deconvolve:`` before them."""
    remedy = (
        "Give --sharpen amount (0 to 10), and if wanted radius in pixels (0.3 to 50) and threshold, as 0.6,1.2; "
        "or deconvolve:1,0.9 with the radius of the blur that is undone."
    )
    way, colon, rest = text.strip().partition(":")
    if colon and way not in ("unsharp", "deconvolve"):
        raise _refused("sharpen", text, f"'{way}' is no way to sharpen", remedy)
    amount, *others = _numbers("sharpen", text, rest if colon else text, (1, 2, 3), remedy)
    names: dict[str, Any] = dict(zip(("radius_px", "threshold"), others, strict=False))
    if colon:
        names["method"] = way
    return _step("sharpen", text, remedy, lambda: SharpenStep(amount=amount, **names))


def parse_profile(text: str) -> OutputStep | None:
    """A colour space by name, or ``none``: that of the frames."""
    if text.strip() == "none":
        return None
    try:
        return OutputStep(profile=Profile(text.strip().lower()))
    except ValueError:
        raise _refused("profile", text, "there is no such profile", f"Give one of {', '.join(Profile)}.") from None


def _numbers(option: str, whole: str, text: str, counts: tuple[int, ...], remedy: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        raise _refused(option, whole, "it holds something that is no number", remedy) from None
    if len(numbers) not in counts:
        raise _refused(option, whole, f"it holds {len(numbers)} numbers", remedy)
    return numbers


def _step(option: str, text: str, remedy: str, make: Callable[[], Step]) -> Step:
    try:
        return make()
    except (ValueError, OverflowError) as error:  # pydantic's error is a ValueError
        why = first_fault(error) if isinstance(error, ValidationError) else str(error)
        raise _refused(option, text, why, remedy) from error


def _refused(option: str, text: str, why: str, remedy: str) -> StackingUsageError:
    return StackingUsageError(f"--{option} {text}: {why}", remedy=remedy)
