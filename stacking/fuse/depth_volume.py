"""Depth from a coarse volume of focus energies, smoothed along the edges of the picture.

Every frame leaves its focus energy in two octaves on a grid of every fourth pixel, one byte each; more frames than
:data:`MOST_BINS` share bins, so memory does not grow without bound. At the end each cell shares out one vote among the
bins; the votes are averaged within the surfaces of the fused picture by a guided filter (Hosni et al. 2013 on the filter
of He, Sun and Tang 2013), and the bin with most votes wins, refined by a parabola. A cell without detail so takes the depth
of its surface, and what is thin and near does not grow fat beyond its outline.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from stacking.fuse.bands import Bands, rows_of
from stacking.fuse.canvas import Canvas, spans_by_level

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

MOST_BINS = 48
# Grid cells from the centre of the guided filter's window to its border, and the variance of colour (0 to 1) it smooths over.
_REACH_CELLS = 20
_SMOOTHED_VARIANCE = 1e-3
# The part of a neighbour's energy that may be that neighbour's blur, and how far it reaches, by octave.
_TAIL = 0.1
_TAIL_CELLS = (3, 4)
_NOISE_CELLS = 9
# Energy of noise varies by about itself at this window; the second octave counts where the first has less than 8 times that.
_DEVIATION = 0.9
_UNSURE = 8.0
_LEAST = 1e-3


class DepthVolume:
    """Focus energies of all frames on a coarse grid of the canvas.

    Parameters
    ----------
    canvas : Canvas
    frames : int
        How many will be added, at most.
    bands : Bands
    """

    def __init__(self, canvas: Canvas, frames: int, bands: Bands) -> None:
        self._canvas = canvas
        self._bands = bands
        self._frames = max(1, frames)
        self._bins = min(self._frames, MOST_BINS)
        self._positions: list[list[float]] = [[] for _ in range(self._bins)]
        rows, columns = canvas.level_shape(2)
        self._codes: NDArray[np.uint8] = np.zeros((2, self._bins, rows, columns), np.uint8)

    def add(
        self,
        half: F32,
        quarter: F32,
        matrix: NDArray[np.float64],
        frame_size: tuple[int, int],
        number: int,
        position: float,
    ) -> None:
        """Take in frame ``number``: its luma at levels 1 and 2 of the Gaussian pyramid, samples at even pixels."""
        from stacking.fuse.depth_kernels import focus_rows

        bin_ = number * self._bins // self._frames
        spans = spans_by_level(self._canvas, matrix, frame_size, 3)[2]
        for octave, (plane, step) in enumerate(((half, 2), (quarter, 1))):
            codes = self._codes[octave, bin_]
            self._bands.run(codes.shape[0], rows_of(focus_rows, plane, step, spans, codes))
        self._positions[bin_].append(position)

    def take(self, codes: U8, number: int, position: float) -> None:
        """Take in frame ``number`` by its energies on the grid, shape (2, grid rows, grid columns); 0 where it has none."""
        bin_ = number * self._bins // self._frames
        np.maximum(self._codes[:, bin_], codes, out=self._codes[:, bin_])
        self._positions[bin_].append(position)

    def depth(self, picture: NDArray[np.uint16]) -> tuple[F32, F32]:
        """Depth and its confidence on the grid, given the fused picture, shape (rows, columns, 3), uint16."""
        guide = cv2.pyrDown(cv2.pyrDown(picture)).astype(np.float32) * np.float32(1.0 / 65535.0)
        return self.depth_along(guide)

    def depth_along(self, guide: F32) -> tuple[F32, F32]:
        """Depth and its confidence on the grid, shape ((rows + 3) // 4, (columns + 3) // 4).

        Parameters
        ----------
        guide : ndarray (grid rows, grid columns) or (grid rows, grid columns, 3), float32, 0 to 1
            A sharp picture on the grid, gray or colour; its edges bound the surfaces.

        Returns
        -------
        depth : ndarray, float32
            In the unit of the positions.
        confidence : ndarray, float32
            0 to 1: how far the votes for this depth stand out of an even share.
        """
        used = [k for k in range(self._bins) if self._positions[k]]
        if not used:
            raise ValueError("no frame was added")
        votes = _Votes(self._codes[:, used])
        smooth = _GuidedFilter(guide)
        shape = guide.shape[:2]
        best: F32 = np.full(shape, -np.inf, np.float32)
        centre: F32 = np.full(shape, -2.0, np.float32)
        mass: F32 = np.zeros(shape, np.float32)
        last: F32 = np.full(shape, np.nan, np.float32)
        left: F32 = np.full(shape, np.nan, np.float32)
        right: F32 = np.full(shape, np.nan, np.float32)
        for k in range(len(used)):
            found = smooth(votes.share(k))
            np.maximum(found, 0.0, out=found)
            mass += found
            after = centre == k - 1
            right[after] = found[after]
            wins = found > best
            best[wins], centre[wins] = found[wins], k
            left[wins], right[wins] = last[wins], np.nan
            last = found
        curve = left - 2.0 * best + right
        offset = np.where(curve < -1e-9, 0.5 * (left - right) / np.where(curve < -1e-9, curve, -1.0), 0.0)
        centre += np.clip(np.nan_to_num(offset), -0.5, 0.5).astype(np.float32)
        places = [float(np.mean(self._positions[k])) for k in used]
        depth = np.interp(centre, np.arange(len(used)), places).astype(np.float32)
        even = 1.0 / len(used)
        share = best / np.maximum(mass, np.float32(1e-6))
        confidence = np.clip((share - even) / max(1.0 - even, 1e-6), 0.0, 1.0).astype(np.float32)
        return depth, confidence


class _Votes:
    """One vote per cell, shared out among the bins by their energy above the noise."""

    def __init__(self, codes: U8) -> None:
        from stacking.fuse.depth_kernels import energy_table

        self._codes = codes
        self._table = energy_table()
        shape = codes.shape[2:]
        bins = codes.shape[1]
        self._noise: list[F32] = []
        for octave in (0, 1):
            least: F32 = np.full(shape, np.inf, np.float32)
            for k in range(bins):
                covered = codes[octave, k] > 0
                mean = cv2.blur(self._table[codes[octave, k]], (_NOISE_CELLS, _NOISE_CELLS))
                np.minimum(least, np.where(covered, mean, np.inf), out=least)
            least[~np.isfinite(least)] = 0.0
            self._noise.append(least)
        self._tails = [
            cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * cells + 1, 2 * cells + 1)) for cells in _TAIL_CELLS
        ]
        most: list[F32] = [np.zeros(shape, np.float32), np.zeros(shape, np.float32)]
        for octave in (0, 1):
            for k in range(bins):
                np.maximum(most[octave], self._above_noise(octave, k), out=most[octave])
        unit = np.float32(_DEVIATION)
        self._scale: list[F32] = []
        for strongest, noise in zip(most, self._noise, strict=True):
            self._scale.append(np.asarray(1.0 / (strongest + 2.0 * unit * noise + _LEAST), np.float32))
        self._scale[1] *= 1.0 - most[0] / (most[0] + _UNSURE * unit * self._noise[0] + _LEAST)
        total: F32 = np.full(shape, _LEAST, np.float32)
        for k in range(bins):
            total += self._unshared(k)
        self._total = total

    def share(self, k: int) -> F32:
        """The part of each cell's vote for bin ``k``."""
        return self._unshared(k) / self._total

    def _unshared(self, k: int) -> F32:
        return self._above_noise(0, k) * self._scale[0] + self._above_noise(1, k) * self._scale[1]

    def _above_noise(self, octave: int, k: int) -> F32:
        """Energy that is neither noise nor the tail of a stronger neighbour's."""
        noise = self._noise[octave]
        energy = np.maximum(self._table[self._codes[octave, k]] - noise, np.float32(0.0))
        energy -= np.float32(_TAIL) * cv2.dilate(energy, self._tails[octave])
        np.maximum(energy, 0.0, out=energy)
        energy -= np.float32(_DEVIATION) * noise
        return np.asarray(np.maximum(energy, np.float32(0.0)), np.float32)


class _GuidedFilter:
    """Mean within the surfaces of a gray or colour picture (He, Sun and Tang 2013, eq. 5 and 19)."""

    def __init__(self, guide: F32) -> None:
        # in a small picture a window of full reach would be most of it
        self._reach = max(2, min(_REACH_CELLS, min(guide.shape[:2]) // 8))
        planes = [guide] if guide.ndim == 2 else [guide[..., c] for c in range(3)]
        self._guide = [np.ascontiguousarray(p) for p in planes]
        self._mean = [self._box(g) for g in self._guide]
        covariance = {}
        for i in range(len(planes)):
            for j in range(i, len(planes)):
                product = self._box(self._guide[i] * self._guide[j]) - self._mean[i] * self._mean[j]
                covariance[i, j] = product + np.float32(_SMOOTHED_VARIANCE if i == j else 0.0)
        self._inverse: tuple[tuple[F32, ...], ...]
        if len(planes) == 1:
            self._inverse = ((np.float32(1.0) / covariance[0, 0],),)
            return
        a, b, c = covariance[0, 0], covariance[0, 1], covariance[0, 2]
        e, f, g = covariance[1, 1], covariance[1, 2], covariance[2, 2]
        cofactors = (e * g - f * f, c * f - b * g, b * f - c * e, a * g - c * c, b * c - a * f, a * e - b * b)
        determinant = a * cofactors[0] + b * cofactors[1] + c * cofactors[2]
        p, q, r, s, t, u = (k / determinant for k in cofactors)
        self._inverse = ((p, q, r), (q, s, t), (r, t, u))

    def __call__(self, values: F32) -> F32:
        mean = self._box(values)
        with_guide = [self._box(g * values) - m * mean for g, m in zip(self._guide, self._mean, strict=True)]
        result: F32 = np.zeros_like(values)
        constant = mean
        for row, guide, guide_mean in zip(self._inverse, self._guide, self._mean, strict=True):
            slope = row[0] * with_guide[0]
            for factor, product in zip(row[1:], with_guide[1:], strict=True):
                slope = slope + factor * product
            constant = constant - slope * guide_mean
            result += self._box(slope) * guide
        return np.asarray(result + self._box(constant), np.float32)

    def _box(self, plane: F32) -> F32:
        size = 2 * self._reach + 1
        return np.asarray(cv2.blur(plane, (size, size), borderType=cv2.BORDER_REFLECT), np.float32)


def enlarge(plane: F32, shape: tuple[int, int]) -> F32:
    """A plane of the grid at full size: sample i lies at pixel 4i."""
    matrix = np.array([[0.25, 0.0, 0.0], [0.0, 0.25, 0.0]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(plane, matrix, (shape[1], shape[0]), flags=flags, borderMode=cv2.BORDER_REPLICATE), np.float32
    )
