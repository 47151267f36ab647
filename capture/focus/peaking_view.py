"""A live frame with its focus drawn over it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from capture.focus.peaking import Peaks, Zones
from stacking.focus_measure import BLOCK_PX

Picture = NDArray[np.uint8]
Color = tuple[int, int, int]

# Blue, green, red.
NEAR, FAR, FOLLOWING, OVERLAP = (255, 160, 40), (220, 60, 220), (200, 200, 60), (255, 255, 255)
_WEAK, _STRONG = (0, 190, 255), (40, 255, 80)
_DETAIL_LEVELS = 5
_DIMMED = 0.75
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def _palette() -> NDArray[np.uint8]:
    share = np.linspace(0.0, 1.0, 256)[:, None]
    colors = (1 - share) * np.array(_WEAK) + share * np.array(_STRONG)
    return np.asarray(np.rint(colors), np.uint8).reshape(1, 256, 3)


_PALETTE = _palette()


def draw_peaking(
    frame: Picture, peaks: Peaks, zones: Zones | None = None, *, legend: bool = True, unit: str = "um"
) -> Picture:
    """`frame` with what is in focus in colour, from orange (just so) to green (as sharp as can be), and the marks of the zones.

    Parameters
    ----------
    frame : ndarray, shape (rows, columns, 3), uint8
        BGR.
    peaks : Peaks
        Of this frame.
    zones : Zones or None
        For the bar below, which shows near, far, this zone and the next.
    legend : bool
        Numbers and bars at the bottom.
    unit : str
        Of positions.

    Returns
    -------
    ndarray, shape as of `frame`, uint8
        A new picture.
    """
    rows, columns = frame.shape[:2]
    picture = np.asarray(cv2.convertScaleAbs(frame, alpha=_DIMMED), np.uint8)
    gray = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
    strength = _enlarged((255 * peaks.strength).astype(np.uint8), rows, columns)
    detail = cv2.threshold(cv2.absdiff(gray, cv2.blur(gray, (5, 5))), _DETAIL_LEVELS, 255, cv2.THRESH_BINARY)[1]
    lit = cv2.bitwise_and(detail, cv2.threshold(strength, 0, 255, cv2.THRESH_BINARY)[1])
    colors = cv2.LUT(cv2.merge([strength, strength, strength]), _PALETTE)
    cv2.copyTo(colors, lit, picture)
    for mask, color in ((peaks.near, NEAR), (peaks.far, FAR), (peaks.following, FOLLOWING), (peaks.overlap, OVERLAP)):
        if mask.any():
            _outline(picture, mask, color)
    if legend and rows >= 120 and columns >= 160:
        _legend(picture, peaks, zones or Zones(), unit)
    return np.asarray(picture, np.uint8)


def encode_jpeg(picture: Picture, quality: int = 85) -> bytes:
    """`picture` (BGR) as JPEG."""
    done, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f"a picture of {picture.shape} cannot be encoded")
    return bytes(encoded)


def _enlarged(blocks: NDArray[np.uint8], rows: int, columns: int) -> NDArray[np.uint8]:
    large = cv2.resize(
        blocks, (blocks.shape[1] * BLOCK_PX, blocks.shape[0] * BLOCK_PX), interpolation=cv2.INTER_NEAREST
    )
    below, right = rows - large.shape[0], columns - large.shape[1]
    if below or right:
        large = cv2.copyMakeBorder(large, 0, below, 0, right, cv2.BORDER_CONSTANT, value=0.0)
    return np.asarray(large, np.uint8)


def _outline(picture: Picture, mask: NDArray[np.bool_], color: Color) -> None:
    large = _enlarged(mask.astype(np.uint8), *picture.shape[:2])
    outlines, _ = cv2.findContours(large, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(picture, outlines, -1, color, 1)


def _legend(picture: Picture, peaks: Peaks, zones: Zones, unit: str) -> None:
    rows, columns = picture.shape[:2]
    size = max(min(columns / 1000.0, 1.2), 0.35)
    height = int(30 * size) + 2
    words = f"in focus {peaks.share:.1%}"
    if peaks.position is not None:
        words += f"   at {peaks.position:.1f} {unit}"
    if peaks.best_position is not None:
        words += f"   best at {peaks.best_position:.1f}"
    strip = picture[rows - 2 * height :]
    strip[...] = strip // 4
    cv2.putText(picture, words, (8, rows - height - int(8 * size)), _FONT, size * 0.8, (255, 255, 255), 1, cv2.LINE_AA)
    _bar(picture, rows - height + 2, 8, columns // 3, height - 6, peaks)
    if peaks.position is not None and (zones.near is not None or zones.far is not None or zones.depth is not None):
        _ruler(picture, rows - height + 2, columns // 3 + 24, columns - 8, height - 6, peaks.position, zones)


def _bar(picture: Picture, top: int, left: int, right: int, height: int, peaks: Peaks) -> None:
    """Sharpness, as a share of the best so far, which is the end of the bar."""
    share = peaks.sharpness / peaks.best if peaks.best > 0 else 0.0
    cv2.rectangle(picture, (left, top), (right, top + height), (120, 120, 120), 1)
    cv2.rectangle(picture, (left, top), (left + int(share * (right - left)), top + height), _STRONG, cv2.FILLED)


def _ruler(picture: Picture, top: int, left: int, right: int, height: int, position: float, zones: Zones) -> None:
    """The axis: near and far end, the zone in focus, the next one and their overlap."""
    depth, step = zones.depth or 0.0, zones.step or 0.0
    places = [position - depth, position + depth + step, *(end for end in (zones.near, zones.far) if end is not None)]
    low, high = min(places), max(places)
    scale = (right - left) / max(high - low, 1e-9)

    def at(place: float) -> int:
        return int(left + (place - low) * scale)

    middle = top + height // 2
    cv2.line(picture, (left, middle), (right, middle), (150, 150, 150), 1)
    cv2.rectangle(
        picture, (at(position - depth / 2), top), (at(position + depth / 2), top + height), _STRONG, cv2.FILLED
    )
    if step:
        cv2.rectangle(
            picture,
            (at(position + step - depth / 2), top),
            (at(position + step + depth / 2), top + height),
            FOLLOWING,
            1,
        )
        if step < depth:
            first, last = at(position + step - depth / 2), at(position + depth / 2)
            cv2.rectangle(picture, (first, top), (last, top + height), OVERLAP, cv2.FILLED)
    for end, color in ((zones.near, NEAR), (zones.far, FAR)):
        if end is not None:
            cv2.line(picture, (at(end), top - 2), (at(end), top + height + 2), color, 2)
