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
        """A plain one-image TIFF of the mosaic with a DNG version: small, decodable as TIFF, not meant to be developed."""
        mosaic = cv2.cvtColor(self._picture(), cv2.COLOR_BGR2GRAY).astype(np.uint16) << 4
        out = io.BytesIO()
        tifffile.imwrite(
            out,
            mosaic,
            photometric=32803,
            metadata=None,
            datetime=self.taken[:19],
            extratags=[
                (50706, 1, 4, b"\x01\x04\0\0", True),
                (33421, 3, 2, (2, 2), True),
                (33422, 1, 4, b"\0\1\1\2", True),
            ],
        )
        return out.getvalue()

    def jpeg(self) -> bytes:
        """The gradient as JPEG, with the time in a comment segment."""
        plain = _encode(self._picture())
        comment = f"{self.taken} shot {self.serial}".encode()
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
