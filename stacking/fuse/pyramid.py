"""Running pyramid fusion: soft selection by local energy in every band (after Burt and Kolczynski 1993).

Each frame's luma is split into a Laplacian pyramid. In every band a coefficient counts by a high power of its local energy,
so that the sums approach a choice of the sharpest frame where there is detail, and the mean of the frames where there is
only noise. All that is kept are running sums and the range of values seen at each pixel: memory does not grow with the
number of frames, nor does the result depend on how they are batched. Chroma follows the choice of the luma.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stacking.fuse.bands import Bands, rows_of
from stacking.fuse.canvas import Canvas, spans_by_level
from stacking.fuse.chroma_guide import compose_picture
from stacking.fuse.depth_volume import DepthVolume
from stacking.fuse.focal_sweep import FocalSweep
from stacking.fuse.focus_prior import FocusPrior
from stacking.fuse.frame_planes import FramePlanes
from stacking.fuse.noise import NoiseEnergy

F32 = NDArray[np.float32]

# Three levels measured best from 2 to 12 megapixels: a coarser choice pulls in the blur of what stands in front.
_LEVELS = 3
# Rounding to eight bits alone has about this energy.
_LEAST_FLOOR = 0.05
# Times that the detail of the surroundings multiplies the base's energy.
_DETAIL_IN_BASE = 4
# Of 255: white that was made darker than this to match the other frames shows what is clipped, and is no candidate.
_MATCHED_WHITE = 242.0


@dataclass(frozen=True, slots=True)
class PyramidTuning:
    """What was measured best on stacks of known truth.

    Attributes
    ----------
    share : float
        Part of the finer level's energy that counts in the next coarser one: true focus shows in the finest detail.
    powers : tuple of int
        Of the energy in the weight, by level from the finest: 2, 4, 6 or 8; the last one holds for the base.
    prior : bool
        Whether a pixel's surroundings count too (`FocusPrior`); where there are three levels.
    floors : tuple of float
        Energy added to that of every frame, in multiples of the noise's energy, by level from the finest; the last one
        holds for the rest. It makes flat areas the mean of the frames.
    clamp : bool
        Keep luma within what the frames have at that pixel: no ringing.
    levels : int or None
        None: three, or what a small picture allows.
    sharpens : bool
        Give the finest detail back what it has lost (`compose_picture`); where ``clamp`` is set.
    """

    share: float = 1.0
    powers: tuple[int, ...] = (4, 8, 2, 2)
    prior: bool = True
    floors: tuple[float, ...] = (24.0, 4.0, 2.0, 2.0)
    clamp: bool = True
    levels: int | None = None
    sharpens: bool = False


def levels_for(canvas: Canvas) -> int:
    """Levels of the pyramid for a canvas: fewer where it is too small to be halved so often."""
    possible = int(np.log2(max(min(canvas.width, canvas.height), 8) / 4))
    return max(1, min(_LEVELS, possible))


class PyramidFusion:
    """A running fusion by Laplacian pyramid.

    Parameters
    ----------
    canvas : Canvas
    bands : Bands
    noise : NoiseEnergy
        Of the frames.
    tuning : PyramidTuning, optional
    wants_weight : bool
        Keep what the last frame weighs at half size (`weight`).
    volume : DepthVolume, optional
        Takes in the focus of every frame, for a depth map.
    sweep : FocalSweep, optional
        Takes in every frame, for the correction of the picture; where there are three levels.
    """

    def __init__(
        self,
        canvas: Canvas,
        bands: Bands,
        noise: NoiseEnergy,
        tuning: PyramidTuning | None = None,
        *,
        wants_weight: bool = False,
        volume: DepthVolume | None = None,
        sweep: FocalSweep | None = None,
    ) -> None:
        self.canvas = canvas
        self.tuning = PyramidTuning() if tuning is None else tuning
        self.levels = self.tuning.levels or levels_for(canvas)
        self._bands = bands
        self._floors = self._floors_for(noise)
        # The largest energy there can be stays far from overflow under the power, the smallest from underflow.
        self._scale = 1.0 / (64.0 * max(1.0, self.tuning.share) ** 2)
        shapes = [canvas.level_shape(k) for k in range(self.levels + 1)]
        none: F32 = np.empty((1, 1), np.float32)
        self._none = none
        self._weight_sum: list[F32] = [np.zeros(s, np.float32) for s in shapes]
        self._band_sum: list[F32] = [np.zeros(s, np.float32) for s in shapes]
        self._red_sum: list[F32] = [none, *(np.zeros(s, np.float32) for s in shapes[1:])]
        self._blue_sum: list[F32] = [none, *(np.zeros(s, np.float32) for s in shapes[1:])]
        self._prior: FocusPrior | None = None
        if self.tuning.prior and self.levels == _LEVELS:
            self._prior = FocusPrior(canvas, bands, noise.detail)
        self._volume = volume
        self._sweep = sweep
        self._low: NDArray[np.uint8] = np.full(shapes[0], 255, np.uint8)
        self._high: NDArray[np.uint8] = np.zeros(shapes[0], np.uint8)
        # Of the frame at hand.
        self._gauss: list[F32] = [none, *(np.empty(s, np.float32) for s in shapes[1:])]
        self._red: list[F32] = [none, none, *(np.empty(s, np.float32) for s in shapes[2:])]
        self._blue: list[F32] = [none, none, *(np.empty(s, np.float32) for s in shapes[2:])]
        self._energy: list[F32] = [np.empty(s, np.float32) for s in shapes[1:]]
        # At half size a choice of frames asks for it, at a quarter the sweep, of the base its own sums.
        wanted = {1: wants_weight, 2: sweep is not None, self.levels: True}
        self._weight: list[F32] = [np.empty(s, np.float32) if wanted.get(k) else none for k, s in enumerate(shapes)]
        self._count = 0

    def add(
        self, planes: FramePlanes, matrix: NDArray[np.float64], frame_size: tuple[int, int], position: float
    ) -> None:
        """Take in one frame, resampled through ``matrix`` (canvas to frame); ``frame_size`` is (width, height)."""
        luma = [planes.luma, *self._gauss[1:]]
        red = [self._none, planes.red, *self._red[2:]]
        blue = [self._none, planes.blue, *self._blue[2:]]
        self._reduce(luma, red, blue)
        spans = spans_by_level(self.canvas, matrix, frame_size, self.levels + 1)
        if self._prior is not None:
            self._prior.look(luma[0], luma[1], luma[2], self.tuning.share)
            if planes.white < _MATCHED_WHITE:
                self._prior.pass_over_clipped(luma[2], planes.white)
        for level in range(self.levels):
            self._accumulate(level, luma, red, blue, spans)
        self._accumulate_base(luma, red, blue, spans)
        swept = self._bands.beside(lambda: self._sweep_over(luma[1], spans[1]))
        self._widen(planes, spans[0])
        swept()
        if self._volume is not None:
            self._volume.add(luma, matrix, frame_size, self._count, position)
        self._count += 1

    @property
    def weight(self) -> F32:
        """What the last frame weighs at half size, where that was wanted; 0 where it does not reach."""
        return self._weight[1]

    def weight_sum(self, level: int) -> F32:
        """What all frames so far weigh at a level."""
        return self._weight_sum[level]

    def result(self) -> NDArray[np.uint16]:
        """The picture; ends the fusion."""
        # What the frame at hand took makes room for the picture.
        self._prior = None
        for planes in (self._gauss, self._red, self._blue, self._energy, self._weight):
            planes.clear()
        self.close_sweep()
        for sums, finest in ((self._band_sum, 0), (self._red_sum, 1), (self._blue_sum, 1)):
            self._collapse(sums, finest)
        self._weight_sum.clear()
        limits = (self._low, self._high) if self.tuning.clamp else None
        luma = self._band_sum[0]
        rgb = compose_picture(
            luma, self._red_sum[1], self._blue_sum[1], self._bands, limits, sharpens=self.tuning.sharpens
        )
        del limits
        self._low = self._high = np.empty((0, 0), np.uint8)
        for sums in (self._band_sum, self._red_sum, self._blue_sum):
            sums.clear()
        return rgb

    def close_sweep(self) -> None:
        """Tell the sweep that it has all frames; `result` does so, too."""
        if self._sweep is not None:
            self._sweep.close(self._weight_sum[2], self._low, self._high)

    def _floors_for(self, noise: NoiseEnergy) -> list[float]:
        times = self.tuning.floors
        floors = [max(times[min(k, len(times) - 1)] * noise.at(k), _LEAST_FLOOR) for k in range(self.levels)]
        return [*floors, floors[-1]]

    def _power(self, level: int) -> int:
        powers = self.tuning.powers
        return powers[-1] if level == self.levels else powers[min(level, len(powers) - 1)]

    def _reduce(self, luma: list[F32], red: list[F32], blue: list[F32]) -> None:
        from stacking.fuse.pyramid_kernels import reduce_rows

        for level in range(self.levels):
            planes = (luma, red, blue) if level else (luma,)
            rows = luma[level + 1].shape[0]
            self._bands.run(rows, *(rows_of(reduce_rows, plane[level], plane[level + 1]) for plane in planes))

    def _accumulate(
        self,
        level: int,
        luma: list[F32],
        red: list[F32],
        blue: list[F32],
        spans: list[NDArray[np.int32]],
    ) -> None:
        from stacking.fuse.pyramid_kernels import accumulate_level

        none = self._none
        colours = ((red, self._red_sum), (blue, self._blue_sum))
        chroma = [p for planes, sums in colours for p in (planes[level], planes[level + 1], sums[level])]
        self._bands.run(
            luma[level].shape[0],
            rows_of(
                accumulate_level,
                luma[level],
                luma[level + 1],
                self._energy[level - 1] if level else none,
                self.tuning.share,
                self._floors[level],
                self._scale,
                self._power(level),
                none if self._prior is None else self._prior.favour,
                0 if self._prior is None else 4 >> level,
                spans[level],
                self._weight_sum[level],
                self._band_sum[level],
                *(chroma if level else [none] * len(chroma)),
                self._weight[level],
                self._energy[level],
            ),
        )

    def _accumulate_base(
        self, luma: list[F32], red: list[F32], blue: list[F32], spans: list[NDArray[np.int32]]
    ) -> None:
        from stacking.fuse.pyramid_kernels import LEAST_WEIGHED, MOST_WEIGHED, accumulate_weighted

        n = self.levels
        weight = self._weight[n]
        np.add(self._energy[n - 1], np.float32(self._floors[n]), out=weight)
        weight *= np.float32(self._scale)
        if self._prior is not None:
            # The base is chosen by the detail of its surroundings more than by its own.
            for _ in range(_DETAIL_IN_BASE):
                weight *= self._prior.detail
        np.clip(weight, LEAST_WEIGHED, MOST_WEIGHED, out=weight)
        np.power(weight, np.float32(self._power(n)), out=weight)
        if self._prior is not None and self._prior.counts is not None:
            weight *= self._prior.counts
        sums_of = (
            (luma, self._band_sum, self._weight_sum[n]),
            (red, self._red_sum, self._none),
            (blue, self._blue_sum, self._none),
        )
        self._bands.run(
            weight.shape[0],
            *(
                rows_of(accumulate_weighted, planes[n], weight, spans[n], sums[n], total)
                for planes, sums, total in sums_of
            ),
        )

    def _sweep_over(self, half: F32, spans: NDArray[np.int32]) -> None:
        if self._sweep is not None:
            self._sweep.add(half, self._weight[2], spans)

    def _widen(self, planes: FramePlanes, spans: NDArray[np.int32]) -> None:
        from stacking.fuse.pyramid_kernels import widen_range

        if self.tuning.clamp:
            self._bands.run(
                self.canvas.height, rows_of(widen_range, planes.luma, spans, planes.white, self._low, self._high)
            )

    def _collapse(self, sums: list[F32], finest: int) -> None:
        """Running sums to bands, bands to a picture, in place."""
        from stacking.fuse.pyramid_kernels import divide_rows, expand_add

        for level in range(finest, self.levels + 1):
            self._bands.run(sums[level].shape[0], rows_of(divide_rows, sums[level], self._weight_sum[level]))
        for level in range(self.levels - 1, finest - 1, -1):
            self._bands.run(sums[level].shape[0], rows_of(expand_add, sums[level + 1], sums[level], sums[level]))
