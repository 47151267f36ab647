"""From light to numbers: camera colour, exposure, photon and read noise, Bayer mosaic; and the camera's own JPEG from it.

The scene is linear light with sRGB primaries. `COLOUR_MATRIX_E4` (XYZ to camera, D65) is what the DNG states; light is taken to camera
colours with the same matrix, so a converter that inverts it gives the scene's colours back.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from capture.bench.interfaces import ExposureSettings

Picture = NDArray[np.float32]
Mosaic = NDArray[np.uint16]

BLACK_LEVEL = 512
WHITE_LEVEL = 15_872
BASE_ISO = 100
BASE_SHUTTER_S = 1.0 / 60.0
# XYZ (D65) to camera, in ten-thousandths: of the kind that published matrices of DSLR sensors are.
COLOUR_MATRIX_E4 = ((8210, -2330, -690), (-4360, 12140, 2470), (-760, 1690, 6210))
_XYZ_FROM_SRGB = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
_ELECTRONS_PER_UM2 = 2000.0
_READ_NOISE_E = 3.5
_LIVE_SHUTTER_S = 1.0 / 30.0


def _camera_from_srgb() -> NDArray[np.float64]:
    return np.asarray(np.asarray(COLOUR_MATRIX_E4, dtype=np.float64) / 1e4 @ np.asarray(_XYZ_FROM_SRGB))


def as_shot_neutral() -> NDArray[np.float64]:
    """What the camera records for white, green 1, to six decimals as the DNG states it; shape (3,)."""
    sums = _camera_from_srgb().sum(axis=1)
    return np.asarray(np.round(sums / sums[1], 6))


def balanced_from_srgb() -> NDArray[np.float64]:
    """Linear sRGB to white-balanced camera colour, rows summing to one; shape (3, 3)."""
    matrix = _camera_from_srgb()
    return np.asarray(matrix / matrix.sum(axis=1, keepdims=True))


@dataclass(frozen=True, slots=True)
class Sensor:
    """A Bayer sensor with 14-bit numbers.

    Attributes
    ----------
    pixel_um : float
        Pixel pitch; the full well grows with the pixel's area.
    base_f_number : float
        Marked f-number at which light of 1 just reaches the white level at ISO 100 and 1/60 s.
    noise : float
        Factor on photon and read noise; 0 for none.
    """

    pixel_um: float
    base_f_number: float
    noise: float = 1.0

    @property
    def full_well_e(self) -> float:
        """Electrons at the white level at base ISO."""
        return _ELECTRONS_PER_UM2 * self.pixel_um**2

    def exposure(self, settings: ExposureSettings) -> float:
        """Light on the sensor relative to the base exposure (shutter and aperture; not ISO)."""
        return settings.shutter_s / BASE_SHUTTER_S * (self.base_f_number / settings.f_number) ** 2

    def mosaic(self, light: Picture, settings: ExposureSettings, rng: np.random.Generator, gain: float = 1.0) -> Mosaic:
        """Expose.

        Parameters
        ----------
        light : ndarray, shape (rows, columns, 3), float32
            Linear light, sRGB primaries.
        gain : float
            Factor on the light (flicker, a flash that misfired).

        Returns
        -------
        ndarray, shape (rows, columns), uint16
            RGGB, `BLACK_LEVEL` to `WHITE_LEVEL`.
        """
        matrix = (balanced_from_srgb() * as_shot_neutral()[:, None]).astype(np.float32)
        share = np.empty(light.shape[:2], dtype=np.float32)
        for y, x, colour in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
            site = light[y::2, x::2]
            share[y::2, x::2] = cv2.transform(site, matrix[colour : colour + 1]) if site.size else 0.0
        electrons = share
        electrons *= np.float32(self.exposure(settings) * gain * self.full_well_e)
        np.maximum(electrons, 0.0, out=electrons)
        if self.noise > 0.0:
            deviation = np.sqrt(electrons + np.float32(_READ_NOISE_E**2))
            deviation *= rng.standard_normal(deviation.shape, dtype=np.float32)
            deviation *= np.float32(self.noise)
            electrons += deviation
        numbers = electrons
        numbers *= np.float32(settings.iso / BASE_ISO * (WHITE_LEVEL - BLACK_LEVEL) / self.full_well_e)
        numbers += np.float32(BLACK_LEVEL + 0.5)
        return np.clip(numbers, 0, WHITE_LEVEL).astype(np.uint16)

    def live(self, light: Picture, settings: ExposureSettings, rng: np.random.Generator, gain: float = 1.0) -> Picture:
        """One live-view frame as bright as the still will be, but read out within 1/30 s at a higher gain.

        Returns
        -------
        ndarray, shape (rows, columns, 3), float32
            Linear light, 1 is white, not clipped.
        """
        brightness = np.float32(self.exposure(settings) * gain * settings.iso / BASE_ISO)
        picture = np.maximum(light, 0.0) * brightness
        if self.noise > 0.0:
            well = self.full_well_e * BASE_ISO / settings.iso * min(1.0, _LIVE_SHUTTER_S / settings.shutter_s)
            deviation = np.sqrt(picture * np.float32(1.0 / well) + np.float32((2.0 * _READ_NOISE_E / well) ** 2))
            deviation *= rng.standard_normal(picture.shape, dtype=np.float32)
            deviation *= np.float32(self.noise)
            picture += deviation
        return picture


def encode_srgb(light: Picture, levels: int) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Clip linear light to 0..1 and encode it with the sRGB curve (IEC 61966-2-1).

    Parameters
    ----------
    levels : int
        255 for uint8, 65535 for uint16.
    """
    ramp = np.arange(65536, dtype=np.float64) / 65535.0
    curve = np.where(ramp <= 0.0031308, 12.92 * ramp, 1.055 * ramp ** (1 / 2.4) - 0.055)
    if levels == 255:
        table = np.round(curve * 255.0).astype(np.uint8)
        return np.asarray(table[(np.clip(light, 0.0, 1.0) * np.float32(65535.0) + np.float32(0.5)).astype(np.uint16)])
    clipped = np.clip(light, 0.0, 1.0)
    power = cv2.pow(clipped, 1 / 2.4)
    exact = np.where(clipped <= 0.0031308, 12.92 * clipped, 1.055 * power - 0.055)
    return np.asarray((exact * np.float32(levels) + np.float32(0.5)).astype(np.uint16))


