"""The options of ``finish`` as they are typed, turned into the steps of a recipe.

=================  =========================================================================================
``--crop``         ``x,y,width,height`` in pixels, an aspect ratio (``3:2``), or ``none``
``--white-balance``  a light (``5200K``, with tint ``5200K,10``), a gray point (``gray:812,430``), factors
                   (``gains:1.1,1,0.9``), or ``as-shot``
``--exposure``     stops: ``0.3``
``--levels``       ``auto``, ``auto:low,high`` in percent, or ``black,white`` and gamma: ``0.02,0.98,1.1``
``--curves``       points ``in:out``: ``0.25:0.2,0.75:0.8``
``--hue``          degrees: ``-10``
``--saturation``   factor: ``1.1``
``--sharpen``      amount, radius in pixels, threshold: ``0.6`` or ``0.6,1.2`` or ``0.6,1.2,0.01``
=================  =========================================================================================

Levels and curves are shares of full scale.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from stacking.errors import StackingUsageError
from stacking.finish.recipe import (
    CropStep,
    CurvesStep,
    ExposureStep,
    HueSaturationStep,
    LevelsStep,
    Recipe,
    SharpenStep,
    WhiteBalanceStep,
    first_fault,
    read_recipe,
)

Step = TypeVar("Step")

_ASPECT = re.compile(r"(\d+(?:\.\d+)?):(\d+(?:\.\d+)?)")
_KELVIN = re.compile(r"(\d+(?:\.\d+)?)\s*[kK](?:\s*,\s*([+-]?\d+(?:\.\d+)?))?")


def recipe_from_options(
    recipe: Path | None = None,
    *,
    crop: str | None = None,
    white_balance: str | None = None,
    exposure: str | None = None,
    levels: str | None = None,
    curves: str | None = None,
    hue: str | None = None,
    saturation: str | None = None,
    sharpen: str | None = None,
) -> Recipe:
    """A recipe from a file and options; an option replaces the file's step.

    Raises
    ------
    StackingUsageError
        For an option that cannot be understood, with its syntax as the remedy.
    """
    base = Recipe() if recipe is None else read_recipe(recipe)
    steps: dict[str, Any] = {}
    for field, text, parse in (
        ("crop", crop, parse_crop),
        ("white_balance", white_balance, parse_white_balance),
        ("exposure", exposure, parse_exposure),
        ("levels", levels, parse_levels),
        ("curves", curves, parse_curves),
        ("sharpen", sharpen, parse_sharpen),
    ):
        if text is not None:
            steps[field] = parse(text)
    if hue is not None or saturation is not None:
        steps["hue_saturation"] = parse_hue_saturation(hue, saturation, base.hue_saturation)
    return base.model_copy(update=steps)


def parse_crop(text: str) -> CropStep | None:
    """``x,y,width,height``, ``3:2``, or ``none``."""
    remedy = "Give --crop x,y,width,height in pixels, for example 100,80,3000,2000, or an aspect ratio such as 3:2."
    if text.strip() == "none":
        return None
    ratio = _ASPECT.fullmatch(text.strip())
    if ratio and float(ratio[2]) > 0:
        return _step("crop", text, remedy, lambda: CropStep(aspect=float(ratio[1]) / float(ratio[2])))
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
    """``in:out,in:out,...``."""
    remedy = "Give --curves as points in:out, shares of full scale that rise, for example 0.25:0.2,0.75:0.8."
    points: list[tuple[float, float]] = []
    for part in text.split(","):
        before, colon, after = part.partition(":")
        try:
            points.append((float(before), float(after)))
        except ValueError:
            why = f"'{part.strip()}' is not in:out" if not colon else f"'{part.strip()}' is not two numbers"
            raise _refused("curves", text, why, remedy) from None
    return _step("curves", text, remedy, lambda: CurvesStep(points=tuple(points)))


def parse_hue_saturation(
    hue: str | None, saturation: str | None, base: HueSaturationStep | None = None
) -> HueSaturationStep:
    """Degrees and factor, each over the one in `base`."""
    values: dict[str, Any] = {} if base is None else base.model_dump()
    if hue is not None:
        remedy = "Give --hue in degrees between -360 and 360, for example -10."
        (degrees,) = _numbers("hue", hue, hue, (1,), remedy)
        values["hue_degrees"] = degrees
        _step("hue", hue, remedy, lambda: HueSaturationStep(**values))
    remedy = "Give --saturation as a factor between 0 and 5, for example 1.1."
    if saturation is not None:
        (values["saturation"],) = _numbers("saturation", saturation, saturation, (1,), remedy)
    return _step("saturation", saturation or "", remedy, lambda: HueSaturationStep(**values))


def parse_sharpen(text: str) -> SharpenStep:
    """``amount``, ``amount,radius`` or ``amount,radius,threshold``."""
    remedy = "Give --sharpen amount (0 to 10), and if wanted radius in pixels (0.3 to 50) and threshold, as 0.6,1.2."
    amount, *rest = _numbers("sharpen", text, text, (1, 2, 3), remedy)
    names = dict(zip(("radius_px", "threshold"), rest, strict=False))
    return _step("sharpen", text, remedy, lambda: SharpenStep(amount=amount, **names))


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
