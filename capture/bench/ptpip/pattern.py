"""A test pattern in place of a scene: for trying a driver against the camera without the rest of the bench."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray

from capture.bench.interfaces import CarriageSample, ExposureSettings


@dataclass(frozen=True, slots=True)
class StillCarriage:
    """A carriage that never moves."""

    position_um: float = 0.0

    def sample(self) -> CarriageSample:
        """Where it is."""
        return CarriageSample(self.position_um, math.inf, moving=False)


@dataclass(frozen=True, slots=True)
class PatternNegative:
    """A gradient with a text."""

    width: int
    height: int
    settings: ExposureSettings
    at: CarriageSample
    taken: str
    serial: int

    def dng(self) -> bytes:
        """A mosaic of 12 bit in a DNG that LibRaw takes; no preview in it."""
        red, green, blue = (cv2.split(self._picture())[channel].astype(np.uint16) << 4 for channel in (2, 1, 0))
        mosaic = green.copy()
        mosaic[::2, ::2], mosaic[1::2, 1::2] = red[::2, ::2], blue[1::2, 1::2]
        matrix = tuple(value for entry in np.eye(3).ravel() for value in (int(entry), 1))
        out = io.BytesIO()
        tifffile.imwrite(
            out,
            mosaic,
            photometric=32803,
            metadata=None,
            software="focusrail bench",
            description=f"{self.taken} shot {self.serial:06d}",
            extratags=[
                (271, 2, 0, "Focusrail", True),
                (272, 2, 0, "Bench Camera", True),
                (274, 3, 1, 1, True),
                (33421, 3, 2, (2, 2), True),
                (33422, 1, 4, b"\0\1\1\2", True),
                (50706, 1, 4, b"\1\4\0\0", True),
                (50707, 1, 4, b"\1\1\0\0", True),
                (50708, 2, 0, "Focusrail Bench Camera", True),
                (50714, 3, 1, 0, True),
                (50717, 3, 1, 4080, True),
                (50721, 10, 9, matrix, True),
                (50728, 5, 3, (1, 1, 1, 1, 1, 1), True),
                (50778, 3, 1, 21, True),
            ],
        )
        return out.getvalue()

    def jpeg(self) -> bytes:
        """The gradient as JPEG, with the time in a comment segment."""
        plain = _encode(self._picture())
        comment = f"{self.taken} shot {self.serial:06d}".encode()
        return plain[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + plain[2:]

    def _picture(self) -> NDArray[np.uint8]:
        return _gradient(self.width, self.height, f"{self.at.position_um:.1f} um  1/{1 / self.settings.shutter_s:.0f}")


@dataclass(frozen=True, slots=True)
class PatternImager:
    """Exposes test patterns of `width` x `height` pixels; live frames are a quarter of it."""

    width: int = 1200
    height: int = 800

    def expose(self, settings: ExposureSettings, *, at: CarriageSample, taken: str, serial: int) -> PatternNegative:
        """One exposure."""
        return PatternNegative(self.width, self.height, settings, at, taken, serial)

    def live_jpeg(self, settings: ExposureSettings, *, at: CarriageSample, frame: int, magnify: int = 1) -> bytes:
        """One live frame."""
        text = f"{frame} x{magnify} {at.position_um:.0f} um ISO {settings.iso}"
        return _encode(_gradient(self.width // 4, self.height // 4, text))


def _gradient(width: int, height: int, text: str) -> NDArray[np.uint8]:
    row = np.linspace(20, 235, width).astype(np.uint8)
    picture = np.repeat(np.repeat(row[None, :, None], height, axis=0), 3, axis=2)
    picture[..., 1] = picture[..., 1][:, ::-1]
    cv2.putText(picture, text, (8, height // 2), cv2.FONT_HERSHEY_SIMPLEX, height / 400, (255, 255, 255), 1)
    return picture


def _encode(picture: NDArray[np.uint8]) -> bytes:
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 90])
    if not done:
        raise ValueError("the picture could not be encoded")
    return data.tobytes()
