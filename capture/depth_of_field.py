"""Depth of field, computed.

With magnification m, marked f-number N and pupil magnification P, the effective f-number is N_eff = N (1 + m / P); the geometric
(total) depth of field for a circle of confusion of diameter c on the sensor is 2 N_eff c / m^2 [1]. The wave-optical (total) depth is
lambda n / NA^2 with NA = m / (2 N_eff) [2]. Microscopists add the two: lambda n / NA^2 + n e / (m NA) with e the smallest
distance the detector resolves [3]; with NA = m / (2 N_eff) the second part *is* 2 n N_eff e / m^2, so one sum serves both.

An infinity-corrected objective of focal length f_o with a tube lens of focal length f_t magnifies f_t / f_o times; what is marked on it
holds for the tube lens it was made for, so that another one gives marked m x f_used / f_made_for, at the same NA [4].

References
----------
[1] H. L. Gibson, "Close-up photography and photomacrography", Kodak publication N-16, 1970 (effective aperture, pupil ratio).
[2] M. Born and E. Wolf, "Principles of Optics", 7th ed., section 8.8 (quarter-wave criterion; the total of both sides).
[3] S. Inoue and K. R. Spring, "Video Microscopy", 2nd ed., 1997; M. Davidson, "Depth of field and depth of focus", MicroscopyU.
[4] "Objective magnification in infinity optical systems", Molecular Expressions Microscopy Primer, Florida State University.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from capture.errors import UsageError

DEFAULT_OVERLAP = 0.3
DEFAULT_COC_UM = 30.0
DEFAULT_WAVELENGTH_NM = 550.0
# The circle of confusion where the size of a pixel is known.
PIXELS_PER_COC = 2.0
FULL_STOPS = (1.4, 2.0, 2.8, 4.0, 5.6, 8.0, 11.0, 16.0, 22.0, 32.0)
"""As lenses are marked."""
DEFAULT_MADE_FOR_MM = 200.0
"""Tube lens of Nikon, Leica and Mitutoyo; Olympus has 180 mm, Zeiss 165 mm."""

# Near ultraviolet to what silicon still sees, and more.
_WAVELENGTHS_NM = (200.0, 2000.0)
# Vacuum to germanium.
_INDICES = (1.0, 4.0)
_REMEDIES = {
    "magnification": "Give image size over object size, for example --magnification 2.",
    "f_number": "Give it as marked on the lens, for example --f-number 5.6.",
    "pupil_ratio": "Give the exit pupil's diameter over the entrance pupil's, 1 if unknown.",
    "numerical_aperture": "Give it as marked on the objective, for example --na 0.28.",
    "coc_um": "Give it with its unit, for example --coc 8um; or the pixel pitch, --pixel 4um.",
    "wavelength_nm": "Give it in nm: green light, 0.55 um, is --wavelength 550 (wavelength_nm = 550 in the settings).",
    "refractive_index": "Give the medium's index: air --index 1, water 1.33, oil 1.515.",
}


@dataclass(frozen=True, slots=True)
class Optics:
    """What the lens is set to.

    Attributes
    ----------
    magnification : float
        Image size over object size.
    f_number : float or None
        As marked on the lens; None where `numerical_aperture` is given.
    pupil_ratio : float
        Exit over entrance pupil diameter; 1 for a symmetrical lens.
    numerical_aperture : float or None
        Of a microscope objective, on the object side; goes before `f_number`.
    coc_um : float
        Diameter of the circle of confusion on the sensor.
    wavelength_nm, refractive_index : float
        Of the light, 200 to 2000, and of the medium in front of the lens, 1 to 4.

    Raises
    ------
    UsageError
        For what cannot be.
    """

    magnification: float
    f_number: float | None = None
    pupil_ratio: float = 1.0
    numerical_aperture: float | None = None
    coc_um: float = DEFAULT_COC_UM
    wavelength_nm: float = DEFAULT_WAVELENGTH_NM
    refractive_index: float = 1.0

    def __post_init__(self) -> None:
        for name, remedy in _REMEDIES.items():
            value = getattr(self, name)
            if value is not None and not (0 < value < float("inf")):
                raise UsageError(f"{name.replace('_', ' ')} must be greater than zero, not {value:g}", remedy=remedy)
        low, high = _WAVELENGTHS_NM
        if not low <= self.wavelength_nm <= high:
            raise UsageError(
                f"a wavelength of {self.wavelength_nm:g} nm is no light a camera sees ({low:g} to {high:g} nm)",
                remedy=_REMEDIES["wavelength_nm"],
            )
        low, high = _INDICES
        if not low <= self.refractive_index <= high:
            raise UsageError(
                f"no medium has a refractive index of {self.refractive_index:g} ({low:g} to {high:g})",
                remedy=_REMEDIES["refractive_index"],
            )
        if self.f_number is None and self.numerical_aperture is None:
            raise UsageError("the aperture is missing", remedy="Give --f-number, or --na for a microscope objective.")
        if self.numerical_aperture is not None and self.numerical_aperture >= self.refractive_index * 1.0001:
            raise UsageError(
                f"a numerical aperture of {self.numerical_aperture:g} is impossible in a medium of index {self.refractive_index:g}",
                remedy="Give the medium's index with --index (water 1.33, oil 1.515).",
            )

    @property
    def effective_f_number(self) -> float:
        """N (1 + m / P), or the one that belongs to the numerical aperture: m / (2 NA), for the image lies in air."""
        if self.numerical_aperture is not None:
            return self.magnification / (2 * self.numerical_aperture)
        assert self.f_number is not None
        return self.f_number * (1 + self.magnification / self.pupil_ratio)

    @property
    def object_na(self) -> float:
        """Numerical aperture on the object side."""
        if self.numerical_aperture is not None:
            return self.numerical_aperture
        return self.magnification / (2 * self.effective_f_number)


@dataclass(frozen=True, slots=True)
class DepthOfField:
    """Both parts of the total depth of field, their sum, and the step for an overlap."""

    geometric_um: float
    wave_um: float
    overlap: float

    @property
    def total_um(self) -> float:
        """The microscopists' sum."""
        return self.geometric_um + self.wave_um

    @property
    def step_um(self) -> float:
        """DOF (1 - overlap)."""
        return self.total_um * (1 - self.overlap)


