"""The lens of the bench: blur circle, diffraction, and the perspective of a lens that rides on the carriage.

With magnification m, marked f-number N and pupil magnification P the effective f-number is N_eff = N (1 + m / P). A part of the
subject |z| away from the focused plane is drawn as a disc of diameter |z| m^2 / N_eff on the sensor [1]. Diffraction is that of a
circular pupil in incoherent light [2]; it is applied as its transfer function, so the Airy pattern needs no cutting or sampling.
Defocus and diffraction are convolved with each other: exact for the moments of the blur, an approximation of its fine rings.

References
----------
[1] H. L. Gibson, "Close-up photography and photomacrography", Kodak publication N-16, 1970.
[2] J. W. Goodman, "Introduction to Fourier Optics", 3rd ed., section 6.3 (OTF of a circular pupil).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Kernel = NDArray[np.float32]
_MAX_HALF_WIDTH = 40
# Distance of the four spots into which the sensor's low-pass filter splits every point, in pixels.
_LOW_PASS_PX = 0.8


@dataclass(frozen=True, slots=True)
class Lens:
    """A macro lens at a fixed magnification in front of a sensor.

    Attributes
    ----------
    magnification : float
        Image size over object size in the focused plane.
    f_number : float
        As marked on the lens.
    pixel_um : float
        Pixel pitch of the sensor.
    focal_length_mm : float
        Sets the distance of the entrance pupil from the focused plane, f (1 + 1 / m).
    wavelength_um : float
    pupil_ratio : float
        Exit over entrance pupil diameter.
    """

    magnification: float = 2.0
    f_number: float = 2.8
    pixel_um: float = 4.0
    focal_length_mm: float = 100.0
    wavelength_um: float = 0.55
    pupil_ratio: float = 1.0

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be a positive number, not {value!r}")

    @property
    def f_number_effective(self) -> float:
        """N (1 + m / P)."""
        return self.f_number * (1.0 + self.magnification / self.pupil_ratio)

    @property
    def object_um_per_px(self) -> float:
        """Size of one pixel in the focused plane, in um."""
        return self.pixel_um / self.magnification

    @property
    def pupil_distance_um(self) -> float:
        """Distance L from the focused plane to the entrance pupil."""
        return self.focal_length_mm * 1e3 * (1.0 + 1.0 / self.magnification)

    @property
    def blur_px_per_um(self) -> float:
        """Growth of the blur circle's diameter, in pixels of the still, per um of defocus."""
        return self.magnification**2 / self.f_number_effective / self.pixel_um

    @property
    def depth_of_field_um(self) -> float:
        """Total depth of field for a blur circle of two pixels: geometric and wave-optical part added."""
        aperture = self.magnification / (2.0 * self.f_number_effective)
        return 4.0 / self.blur_px_per_um + self.wavelength_um / aperture**2

    def at(self, f_number: float) -> Lens:
        """The same lens at another marked f-number."""
        return replace(self, f_number=f_number)

    def shrink(self, z_um: NDArray[np.float32], position_um: float) -> NDArray[np.float32]:
        """How much smaller than in focus a part at depth `z_um` is drawn from `position_um`: (L + z - position) / L."""
        away = (z_um - np.float32(position_um)) * np.float32(1.0 / self.pupil_distance_um)
        return np.asarray(np.maximum(away + np.float32(1.0), np.float32(0.05)), dtype=np.float32)

    def cutoff(self, pitch_px: float = 1.0) -> float:
        """Spatial frequency, in cycles per `pitch_px` pixels of the still, from which the lens transfers nothing."""
        return pitch_px * self.pixel_um / (self.wavelength_um * self.f_number_effective)

    def spread(self, *, pitch_px: float = 1.0, aperture_px: float = 1.0, averaged_px: float = 0.0) -> Kernel:
        """Point spread of the focused lens, the low-pass filter and the pixel, on a grid of `pitch_px` pixels of the still.

        The product of the pupil's closed-form OTF, the cosines of the four-spot optical low-pass filter that Bayer sensors
        carry, and the pixel's sinc is brought back by a Fourier transform, so on the grid
        the response is exact up to the grid's own limit; what lies outside the odd-sized window (about a
        twentieth of the energy, as the Airy pattern's tail falls slowly) is shared out by normalising.

        Parameters
        ----------
        pitch_px : float
            Grid pitch; above 1 for a smaller picture (live view).
        aperture_px : float
            Side of the square that collects light, in pixels of the still.
        averaged_px : float
            Side of the square over which the picture has been averaged before, in pixels of the still: taken back.

        Returns
        -------
        ndarray, shape (n, n), float32, n odd
            Sums to one.
        """
        cutoff = self.cutoff(pitch_px)
        half = int(np.clip(math.ceil(4.0 / cutoff), 2, _MAX_HALF_WIDTH))
        size = 128
        frequency = np.fft.fftfreq(size)
        radial = np.minimum(np.hypot(frequency[:, None], frequency[None, :]) / cutoff, 1.0)
        transfer = 2.0 / math.pi * (np.arccos(radial) - radial * np.sqrt(1.0 - radial**2))
        pixel = np.sinc(frequency * aperture_px / pitch_px) / np.sinc(frequency * averaged_px / pitch_px)
        pixel *= np.cos(math.pi * frequency * _LOW_PASS_PX / pitch_px)
        point = np.fft.fftshift(np.fft.ifft2(transfer * pixel[:, None] * pixel[None, :]).real)
        middle = size // 2
        window = point[middle - half : middle + half + 1, middle - half : middle + half + 1]
        return np.asarray(window / window.sum(), dtype=np.float32)


