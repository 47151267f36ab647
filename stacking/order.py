"""The order of a folder's pictures: by the time they were taken, else by their names as people count.

A focus stack is shot from one end to the other, so the time order is the depth order. Seconds alone tie in a fast
sequence; a time counts only with its sub-seconds (EXIF 2.32, tags 0x9003 and 0x9291), and only where all have it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from stacking.metadata import capture_time_tags

Item = TypeVar("Item")

_DIGITS = re.compile(r"(\d+)")


class Order(StrEnum):
    """What put the frames into their order."""

    TIME = "time"
    NAME = "name"
    GIVEN = "given"
    POSITION = "position"


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key that counts as people do: ``FS-2`` before ``FS-10``, capitals beside small letters.

    Equal keys (``a1`` and ``a01``) are told apart by the text itself, so the order is total.
    """
    text = unicodedata.normalize("NFC", name)
    parts = (part for part in _DIGITS.split(text) if part)
    counted = ((1, int(part), "") if part.isdecimal() else (2, 0, part.casefold()) for part in parts)
    return (*counted, (0, 0, text))


def name_key(path: Path) -> tuple[tuple[tuple[int, int, str], ...], ...]:
    """Sort key of files by their names, which end before the suffix: ``beetle.jpg`` comes before ``beetle-2.jpg``."""
    return natural_key(path.stem), natural_key(path.name)


def capture_time(path: Path) -> datetime | None:
    """When a picture was taken, to its sub-seconds; None where either is not recorded. Never raises for a broken file."""
    tags = capture_time_tags(path)
    if tags is None:
        return None
    stamp, fraction = (text.strip("\0 ") for text in tags)
    if not fraction.isdecimal():
        return None
    try:
        whole = datetime.strptime(stamp, "%Y:%m:%d %H:%M:%S")  # noqa: DTZ007  (cameras record no zone)
    except ValueError:
        return None
    return whole + timedelta(seconds=float(f"0.{fraction}"))


def ordered(
    items: Sequence[Item], path_of: Callable[[Item], Path], time_of: Callable[[Path], datetime | None] = capture_time
) -> tuple[list[Item], Order]:
    """Items of one folder in the order they were shot: by time where every one has a time of its own, else by name."""
    by_name = sorted(items, key=lambda item: name_key(path_of(item)))
    times: list[datetime] = []
    for item in by_name:
        time = time_of(path_of(item))
        if time is None:
            return by_name, Order.NAME
        times.append(time)
    if len(set(times)) < len(times) or len(times) < 2:
        return by_name, Order.NAME
    return [item for _, item in sorted(zip(times, by_name, strict=True), key=lambda pair: pair[0])], Order.TIME
