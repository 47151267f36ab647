"""What is told of the optics, read and checked; light, for it is read before anything is opened."""

from __future__ import annotations

from collections.abc import Iterable

from capture.errors import UsageError
from capture.lengths import parse_um
from capture.settings import Settings

# The smallest pixels made have 0.5 um, the largest of cameras, binned, some tens.
_PIXELS_UM = (0.2, 50.0)
# Two of the smallest pixels, to several times what plates of large format ask.
_COCS_UM = (0.2, 1000.0)
_TUBE_LENSES_MM = (10.0, 2000.0)
_UM_PER_MM = 1000.0


def pixel_pitch_um(settings: Settings, flag: str | None) -> float | None:
    """The sensor's pixel pitch as given, or as set; None where it is neither.

    Raises
    ------
    UsageError
        For no length, or one that no pixel has.
    """
    told = parse_um(flag, what="--pixel") if flag is not None else settings.choose("pixel_um", None)
    return None if told is None else _within(told, _PIXELS_UM, "pixel pitch", "um", "--pixel 4um")


def circle_of_confusion_um(settings: Settings, flag: str | None) -> float | None:
    """Diameter of the circle of confusion as given, or as set; None where it is neither.

    Raises
    ------
    UsageError
    """
    told = parse_um(flag, what="--coc") if flag is not None else settings.choose("coc_um", None)
    return None if told is None else _within(told, _COCS_UM, "circle of confusion", "um", "--coc 30um")


def focal_length_mm(text: str, what: str) -> float:
    """Focal length of a tube lens; `what` is the option's name.

    Raises
    ------
    UsageError
        Also for a number without a unit, which would be micrometres.
    """
    found = parse_um(text, what=what) / _UM_PER_MM
    return _within(found, _TUBE_LENSES_MM, "focal length of a tube lens", "mm", f"{what} 200mm")


def parse_f_numbers(texts: Iterable[str]) -> tuple[float, ...]:
    """F-numbers as people write them, ``2.8,4,f/5.6``; each once, in the order given.

    Raises
    ------
    UsageError
    """
    found: dict[float, None] = {}
    for text in texts:
        for part in text.split(","):
            try:
                found[float(part.strip().lower().removeprefix("f/"))] = None
            except ValueError:
                raise UsageError(
                    f"--f-number: '{part.strip()}' is no f-number",
                    remedy="Give one as marked on the lens, or several with commas between: --f-number 2.8,4,5.6.",
                ) from None
    return tuple(found)


def _within(value: float, limits: tuple[float, float], name: str, unit: str, example: str) -> float:
    low, high = limits
    if not low <= value <= high:
        raise UsageError(
            f"a {name} of {value:g} {unit} cannot be ({low:g} to {high:g} {unit})",
            remedy=f"Give it with its unit, for example {example}.",
        )
    return value
