"""The working form of a frame: luma at full size and two chroma differences at half size, resampled once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stacking.frames import STRAIGHT, Deformation, Pixels
from stacking.fuse.bands import Bands, rows_of
from stacking.fuse.deformation import tiles_of

if TYPE_CHECKING:
    from stacking.fuse.canvas import Canvas

# ITU-R BT.601, the luma of JPEG.
LUMA = np.array([0.299, 0.587, 0.114])
# Factor from the values of a frame to 8-bit units.
EIGHT_BIT = {np.dtype(np.uint8): 1.0, np.dtype(np.uint16): 1.0 / 257.0}


class FramePlanes:
    """Planes of one frame at a time, on the canvas; the memory is used again for the next frame.

    Attributes
    ----------
    luma : ndarray (rows, columns), float32, 0 to 255
    red, blue : ndarray ((rows + 1) // 2, (columns + 1) // 2), float32
        Red and blue minus luma at every second pixel of every second row.
    white : float
        Luma of the frame's white once its brightness is matched, 8-bit units.
    """

    def __init__(self, canvas: Canvas) -> None:
        from stacking.fuse.warp_kernels import lanczos3_table

        self.canvas = canvas
        self.luma: NDArray[np.float32] = np.empty((canvas.height, canvas.width), np.float32)
        half = canvas.level_shape(1)
        self.red: NDArray[np.float32] = np.empty(half, np.float32)
        self.blue: NDArray[np.float32] = np.empty(half, np.float32)
        self.white = 255.0
        self._table = lanczos3_table()

    def load(
        self,
        image: Pixels,
        matrix: NDArray[np.float64],
        gain: NDArray[np.float64],
        bands: Bands,
        deformation: Deformation = STRAIGHT,
    ) -> None:
        """Resample a frame, shape (rows, columns, 3), through ``matrix`` (canvas to frame), brightness matched by ``gain``.

        Where there is a ``deformation`` the matrix is that between frames freed of it.
        """
        from stacking.fuse.warp_kernels import warp_chroma, warp_luma

        self.white = 255.0 * float(LUMA @ gain)
        scale = gain * EIGHT_BIT[image.dtype]
        luma, scale32 = (LUMA * scale).astype(np.float32), scale.astype(np.float32)
        samples, table = image.reshape(image.shape[0], -1), self._table
        tiles = tiles_of(self.canvas, matrix, deformation, (image.shape[1], image.shape[0]))
        where = tiles.matrices, tiles.side_px, tiles.above_px
        bands.run(self.canvas.height, rows_of(warp_luma, samples, luma, *where, table, self.white, self.luma))
        tiles = tiles.halved()
        where = tiles.matrices, tiles.side_px, tiles.above_px
        bands.run(
            self.red.shape[0],
            rows_of(warp_chroma, samples, luma, scale32, *where, table, self.red, self.blue),
        )