def disc(variance_px2: float) -> Kernel:
    """A uniform disc whose second moment on the pixel grid is exact.

    Coverage of the pixel squares by a circle adds the square's own moment; the circle is drawn so much smaller (or larger, below a
    pixel) that the kernel's variance along each axis is the one asked for. A disc of diameter d has the variance d^2 / 16.

    Parameters
    ----------
    variance_px2 : float
        Wanted variance along each axis, in squared pixels; not negative.

    Returns
    -------
    ndarray, shape (n, n), float32, n odd
        Sums to one.
    """
    if variance_px2 <= 1e-4:
        return np.ones((1, 1), dtype=np.float32)
    low, high = 0.0, 2.0 * math.sqrt(variance_px2) + 1.0
    for _ in range(24):
        radius = 0.5 * (low + high)
        coverage = _coverage(radius)
        if _variance(coverage) < variance_px2:
            low = radius
        else:
            high = radius
    return np.asarray(_coverage(high), dtype=np.float32)


def _coverage(radius: float) -> NDArray[np.float64]:
    """Share of each pixel that a centred circle covers, normalised; shape (n, n) with n odd."""
    half = max(math.ceil(radius - 0.5), 1)
    samples = 16 if radius < 4 else 8
    axis = (np.arange((2 * half + 1) * samples) + 0.5) / samples - half - 0.5
    span = np.sqrt(np.maximum(radius**2 - axis**2, 0.0))
    edges = np.arange(2 * half + 1) - half - 0.5
    # along x the coverage of each row is exact, along y it is sampled
    covered = np.clip(span[:, None] - edges[None, :], 0.0, 1.0) - np.clip(-span[:, None] - edges[None, :], 0.0, 1.0)
    kernel = covered.reshape(2 * half + 1, samples, 2 * half + 1).sum(axis=1)
    kernel = 0.5 * (kernel + kernel.T)
    return np.asarray(kernel / max(kernel.sum(), 1e-12))


def _variance(kernel: NDArray[np.float64]) -> float:
    offset = np.arange(kernel.shape[0]) - kernel.shape[0] // 2
    return float((kernel.sum(axis=0) * offset**2).sum())
