"""What the user tells of the optics, and where to look; light, for it is read before anything is opened."""

from __future__ import annotations

import re
from dataclasses import dataclass

from capture.app.optics_options import pixel_pitch_um
from capture.depth_of_field import DEFAULT_COC_UM, DEFAULT_OVERLAP, DEFAULT_WAVELENGTH_NM, PIXELS_PER_COC, Optics
from capture.errors import UsageError
from capture.focus.region import Region
from capture.settings import Settings

_FEWEST_SHARE = 0.01
_SOME_F_NUMBER = 8.0


@dataclass(frozen=True, slots=True)
class FocusWishes:
    """What the user told of the optics, and where to look.

    Attributes
    ----------
    magnification, f_number : float or None
    pupil, overlap, wavelength_nm : float
    pixel_um, coc_um : float or None
        None: as the test shot tells.
    live_scale : float or None
        Pixels of the still for one of a live frame; None: found by a test shot.
    region : Region
    """

    magnification: float | None
    f_number: float | None
    pupil: float
    wavelength_nm: float
    overlap: float
    pixel_um: float | None
    coc_um: float | None
    live_scale: float | None
    region: Region

    @classmethod
    def chosen(
        cls,
        settings: Settings,
        *,
        magnification: float | None,
        f_number: float | None,
        pixel: str | None,
        overlap: float | None,
        roi: str | None,
        live_scale: float | None,
    ) -> FocusWishes:
        """Flags over settings. What measures needs no magnification that a profile was taught once: lenses and extensions change.

        Raises
        ------
        UsageError
        """
        if live_scale is not None and not 0.05 < live_scale < 50:
            raise UsageError(
                f"a live scale of {live_scale:g} cannot be",
                remedy="Give the still's width divided by the live frame's, for example --live-scale 5.4.",
            )
        share = float(settings.choose("overlap", overlap, DEFAULT_OVERLAP))
        if not 0 <= share < 1:
            raise UsageError(f"an overlap of {share:g} makes no step", remedy="Give a share from 0 to below 1.")
        wishes = cls(
            settings.choose("magnification", magnification),
            settings.choose("f_number", f_number),
            settings.choose("pupil", None, 1.0),
            settings.choose("wavelength_nm", None, DEFAULT_WAVELENGTH_NM),
            share,
            pixel_pitch_um(settings, pixel),
            settings.choose("coc_um", None),
            live_scale,
            parse_region(roi),
        )
        wishes._check()
        return wishes

    def _check(self) -> None:
        """Refuse optics that cannot be; what is not known yet is taken for something that can."""
        Optics(
            1.0 if self.magnification is None else self.magnification,
            _SOME_F_NUMBER if self.f_number is None else self.f_number,
            self.pupil,
            coc_um=DEFAULT_COC_UM if self.coc_um is None else self.coc_um,
            wavelength_nm=self.wavelength_nm,
        )

    def optics(self, pixel_um: float | None, f_number: float | None = None) -> Optics | None:
        """What the formula is computed for, with what a still says where the user did not; None where magnification, f-number, or the
        size of a pixel is not known.
        """
        f_number = f_number if self.f_number is None else self.f_number
        pitch = self.pixel_um if self.pixel_um is not None else pixel_um
        coc_um = self.coc_um if pitch is None else PIXELS_PER_COC * pitch
        if self.magnification is None or f_number is None or coc_um is None:
            return None
        return Optics(self.magnification, f_number, self.pupil, coc_um=coc_um, wavelength_nm=self.wavelength_nm)


def parse_region(text: str | None) -> Region:
    """``x,y,width,height`` as shares of the frame; all of it for None.

    Raises
    ------
    UsageError
    """
    if text is None:
        return Region()
    parts = re.split(r"[,;\s]+", text.strip())
    try:
        x, y, width, height = (float(part.removesuffix("%")) / (100 if part.endswith("%") else 1) for part in parts)
    except ValueError:
        x = y = width = height = -1.0
    inside = x >= 0 and y >= 0 and x + width <= 1 + 1e-9 and y + height <= 1 + 1e-9
    if not inside or min(width, height) < _FEWEST_SHARE:
        raise UsageError(
            f"'{text}' is no region of the frame",
            remedy="Give x,y,width,height as shares of it from the top left, for example --roi 0.25,0.25,0.5,0.5.",
        )
    return Region(x, y, width, height)
