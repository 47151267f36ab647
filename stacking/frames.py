"""The values that pass between the stages: sources in, developed frames, registrations."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Source:
    """One picture of a stack.

    Attributes
    ----------
    path : Path
    raw : bool
        True where LibRaw develops it.
    position_um : float or None
        Rail position (grows towards the subject), where a session recorded it.
    also : tuple of Path
        Further exposures of the same kind and place: the picture is the average of all.
    """

    path: Path
    raw: bool = False
    position_um: float | None = None
    also: tuple[Path, ...] = ()

    @property
    def paths(self) -> tuple[Path, ...]:
        """All its files."""
        return (self.path, *self.also)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """One picture that is not in the result, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Developed:
    """One frame in the working form.

    Attributes
    ----------
    image : ndarray, shape (rows, columns, 3), uint8 or uint16, C-contiguous
        Display-referred (gamma-encoded) RGB, the full range of its dtype, upright. 8-bit input stays uint8.
    """

    image: Pixels


@dataclass(frozen=True, slots=True)
class Deformation:
    """How a frame lies on the reference frame beyond its matrix, z = x + iy from the centre, R to a corner; 0: not at all.

    Attributes
    ----------
    radial : float
        Distortion of the lens, the same in all frames of a stack, z (1 + radial |z / R|^2): the share by which corners move outward.
    keystone : complex
        Magnification that grows across the frame, z (1 + Re(conj(keystone) z / R)).
    """

    radial: float = 0.0
    keystone: complex = 0j


STRAIGHT = Deformation()


@dataclass(frozen=True, slots=True)
class Registration:
    """How one frame lies on the reference frame.

    Attributes
    ----------
    matrix : ndarray, shape (2, 3), float64
        Maps (x, y, 1) of the reference frame to (x, y) of this frame, in full-resolution pixels, pixel centres at integers
        (the convention of ``cv2.warpAffine`` with ``WARP_INVERSE_MAP``). Where there is a
        deformation, between frames freed of it.
    gain : ndarray, shape (3,), float64
        Factor per RGB channel that brings this frame's encoded values to the reference frame's brightness and colours.
    residual_px : float
        RMS residual of the points it was fitted to, in full-resolution pixels.
    deformation : Deformation
        A point of the reference frame is freed of the radial distortion, goes through `matrix`, is moved by the keystone, and is
        distorted again.
    """

    matrix: NDArray[np.float64]
    gain: NDArray[np.float64]
    residual_px: float
    deformation: Deformation = STRAIGHT
