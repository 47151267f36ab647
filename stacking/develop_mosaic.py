"""The fast development of a Bayer mosaic: demosaic, camera colour and sRGB curve in one pass over the rows.

The demosaic is gradient-based without thresholds (after Pekkucuksen and Altunbasak 2010), on the square root of the
white-balanced samples: there photon noise is the same everywhere and edges ring less than in linear light. Along rows and
along columns a five-tap filter (Hamilton and Adams 1997) gives the difference between green and the other colour; the two
are mixed by the inverse of how much each changes in the 3x3 neighbourhood, and the differences at the remaining sites are
averages of their neighbours. docs/development.md compares it with LibRaw's methods.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stacking.colour import encode

_TOP = 65535


@dataclass(frozen=True, slots=True)
class Mosaic:
    """The visible samples of a Bayer sensor.

    Attributes
    ----------
    samples : ndarray, shape (rows, columns), uint16
        Raw counts; may be a view into LibRaw's memory.
    sites : tuple of 4 int
        Index into `letters` (and into black levels) of the four sites of a 2x2 block, by rows.
    letters : str
        Colour of each index, for example "RGBG".
    """

    samples: NDArray[np.uint16]
    sites: tuple[int, int, int, int]
    letters: str

    def phases(self, black: tuple[float, float, float, float]) -> Iterator[tuple[int, str, float]]:
        """Site in the 2x2 block (0 to 3, by rows), its colour letter, its black level."""
        for place, site in enumerate(self.sites):
            yield place, self.letters[site], black[site]


def develop_mosaic(
    mosaic: Mosaic,
    white_balance: tuple[float, float, float],
    black: tuple[float, float, float, float],
    white: float,
    matrix: NDArray[np.float64],
) -> NDArray[np.uint16]:
    """Develop a mosaic.

    Parameters
    ----------
    white_balance : tuple of 3 float
        Factors for red, green and blue, the smallest 1.
    black, white : float
        Raw counts.
    matrix : ndarray, shape (3, 3)
        White-balanced camera RGB to linear sRGB.

    Returns
    -------
    ndarray, shape (rows, columns, 3), uint16
        sRGB-encoded RGB.
    """
    from stacking.develop_mosaic_kernels import demosaic

    blacks = np.zeros((2, 2), np.float32)
    scales = np.zeros((2, 2), np.float32)
    span = white - max(black)
    red_place = 0
    for place, letter, level in mosaic.phases(black):
        blacks[place // 2, place % 2] = level
        scales[place // 2, place % 2] = white_balance["RGB".index(letter)] / span
        red_place = place if letter == "R" else red_place
    rows, columns = mosaic.samples.shape
    out = np.empty((rows, columns, 3), np.uint16)
    samples = np.ascontiguousarray(mosaic.samples)
    demosaic(samples, blacks, scales, red_place // 2, red_place % 2, matrix.astype(np.float32), out)
    return out


def green_half(
    mosaic: Mosaic, gain: float, black: tuple[float, float, float, float], white: float
) -> NDArray[np.uint8]:
    """The mean of the two greens of each 2x2 block, times `gain`, sRGB-encoded: (rows // 2, columns // 2), uint8."""
    rows, columns = (length // 2 * 2 for length in mosaic.samples.shape)
    green = [(place, level) for place, letter, level in mosaic.phases(black) if letter == "G"]
    (first, first_black), (second, second_black) = green
    samples = mosaic.samples
    total = samples[first // 2 : rows : 2, first % 2 : columns : 2].astype(np.uint32)
    total += samples[second // 2 : rows : 2, second % 2 : columns : 2]
    counts = np.arange(2 * (_TOP + 1), dtype=np.float64)
    light = gain * (counts - first_black - second_black) / (2 * white - first_black - second_black)
    curve = np.rint(encode(np.clip(light, 0, 1)) * 255).astype(np.uint8)
    return np.asarray(curve[total])
