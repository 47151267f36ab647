"""Depth from a volume of focus energies, smoothed along the edges of the picture.

Every frame leaves its focus energy in two octaves on a grid, one byte each: of every pixel in a small picture, of every
second or fourth in a larger one; more frames than :data:`MOST_BINS` share bins, so memory does not grow without bound. At the
end each cell shares out one vote among the bins; where frames lie so dense that a surface is sharp in many of them,
neighbouring bins become one. The votes are averaged within the surfaces of the fused picture, both over
windows by a guided filter (Hosni et al. 2013 on the filter of He, Sun and Tang 2013) and over the whole picture along its
minimum spanning tree (Yang 2012), and the place along the bins with most votes wins. A cell without detail so takes the
depth of its surface, and what is thin and near does not grow fat beyond its outline.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from stacking.fuse.bands import Bands, rows_of
from stacking.fuse.canvas import Canvas, spans_by_level
from stacking.fuse.depth import DepthEstimate
from stacking.fuse.depth_hairs import Hairs
from stacking.fuse.depth_means import GuidedMean, TreeSum

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
Plane = TypeVar("Plane", F32, U8)

MOST_BINS = 48
# Pictures of fewer pixels have a cell at every pixel, at every second one; larger ones at every fourth. A hair is some pixels wide
# in all of them.
_EVERY_PIXEL_BELOW, _EVERY_SECOND_BELOW = 1_250_000, 6_000_000
# Grid cells from the centre of the guided filter's window to its border, by the grid's level.
_REACH_CELLS = (40, 20, 20)
# What the mean along the tree counts beside that over windows.
_TREE_SHARE = 1.0
# The part of a neighbour's energy that may be that neighbour's blur, and how far it reaches, by the grid's level and octave.
_TAIL = 0.1
_TAIL_CELLS = ((6, 8), (3, 4), (3, 4))
_NOISE_CELLS = 9
# Energy of noise varies by about itself at this window; the second octave counts where the first has less than 8 times that.
_DEVIATION = 0.9
_UNSURE = 8.0
# Of the cells those with the least detail, and how much more noise than its neighbours a frame may have, from where on.
_QUIET_PART, _LEAST_LOUDER, _MOST_LOUDER = 0.25, 1.2, 2.5
_LEAST = 1e-3
# Below 1 / (1 - this) of an even share it is noise that wins: measured, on stacks of little and of much noise.
_KNOWN = 0.4
# Three of four cells of hairs have the right depth.
_SURE_OF_HAIRS = 0.15
# Of the running mean along the bins that decides where most votes lie, and how far round it their centroid is taken.
_SIGMA_BINS, _REACH_BINS = 1.5, 3
# Rows at one time: of all of them the votes of seven bins took 50 MiB more at 1 MP.
_JUDGED_ROWS = 128
# Of the bins over which a cell with detail spreads its vote, how many are told apart, and how many there are at the least.
_TOLD_APART, _FEWEST_GROUPS = 4.0, 8
# What making the depth takes of memory per cell, measured (3 MP x 60: 235 to 245).
_WORK_BYTES_PER_CELL = 248


def grid_level(pixels: int) -> int:
    """Level of the pyramid that has the grid of a picture of so many pixels: its cells lie at every 2^level-th pixel."""
    return 0 if pixels < _EVERY_PIXEL_BELOW else 1 if pixels < _EVERY_SECOND_BELOW else 2


def finest_pixels(pixels: int, cropped: float) -> int:
    """Of `pixels` and what a crop to as little as the share `cropped` leaves of them, so many as the depth has most cells for."""
    bounds = (bound - 1 for bound in (_EVERY_PIXEL_BELOW, _EVERY_SECOND_BELOW))
    return next((bound for bound in bounds if cropped * pixels <= bound < pixels), pixels)


def volume_bytes(pixels: int, frames: int) -> int:
    """What the volume of a picture takes of memory."""
    return (pixels >> 2 * grid_level(pixels)) * 2 * min(max(frames, 1), MOST_BINS)


def depth_work_bytes(pixels: int) -> int:
    """What making the depth takes of memory beside the volume and the picture, before it is enlarged."""
    cells = pixels >> 2 * grid_level(pixels)
    return cells * _WORK_BYTES_PER_CELL


class DepthVolume:
    """Focus energies of all frames on a coarse grid of the canvas.

    Parameters
    ----------
    canvas : Canvas
    frames : int
        How many will be added, at most.
    bands : Bands
    level : int, optional
        Of the grid; by default as :func:`grid_level` gives it for the whole picture.
    """

    def __init__(self, canvas: Canvas, frames: int, bands: Bands, level: int | None = None) -> None:
        self._canvas = canvas
        self._bands = bands
        self._frames = max(1, frames)
        self._bins = min(self._frames, MOST_BINS)
        self._positions: list[list[float]] = [[] for _ in range(self._bins)]
        whole = canvas if canvas.whole is None else canvas.whole
        self.level = grid_level(whole.width * whole.height) if level is None else level
        rows, columns = canvas.level_shape(self.level)
        self._codes: NDArray[np.uint8] = np.zeros((2, self._bins, rows, columns), np.uint8)

    def add(
        self,
        luma: Sequence[F32],
        matrix: NDArray[np.float64],
        frame_size: tuple[int, int],
        number: int,
        position: float,
    ) -> None:
        """Take in frame ``number`` by its luma at the levels of the Gaussian pyramid from 0, samples at even pixels."""
        from stacking.fuse.depth_kernels import focus_rows

        bin_ = number * self._bins // self._frames
        spans = spans_by_level(self._canvas, matrix, frame_size, max(self.level, 1) + 1)
        fine = max(self.level - 1, 0)
        codes = self._codes[0, bin_]
        step = 2 if self.level else 1
        self._bands.run(codes.shape[0], rows_of(focus_rows, luma[fine], step, spans[self.level], codes))
        codes = self._codes[1, bin_] if self.level else np.zeros(luma[1].shape, np.uint8)
        self._bands.run(codes.shape[0], rows_of(focus_rows, luma[fine + 1], 1, spans[fine + 1], codes))
        if not self.level:
            between = enlarge(codes, self._codes.shape[2:], 1)
            between[self._codes[0, bin_] == 0] = 0
            np.maximum(self._codes[1, bin_], between, out=self._codes[1, bin_])
        self._positions[bin_].append(position)

    def part(self, strip: Canvas) -> DepthVolume:
        """A volume of the same frames on a strip of the canvas, to be taken back (`take`); this one where the strip is all of it."""
        return self if strip == self._canvas else DepthVolume(strip, self._frames, self._bands, self.level)

    def take(self, part: DepthVolume, first: int, stop: int) -> None:
        """Take back the canvas's rows ``first`` to ``stop`` from a part that has all frames; both are multiples of the grid's step, or
        the end."""
        if part is self:
            return
        top = (part._canvas.y - self._canvas.y) >> self.level
        a, b = first >> self.level, -(-stop >> self.level)
        self._codes[:, :, a:b] = part._codes[:, :, a - top : b - top]
        self._positions = part._positions

    def estimate(self, picture: NDArray[np.uint16]) -> DepthEstimate:
        """The depth of every pixel of the picture (rows, columns, 3)."""
        coarse, confidence = self.depth(picture)
        shape = picture.shape[:2]
        surface, certain = enlarge(coarse, shape, self.level), enlarge(confidence, shape, self.level)
        return DepthEstimate(np.where(certain > 0.0, surface, np.float32(np.nan)), certain, surface)

    def depth(self, picture: NDArray[np.uint16]) -> tuple[F32, F32]:
        """Depth and its confidence on the grid.

        Parameters
        ----------
        picture : ndarray (rows, columns, 3), uint16
            The fused picture: its edges bound the surfaces.

        Returns
        -------
        depth : ndarray (grid rows, grid columns), float32
            In the unit of the positions; NaN where no frame shows any detail, near or far within its surface.
        confidence : ndarray (grid rows, grid columns), float32
            0 to 1: how far the votes for this depth stand out of an even share; 0 where no more than noise's do.
        """
        used = [k for k in range(self._bins) if self._positions[k]]
        if not used:
            raise ValueError("no frame was added")
        codes = self._codes if len(used) == self._bins else self._codes[:, used]
        votes = _Votes(codes, _TAIL_CELLS[self.level], self._bands)
        guide: NDArray[Any] = picture
        for _ in range(self.level):
            guide = cv2.pyrDown(guide)
        colours = guide.astype(np.float32) * np.float32(1.0 / 65535.0)
        over_windows, over_tree = GuidedMean(colours, _REACH_CELLS[self.level]), TreeSum(colours)
        shape = colours.shape[:2]
        seen = over_tree(votes.shares()) + np.float32(_LEAST)
        groups = votes.groups()
        winner, hairs = MostVotes(shape, len(groups)), Hairs(shape)
        mass: F32 = np.zeros(shape, np.float32)

        def shared_out(k: int) -> tuple[F32, F32]:
            share = votes.share(groups[k])
            found = over_windows(share)
            np.maximum(found, 0.0, out=found)
            found += np.float32(_TREE_SHARE) * over_tree(share) / seen
            return share, found

        for k, (share, found) in self._bands.in_order(shared_out, len(groups)):
            hairs.add(share * np.float32(len(groups[k])))
            mass += found
            winner.add(found)
        centre, best = winner.result()
        places = [float(np.mean([np.mean(self._positions[used[k]]) for k in group])) for group in groups]
        thin, nearer = hairs.found(colours, centre, far_is_later=places[-1] >= places[0])
        centre[thin] = nearer
        depth = np.interp(centre, np.arange(len(groups)), places).astype(np.float32)
        # 1 where one bin has all votes, 0 where the best has its even share
        stands_out = 1.0 - mass / (best * len(groups) + np.float32(_LEAST))
        unseen = best <= _LEAST
        stands_out[unseen], depth[unseen] = 0.0, np.nan
        confidence = np.clip((stands_out - _KNOWN) / (1.0 - _KNOWN), 0.0, 1.0).astype(np.float32)
        confidence[thin] = _SURE_OF_HAIRS
        return depth, confidence


class MostVotes:
    """The place along the bins where most votes lie: the highest of their running Gaussian mean, and the centroid of what stands out
    round it, squared. A surface is sharp in several frames, and which of these has most votes is noise's choice.

    Parameters
    ----------
    shape : (rows, columns)
    bins : int
    """

    def __init__(self, shape: tuple[int, ...], bins: int) -> None:
        self._bins = bins
        self._window: list[F32] = []
        self._first = 0  # bin of the window's first plane
        taps = np.exp(-0.5 * (np.arange(-_REACH_BINS, _REACH_BINS + 1) / _SIGMA_BINS) ** 2)
        self._taps = (taps / taps.sum()).astype(np.float32)
        self._most: F32 = np.full(shape, -np.inf, np.float32)
        self._peak: F32 = np.zeros(shape, np.float32)
        self._centre: F32 = np.zeros(shape, np.float32)

    def add(self, votes: F32) -> None:
        """Take in the next bin's votes."""
        np.maximum(self._peak, votes, out=self._peak)
        self._window.append(votes)
        last = self._first + len(self._window) - 1
        if last >= _REACH_BINS:
            self._judge(last - _REACH_BINS)

    def result(self) -> tuple[F32, F32]:
        """The place in bins, and the votes of the best bin; ends it."""
        for k in range(max(0, self._bins - _REACH_BINS), self._bins):
            self._judge(k)
        self._window.clear()
        return self._centre, self._peak

    def _judge(self, k: int) -> None:
        while self._first < k - _REACH_BINS:
            self._window.pop(0)
            self._first += 1
        for top in range(0, self._most.shape[0], _JUDGED_ROWS):
            self._judge_rows(k, slice(top, top + _JUDGED_ROWS))

    def _judge_rows(self, k: int, rows: slice) -> None:
        window, most = [plane[rows] for plane in self._window], self._most[rows]
        mean = np.zeros_like(most)
        for at, plane in enumerate(window, self._first):
            mean += self._taps[at - k + _REACH_BINS] * plane
        wins = mean > most
        most[wins] = mean[wins]
        near = np.stack([plane[wins] for plane in window])
        near -= near.min(axis=0)
        near *= near
        total = near.sum(axis=0)
        # not by a product of matrices, whose sums depend on the number of cores
        moment = np.sum([np.float32(place) * row for place, row in enumerate(near, self._first)], axis=0)
        self._centre[rows][wins] = np.where(total > 0, moment / np.maximum(total, np.float32(1e-12)), np.float32(k))


