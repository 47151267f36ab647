"""Sweeps: live frames at growing positions, and what they add up to."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from capture.errors import FocusError, OverexposedError
from capture.focus.bands import BandEnergies
from capture.focus.before import find_before
from capture.focus.depths import Depths, match_depths
from capture.focus.growth import Growth, Peaks, estimate_growth, find_peaks
from capture.focus.region import Region
from capture.focus.structure import cell_size_px, in_cells, local_contrast, noise_variance, shows_at

F16 = NDArray[np.float16]
F32 = NDArray[np.float32]
F64 = NDArray[np.floating]

# Cycles per live pixel. The lowest feel the blur of a whole sweep, the highest only what is nearly sharp.
FREQUENCIES = (0.06, 0.09, 0.13, 0.19, 0.27)
MOST_FRAMES = 400
# Small blocks tell depths: the ends of a subject are often narrow. Pooled into larger ones they tell how fast blur grows; windows of 3
# pixels do better on slopes (docs/campaigns-focus.md), but once told a growth 21 % too high where a sweep was fine and short.
SMALL_WINDOW_PX, SMALL_STRIDE_PX, MOST_SMALL_BLOCKS = 1.0, 2, 30_000
POOLED_WINDOW_PX, POOLED_STRIDE_PX = 5.0, 8

# Standard deviation of noise, of the encoded light (0 to 1), from which it hides fine texture, as hairs: the mean of some frames has less.
_NOISY, _MOST_LOOKS = 0.0035, 6
# In frames that are darker in the mean, of white, less noise hides as much.
_DIM = 0.05

# What is in focus shows more than with so much more blur, in pixels, before and behind; so many spacings at least.
_APART_PX, _APART_SPACINGS = 3.0, 1.25

_LEAST_SIDE_PX = 48

# Share of clipped blocks from which that is named where nothing is found. A bright ground may well clip beside a subject that does not,
# so only from a larger share a sweep is not worth its time.
MOSTLY_CLIPPED, _ALL_CLIPPED = 0.5, 0.95

Say = Callable[[str], None]


def overexposed(state: str) -> OverexposedError:
    """The error for a live picture that tells nothing."""
    return OverexposedError(
        "the live picture is clipped white nearly everywhere",
        remedy="Shorten the exposure, lower the ISO or the light, or choose a darker part with --roi.",
        state=state,
    )


def silent(text: str) -> None:
    """Nobody reads along."""


class View(Protocol):
    """Looks through the camera at a position of the axis."""

    @property
    def limits(self) -> tuple[float, float]:
        """Lowest and highest position that may be gone to."""

    @property
    def here(self) -> float:
        """Where the axis stands."""

    @property
    def resolution(self) -> float:
        """The axis's own step."""

    def frame(self, position: float) -> tuple[float, F32]:
        """Go to `position` (targets grow within a sweep) and take one frame once all is quiet.

        Returns where the axis came to rest, and the frame: linear light, (rows, columns), float32.
        """

    def again(self) -> F32:
        """One more frame where the axis stands."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """Band energies of frames at growing positions.

    Attributes
    ----------
    positions : ndarray, shape (frames,), float64
    energies : ndarray, shape (frames, bands, block rows, block columns), float32
    noise : ndarray, shape (bands, block rows, block columns), float32
    clipped : ndarray, shape (block rows, block columns), bool
    contrast : ndarray, shape (frames, cell rows, cell columns), float16
        Variance within three pixels, in cells that are finer than blocks.
    contrast_noise : ndarray, shape (cell rows, cell columns), float32
        Variance of the noise.
    cell_px : int
    bands : BandEnergies
    """

    positions: F64
    energies: F32
    noise: F32
    clipped: NDArray[np.bool_]
    contrast: F16
    contrast_noise: F32
    cell_px: int
    bands: BandEnergies

    @property
    def spacing(self) -> float:
        """Distance between neighbouring positions."""
        return float(np.median(np.diff(self.positions)))

    def pooled(self) -> Sweep:
        """The same in blocks of the size from which growth is told; the sweep itself where its own are as large."""
        window_px, stride_px = self.bands.window_px, self.bands.stride_px
        factor = round(POOLED_STRIDE_PX / stride_px)
        if factor <= 1 or window_px >= POOLED_WINDOW_PX:
            return self
        sigma = math.sqrt(POOLED_WINDOW_PX**2 - window_px**2) / stride_px
        chosen = (slice(None, None, factor), slice(None, None, factor))

        def gathered(planes: F32) -> F32:
            flat = planes.reshape(-1, *planes.shape[-2:])
            pooled = np.stack([cv2.GaussianBlur(plane, (0, 0), sigma)[chosen] for plane in flat])
            return np.asarray(pooled.reshape(*planes.shape[:-2], *pooled.shape[-2:]), np.float32)

        bands = BandEnergies(
            self.bands.shape, self.bands.frequencies, window_px=POOLED_WINDOW_PX, stride_px=factor * stride_px
        )
        clipped = cv2.dilate(self.clipped.astype(np.uint8), np.ones((factor, factor), np.uint8)) > 0
        return replace(
            self,
            energies=gathered(self.energies),
            noise=gathered(self.noise),
            clipped=np.asarray(clipped[chosen]),
            bands=bands,
        )

    def thinned(self, spacing: float) -> Sweep:
        """Frames at least `spacing` apart, but for rounding; the first and the last are among them."""
        count = max(round((self.positions[-1] - self.positions[0]) / spacing), 1)
        wanted = np.linspace(self.positions[0], self.positions[-1], count + 1)
        kept = np.unique(np.abs(self.positions[None] - wanted[:, None]).argmin(axis=1))
        return replace(self, positions=self.positions[kept], energies=self.energies[kept], contrast=self.contrast[kept])

    def growth(self) -> Growth:
        """Growth of blur, in live pixels per unit of position."""
        return estimate_growth(
            self.positions,
            self._unclipped(),
            self.noise,
            self.bands.frequencies,
            window_px=self.bands.window_px,
            stride_px=self.bands.stride_px,
        )

    def depths(self, growth_px_per_unit: float) -> Depths:
        """Where each block is in focus, seen in all bands, the growth of blur (live pixels per unit of position) being known."""
        return match_depths(self.positions, self._unclipped(), self.noise, self.bands.frequencies, growth_px_per_unit)

    @property
    def cells_per_block(self) -> float:
        """How many cells have the area for which a block stands."""
        return (self.bands.stride_px / self.cell_px) ** 2

    def places(self, depths: Depths, growth_px_per_unit: float) -> F64:
        """Where the cells are in focus that show structure of their own at the depth of their block; shape (cells that do,)."""
        rows, columns = (
            np.clip(
                np.rint(((np.arange(count) + 0.5) * self.cell_px - 0.5) / self.bands.stride_px).astype(int), 0, most - 1
            )
            for count, most in zip(self.contrast.shape[1:], depths.position.shape, strict=True)
        )
        told = depths.position[np.ix_(rows, columns)]
        apart = max(_APART_PX / growth_px_per_unit, _APART_SPACINGS * self.spacing)
        return np.asarray(told[shows_at(self.positions, self.contrast, self.contrast_noise, told, apart)])

    def before(self, depths: Depths, growth_px_per_unit: float) -> F64:
        """Where what stands before the blocks' own depths is in focus, NaN where nothing does; shape (block rows, block columns)."""
        finest = self._unclipped()[:, -1]
        return find_before(
            self.positions, finest, self.noise[-1], self.bands.frequencies[-1], growth_px_per_unit, depths
        )

    def peaks(self, band: int, every: int = 1) -> Peaks:
        """Where each block is in focus, seen in one band; of each row and column of blocks only one in `every` is looked at."""
        thinned = (slice(None, None, every), slice(None, None, every))
        energies = np.where(self.clipped[thinned], np.float32(0), self.energies[:, band][:, *thinned])
        return find_peaks(self.positions, energies, self.noise[band][thinned], self.bands.frequencies[band])

    def joined(self, other: Sweep) -> Sweep:
        """Both as one, by position."""
        positions = np.concatenate([self.positions, other.positions])
        order = np.argsort(positions, kind="stable")
        return Sweep(
            positions[order],
            np.concatenate([self.energies, other.energies])[order],
            np.maximum(self.noise, other.noise),
            self.clipped | other.clipped,
            np.concatenate([self.contrast, other.contrast])[order],
            np.maximum(self.contrast_noise, other.contrast_noise),
            self.cell_px,
            self.bands,
        )

    def _unclipped(self) -> F32:
        return np.where(self.clipped, np.float32(0), self.energies)


