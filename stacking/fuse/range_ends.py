"""The ends of the range: what no frame has clipped becomes neither white nor black.

Matched brightness, resampling, colour brought to full size and corrections all go beyond what the frames have. Where a frame is white
at a pixel (or black), its luma range reaches 255 (or 0) there, and so may the picture. Elsewhere what comes near the end is pressed
together before it: detail is kept, and rounded to eight bits it is not at the end either. Values are 8-bit units.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stacking.fuse.compiled import inlined

F32 = NDArray[np.float32]

AT_END = np.float32(0.1)
"""So near to a frame's white or black a luma is taken for it: nearer than one step of eight bits in one channel, blue counts least."""
BRIGHTEST, DARKEST = np.float32(254.0), np.float32(0.75)
"""What is approached where no frame is white, or black."""
RUN = 128
"""Pixels of a row that are looked at together: few are at an end, and a look without a branch takes many at once."""
_BRIGHT, _DARK = np.float32(250.0), np.float32(4.0)
_PER_BRIGHT, _PER_DARK = np.float32(1.0) / (BRIGHTEST - _BRIGHT), np.float32(1.0) / (_DARK - DARKEST)


@inlined
def is_white(luma: Any, white: Any) -> Any:
    """Whether a frame's luma is at the end; ``white`` is what its white has become where its brightness was matched."""
    return luma >= max(white, np.float32(255.0)) - AT_END


@inlined
def is_black(luma: Any) -> Any:
    """Whether a frame's luma is at the end."""
    return luma < AT_END


@inlined
def is_near_an_end(value: Any) -> Any:
    """Whether `within_ends` may change a value."""
    return value > _BRIGHT or value < _DARK


@inlined
def within_ends(value: Any, top: Any, bottom: Any) -> Any:
    """A value pressed together near white times ``top`` and near black times ``bottom``: 1, or 0 where a frame is at that end itself."""
    one = np.float32(1.0)
    over, under = top * max(value - _BRIGHT, np.float32(0.0)), bottom * max(_DARK - value, np.float32(0.0))
    a, b = over * _PER_BRIGHT, under * _PER_DARK
    a, b = a * a, b * b
    return value - over + over / np.sqrt(np.sqrt(one + a * a)) + under - under / np.sqrt(np.sqrt(one + b * b))


@inlined
def moved_within_ends(value: Any, change: Any) -> Any:
    """A value and a change, of which at most half of what is left to the end is done."""
    room_above = np.float32(0.5) * max(
        (BRIGHTEST if value <= BRIGHTEST else np.float32(255.0)) - value, np.float32(0.0)
    )
    room_below = np.float32(0.5) * max(value - (DARKEST if value >= DARKEST else np.float32(0.0)), np.float32(0.0))
    return value + max(min(change, room_above), -room_below)


def brightened(values: F32, factor: F32 | np.float32, top: float) -> F32:
    """Values times a factor, those below ``top`` kept below it as `within_ends` does; any shape, white at ``top``."""
    out = values * factor
    if np.max(factor) <= 1:
        return np.asarray(out, np.float32)
    scale = np.float32(255.0 / top)
    over = np.where(values < top, np.maximum(out * scale - _BRIGHT, 0), np.float32(0))
    held = over / np.sqrt(np.sqrt(1 + (over * _PER_BRIGHT) ** 4))
    return np.asarray(np.where(factor > 1, out - (over - held) / scale, out), np.float32)