class _Votes:
    """One vote per cell, shared out among the bins by their energy above the noise."""

    def __init__(self, codes: U8, tail_cells: tuple[int, int], bands: Bands) -> None:
        from stacking.fuse.depth_kernels import energy_table

        self._codes = codes
        self._table = energy_table()
        shape = codes.shape[2:]
        bins = codes.shape[1]
        self._tails = [
            cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * cells + 1, 2 * cells + 1)) for cells in tail_cells
        ]
        self._noise: list[F32] = []
        self._louder: list[F32] = []
        most: list[F32] = []
        for octave in (0, 1):
            least: F32 = np.full(shape, np.inf, np.float32)
            for _, around in bands.in_order(partial(self._around, octave), bins):
                np.minimum(least, around, out=least)
            least[~np.isfinite(least)] = 0.0
            self._noise.append(least)
            self._louder.append(self._noise_of_frames(octave, bins, bands))
            strongest: F32 = np.zeros(shape, np.float32)
            for _, above in bands.in_order(partial(self._above_noise, octave), bins):
                np.maximum(strongest, above, out=strongest)
            most.append(strongest)
        unit = np.float32(_DEVIATION)
        self._scale: list[F32] = []
        for strongest, noise in zip(most, self._noise, strict=True):
            self._scale.append(np.asarray(1.0 / (strongest + 2.0 * unit * noise + _LEAST), np.float32))
        self._scale[1] *= 1.0 - most[0] / (most[0] + _UNSURE * unit * self._noise[0] + _LEAST)
        total: F32 = np.full(shape, _LEAST, np.float32)
        squares: F32 = np.zeros(shape, np.float32)
        for _, energy in bands.in_order(self._unshared, bins):
            total += energy
            squares += energy * energy
        self._total = total
        detail = total > 10 * _LEAST
        self._spread = float(np.median(total[detail] ** 2 / squares[detail])) if detail.any() else 1.0

    def groups(self) -> list[range]:
        """Bins that become one: so many that a surface is sharp in about four of what is left.

        Where frames lie dense, the next ones are as sharp, and which of them has most votes is noise's choice.
        """
        bins = self._codes.shape[1]
        size = max(1, min(int(self._spread / _TOLD_APART), bins // _FEWEST_GROUPS))
        return [range(k, min(k + size, bins)) for k in range(0, bins, size)]

    def _around(self, octave: int, k: int) -> F32:
        """Mean energy round each cell; infinite where the frames do not cover it."""
        covered = self._codes[octave, k] > 0
        mean = cv2.blur(self._table[self._codes[octave, k]], (_NOISE_CELLS, _NOISE_CELLS))
        if not covered.all():
            mean /= np.maximum(cv2.blur(covered.astype(np.float32), (_NOISE_CELLS, _NOISE_CELLS)), _LEAST)
        return np.where(covered, mean, np.float32(np.inf)).astype(np.float32)

    def _noise_of_frames(self, octave: int, bins: int, bands: Bands) -> F32:
        """How much more noise a bin has than both its neighbours: a frame that was not resampled has, and would win flat areas.

        Detail in focus is in the neighbours too, if less.
        """
        sample = (slice(None, None, 3), slice(None, None, 3))
        least = self._noise[octave][sample]
        quiet = (least > 0) & (least <= np.quantile(least, _QUIET_PART))
        levels: F32 = np.zeros(bins, np.float32)
        for k, around in bands.in_order(partial(self._around, octave), bins):
            mean = around[sample][quiet]
            seen = mean[np.isfinite(mean)]
            levels[k] = np.median(seen) if seen.size else 0.0
        louder: F32 = np.ones(bins, np.float32)
        beside = np.maximum(levels[:-2], levels[2:])
        louder[1:-1] = np.minimum(levels[1:-1] / np.maximum(beside, np.float32(_LEAST)), _MOST_LOUDER)
        louder[louder < _LEAST_LOUDER] = 1.0
        return louder

    def share(self, group: range) -> F32:
        """The part of each cell's vote for a group of bins, on average of a bin."""
        energy = self._unshared(group[0])
        for k in group[1:]:
            energy += self._unshared(k)
        return np.asarray(energy / (self._total * np.float32(len(group))), np.float32)

    def shares(self) -> F32:
        """What all bins have of each cell's vote: all of it, but where there is no detail."""
        return np.float32(1.0) - np.float32(_LEAST) / self._total

    def _unshared(self, k: int) -> F32:
        return self._above_noise(0, k) * self._scale[0] + self._above_noise(1, k) * self._scale[1]

    def _above_noise(self, octave: int, k: int) -> F32:
        """Energy that is neither noise nor the tail of a stronger neighbour's."""
        noise = self._noise[octave] * self._louder[octave][k]
        energy = np.maximum(self._table[self._codes[octave, k]] - noise, np.float32(0.0))
        energy -= np.float32(_TAIL) * cv2.dilate(energy, self._tails[octave])
        np.maximum(energy, 0.0, out=energy)
        energy -= np.float32(_DEVIATION) * noise
        return np.asarray(np.maximum(energy, np.float32(0.0)), np.float32)


def enlarge(plane: Plane, shape: tuple[int, ...], level: int) -> Plane:
    """A plane of a grid at full size: sample i lies at pixel i * 2^level."""
    if level == 0:
        return plane
    matrix = np.array([[0.5**level, 0.0, 0.0], [0.0, 0.5**level, 0.0]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = (int(shape[1]), int(shape[0]))
    return cv2.warpAffine(plane, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[return-value]
