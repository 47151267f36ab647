"""Focus peaking: which parts of a live frame are in focus, and where along the axis each part was sharpest so far.

A block counts as in focus where its fine gradients are strong against its coarse ones (`stacking.focus_measure.block_focus`): that is
free of contrast, brightness and flicker, so a blurred edge of high contrast does not light up, nor does noise, nor the edges of a JPEG's
blocks; what is clipped or has no texture is not judged. While the axis moves, every block's curve is kept to the extent that is needed:
its peak, and where that was.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stacking.focus_measure import BlockFocus, block_focus

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]

# Ratio of fine to coarse energy from which a block is in focus (about 2.5 live pixels of blur), and that of full strength.
_IN_FOCUS, _SHARP = 2.3, 6.0
# Coarse energy that is texture: squared levels, and times what the noise leaves.
_LEAST_TEXTURE, _ABOVE_NOISE = 1.5, 20.0
_QUIETEST = 0.5
_FINE_ABOVE_NOISE = 2.0
_KEPT_NOISE = 12
_FALLEN = 0.7
_FIRST_SIGMA = 1.0


@dataclass(frozen=True, slots=True)
class Zones:
    """What is known of the stack to be, in the axis's unit; None where it is not.

    Attributes
    ----------
    near, far : float or None
    step : float or None
    dof : float or None
        Depth of field; None: of the step where that is known.
    """

    near: float | None = None
    far: float | None = None
    step: float | None = None
    dof: float | None = None

    @property
    def depth(self) -> float | None:
        """How deep the zone in focus is."""
        return self.dof if self.dof is not None else self.step


@dataclass(frozen=True, slots=True)
class Peaks:
    """One frame's focus; arrays of shape (rows // 8, columns // 8).

    Attributes
    ----------
    strength : ndarray, float32
        0: not in focus; 1: as sharp as can be.
    textured, clipped : ndarray, bool
        Blocks that can be judged; blocks with too much white or black.
    near, far, following : ndarray, bool
        Blocks whose peak, as far as it is known, lies at the near or far end, or in the zone of the next step.
    overlap : ndarray, bool
        Blocks in both this zone and the next.
    share : float
        Blocks in focus of all blocks.
    sharpness : float
        Energy of the fine gradients over brightness squared: one number for the frame.
    best, best_position : float or None
        The largest sharpness so far, and where that was.
    sigma : float
        Of the noise, levels.
    position : float or None
    """

    strength: F32
    textured: Mask
    clipped: Mask
    near: Mask
    far: Mask
    following: Mask
    overlap: Mask
    share: float
    sharpness: float
    best: float
    best_position: float | None
    sigma: float
    position: float | None


class Peaking:
    """Looks at live frames one after the other.

    Parameters
    ----------
    zones : Zones or None
    """

    def __init__(self, zones: Zones | None = None) -> None:
        self.zones = zones or Zones()
        self._last: BlockFocus | None = None
        self._previous: NDArray[np.uint8] | None = None
        self._noise: list[float] = []
        self._top: F32 | None = None
        self._where: F32 | None = None
        self._best = 0.0
        self._best_position: float | None = None

    def look(self, gray: NDArray[np.uint8], position: float | None = None) -> Peaks:
        """Judge a frame: (rows, columns), uint8, as decoded; `position` of the axis where it is known."""
        focus = block_focus(gray)
        if self._last is not None and self._last.fine.shape != focus.fine.shape:
            self._forget()
        sigma = self._sigma(gray)
        energy = focus.energy(sigma)
        textured = (energy > max(_LEAST_TEXTURE, _ABOVE_NOISE * _noise_left(sigma))) & ~focus.clipped
        seen = textured & (focus.fine > _FINE_ABOVE_NOISE * 4.0 * sigma * sigma)
        ratio = focus.ratio(sigma)
        strength = np.where(textured, np.log2(np.maximum(ratio, 1e-3) / _IN_FOCUS) / np.log2(_SHARP / _IN_FOCUS), 0.0)
        # what has just come into focus is seen, too
        strength = np.where(seen & (ratio > _IN_FOCUS), np.clip(0.2 + 0.8 * strength, 0.0, 1.0), 0.0).astype(np.float32)
        fine = np.where(textured, np.maximum(focus.fine - 4 * sigma * sigma, 0.0), 0.0)
        fine = (fine / max(focus.brightness, 1.0) ** 2).astype(np.float32)
        sharpness = float(fine.mean())
        self._remember(fine, sharpness, position)
        self._last = focus
        in_focus = strength > 0
        near, far, following, overlap = self._marks(in_focus, position)
        return Peaks(
            strength,
            textured,
            focus.clipped,
            near,
            far,
            following,
            overlap,
            float(in_focus.mean()),
            sharpness,
            self._best,
            self._best_position,
            sigma,
            position,
        )

    def _forget(self) -> None:
        """The frames have another size now: nothing of before holds."""
        self._previous = self._top = self._where = None
        self._best, self._best_position = 0.0, None

    def _sigma(self, gray: NDArray[np.uint8]) -> float:
        """Noise from this frame and the one before, where those show the same; the least of the last frames."""
        before, self._previous = self._previous, gray
        if before is not None and before.shape == gray.shape:
            # every fourth row is enough; light that flickers changes nothing
            now, then = gray[::4].astype(np.float32), before[::4].astype(np.float32)
            difference = now - then * np.float32(float(now.mean()) / max(float(then.mean()), 1.0))
            columns = difference.shape[1] // 16 * 16
            squares = (difference[:, :columns] ** 2).reshape(len(difference), -1, 16).mean(axis=2)
            self._noise = [*self._noise[1 - _KEPT_NOISE :], float(np.sqrt(np.quantile(squares, _QUIETEST) / 2))]
        return min(self._noise, default=_FIRST_SIGMA)

    def _remember(self, fine: F32, sharpness: float, position: float | None) -> None:
        if sharpness >= self._best:
            self._best, self._best_position = sharpness, position
        if self._top is None or self._where is None:
            self._top, self._where = fine.copy(), np.full(fine.shape, np.nan, np.float32)
        better = fine >= self._top
        self._top = np.where(better, fine, self._top)
        if position is not None:
            self._where = np.where(better, np.float32(position), self._where)
        self._fallen = fine < _FALLEN * self._top

    def _marks(self, in_focus: Mask, position: float | None) -> tuple[Mask, Mask, Mask, Mask]:
        nothing = np.zeros(in_focus.shape, np.bool_)
        assert self._where is not None
        depth = self.zones.depth
        if depth is None:
            return nothing, nothing, nothing, nothing
        # a block's place is known once it was seen to become less sharp again, or while it is in focus
        known = np.where(self._fallen | in_focus, self._where, np.nan)

        def within(place: float | None) -> Mask:
            return nothing if place is None else np.asarray(np.abs(known - place) <= depth / 2)

        following = within(None if position is None or self.zones.step is None else position + self.zones.step)
        here = within(position) | in_focus
        return within(self.zones.near), within(self.zones.far), following, following & here


def _noise_left(sigma: float) -> float:
    return 0.015 * sigma * sigma