def check_region(frame: F32, region: Region) -> None:
    """Refuse a region of too few pixels.

    Raises
    ------
    FocusError
    """
    rows, columns = region.crop(frame).shape
    if min(rows, columns) < _LEAST_SIDE_PX:
        raise FocusError(
            f"the region is only {columns}x{rows} live pixels",
            remedy=f"Choose a larger --roi: {_LEAST_SIDE_PX} pixels each way at least.",
        )


@dataclass
class _Gathering:
    region: Region
    window_px: float
    stride_px: int
    most_blocks: int
    bands: BandEnergies | None = None
    positions: list[float] = field(default_factory=list)
    energies: list[F32] = field(default_factory=list)
    noise: list[F32] = field(default_factory=list)
    contrast: list[F16] = field(default_factory=list)
    clipped: NDArray[np.bool_] | None = None
    variance: F32 | None = None

    def add(self, position: float, frame: F32, again: F32 | None) -> None:
        """`again`: one more frame of the same position, which tells the noise; the first position has one."""
        part = np.ascontiguousarray(self.region.crop(frame))
        if self.bands is None:
            check_region(frame, self.region)
            stride = max(self.stride_px, int(np.ceil(np.sqrt(part.size / self.most_blocks))))
            window = self.window_px * stride / self.stride_px
            self.bands = BandEnergies((part.shape[0], part.shape[1]), FREQUENCIES, window_px=window, stride_px=stride)
        clipped = self.bands.clipped(part)
        self.clipped = clipped if self.clipped is None else self.clipped | clipped
        self.positions.append(position)
        self.energies.append(self.bands.measure(part))
        if again is not None:
            other = np.ascontiguousarray(self.region.crop(again))
            self.noise.append(self.bands.noise(part, other))
            self.variance = noise_variance(part, other) if self.variance is None else self.variance
        assert self.variance is not None
        self.contrast.append(local_contrast(part, self.variance, cell_size_px(self.bands.shape)))


