"""Which slabs are wanted, as one frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from stacking.errors import StackingUsageError


class Method(StrEnum):
    """How frames are merged."""

    AUTO = "auto"
    PYRAMID = "pyramid"
    DEPTHMAP = "depthmap"
    AVERAGE = "average"


@dataclass(frozen=True, slots=True)
class SlabOptions:
    """Slabs of frames, and slabs of slabs.

    Attributes
    ----------
    sizes : tuple of int
        Frames of a slab, then slabs of a slab, and so on; 0: from the depth of field; empty: no slabs.
    overlap : int or None
        Frames that neighbours share; None: a quarter of the size, or a depth of field where the size is automatic.
    method : Method or None
        How slabs' pictures are merged to the result; None: the result is made of the frames, as without slabs.
    folder : Path or None
        Where they are written; None: beside the result, in a folder of its name.
    """

    sizes: tuple[int, ...] = ()
    overlap: int | None = None
    method: Method | None = None
    folder: Path | None = None


def parse_slab(text: str) -> tuple[int, ...]:
    """``5``, ``auto``, or ``5,4``: slabs of 5 frames, then slabs of 4 slabs.

    Raises
    ------
    StackingUsageError
    """
    sizes: list[int] = []
    for part in text.split(","):
        word = part.strip()
        if word == "auto" and not sizes:
            sizes.append(0)
        elif word.isdigit() and int(word) >= 2:
            sizes.append(int(word))
        else:
            raise StackingUsageError(
                f"--slab {text}: '{word}' is no size of a slab",
                remedy="Give the frames of a slab (2 or more), auto, or 5,4 for slabs of 4 slabs of 5 frames.",
            )
    return tuple(sizes)


def slab_options_of(record: Mapping[str, Any]) -> SlabOptions:
    """Options from plain values, as a record keeps them."""
    method, folder = record.get("method"), record.get("folder")
    return SlabOptions(
        tuple(int(size) for size in record.get("sizes") or ()),
        record.get("overlap"),
        None if method is None else Method(method),
        None if folder is None else Path(folder),
    )