def depth_of_field(optics: Optics, overlap: float = DEFAULT_OVERLAP) -> DepthOfField:
    """Depth of field of `optics` and the step at which neighbouring zones overlap by the share `overlap` (0 to below 1)."""
    if not 0 <= overlap < 1:
        raise UsageError(
            f"an overlap of {overlap:g} makes no step", remedy="Give a share from 0 to below 1, for example 0.3."
        )
    na = optics.object_na
    geometric_um = optics.refractive_index * optics.coc_um / (optics.magnification * na)
    wave_um = optics.wavelength_nm / 1000 * optics.refractive_index / na**2
    return DepthOfField(geometric_um, wave_um, overlap)


def with_tube_lens(marked: float, tube_lens_mm: float, made_for_mm: float = DEFAULT_MADE_FOR_MM) -> float:
    """Magnification of an infinity-corrected objective with a tube lens, or a telephoto lens at infinity, of another focal length.

    Parameters
    ----------
    marked : float
        Magnification as marked on the objective.
    tube_lens_mm, made_for_mm : float
        Focal lengths: of the tube lens it is used with, and of the one it was made for.
    """
    return marked * tube_lens_mm / made_for_mm


def magnification_of_growth(
    growth_px_per_um: float, f_number: float, pixel_um: float, pupil_ratio: float = 1.0
) -> float:
    """The magnification at which the blur circle grows so fast: growth x pixel pitch = m^2 / (N (1 + m / P)), solved for m.

    Parameters
    ----------
    growth_px_per_um : float
        Of the blur circle's diameter, in pixels of the still per um of defocus.
    f_number : float
        As marked on the lens.
    pixel_um : float
        Pixel pitch of the still.
    pupil_ratio : float
    """
    rate = growth_px_per_um * pixel_um
    half = rate * f_number / (2 * pupil_ratio)
    return half + math.sqrt(half * half + rate * f_number)
