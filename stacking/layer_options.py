"""How layered files are asked for."""

from __future__ import annotations

import re

from stacking.errors import StackingUsageError

_FRAMES = re.compile(r"(\d{1,6})(?:-(\d{1,6}))?")
LAYER_SUFFIXES = (".psd", ".psb", ".tif", ".tiff")


def parse_layer_frames(text: str | None) -> int | tuple[int, ...] | None:
    """``auto``, ``none``, a number of frames, or which ones: ``3,7-9``, counted from 1 in the order of the stack.

    Returns
    -------
    int, tuple of int, or None
        A number, indices from 0, or None for auto.

    Raises
    ------
    StackingUsageError
    """
    if text is None or text == "auto":
        return None
    if text == "none":
        return 0
    if text.isdigit():
        return int(text)
    return parse_frame_list(text, what="--layer-frames")


def parse_frame_list(text: str, *, what: str) -> tuple[int, ...]:
    """Frames such as ``3,7-9``, counted from 1, as indices from 0.

    Raises
    ------
    StackingUsageError
    """
    found: set[int] = set()
    for part in text.split(","):
        match = _FRAMES.fullmatch(part.strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not 1 <= first <= last:
            raise StackingUsageError(
                f"{what} {text}: '{part.strip()}' names no frames",
                remedy="Count frames from 1 in the order of the stack, for example 3,7-9.",
            )
        found |= set(range(first - 1, last))
    return tuple(sorted(found))
