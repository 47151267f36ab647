"""The seams of the simulated bench: carriage -> scene and lens -> camera body -> wire.

The part of the scene with depth coordinate z_um is in focus when the carriage's ``position_um == z_um``. Times are device
seconds (the bench's clock, which may run at a multiple of real time).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from rail.simulator.options import CarriageSample

__all__ = ["Carriage", "CarriageSample", "ExposureSettings", "Faulty", "Imager", "Negative"]


class Carriage(Protocol):
    """What the scene asks of the rail."""

    def sample(self) -> CarriageSample:
        """Where the carriage is now."""


@dataclass(frozen=True, slots=True)
class ExposureSettings:
    """What the body was set to when the shutter opened."""

    iso: int
    shutter_s: float
    f_number: float


class Negative(Protocol):
    """One exposure: what the sensor saw, ready to be written in either format (rendered once, when first asked)."""

    def dng(self) -> bytes:
        """A whole DNG file: mosaic, colour matrix, white balance, exposure tags, embedded JPEG preview."""

    def jpeg(self) -> bytes:
        """The camera's own JPEG of it, with EXIF."""


class Imager(Protocol):
    """Scene, lens and sensor behind the camera body."""

    def expose(self, settings: ExposureSettings, *, at: CarriageSample, taken: str, serial: int) -> Negative:
        """Expose with the carriage at `at`; `taken` is the EXIF time stamp with sub-seconds (``YYYY:MM:DD HH:MM:SS.mmm``),
        `serial` the shot's number. Noise is drawn from seed, position and exposure, never from `serial` or the time.
        """

    def live_jpeg(self, settings: ExposureSettings, *, at: CarriageSample, frame: int, magnify: int = 1) -> bytes:
        """One live-view frame (smaller than the still by the bench's live scale; `magnify` > 1 crops to the middle at
        that many times the size). `frame` counts live frames and seeds their noise.
        """


class Faulty(Protocol):
    """A simulated part whose faults the control port sets."""

    def faults(self) -> dict[str, dict[str, str]]:
        """Fault name -> {parameter name: what it means, its unit and default}."""

    def inject(self, name: str, parameters: dict[str, object]) -> None:
        """Switch a fault on; ValueError for a name or parameter it does not know."""

    def clear(self, name: str) -> None:
        """Switch a fault off (no error where it is not on)."""
