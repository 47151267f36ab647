"""The search outwards for what has texture: from one sweep to both sides, until nothing goes on, and a look farther out for other parts."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from capture.focus.depths import Depths
from capture.focus.region import Region
from capture.focus.step import LEAST_BLIND
from capture.focus.sweep import MOST_FRAMES, Say, Sweep, View, sweep

FEWEST_BLOCKS = 20
BEYOND = 0.004
# Frames are so far apart at least, in halves of the width of what the finest band that shows many blocks sees.
_WIDTHS, _SHOWN, _SAMPLE_BLOCKS = 1.3, 0.5, 1500
# How far from its start it goes while nothing comes into focus, in its own spacings.
_BLIND_SPACINGS = 30
# So many spacings at a time, or this share of those looked at: a stretch whose beginning shows that nothing goes on beyond it ends there.
_PORTION, _PORTION_SHARE = 4, 0.1
# Growth in found blocks by which one more look was worth it.
_WORTH = 0.002
# So many times what was found, what seems to lie beyond an end is most of the subject: the search began outside it.
_MOST = 2
# Where it is this share of all texture, so many looks in a row may show nothing more.
_MUCH, _TRIES = 0.2, 4
# What lies far outside leaves no trace in any frame of the sweep. So many single frames each way look for it, so many live pixels of blur
# apart (the widest band still shows what is half of that out of focus), and where one shows something the search goes on to there.
_FARTHER_LOOKS, _FARTHER_PX, _MOST_FARTHER = 5, 20.0, 3
# Something: in the widest bands this share of what shows where it is in focus, and more than those blocks showed in the sweep; so many
# times more where they are in focus there.
_OF_USUAL, _TIMES, _SIGNAL_TO_NOISE, _LEAST_TEXTURE = 0.1, 4.0, 10.0, 1e-6
_COARSE_BANDS, _FEWEST_ALIKE = 2, 4


def look(view: View, near: float, far: float, spacing: float, region: Region | None, say: Say) -> Sweep:
    """A sweep from `near` to `far`, both included where they are spacings apart."""
    count = max(int((far - near) / spacing + 1e-6) + 1, 2)
    positions = near + spacing * np.arange(count) if far - near >= spacing else np.array([near, max(far, near + 1e-3)])
    say(f"sweep of {len(positions)} live frames from {positions[0]:.0f} to {positions[-1]:.0f}")
    return sweep(view, positions, region)


@dataclass
class OutwardSearch:
    """What was looked at so far, and how it goes on.

    Attributes
    ----------
    view : View
    growth : float
        Of the blur circle's diameter, live pixels per unit of position.
    region : Region or None
    say : callable
    taken : Sweep
    near, far : float
        How far was looked.
    spacing : float
    home : float
        Where the search began.
    farther : bool
        Whether other parts are looked for farther out: not where only running into an end tells that there is one.
    depths : Depths
    widest : float
        The widest spacing at which what the lens shows is seen to come and go; 0.0 where nothing shows.
    farther_looks : int
        Live frames that were looked at farther out, and are not in `taken`.
    looked : (float, float)
        From where to where anything was looked at.
    """

    view: View
    growth: float
    region: Region | None
    say: Say
    taken: Sweep
    near: float
    far: float
    spacing: float
    home: float
    farther: bool
    depths: Depths = field(init=False)
    widest: float = field(init=False, default=0.0)
    farther_looks: int = field(init=False, default=0)
    looked: tuple[float, float] = field(init=False)

    def __post_init__(self) -> None:
        self.depths = self.taken.depths(self.growth)
        self.looked = (self.near, self.far)
        self._blind = max(_BLIND_SPACINGS * self.spacing, LEAST_BLIND)

    def run(self) -> None:
        """Outwards until everything with texture has gone in and out of focus, parts that lie apart among it.

        Raises
        ------
        CaptureError, rail.errors.RailError
        """
        self._grow_all()
        for _ in range(_MOST_FARTHER if self.farther else 0):
            if self._found() < FEWEST_BLOCKS or not self._reach_farther():
                break
            self._grow_all()

    def _grow_all(self) -> None:
        self._grow_near = self._grow_far = True
        self._fruitless = 0
        while self._grow():
            pass
        self._note_looked(self.taken)

    def _note_looked(self, seen: Sweep) -> None:
        first, last = float(seen.positions[0]), float(seen.positions[-1])
        self.looked = (min(self.looked[0], first), max(self.looked[1], last))

    def _found(self) -> int:
        return int(np.isfinite(self.depths.position).sum())

    def _grow(self) -> bool:
        """One stretch on each side that goes on; False where none does."""
        self.widest = _WIDTHS * _half_width(self.taken)
        self.spacing = max(self.spacing, self.widest)
        lowest, highest = self.view.limits
        if self._found() < FEWEST_BLOCKS:
            lowest, highest = max(lowest, self.home - self._blind), min(highest, self.home + self._blind)
        wants_near = self._grow_near and self.near > lowest and self._goes_on(near=True)
        wants_far = self._grow_far and self.far < highest and self._goes_on(near=False)
        if not (wants_near or wants_far) or MOST_FRAMES - len(self.taken.positions) < 8:
            return False
        before = self._found()
        stretch = max(4 * self.spacing, (self.far - self.near) / 2)
        near_goal, far_goal = max(self.near - stretch, lowest), min(self.far + stretch, highest)
        while wants_near and self.near > near_goal:
            self._add_near(self._portion(self.near, near_goal))
            if not self._goes_on(near=True):
                break
        while wants_far and self.far < far_goal:
            self._add_far(self._portion(self.far, far_goal))
            if not self._goes_on(near=False):
                break
        depths, after = self.depths, self._found()
        fruitless = depths.textured and after <= before + _WORTH * depths.textured
        self._fruitless = self._fruitless + 1 if fruitless else 0
        if self._fruitless:
            # what seems to lie beyond does not come into focus there either; but where that is much of what is seen, it is looked for on
            tries = _TRIES if max(depths.beyond_near, depths.beyond_far) > _MUCH * depths.textured else 1
            on = self._fruitless < tries
            self._grow_near = self._grow_near and (not wants_near or on or depths.beyond_near > _MOST * after)
            self._grow_far = self._grow_far and (not wants_far or on or depths.beyond_far > _MOST * after)
        return True

    def _add_near(self, start: float) -> None:
        more = look(self.view, start, self.near - self.spacing, self.spacing, self.region, self.say)
        self.taken, self.near = self.taken.joined(more), start
        self.depths = self.taken.depths(self.growth)

    def _add_far(self, end: float) -> None:
        more = look(self.view, self.far + self.spacing, end, self.spacing, self.region, self.say)
        self.taken, self.far = self.taken.joined(more), end
        self.depths = self.taken.depths(self.growth)

    def _portion(self, end: float, goal: float) -> float:
        """Where to look to from `end` before it is asked whether the rest of the way to `goal` is worth it; no sliver is left."""
        way = max(_PORTION, round(_PORTION_SHARE * len(self.taken.positions))) * self.spacing
        return goal if abs(goal - end) < 1.5 * way else end + math.copysign(way, goal - end)

    def _goes_on(self, *, near: bool) -> bool:
        """Whether there may be more beyond this end of the sweep."""
        depths, end = self.depths, self.near if near else self.far
        if depths.textured == 0:
            return True
        known = depths.position[np.isfinite(depths.position)]
        close = int((np.abs(known - end) < self.spacing).sum())
        return (depths.beyond_near if near else depths.beyond_far) + close > BEYOND * depths.textured

    def _reach_farther(self) -> bool:
        """Look farther out, and go on to where something shows; False where nothing does."""
        apart = max(_FARTHER_PX / self.growth, self.spacing)
        low, high = self.view.limits
        reach = min(_FARTHER_LOOKS * apart, LEAST_BLIND)
        steps = apart * np.arange(1, int(reach / apart + 1e-6) + 1)
        near_side, far_side = self.near - steps[::-1], self.far + steps
        found = False
        for places in (near_side[near_side >= low], far_side[far_side <= high]):
            if len(places) < 2 or MOST_FRAMES - len(self.taken.positions) < (places[-1] - places[0]) / self.spacing:
                continue
            self.say(f"{len(places)} live frames farther out, from {places[0]:.0f} to {places[-1]:.0f}")
            seen = sweep(self.view, places, self.region)
            self.farther_looks += len(seen.positions)
            self._note_looked(seen)
            shows = self._shows_new(seen)
            if not shows.any():
                continue
            found = True
            if places[0] < self.near:
                self._add_near(max(float(seen.positions[shows].min()) - apart / 2, low))
            else:
                self._add_far(min(float(seen.positions[shows].max()) + apart / 2, high))
        return found

    def _shows_new(self, farther: Sweep) -> NDArray[np.bool_]:
        """Which frames of a sweep farther out show what no frame of the search did; shape (frames,)."""
        taken = self.taken
        fresh = np.zeros(taken.clipped.shape, bool)
        best = np.zeros(taken.clipped.shape, np.intp)
        placed = np.isfinite(self.depths.position)
        for band in range(_COARSE_BANDS):
            noise = np.maximum(taken.noise[band], farther.noise[band])
            before = np.maximum(taken.energies[:, band].max(axis=0) - noise, 0)
            now = farther.energies[:, band].max(axis=0) - noise
            usual = float(np.median(before[placed]))
            least = np.maximum(np.maximum(_SIGNAL_TO_NOISE * noise, _LEAST_TEXTURE), _OF_USUAL * usual)
            new = (now > least) & (now > np.where(placed, _TIMES, 1.0) * before) & ~(taken.clipped | farther.clipped)
            best = np.where(new, farther.energies[:, band].argmax(axis=0), best)
            fresh |= new
        # single blocks are noise
        alike = cv2.blur(fresh.astype(np.float32), (3, 3), borderType=cv2.BORDER_CONSTANT) * 9
        fresh &= alike > _FEWEST_ALIKE - 0.5
        counts = np.bincount(best[fresh], minlength=len(farther.positions))
        return counts > max(BEYOND * max(self.depths.textured, 1), FEWEST_BLOCKS)


def _half_width(taken: Sweep) -> float:
    """Half the width of the curves in the finest band that shows; 0.0 where none does. Diffraction makes it larger than the law's."""
    every = max(1, round(math.sqrt(taken.clipped.size / _SAMPLE_BLOCKS)))
    found = [taken.peaks(band, every).half_width for band in range(len(taken.bands.frequencies))]
    counts = [int(np.isfinite(widths).sum()) for widths in found]
    if max(counts) < FEWEST_BLOCKS:
        return 0.0
    finest = max(band for band, count in enumerate(counts) if count >= _SHOWN * max(counts))
    return float(np.nanmedian(found[finest]))