def develop(mosaic: Mosaic) -> NDArray[np.uint8]:
    """The camera's own picture of a mosaic: white balance, edge-aware demosaic, sRGB; shape (rows, columns, 3), uint8 RGB."""
    balanced = np.empty(mosaic.shape, dtype=np.uint16)
    scale = 65535.0 / (WHITE_LEVEL - BLACK_LEVEL) / as_shot_neutral()
    for y, x, colour in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        site = mosaic[y::2, x::2].astype(np.float32)
        site -= BLACK_LEVEL
        site *= np.float32(scale[colour])
        balanced[y::2, x::2] = np.clip(site, 0.0, 65535.0)
    # OpenCV names the pattern by the second row's second and third pixel: RGGB is "BG"
    rgb = cv2.cvtColor(balanced, cv2.COLOR_BayerBG2RGB_EA)
    return _to_display(np.asarray(rgb, dtype=np.uint16))


def develop_half(mosaic: Mosaic) -> NDArray[np.uint8]:
    """A half-size picture of a mosaic, one pixel per Bayer cell; shape (rows // 2, columns // 2, 3), uint8 RGB."""
    rows, columns = mosaic.shape[0] // 2 * 2, mosaic.shape[1] // 2 * 2
    cells = mosaic[:rows, :columns].astype(np.float32)
    green = 0.5 * (cells[0::2, 1::2] + cells[1::2, 0::2])
    rgb = np.dstack([cells[0::2, 0::2], green, cells[1::2, 1::2]]) - np.float32(BLACK_LEVEL)
    rgb *= (65535.0 / (WHITE_LEVEL - BLACK_LEVEL) / as_shot_neutral()).astype(np.float32)
    return _to_display(np.clip(rgb, 0.0, 65535.0).astype(np.uint16))


def _to_display(balanced: NDArray[np.uint16]) -> NDArray[np.uint8]:
    inverse = np.linalg.inv(balanced_from_srgb()).astype(np.float32)
    light = cv2.transform(balanced.astype(np.float32) * np.float32(1 / 65535), inverse)
    return np.asarray(encode_srgb(np.asarray(light), 255), dtype=np.uint8)
