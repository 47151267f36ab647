"""Pictures out: TIFF, PNG and JPEG, written beside their place, made durable, and renamed; never half, never over another.

A target is checked before the work starts (`check_target`) and again when it is written.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from stacking.colour import profile_name, srgb_profile
from stacking.errors import OutputError, StackingUsageError
from stacking.metadata import PictureMetadata, result_metadata
from stacking.writers_blocks import JPEG_QUALITY, jpeg_bytes, png_bytes
from stacking.writers_tiff import write_tiff

TIFF_SUFFIXES = (".tif", ".tiff")
JPEG_SUFFIXES = (".jpg", ".jpeg")
PNG_SUFFIXES = (".png",)
PICTURE_SUFFIXES = TIFF_SUFFIXES + PNG_SUFFIXES + JPEG_SUFFIXES
DEPTH_SUFFIXES = TIFF_SUFFIXES + PNG_SUFFIXES
_FREE_SPACE = "Free some space, or write to another disk."
_ROOM_FOR_THE_REST = 1 << 20


def check_target(
    path: Path, *, force: bool, suffixes: tuple[str, ...] | None = PICTURE_SUFFIXES, needed_bytes: int = 0
) -> None:
    """Refuse a target that cannot be written, before any work is done for it.

    Parameters
    ----------
    force : bool
        Whether an existing file may be replaced.
    suffixes : tuple of str or None
        The suffixes allowed, in small letters; None for any.
    needed_bytes : int
        Size the file will about have, compared with what is free on its disk.

    Raises
    ------
    StackingUsageError
        Where the suffix is unknown.
    OutputError
        Where the folder is missing or not writable, the target is a folder or exists without `force`,
        or its disk is too full.
    """
    if suffixes is not None and path.suffix.lower() not in suffixes:
        known = ", ".join(suffixes)
        raise StackingUsageError(
            f"{path.name}: no format has the suffix '{path.suffix}'", remedy=f"End the name in {known}."
        )
    if path.is_dir():
        raise OutputError(f"{path} is a folder", remedy="Name a file in it.")
    folder = path.absolute().parent
    check_folder(folder, path.name)
    if path.exists() and not force:
        raise OutputError(f"{path} exists", remedy="Choose another name, or give --force to write over it.")
    free = shutil.disk_usage(folder).free
    if needed_bytes and free < needed_bytes + _ROOM_FOR_THE_REST:
        needed = f"{needed_bytes / 1e6:.0f} MB are needed, {free / 1e6:.0f} MB are free"
        raise OutputError(f"{path.name} does not fit on its disk: {needed}", remedy=_FREE_SPACE)


def check_folder(folder: Path, name: str) -> None:
    """Refuse a folder that `name` cannot be written into.

    Raises
    ------
    OutputError
    """
    if not folder.is_dir():
        is_file = next((above for above in (folder, *folder.parents) if above.exists() and not above.is_dir()), None)
        what = f"{is_file} is a file" if is_file else f"the folder {folder} does not exist"
        raise OutputError(f"{name} cannot be written: {what}", remedy="Make the folder first, or name another.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"{folder} may not be written", remedy="Choose another folder, or change its permissions.")


def expected_bytes(path: Path, rows: int, columns: int, *, channels: int = 3) -> int:
    """About how large a picture will be in a file of that suffix; generous."""
    per_sample = 1 if path.suffix.lower() in JPEG_SUFFIXES else 4 if channels == 1 else 2
    return rows * columns * channels * per_sample


def write_picture(
    path: Path,
    image: NDArray[Any],
    *,
    icc: bytes | None = None,
    exif_from: Path | None = None,
    force: bool = False,
    quality: int = JPEG_QUALITY,
) -> None:
    """Write a picture: ``.tif`` 16 bit, ``.png`` as deep as the image, ``.jpg`` 8 bit.

    Parameters
    ----------
    image : ndarray, shape (rows, columns, 3), uint8 or uint16
        Display-referred RGB, upright.
    icc : bytes or None
        Profile of its values; None means sRGB, and sRGB is embedded.
    exif_from : Path or None
        Source frame whose EXIF and XMP the result carries on.
    force : bool
        Replace an existing file.
    quality : int
        Of a JPEG, 1 to 100.

    Raises
    ------
    OutputError
        As `check_target`, and where writing fails; then no file is left.
    """
    check_target(path, force=force)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype not in (np.uint8, np.uint16):
        raise TypeError(f"a picture is (rows, columns, 3) of 8 or 16 bit, not {image.shape} {image.dtype}")
    profile = icc or srgb_profile()
    rows, columns = image.shape[:2]
    metadata = result_metadata(exif_from, columns, rows, srgb="srgb" in profile_name(profile).lower())
    with replacing(path, force=force) as file:
        _encode(path.suffix.lower(), file, image, metadata, profile, quality)


def write_depth(
    path: Path, depth: NDArray[np.float32], *, force: bool = False, description: str = ""
) -> tuple[float, float] | None:
    """Write a depth map: ``.tif`` float32 as it is; ``.png`` 16 bit, scaled so that 1 is the smallest and 65535 the largest.

    Parameters
    ----------
    depth : ndarray, shape (rows, columns), float32
        Larger is farther from the lens; NaN where unknown (0 in PNG).
    description : str
        Words about its values, kept in a TIFF.

    Returns
    -------
    (float, float) or None
        The depths that 1 and 65535 of a PNG stand for; None for TIFF.

    Raises
    ------
    OutputError
        As `write_picture`.
    """
    check_target(path, force=force, suffixes=DEPTH_SUFFIXES)
    if path.suffix.lower() in TIFF_SUFFIXES:
        with replacing(path, force=force) as file:
            write_tiff(file, depth.astype(np.float32, copy=False), None, None, description=description)
        return None
    known = np.isfinite(depth)
    low, high = (float(depth[known].min()), float(depth[known].max())) if known.any() else (0.0, 0.0)
    span = high - low or 1.0
    scaled = np.zeros(depth.shape, np.uint16)
    scaled[known] = np.rint(1 + (depth[known].astype(np.float64) - low) / span * 65534).astype(np.uint16)
    with replacing(path, force=force) as file:
        file.write(png_bytes(scaled, None, None))
    return low, high


@contextmanager
def replacing(path: Path, *, force: bool) -> Iterator[BinaryIO]:
    """A file that takes its name only when it is whole and durable; on any failure nothing is left.

    Raises
    ------
    OutputError
        Where it cannot be written, or the name was taken meanwhile and `force` is not given.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _take_name(beside, path, force=force)
    except OSError as error:
        raise _mapped(path, error) from error
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def _encode(
    suffix: str, file: BinaryIO, image: NDArray[Any], metadata: PictureMetadata, icc: bytes, quality: int
) -> None:
    if suffix in TIFF_SUFFIXES:
        write_tiff(file, image, metadata, icc)
    elif suffix in JPEG_SUFFIXES:
        file.write(jpeg_bytes(image, metadata, icc, quality=quality))
    else:
        file.write(png_bytes(image, metadata, icc))


def _take_name(beside: Path, path: Path, *, force: bool) -> None:
    if force:
        beside.replace(path)
    else:
        try:
            os.link(beside, path)  # fails where the name was taken since it was checked
        except FileExistsError:
            raise
        except OSError:  # no hard links on this file system
            beside.replace(path)
    with suppress(OSError):
        descriptor = os.open(path.absolute().parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _mapped(path: Path, error: OSError) -> OutputError:
    if isinstance(error, FileExistsError):
        return OutputError(f"{path} exists", remedy="Choose another name, or give --force to write over it.")
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return OutputError(f"{path.name} cannot be written: {error.strerror}", remedy=_FREE_SPACE)
    return OutputError(
        f"{path.name} cannot be written: {error.strerror or error}", remedy="Check the folder and its permissions."
    )
