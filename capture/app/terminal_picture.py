"""Pictures in a terminal: kitty's and iTerm2's protocols, sixels, else coloured half blocks, which every terminal shows.

References
----------
[1] kitty, "Terminal graphics protocol", https://sw.kovidgoyal.net/kitty/graphics-protocol/
[2] iTerm2, "Inline images protocol", https://iterm2.com/documentation-images.html
[3] DEC, "VT330/VT340 programmer reference manual", chapter 14 (sixels).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

_CHUNK = 4096
_LARGEST_PX = 900
_SIXEL_LEVELS = 6
_HOME = "\x1b[H"


class Graphics(StrEnum):
    """How a terminal shows pictures."""

    KITTY = "kitty"
    ITERM = "iterm"
    SIXEL = "sixel"
    BLOCKS = "blocks"


def graphics_of(environment: Mapping[str, str]) -> Graphics:
    """What the terminal can, by the names it gives itself."""
    term, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    if environment.get("TMUX") or term.startswith(("screen", "tmux")):
        return Graphics.BLOCKS  # which passes nothing else on
    if "kitty" in term or "KITTY_WINDOW_ID" in environment or program in {"ghostty", "WezTerm"}:
        return Graphics.KITTY
    if program == "iTerm.app" or environment.get("LC_TERMINAL") == "iTerm2":
        return Graphics.ITERM
    if "sixel" in term or term.startswith(("foot", "mlterm", "yaft")):
        return Graphics.SIXEL
    return Graphics.BLOCKS


def render(picture: Picture, how: Graphics, columns: int, rows: int, *, true_color: bool = True) -> str:
    """Text that draws `picture` (BGR) from the terminal's upper left corner, at most `columns` x `rows` characters large."""
    match how:
        case Graphics.KITTY:
            return _HOME + _kitty(_fitted(picture), columns, rows)
        case Graphics.ITERM:
            return _HOME + _iterm(_fitted(picture), columns, rows)
        case Graphics.SIXEL:
            return _HOME + _sixel(_fitted(picture))
        case Graphics.BLOCKS:
            return _HOME + _blocks(picture, columns, rows, true_color=true_color)


def _fitted(picture: Picture) -> Picture:
    scale = min(1.0, _LARGEST_PX / max(picture.shape[:2]))
    if scale == 1.0:
        return picture
    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _encoded(picture: Picture, suffix: str) -> str:
    done, data = cv2.imencode(suffix, picture)
    if not done:
        raise ValueError(f"a picture of {picture.shape} cannot be encoded")
    return base64.b64encode(bytes(data)).decode("ascii")


def _cells(picture: Picture, columns: int, rows: int) -> tuple[int, int]:
    """Columns and rows that keep the picture's shape; a character is twice as high as it is wide."""
    height, width = picture.shape[:2]
    across = max(1, min(columns, int(2 * rows * width / height)))
    return across, max(1, min(rows, round(across * height / width / 2)))


def _kitty(picture: Picture, columns: int, rows: int) -> str:
    across, down = _cells(picture, columns, rows)
    data = _encoded(picture, ".png")
    parts = [data[k : k + _CHUNK] for k in range(0, len(data), _CHUNK)]
    # one image id, so that each frame takes the place of the one before; no answers, no moving of the cursor
    keys = f"a=T,f=100,i=1,p=1,q=2,C=1,c={across},r={down},"
    text = ""
    for k, part in enumerate(parts):
        text += f"\x1b_G{keys if k == 0 else ''}m={int(k < len(parts) - 1)};{part}\x1b\\"
    return text


def _iterm(picture: Picture, columns: int, rows: int) -> str:
    across, down = _cells(picture, columns, rows)
    data = _encoded(picture, ".jpg")
    return f"\x1b]1337;File=inline=1;width={across};height={down};preserveAspectRatio=1:{data}\x07"


def _sixel(picture: Picture) -> str:
    """In the 216 colours of a cube."""
    rows, columns = picture.shape[:2]
    levels = (picture.astype(np.uint16) * _SIXEL_LEVELS // 256).astype(np.int16)
    index = (levels[..., 2] * _SIXEL_LEVELS + levels[..., 1]) * _SIXEL_LEVELS + levels[..., 0]
    top = _SIXEL_LEVELS - 1
    text = [f'\x1bPq"1;1;{columns};{rows}']
    for color in range(_SIXEL_LEVELS**3):
        shares = (color // _SIXEL_LEVELS**2, color // _SIXEL_LEVELS % _SIXEL_LEVELS, color % _SIXEL_LEVELS)
        text.append(f"#{color};2;" + ";".join(str(100 * share // top) for share in shares))
    weights = (1 << np.arange(6))[:, None]
    for first in range(0, rows, 6):
        band = index[first : first + 6]
        lines = []
        for color in np.unique(band):
            bits = ((band == color) * weights[: len(band)]).sum(axis=0)
            lines.append(f"#{color}" + _runs(bits))
        text.append("$".join(lines) + "-")
    return "".join(text) + "\x1b\\"


def _runs(bits: NDArray[np.int64]) -> str:
    starts = np.flatnonzero(np.r_[True, bits[1:] != bits[:-1]])
    lengths = np.diff(np.r_[starts, len(bits)])
    parts = []
    for start, length in zip(starts, lengths, strict=True):
        character = chr(63 + int(bits[start]))
        parts.append(f"!{length}{character}" if length > 3 else character * int(length))
    return "".join(parts)


def _blocks(picture: Picture, columns: int, rows: int, *, true_color: bool) -> str:
    across, down = _cells(picture, columns, rows)
    small = np.asarray(cv2.resize(picture, (across, 2 * down), interpolation=cv2.INTER_AREA), np.uint8)[..., ::-1]
    lines = []
    for upper, lower in zip(small[::2], small[1::2], strict=True):
        text, before = [], ("", "")
        for above, below in zip(upper, lower, strict=True):
            colors = (_color(above, "3", true_color=true_color), _color(below, "4", true_color=true_color))
            if colors != before:
                text.append(f"\x1b[{colors[0]};{colors[1]}m")
                before = colors
            text.append("▀")
        lines.append("".join(text) + "\x1b[0m\x1b[K")
    return "\r\n".join(lines) + "\r\n"


def _color(rgb: NDArray[np.uint8], ground: str, *, true_color: bool) -> str:
    red, green, blue = (int(part) for part in rgb)
    if true_color:
        return f"{ground}8;2;{red};{green};{blue}"
    cube = [part * 6 // 256 for part in (red, green, blue)]
    return f"{ground}8;5;{16 + 36 * cube[0] + 6 * cube[1] + cube[2]}"