def _looks_for(one: F32, other: F32) -> int:
    """How many frames are to be taken as one, by the noise of two of one position; what is dark shows as much less as it has of light."""
    noise = math.sqrt(float(noise_variance(one, other).mean()))
    allowed = _NOISY * min(max(float(one.mean()) / _DIM, 1e-3), 1.0)
    return min(max(math.ceil((noise / allowed) ** 2), 1), _MOST_LOOKS)


def _mean_of(view: View, first: F32, looks: int) -> F32:
    if looks == 1:
        return first
    return np.asarray(np.mean([first, *(view.again() for _ in range(looks - 1))], axis=0, dtype=np.float32))


def sweep(
    view: View,
    positions: F64,
    region: Region | None = None,
    *,
    on_frame: Callable[[int, int], None] | None = None,
    window_px: float = SMALL_WINDOW_PX,
    stride_px: int = SMALL_STRIDE_PX,
    most_blocks: int = MOST_SMALL_BLOCKS,
) -> Sweep:
    """Look from each of `positions` (growing); twice from the first, the middle and the last, which tells the noise.

    Where frames are noisy, each look is the mean of up to six. Of frames with more blocks than `most_blocks`, blocks lie farther apart and
    are larger.

    Raises
    ------
    OverexposedError
        With the first frame, where it is clipped white but for a twentieth.
    FocusError
        For fewer than two or more than `MOST_FRAMES` positions, or a region that is too small.
    CaptureError, rail.errors.RailError
        What the devices failed with.
    """
    if not 2 <= len(positions) <= MOST_FRAMES:
        raise FocusError(
            f"a sweep of {len(positions)} frames makes no sense", remedy="Give a shorter range, or a larger step."
        )
    gathering = _Gathering(region or Region(), window_px, stride_px, most_blocks)
    twice = {0, len(positions) // 2, len(positions) - 1}
    looks = 1
    for index, position in enumerate(positions):
        reached, frame = view.frame(float(position))
        if gathering.positions and reached <= gathering.positions[-1]:
            continue  # nearer together than the axis's own step
        again = view.again() if index in twice else None
        if index == 0 and again is not None:
            looks = _looks_for(frame, again)
        frame = _mean_of(view, frame, looks)
        gathering.add(reached, frame, None if again is None else _mean_of(view, again, looks))
        if index == 0 and gathering.clipped is not None and gathering.clipped.mean() > _ALL_CLIPPED:
            raise overexposed(f"Looked at {reached:g} only; nothing moves.")
        if on_frame is not None:
            on_frame(index + 1, len(positions))
    assert gathering.bands is not None
    assert gathering.clipped is not None
    assert gathering.variance is not None
    cell_px = cell_size_px(gathering.bands.shape)
    return Sweep(
        np.asarray(gathering.positions),
        np.stack(gathering.energies),
        np.asarray(np.max(gathering.noise, axis=0), np.float32),
        gathering.clipped,
        np.stack(gathering.contrast),
        in_cells(gathering.variance, cell_px),
        cell_px,
        gathering.bands,
    )
