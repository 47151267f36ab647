"""How large a live frame shows things: pixels of the still for one of its own. Pure.

Makers say the magnification of live view in four ways: as the share of the still's own resolution (Nikon `50%`), as the factor over the
whole view (Canon `5`), as the width of the area in pixels of the still (Nikon's newer bodies), or as nothing but an order (Sony).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

_SHARE = re.compile(r"(\d+(?:\.\d+)?)\s*%")
_NUMBER = re.compile(r"x?\s*(\d+(?:\.\d+)?)\s*x?", re.IGNORECASE)
_WHOLE = {"", "0", "1", "off", "none", "entire display"}
_CANON_FACTORS = ("5", "10")


def whole_scale(still_px: tuple[int, int], live_px: tuple[int, int]) -> float:
    """Pixels of the still for one live pixel, where live view shows all that it can.

    A live frame of another shape than the still's is cut at the sides or above and below, never stretched: the scale is that of the side
    that is shown whole.

    Parameters
    ----------
    still_px, live_px : (int, int)
        Width and height; which comes first does not matter, as long as both lie the same way round or the still stands upright.
    """
    still, live = sorted(still_px), sorted(live_px)
    if min(still[0], live[0]) < 1:
        raise ValueError(f"a picture of {live_px} or {still_px} pixels has no scale")
    return min(still[1] / live[1], still[0] / live[0])


def live_scale(name: str, value: str, still_px: tuple[int, int], live_px: tuple[int, int]) -> float | None:
    """Pixels of the still for one live pixel under the magnification `value` of the entry `name`; None where nobody can tell.

    Parameters
    ----------
    name, value : str
        Of the role `magnify`; empty for a camera without it.
    still_px, live_px : (int, int)
        Width and height.
    """
    whole = whole_scale(still_px, live_px)
    plain = value.strip().casefold()
    if plain in _WHOLE:
        return whole
    if share := _SHARE.fullmatch(plain):
        return 100.0 / float(share[1]) if float(share[1]) > 0 else None
    number = _NUMBER.fullmatch(plain)
    if number is None or float(number[1]) <= 0:
        return None
    if name == "liveviewzoomarea":
        return float(number[1]) / max(live_px)
    return whole / float(number[1])


def best_magnification(
    name: str, choices: Sequence[str], still_px: tuple[int, int], live_px: tuple[int, int]
) -> str | None:
    """The choice whose live pixels come nearest to the still's own, never finer than half of one.

    None where none is better than the whole; parameters as those of `live_scale`.
    """
    offered = choices or (_CANON_FACTORS if name == "eoszoom" else ())
    scales = [
        (choice, scale) for choice in offered if (scale := live_scale(name, choice, still_px, live_px)) is not None
    ]
    whole = whole_scale(still_px, live_px)
    better = [(choice, scale) for choice, scale in scales if 0.5 <= scale < 0.99 * whole]
    return min(better, key=lambda pair: abs(math.log(pair[1])))[0] if better else None
