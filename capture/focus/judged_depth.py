"""The depth of field that a session is judged by: as measured before it, else from what its frames, its live frames or its optics tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from capture.depth_of_field import (
    DEFAULT_WAVELENGTH_NM,
    PIXELS_PER_COC,
    Optics,
    depth_of_field,
    magnification_of_growth,
)
from capture.focus.certificate import dof_of_growth
from capture.focus.step import wave_beside
from capture.focus.survey import HALF_PX
from rail.axis import AxisUnit


@dataclass(frozen=True, slots=True)
class WatchWishes:
    """What is known of the depth of field, and what is to be judged by.

    Attributes
    ----------
    dof : float or None
        Total depth of field as measured before the session; None: the frames tell it.
    overlap : float or None
        That the step was planned with; None where the user gave the step.
    magnification, f_number, pixel_um : float or None
        As the user gave them.
    pupil, wavelength_nm : float
    """

    dof: float | None = None
    overlap: float | None = None
    magnification: float | None = None
    f_number: float | None = None
    pixel_um: float | None = None
    pupil: float = 1.0
    wavelength_nm: float = DEFAULT_WAVELENGTH_NM


class JudgedDepth:
    """What is known of the optics of a session's frames.

    Parameters
    ----------
    wishes : WatchWishes
    unit : AxisUnit
        What positions count. Optics are known in um only: in steps of a lens the frames alone tell the depth of field.
    note : callable
        Called with what the user should know.
    """

    def __init__(self, wishes: WatchWishes, unit: AxisUnit, note: Callable[[str], None]) -> None:
        self._wishes = wishes
        self._unit = unit
        self._note = note
        self._pixel_um = wishes.pixel_um
        self._f_number: float | None = None

    def learn(self, exposure: Mapping[str, object]) -> None:
        """What a frame's file says of its exposure and sensor."""
        self._f_number = _number(exposure.get("f_number"))
        self._pixel_um = self._pixel_um or _number(exposure.get("pixel_um"))

    def dof(self, growth_half_px: float | None) -> float | None:
        """Total depth of field in the axis's unit; None where nothing tells it.

        Parameters
        ----------
        growth_half_px : float or None
            Growth of blur in pixels of the half-size frame per unit of position, where it was seen.
        """
        if self._wishes.dof is not None:
            return self._wishes.dof
        if growth_half_px is not None:
            return self._measured(dof_of_growth(growth_half_px), growth_half_px * HALF_PX)
        optics = self._optics(None)
        if optics is None:
            return None
        self._note("the depth of field is the formula's: the frames do not tell it surely")
        return depth_of_field(optics).total_um

    def _measured(self, geometric_um: float, growth_px: float) -> float:
        """With the wave part, where the optics are known."""
        optics = self._optics(growth_px)
        if optics is None:
            return geometric_um
        wave_um, told = wave_beside(geometric_um, depth_of_field(optics), optics, self._f_number)
        if told:
            self._note(told)
        return geometric_um + wave_um

    def _optics(self, growth_px: float | None) -> Optics | None:
        """As the user gave them; else the magnification at which growth and the f-number in the files agree."""
        wishes, pitch = self._wishes, self._pixel_um
        m = wishes.magnification
        n = wishes.f_number if wishes.f_number is not None else self._f_number
        if pitch is None or n is None or self._unit is not AxisUnit.UM:
            return None
        if m is None:
            if growth_px is None:
                return None
            m = magnification_of_growth(growth_px, n, pitch, wishes.pupil)
        return Optics(m, n, wishes.pupil, coc_um=PIXELS_PER_COC * pitch, wavelength_nm=wishes.wavelength_nm)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and value > 0 else None
