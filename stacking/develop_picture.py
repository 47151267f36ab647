"""Decoding of JPEG, PNG and TIFF: 8 or 16 bit RGB, upright, nothing else changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray

from stacking.develop_structure import (
    JPEG,
    PNG,
    TIFF,
    jpeg_header,
    kind_of,
    opened_tiff,
    png_header,
    require_sound_jpeg,
    require_sound_png,
    require_whole_tiff,
)
from stacking.errors import FrameError
from stacking.frames import Pixels
from stacking.metadata import UPRIGHT, Header, read_header
from stacking.reused import ReusedArrays

Gray = NDArray[np.uint8]

_TURNED = frozenset({5, 6, 7, 8})
_COPY_AGAIN = "Copy it again from the camera, or leave it out."
_MOST_PIXELS = 10**9
_GRAY_ONLY = 1  # libjpeg's JCS_GRAYSCALE
_HALF_GRAY = cv2.IMREAD_REDUCED_GRAYSCALE_2 | cv2.IMREAD_IGNORE_ORIENTATION


@dataclass(frozen=True, slots=True)
class FrameProbe:
    """What is known of a frame before it is developed.

    Attributes
    ----------
    width, height : int
        Of the upright picture, in pixels.
    dtype : numpy dtype
        uint8 or uint16: what it will be developed to.
    orientation : int
        EXIF orientation that `width` and `height` account for.
    icc : bytes or None
        Embedded colour profile.
    note : str
        What developing will drop (an alpha channel, further pages); empty as a rule.
    gray : bool
        Whether the file holds no colour.
    """

    width: int
    height: int
    dtype: np.dtype[Any]
    orientation: int = UPRIGHT
    icc: bytes | None = None
    note: str = ""
    gray: bool = False


def upright(image: NDArray[Any], orientation: int) -> NDArray[Any]:
    """A picture turned as its EXIF orientation (1 to 8) says; C-contiguous."""
    if orientation in _TURNED:
        image = np.asarray(cv2.transpose(image))
    flip = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}.get(orientation)
    return np.ascontiguousarray(image if flip is None else cv2.flip(image, flip))


def probe_picture(path: Path) -> FrameProbe:
    """Size and depth of a JPEG, PNG or TIFF, and whether it is whole, without decoding it.

    Raises
    ------
    FrameError
        For what cannot be read or developed, with the reason.
    """
    kind = kind_of(path)
    if kind is None:
        raise FrameError(f"{path.name} is no picture of a known format", remedy="Leave it out, or save it as TIFF.")
    if kind == TIFF:
        return _probe_tiff(path, read_header(path))
    stored = jpeg_header(path) if kind == JPEG else png_header(path)
    note = "its transparency is dropped" if stored.channels in (2, 4) else ""
    return _probed(stored.rows, stored.columns, stored.bits, read_header(path), note, gray=stored.channels <= 2)


def decode_picture(path: Path, probe: FrameProbe, memory: ReusedArrays | None = None) -> Pixels:
    """Decode one picture, a JPEG into `memory`.

    Returns
    -------
    ndarray, shape (rows, columns, 3), uint8 or uint16, C-contiguous
        RGB, upright, as `probe` says.

    Raises
    ------
    FrameError
        Where decoding fails or gives something else than `probe` promised.
    """
    out = None
    if memory is not None and not probe.gray and kind_of(path) == JPEG:
        turned = probe.orientation in _TURNED
        rows, columns = (probe.width, probe.height) if turned else (probe.height, probe.width)
        out = memory.lend((rows, columns, 3), probe.dtype)
    image = _as_rgb(_decoded(path, gray=False, out=out))
    return _as_promised(path, upright(image, probe.orientation), probe)


def luma(image: NDArray[Any]) -> Gray:
    """The encoded luma of a frame in RGB or gray of 8 or 16 bit, shape (rows, columns), uint8."""
    gray = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(gray if gray.dtype == np.uint8 else cv2.convertScaleAbs(gray, alpha=1.0 / 257.0), np.uint8)


def decode_gray(path: Path, probe: FrameProbe) -> Gray:
    """The luma of a picture, upright: (height, width), uint8; that of a JPEG as it is stored."""
    image = _decoded(path, gray=True)
    return luma(upright(image if image.ndim == 2 else _as_rgb(image), probe.orientation))


def decode_gray_half(path: Path, probe: FrameProbe) -> Gray:
    """The luma of a picture at half size, upright: (height // 2, width // 2), uint8, each pixel the mean of four."""
    image = _decoded(path, gray=True, halves=probe.width % 2 == probe.height % 2 == 0)
    if 4 * image.size == probe.width * probe.height:
        return upright(image, probe.orientation)
    return half(upright(image if image.ndim == 2 else _as_rgb(image), probe.orientation))


def half(image: NDArray[Any]) -> Gray:
    """Gray or RGB of 8 or 16 bit to 8-bit gray of half the size, each pixel the mean of a 2x2 block."""
    rows, columns = image.shape[0] // 2, image.shape[1] // 2
    small = np.asarray(cv2.resize(image[: 2 * rows, : 2 * columns], (columns, rows), interpolation=cv2.INTER_AREA))
    if small.ndim == 3:
        small = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))
    return np.asarray(small if small.dtype == np.uint8 else cv2.convertScaleAbs(small, alpha=1 / 257), np.uint8)


