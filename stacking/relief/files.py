"""Depth maps read again: the relief of a picture and its depth file, without the frames."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from stacking.errors import SourceError
from stacking.relief.surface import DepthUnit, Relief, Scale, relief_of

_DESCRIPTION = 270


def read_relief(
    depth: Path, confidence: Path | None = None, *, unit: DepthUnit = DepthUnit.UM, pixel_um: float | None = None
) -> Relief:
    """Read a depth file of ours.

    Parameters
    ----------
    depth : Path
        float32 TIFF (NaN where unknown), or a 16-bit TIFF whose description tells its unit, offset and step.
    confidence : Path, optional
        float32 TIFF of its size.
    unit : DepthUnit
        Of a float32 file that does not tell.

    Raises
    ------
    SourceError
        Where a file cannot be read, or is none of these.
    """
    values, description = _read(depth)
    told: dict[str, object] = {}
    if values.dtype == np.uint16:
        try:
            told = json.loads(description)
            unit = DepthUnit(str(told["unit"]))
            offset, step = float(str(told["offset"])), float(str(told["step"]))
        except (ValueError, KeyError, TypeError):
            raise SourceError(
                f"{depth.name} does not say what its 16-bit values mean",
                remedy="Give the float TIFF that --depth writes, or the file of --depth-16bit.",
            ) from None
        heights = np.where(values == 0, np.nan, offset + step * values.astype(np.float64)).astype(np.float32)
    elif values.dtype == np.float32:
        heights = np.asarray(values, np.float32)
        with suppress(ValueError, KeyError, TypeError):  # of another program, or an older version of ours
            told = dict(json.loads(description))
            unit = DepthUnit(str(told["unit"]))
    else:
        raise SourceError(
            f"{depth.name} holds {values.dtype}, which is no depth map",
            remedy="Give the float TIFF that --depth writes.",
        )
    sure: NDArray[np.float32] | None = None
    if confidence is not None:
        sure = _read(confidence)[0].astype(np.float32)
        if sure.shape != heights.shape:
            raise SourceError(
                f"{confidence.name} and {depth.name} differ in size", remedy="Give the two files of one stack."
            )
    known_pixel = told.get("pixel_um")
    if pixel_um is None and isinstance(known_pixel, (int, float)):
        pixel_um = float(known_pixel)
    return relief_of(heights, sure, Scale(unit, pixel_um))


def _read(path: Path) -> tuple[NDArray[np.generic], str]:
    if path.suffix.lower() == ".png":
        raise SourceError(
            f"{path.name}: a 16-bit PNG does not say what its values mean",
            remedy="Give the float TIFF that --depth FILE.tif writes, or the file of --depth-16bit.",
        )
    try:
        with tifffile.TiffFile(path) as file:
            values = file.asarray()
            description = file.pages.first.tags.valueof(_DESCRIPTION) or ""
    except Exception as error:  # tifffile raises whatever a broken file leads it to
        raise SourceError(f"{path} cannot be read: {error}", remedy="Give a depth map that focusrail wrote.") from error
    if values.ndim != 2:
        raise SourceError(f"{path.name} is a picture, not a depth map", remedy="Give the file that --depth wrote.")
    return values, str(description)
