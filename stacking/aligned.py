"""One frame laid on the canvas, its brightness matched, and where it is sharp: what layers and areas are made of."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from stacking.frames import Pixels, Registration
from stacking.fuse.canvas import Canvas, valid_spans
from stacking.fuse.deformation import Tiles, surely_had, tiles_of
from stacking.fuse.range_ends import BRIGHTEST, DARKEST, brightened

GRID = 4
"""Pixels between the points where focus energy is measured."""

_STRIP_ROWS = 256
_TOP = 65535
_NOISE = np.float32(4.0)
_BORDER_CELLS = 5
_LUMA = np.array([[0.299 / 257, 0.587 / 257, 0.114 / 257]], np.float32)


def aligned(image: Pixels, registration: Registration, canvas: Canvas) -> NDArray[np.uint16]:
    """A frame resampled to the canvas (Lanczos), strip by strip; black where it does not reach.

    Parameters
    ----------
    image : ndarray (rows, columns, 3), uint8 or uint16

    Returns
    -------
    ndarray (canvas height, canvas width, 3), uint16
    """
    tiles = _tiles(image, registration, canvas)
    tables = _gain_tables(registration.gain)
    out = np.empty((canvas.height, canvas.width, 3), np.uint16)
    whole = tiles.are_still and image.shape[:2] == out.shape[:2]
    for top in range(0, canvas.height, _STRIP_ROWS):
        rows = min(_STRIP_ROWS, canvas.height - top)
        if whole:
            strip = image[top : top + rows].astype(np.uint16)
            strip = strip * np.uint16(257) if image.dtype == np.uint8 else strip
        else:
            strip = _strip(image, tiles, canvas.width, top, rows)
        if tables is not None:
            strip = np.stack([tables[c][strip[..., c]] for c in range(3)], axis=-1)
        out[top : top + rows] = strip
    return out


def aligned_luma(image: Pixels, registration: Registration, canvas: Canvas) -> NDArray[np.uint16]:
    """The luma of `aligned`, (canvas height, canvas width), for a third of the work."""
    luma: NDArray[np.uint16] = np.empty((image.shape[0], image.shape[1]), np.uint16)
    scale = 257.0 * _TOP / np.iinfo(image.dtype).max
    weights = (_LUMA * registration.gain * scale).astype(np.float32)
    for top in range(0, image.shape[0], _STRIP_ROWS):
        strip = cv2.transform(image[top : top + _STRIP_ROWS].astype(np.float32), weights)
        luma[top : top + _STRIP_ROWS] = np.rint(np.clip(np.asarray(strip), 0, _TOP))
    tiles = _tiles(image, registration, canvas)
    if tiles.are_still and luma.shape == (canvas.height, canvas.width):
        return luma
    out = np.empty((canvas.height, canvas.width), np.uint16)
    for top in range(0, canvas.height, _STRIP_ROWS):
        rows = min(_STRIP_ROWS, canvas.height - top)
        out[top : top + rows] = _strip(luma, tiles, canvas.width, top, rows)
    return out


def _tiles(image: Pixels, registration: Registration, canvas: Canvas) -> Tiles:
    matrix, size = canvas.to_frame(registration.matrix), (image.shape[1], image.shape[0])
    return tiles_of(canvas, matrix, registration.deformation, size)


def _strip(image: Pixels, tiles: Tiles, width: int, top: int, rows: int) -> NDArray[np.uint16]:
    """Rows of the warped frame."""
    parts = tiles.windows(width, top, top + rows)
    out = np.empty((rows, width, *image.shape[2:]), np.uint16)
    for x, y, matrix in parts:
        out[y.start - top : y.stop - top, x.start : x.stop] = _window(image, matrix, len(x), len(y))
    return out


def _window(image: Pixels, matrix: NDArray[np.float64], width: int, rows: int) -> NDArray[np.uint16]:
    """A part of the warped frame; only what it sees of the frame is widened to 16 bit."""
    corners = np.array([[0, 0, 1], [width - 1, 0, 1], [0, rows - 1, 1], [width - 1, rows - 1, 1]], np.float64)
    seen = corners @ matrix.T
    size = np.array([image.shape[1], image.shape[0]])
    first = np.clip(np.floor(seen.min(axis=0)) - 8, 0, size - 1).astype(int)
    last = np.clip(np.ceil(seen.max(axis=0)) + 9, first + 1, size).astype(int)
    part = image[first[1] : last[1], first[0] : last[0]]
    wide = np.ascontiguousarray(part.astype(np.uint16) * np.uint16(257) if part.dtype == np.uint8 else part, np.uint16)
    moved = matrix.copy()
    moved[:, 2] -= first
    warped = cv2.warpAffine(wide, moved, (width, rows), flags=cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP)
    # ringing is neither black nor white
    for end, inside in ((0, DARKEST), (_TOP, BRIGHTEST)):
        if (at_end := np.asarray(warped) == end).any():
            around = cv2.dilate((wide == end).astype(np.uint8), np.ones((3, 3), np.uint8))
            flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
            theirs = cv2.warpAffine(around, moved, (width, rows), flags=flags, borderValue=(1, 1, 1))
            warped[at_end & (theirs == 0)] = round(257 * inside)
    return np.asarray(warped, np.uint16)


def _gain_tables(gain: NDArray[np.float64]) -> list[NDArray[np.uint16]] | None:
    if np.allclose(gain, 1.0, atol=1e-5):
        return None
    values = np.arange(_TOP + 1, dtype=np.float32)
    matched = [brightened(values, np.float32(factor), _TOP) for factor in gain]
    return [np.rint(np.clip(table, 0, _TOP)).astype(np.uint16) for table in matched]


def focus_energy(
    picture: NDArray[np.uint16], reach: NDArray[np.bool_] | None = None, *, spread_cells: float = 1.5
) -> NDArray[np.float32]:
    """How much fine detail there is round every fourth pixel: the local power of the Laplacian, and a floor for noise.

    Parameters
    ----------
    picture : ndarray (rows, columns, 3) or (rows, columns), uint16
        A picture or its luma.
    reach : ndarray (rows / 4, columns / 4), bool, or None
        Cells that the frame really has (`reached`), all where None; zero elsewhere.
    spread_cells : float
        Sigma of the neighbourhood, in cells of four pixels.

    Returns
    -------
    ndarray (rows / 4, columns / 4), rounded up, float32
    """
    rows, columns = picture.shape[:2]
    down, across = -(-rows // GRID), -(-columns // GRID)
    energy = np.empty((down, across), np.float32)
    for top in range(0, rows, _STRIP_ROWS):
        bottom = min(top + _STRIP_ROWS, rows)
        first, last = max(top - 1, 0), min(bottom + 1, rows)
        strip = picture[first:last].astype(np.float32)
        luma = cv2.transform(strip, _LUMA) if strip.ndim == 3 else strip * np.float32(1 / 257)
        detail = np.asarray(cv2.Laplacian(luma, cv2.CV_32F))[top - first : bottom - first]
        padded = np.pad(detail * detail, ((0, -detail.shape[0] % GRID), (0, -columns % GRID)), mode="edge")
        size = (padded.shape[1] // GRID, padded.shape[0] // GRID)
        energy[top // GRID : -(-bottom // GRID)] = cv2.resize(padded, size, interpolation=cv2.INTER_AREA)
    if reach is not None:
        energy *= reach
    spread = np.asarray(cv2.GaussianBlur(energy, (0, 0), spread_cells), np.float32)
    seen = (spread + _NOISE) * np.float32(1e-3)
    return np.asarray(seen if reach is None else seen * reach, np.float32)


def reached(frame_size: tuple[int, int], registration: Registration, canvas: Canvas) -> NDArray[np.bool_]:
    """Cells of the canvas that a frame of (width, height) has, clear of its border: where it ends is no detail."""
    shape = (-(-canvas.height // GRID), -(-canvas.width // GRID))
    matrix, size = surely_had(registration, frame_size)
    spans = valid_spans(canvas.to_frame(matrix), size, shape, GRID)
    across = np.arange(shape[1])
    has = (across >= spans[:, :1]) & (across < spans[:, 1:])
    # the border of the canvas is no border of the frame
    clear = cv2.erode(has.astype(np.uint8), np.ones((_BORDER_CELLS, _BORDER_CELLS), np.uint8), borderValue=1)
    return np.asarray(clear, np.bool_)


def enlarged(cells: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Values of every fourth pixel for every pixel of a picture of that (width, height)."""
    width, height = size
    full = cv2.resize(cells, (cells.shape[1] * GRID, cells.shape[0] * GRID), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(np.asarray(full)[:height, :width])