def _probed(rows: int, columns: int, bits: int, header: Header, note: str, *, gray: bool) -> FrameProbe:
    if not (isinstance(rows, int) and isinstance(columns, int) and 0 < rows * columns <= _MOST_PIXELS):
        raise FrameError(f"its header claims {columns}x{rows} pixels", remedy=_COPY_AGAIN)
    width, height = (rows, columns) if header.orientation in _TURNED else (columns, rows)
    dtype = np.dtype(np.uint8 if bits == 8 else np.uint16)
    return FrameProbe(width, height, dtype, header.orientation, header.icc, note, gray)


def _probe_tiff(path: Path, header: Header) -> FrameProbe:
    require_whole_tiff(path)
    try:
        with opened_tiff(path) as file:
            page = file.pages.first
            pages = len(file.pages)
            shape, dtype, photometric = page.shape, page.dtype, page.photometric
            axes, extra = page.axes, len(page.extrasamples)
            rows, columns = (shape[1], shape[2]) if axes == "SYX" else (shape[0], shape[1])
    except Exception as error:  # tifffile raises whatever a broken file leads it to
        raise FrameError(f"{path.name} is damaged: {error}", remedy=_COPY_AGAIN) from error
    if dtype not in (np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(bool)):
        raise FrameError(f"{path.name} holds {dtype} values", remedy="Save it with 8 or 16 bits per channel.")
    if photometric == tifffile.PHOTOMETRIC.SEPARATED:
        raise FrameError(f"{path.name} is a CMYK picture, made for print", remedy="Save it as RGB.")
    if photometric in (tifffile.PHOTOMETRIC.CIELAB, tifffile.PHOTOMETRIC.ICCLAB, tifffile.PHOTOMETRIC.ITULAB):
        raise FrameError(f"{path.name} is a Lab picture", remedy="Save it as RGB.")
    if axes not in ("YX", "YXS", "SYX"):
        raise FrameError(f"{path.name} holds no plain picture (its axes are {axes})", remedy="Save it as RGB.")
    notes = ["its transparency is dropped"] if extra else []
    notes += [f"only the first of its {pages} pages is read"] if pages > 1 else []
    bits = 16 if dtype == np.uint16 or photometric == tifffile.PHOTOMETRIC.PALETTE else 8
    gray = photometric in (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.MINISWHITE)
    return _probed(rows, columns, bits, header, ", ".join(notes), gray=gray)


def _decoded(path: Path, *, gray: bool, halves: bool = False, out: NDArray[Any] | None = None) -> NDArray[Any]:
    """The stored samples: (rows, columns) or (rows, columns, channels); those of a colour JPEG in `out`.

    With `halves` the gray of a JPEG is perhaps given at half its size: its cosine transform is undone for the means of 2x2 pixels alone.
    """
    kind = kind_of(path)
    try:
        if kind == TIFF:
            return _decoded_tiff(path)
        stored = path.read_bytes()
        if kind == PNG:
            require_sound_png(stored, path.name)
            return np.asarray(imagecodecs.png_decode(stored))
        require_sound_jpeg(stored, path.name)
        if halves:
            small = cv2.imdecode(np.frombuffer(stored, np.uint8), _HALF_GRAY)
            if small is not None:
                return np.asarray(small)
        return np.asarray(imagecodecs.jpeg8_decode(stored, outcolorspace=_GRAY_ONLY if gray else None, out=out))
    except (MemoryError, FrameError):
        raise
    except Exception as error:  # each codec has its own errors, and a broken file leads tifffile to any
        raise FrameError(f"{path.name} cannot be decoded: {error}", remedy=_COPY_AGAIN) from error


def _decoded_tiff(path: Path) -> NDArray[Any]:
    with opened_tiff(path) as file:
        page = file.pages.first
        image = np.asarray(page.asarray(maxworkers=1))
        if page.axes == "SYX":
            image = np.moveaxis(image, 0, -1)
        if page.photometric == tifffile.PHOTOMETRIC.PALETTE:
            return np.asarray(np.ascontiguousarray(np.moveaxis(page.colormap, 0, -1))[image])
        if image.dtype == bool:
            image = image.astype(np.uint8) * 255
        if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
            image = np.iinfo(image.dtype).max - image
        colours = image.shape[2] - len(page.extrasamples) if image.ndim == 3 else 1
        return np.asarray(image if image.ndim == 2 else image[..., :colours])


def _as_rgb(image: NDArray[Any]) -> NDArray[Any]:
    """RGB of gray, gray with alpha, RGB or RGBA."""
    if image.ndim == 3 and image.shape[2] in (1, 2):
        image = image[..., 0]
    if image.ndim == 2:
        return np.asarray(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_GRAY2RGB))
    return np.ascontiguousarray(image[..., :3])


def _as_promised(path: Path, image: NDArray[Any], probe: FrameProbe) -> Pixels:
    if image.shape != (probe.height, probe.width, 3) or image.dtype != probe.dtype:
        raise FrameError(
            f"{path.name} decodes to {image.shape[1]}x{image.shape[0]} {image.dtype}, its header says otherwise",
            remedy=_COPY_AGAIN,
        )
    return image
