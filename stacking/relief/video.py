"""A rocking picture as a video file."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from numpy.typing import NDArray

from stacking.errors import OutputError
from stacking.relief.options import VIDEO_SUFFIXES
from stacking.writers import check_target, replacing

_CODES = {".mp4": "mp4v", ".avi": "MJPG"}
_PER_SECOND = 24
_SWINGS = 3


def write_rocking(path: Path, views: Iterable[NDArray[np.uint8]], *, force: bool = False) -> None:
    """Write one swing, three times over (a GIF repeats by itself).

    Parameters
    ----------
    views : iterable of ndarray (rows, columns, 3), uint8
        RGB, all of one size.

    Raises
    ------
    OutputError
        Where it cannot be written, or this OpenCV has no such encoder.
    """
    check_target(path, force=force, suffixes=VIDEO_SUFFIXES)
    suffix = path.suffix.lower()
    # encoders want both sides even, and BGR
    frames = [np.ascontiguousarray(v[: v.shape[0] // 2 * 2, : v.shape[1] // 2 * 2, ::-1]) for v in views]
    with TemporaryDirectory(dir=path.absolute().parent, prefix=f".{path.stem}.") as folder:
        beside = Path(folder) / f"rocking{suffix}"
        try:
            if suffix == ".gif":
                _write_gif(beside, frames)
            else:
                _write_video(beside, frames)
        except cv2.error as error:
            raise _refused(path) from error
        if not beside.is_file() or not beside.stat().st_size:
            raise _refused(path)
        with replacing(path, force=force) as file:
            file.write(beside.read_bytes())


def _write_video(path: Path, frames: list[NDArray[np.uint8]]) -> None:
    rows, columns = frames[0].shape[:2]
    code = cv2.VideoWriter.fourcc(*_CODES[path.suffix])
    writer = cv2.VideoWriter(str(path), code, float(_PER_SECOND), (columns, rows))
    try:
        for frame in frames * _SWINGS if writer.isOpened() else []:
            writer.write(frame)
    finally:
        writer.release()


def _write_gif(path: Path, frames: list[NDArray[np.uint8]]) -> None:
    animation = cv2.Animation()
    with suppress(AttributeError):
        animation.loop_count = 0
    animation.frames = frames[::2]
    animation.durations = [2000 // _PER_SECOND] * len(frames[::2])
    cv2.imwriteanimation(str(path), animation)


def _refused(path: Path) -> OutputError:
    return OutputError(
        f"{path.name}: this installation cannot encode {path.suffix} videos",
        remedy=f"End the name in {' or '.join(s for s in VIDEO_SUFFIXES if s != path.suffix)}.",
    )
