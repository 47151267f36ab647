"""From fused luma at full size and chroma at half size to the picture, once per picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stacking.fuse.bands import Bands, rows_of

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]

# Variance of luma, 8-bit units, below which chroma does not follow it.
_VARIANCE_FLOOR = 2.0
# Of the luma's departure from its 3x3 mean, at most.
_SHARPENING = 0.2


def compose_picture(
    luma: F32, red: F32, blue: F32, bands: Bands, limits: tuple[U8, U8] | None = None, *, sharpens: bool = False
) -> U16:
    """Compose the picture; chroma gets the detail of the luma (guided filter, He, Sun and Tang 2013).

    Parameters
    ----------
    luma : ndarray (rows, columns), float32, 0 to 255
        Held within ``limits`` in place.
    red, blue : ndarray ((rows + 1) // 2, (columns + 1) // 2), float32
        Red and blue minus luma; sample i lies at pixel 2i.
    bands : Bands
    limits : pair of ndarray (rows, columns), uint8, optional
        Least and largest luma that the frames have there, 0 and 255 where a frame is black or white: elsewhere no sample is
        (`stacking.fuse.range_ends`).
    sharpens : bool
        Give back what resampling, frames that lie beside a plane, and their mean take from the finest detail: an unsharp mask where
        the contrast is strong, within the range of the frames.

    Returns
    -------
    ndarray (rows, columns, 3), uint16
        RGB.
    """
    from stacking.fuse import chroma_kernels as kernels

    rows = luma.shape[0]
    low = high = np.empty((0, 0), np.uint8)
    if limits is not None:
        low, high = limits
        bands.run(rows, rows_of(kernels.clamp_rows, luma, low, high))
    half: F32 = np.empty(red.shape, np.float32)
    bands.run(half.shape[0], rows_of(kernels.halve_rows, luma, half))
    red_slope: F32 = np.empty(red.shape, np.float32)
    blue_slope: F32 = np.empty(red.shape, np.float32)
    for chroma, slope in ((red, red_slope), (blue, blue_slope)):
        bands.run(slope.shape[0], rows_of(kernels.slope_rows, half, chroma, _VARIANCE_FLOOR, slope))
    rgb = np.empty((*luma.shape, 3), np.uint16)
    amount = _SHARPENING if sharpens and limits is not None else 0.0
    bands.run(
        rows,
        rows_of(kernels.compose_guided, luma, half, red, blue, red_slope, blue_slope, low, high, amount, rgb),
    )
    return rgb
