"""Live frames with their focus drawn over them, as a stream that a terminal, a window, a file or a browser page shows.

A page takes each frame's `jpeg` as a part of ``multipart/x-mixed-replace`` and its `facts` as JSON beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from capture.camera.protocol import LiveFrame
from capture.errors import CameraError
from capture.focus.peaking import Peaking, Peaks
from capture.focus.peaking_view import draw_peaking, encode_jpeg

_MOST_BROKEN = 10


@dataclass(frozen=True, slots=True)
class PeakedFrame:
    """One frame.

    Attributes
    ----------
    number : int
        From 1.
    picture : ndarray, shape (rows, columns, 3), uint8
        BGR, drawn over.
    peaks : Peaks
    arrived_s : float
        `time.monotonic` at its arrival.
    unit : str
        Of the position.
    """

    number: int
    picture: NDArray[np.uint8]
    peaks: Peaks
    arrived_s: float
    unit: str

    def jpeg(self, quality: int = 85) -> bytes:
        """The picture, encoded."""
        return encode_jpeg(self.picture, quality)

    @property
    def facts(self) -> dict[str, Any]:
        """The frame's numbers, for JSON."""
        peaks, suffix = self.peaks, "um" if self.unit == "um" else "steps"
        values: dict[str, Any] = {"frame": self.number, "arrived_s": round(self.arrived_s, 4)}
        return values | {
            f"position_{suffix}": peaks.position,
            "share": round(peaks.share, 5),
            "sharpness": peaks.sharpness,
            "best_sharpness": peaks.best,
            f"best_position_{suffix}": peaks.best_position,
            "textured": round(float(peaks.textured.mean()), 4),
            "clipped": round(float(peaks.clipped.mean()), 4),
            "noise": round(peaks.sigma, 3),
        }


def peaked_frames(
    frames: Iterable[LiveFrame],
    peaking: Peaking,
    position: Callable[[], float | None] = lambda: None,
    *,
    unit: str = "um",
    legend: bool = True,
) -> Iterator[PeakedFrame]:
    """Judge each frame and draw over it.

    Parameters
    ----------
    frames : iterable of LiveFrame
        An open stream.
    peaking : Peaking
        Keeps what was best so far; its zones may be changed while the stream runs.
    position : callable
        Where the axis stands; None where that is not known.
    unit : str
    legend : bool
        Draw the numbers, too.

    Raises
    ------
    CameraError
        Where frame after frame cannot be decoded.
    """
    number = broken = 0
    for live in frames:
        frame = cv2.imdecode(np.frombuffer(live.jpeg, np.uint8), cv2.IMREAD_COLOR)
        if frame is None:
            broken += 1
            if broken >= _MOST_BROKEN:
                raise CameraError(
                    "the live frames cannot be read", remedy="Switch the camera off and on, and try again."
                )
            continue
        broken, number = 0, number + 1
        picture = np.asarray(frame, np.uint8)
        peaks = peaking.look(np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8), position())
        drawn = draw_peaking(picture, peaks, peaking.zones, legend=legend, unit=unit)
        yield PeakedFrame(number, drawn, peaks, live.arrived_s, unit)
