"""Deformed frames, seen from the canvas: matrices of small tiles, and how far they depart from one for all.

The result keeps the reference frame's own geometry, distortion included. So a canvas pixel is freed of the lens' distortion, led over
by the frame's similarity, deformed and distorted again: a cubic that within a tile is straight to 0.01 px.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stacking.frames import STRAIGHT, Deformation, Registration

if TYPE_CHECKING:
    from stacking.fuse.canvas import Canvas

F64 = NDArray[np.float64]
Points = NDArray[np.complex128]

TILE_PX = 64
_WHOLE_PX = 1 << 31
_ROUNDS = 12
_PROBES = 17


@dataclass(frozen=True, slots=True)
class Tiles:
    """The matrix of every tile of a canvas; a similarity is one tile.

    Attributes
    ----------
    matrices : ndarray (down, across, 2, 3), float64
        To the frame, from x counted from the tile's left edge and y counted from the canvas' upper one.
    side_px : int
        Of a tile, which is square.
    above_px : int
        Rows of the uppermost tiles that lie above the canvas.
    """

    matrices: F64
    side_px: int = _WHOLE_PX
    above_px: int = 0

    @property
    def are_still(self) -> bool:
        """Whether canvas and frame are one."""
        return len(self.matrices) == 1 and np.array_equal(self.matrices[0, 0], np.eye(2, 3))

    def windows(self, width: int, top: int, stop: int) -> Iterator[tuple[range, range, F64]]:
        """Columns and rows of each tile within rows of the canvas, and the matrix to the frame from their corner."""
        down, across = self.matrices.shape[:2]
        for j, i in product(range(down), range(across)):
            left, above = i * self.side_px, j * self.side_px - self.above_px
            x, y = range(left, min(left + self.side_px, width)), range(max(above, top), min(above + self.side_px, stop))
            if len(y):
                matrix = self.matrices[j, i].copy()
                matrix[:, 2] += matrix[:, 1] * y.start
                yield x, y, matrix

    def halved(self) -> Tiles:
        """The same from a canvas of every second pixel to a frame whose pixels are means of 2 x 2."""
        # Such a pixel i is the mean of 2i and 2i + 1, so it lies at 2i + 0.5; canvas samples lie at 2i.
        matrices = self.matrices.copy()
        matrices[..., 2] = (matrices[..., 2] - 0.5) * 0.5
        return Tiles(matrices, self.side_px // 2, self.above_px // 2)


def tiles_of(canvas: Canvas, matrix: F64, deformation: Deformation, frame_size: tuple[int, int]) -> Tiles:
    """The tiles of a canvas.

    Tiles are counted from the corner of what the canvas is a strip of, so that strips do not show.

    Parameters
    ----------
    canvas : Canvas
    matrix : ndarray (2, 3)
        From the canvas to the frame, both freed of the deformation.
    deformation : Deformation
    frame_size : (width, height)
    """
    if deformation == STRAIGHT or (
        not deformation.keystone and np.array_equal(matrix, [[1, 0, canvas.x], [0, 1, canvas.y]])
    ):
        return Tiles(matrix[None, None].copy())
    whole = canvas if canvas.whole is None else canvas.whole
    above = (canvas.y - whole.y) % TILE_PX
    down, across = -(-(canvas.height + above) // TILE_PX), -(-canvas.width // TILE_PX)
    # a straight line through three points to a side, which halves what a tangent in the middle would miss
    probes = np.array([0.0, 0.5, 1.0]) * (TILE_PX - 1)
    x = (np.arange(across) * TILE_PX)[None, :, None, None] + probes[None, None, None, :]
    y = (np.arange(down) * TILE_PX - above)[:, None, None, None] + probes[None, None, :, None]
    there = _mapped(x + 1j * y, complex(canvas.x, canvas.y), matrix, deformation, frame_size)
    along_x = (there[..., 2] - there[..., 0]).mean(axis=-1) / probes[2]
    along_y = (there[..., 2, :] - there[..., 0, :]).mean(axis=-1) / probes[2]
    left_top = there.mean(axis=(-2, -1)) - along_x * probes[1] - along_y * y[:, :, 1, 0]
    matrices = np.stack(
        [
            np.stack([along_x.real, along_y.real, left_top.real], axis=-1),
            np.stack([along_x.imag, along_y.imag, left_top.imag], axis=-1),
        ],
        axis=-2,
    )
    return Tiles(np.ascontiguousarray(matrices), TILE_PX, above)


def straight(registration: Registration, frame_size: tuple[int, int]) -> tuple[F64, int]:
    """The 2x3 matrix from the reference frame that comes nearest to a frame's place, and how far pixels lie beside it at most.

    Parameters
    ----------
    registration : Registration
    frame_size : (width, height)

    Returns
    -------
    matrix : ndarray (2, 3)
        The registration's own without deformation.
    beside_px : int
        Rounded up; 0 without deformation.
    """
    matrix, deformation = registration.matrix, registration.deformation
    if deformation == STRAIGHT or (not deformation.keystone and np.array_equal(matrix, np.eye(2, 3))):
        return matrix, 0
    x, y = (np.linspace(0, side - 1, _PROBES) for side in frame_size)
    z = (x[None] + 1j * y[:, None]).ravel()
    there = _mapped(z, 0j, matrix, deformation, frame_size)
    given = np.stack([z.real, z.imag, np.ones(z.size)], axis=1)
    solved = np.linalg.lstsq(given, np.stack([there.real, there.imag], axis=1), rcond=None)[0]
    nearest: F64 = np.ascontiguousarray(solved.T, np.float64)
    beside = float(np.abs(_by(nearest, z) - there).max())
    # between the points that were looked at it is hardly more
    return nearest, int(np.ceil(1.02 * beside + 0.02))


def surely_had(registration: Registration, frame_size: tuple[int, int]) -> tuple[F64, tuple[int, int]]:
    """The straight matrix to the part of a frame of (width, height) that it surely has, and the size of that part."""
    matrix, beside = straight(registration, frame_size)
    inner = matrix.copy()
    inner[:, 2] -= beside
    return inner, (frame_size[0] - 2 * beside, frame_size[1] - 2 * beside)


def _mapped(z: Points, corner: complex, matrix: F64, deformation: Deformation, frame_size: tuple[int, int]) -> Points:
    """Canvas points in the frame: `corner` is where the canvas begins in the reference frame."""
    centre = complex((frame_size[0] - 1) / 2, (frame_size[1] - 1) / 2)
    radius = abs(centre)
    share = deformation.radial / radius**2
    seen = z + (corner - centre)
    free = seen
    for _ in range(_ROUNDS):
        free = seen / (1 + share * _square(free))
    there = _by(matrix, free + (centre - corner)) - centre
    growth = (deformation.keystone.conjugate() * there).real / radius
    there = there * (1 + growth)
    return np.asarray(there * (1 + share * _square(there)) + centre, np.complex128)


def _by(matrix: F64, z: Points) -> Points:
    across, down, shift = (complex(*column) for column in matrix.T)
    return np.asarray(across * z.real + down * z.imag + shift, np.complex128)


def _square(z: Points) -> F64:
    return np.asarray(z.real**2 + z.imag**2, np.float64)
