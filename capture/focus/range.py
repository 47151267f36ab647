"""The range, found: the near and far end of what has texture, from one sweep over the travel."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from capture.errors import FocusError
from capture.focus.depths import Depths
from capture.focus.outward import BEYOND, FEWEST_BLOCKS, OutwardSearch, look
from capture.focus.region import Region
from capture.focus.sweep import MOSTLY_CLIPPED, Say, Sweep, View, silent, sweep

F64 = NDArray[np.floating]

# Wanted are the 1st and 99th percentile by area. What is nearest is mostly thin (hairs, tips), and drawn wider by lens and live frame
# than it is, or lost; of what is farthest some is hidden. So these shares of what is seen are those.
NEAR_SHARE, FAR_SHARE = 0.015, 0.993
# For how much of a block what stands before its own depth counts.
_BEFORE_AREA = 0.2
# By what factor that count may be wrong, either way: how far an end moves with it tells how sure the end is.
_MISCOUNT = 1.6
# Depths of field by which an end may be loose without a word.
_LOOSE_DOFS = 0.5
# The widest band is half gone at 8.6 live pixels of blur: with three frames it is seen to come and go. So far apart are frames, and up to
# so far where a depth of field is more than that.
_BLUR_BETWEEN_PX, _MOST_BETWEEN_PX = 2.5, 5.0
# A sweep that is there already serves where it is not coarser than this many times what is wanted; round the ends, so many of its spacings
# each way, it is made finer where it is coarser than that.
_FINE_ENOUGH, _COARSEST = 1.25, 2.5
_ROUND_ENDS = 2.5
# There it is no coarser than a depth of field needs to be, either, down to this share of what the law of defocus asks for.
_FINEST = 0.5


@dataclass(frozen=True, slots=True)
class RangeEstimate:
    """Near and far end, without any margin, in the axis's unit.

    Attributes
    ----------
    near, far : float
    near_between, far_between : (float, float)
        Where each end would be had thin things been counted for more or less, by the factor that live frames leave open.
    confidence : float
        0 to 1.
    blocks : int
        Blocks of the frame that it rests on.
    notes : tuple of str
    frames : int
        Live frames that were looked at.
    looked : (float, float)
        From where to where; what lies beyond was not looked for.
    """

    near: float
    far: float
    near_between: tuple[float, float]
    far_between: tuple[float, float]
    confidence: float
    blocks: int
    notes: tuple[str, ...]
    frames: int
    looked: tuple[float, float]


def find_range(
    view: View,
    growth_px_per_unit: float,
    *,
    dof: float | None = None,
    region: Region | None = None,
    seen: Sweep | None = None,
    begun: float | None = None,
    farther: bool = True,
    say: Say = silent,
) -> RangeEstimate:
    """Sweep outwards from the present position until everything with texture has gone in and out of focus.

    Parameters
    ----------
    view : View
    growth_px_per_unit : float
        Growth of the blur circle's diameter, in live pixels per unit of position (`measure_step`); sets how finely is looked.
    dof : float or None
        Depth of field, in the axis's unit: against it the confidence weighs how sure the ends are.
    region : Region or None
    seen : Sweep or None
        Of the same view and region, from which the search goes on where it is fine enough (`StepEstimate.seen`).
    begun : float or None
        Where the search for `seen` began, from which it is not gone far while nothing shows; None: here.
    farther : bool
        Whether single frames farther out look for other parts of the subject; for axes whose limits keep them from running into an end.
    say : callable

    Raises
    ------
    FocusError
        Where nothing has texture, or it does not end within the travel.
    CaptureError, rail.errors.RailError
    """
    low, high = view.limits
    home = min(max(view.here if begun is None else begun, low), high)
    wanted = max(_BLUR_BETWEEN_PX / growth_px_per_unit, view.resolution)
    # large live frames show more than half a depth of field asks for: the way between the ends is taken in wider steps
    blur_px = (
        _BLUR_BETWEEN_PX if dof is None else min(max(dof * growth_px_per_unit, _BLUR_BETWEEN_PX), _MOST_BETWEEN_PX)
    )
    spacing = max(blur_px / growth_px_per_unit, view.resolution)
    if seen is not None and seen.spacing <= _COARSEST * spacing:
        taken = seen.thinned(spacing)
        spacing = max(spacing, taken.spacing)
        given = len(taken.positions)
        near, far = float(taken.positions[0]), float(taken.positions[-1])
    else:
        centre = min(max(view.here, low), high)
        near, far = max(centre - 6 * spacing, low), min(centre + 6 * spacing, high)
        taken, given = look(view, near, far, spacing, region, say), 0
    search = OutwardSearch(view, growth_px_per_unit, region, say, taken, near, far, spacing, home, farther)
    search.run()
    taken, depths = search.taken, search.depths
    wanted = max(wanted, search.widest)
    if dof is not None:
        wanted = min(wanted, max(dof, _FINEST * wanted))
    found = _conclude(taken, growth_px_per_unit, depths, (low, high), dof)
    if between := _between(taken, wanted, (found.near, found.far)):
        say(f"{len(between)} live frames more, round the ends")
        taken = taken.joined(sweep(view, np.asarray(between), region))
        found = _conclude(taken, growth_px_per_unit, taken.depths(growth_px_per_unit), (low, high), dof)
    return replace(found, frames=found.frames - given + search.farther_looks, looked=search.looked)


def _between(taken: Sweep, wanted: float, ends: tuple[float, float]) -> list[float]:
    """Middles between neighbouring frames that are too far apart to tell an end close by."""
    found = []
    for one, other in pairwise(taken.positions.tolist()):
        middle, apart = (one + other) / 2, other - one
        if apart > _FINE_ENOUGH * wanted and min(abs(middle - end) for end in ends) < _ROUND_ENDS * apart:
            found.append(middle)
    return found if len(found) > 1 else []


def _at_shares(positions: F64, areas: F64, shares: F64, whole: float) -> tuple[float, ...]:
    """Positions before which these shares of the `whole` area lie."""
    order = np.argsort(positions)
    total = np.cumsum(areas[order]) - 0.5 * areas[order]
    return tuple(np.interp(shares * whole, total, positions[order]).tolist())


def _conclude(
    taken: Sweep, growth_px_per_unit: float, depths: Depths, limits: tuple[float, float], dof: float | None
) -> RangeEstimate:
    positions = taken.places(depths, growth_px_per_unit)
    blocks = round(len(positions) / taken.cells_per_block)
    if blocks < FEWEST_BLOCKS:
        why = (
            "is clipped white: shorten the exposure"
            if taken.clipped.mean() > MOSTLY_CLIPPED
            else "has texture that comes into focus"
        )
        raise FocusError(
            f"only {blocks} blocks of the live picture are of use" if blocks else f"nothing {why}",
            remedy="Light the subject well, jog until it is about in focus, choose an area with --roi, or give near and far.",
            state=f"Looked at last from {taken.positions[0]:g} to {taken.positions[-1]:g}; nothing moves.",
        )
    near_shares = NEAR_SHARE * np.array([1 / _MISCOUNT, 1, _MISCOUNT])
    far_shares = 1 - (1 - FAR_SHARE) * np.array([_MISCOUNT, 1, 1 / _MISCOUNT])
    before = taken.before(depths, growth_px_per_unit)
    before = before[np.isfinite(before)]
    areas = np.concatenate([np.ones(len(positions)), np.full(len(before), _BEFORE_AREA * taken.cells_per_block)])
    near_least, near, near_most = _at_shares(np.concatenate([positions, before]), areas, near_shares, len(positions))
    far_least, far, far_most = _at_shares(positions, areas[: len(positions)], far_shares, len(positions))
    notes = []
    beyond = depths.beyond_near + depths.beyond_far
    if beyond > 5 * BEYOND * depths.textured:
        notes.append(
            f"{beyond / max(depths.textured, 1):.0%} of the texture lies beyond what was looked at, {taken.positions[0]:.0f} to "
            f"{taken.positions[-1]:.0f}; positions from {limits[0]:g} to {limits[1]:g} are allowed"
        )
    confidence = min(1.0, blocks / 150) * (1.0 - min(1.0, beyond / max(depths.textured, 1)))
    if dof is not None:
        loose = max(near_most - near_least, far_most - far_least) / 2
        confidence *= math.exp(-((loose / dof) ** 2))
        if loose > _LOOSE_DOFS * dof:
            notes.append(
                f"little lies at the ends, and live frames do not tell how little: near between {near_least:.4g} and "
                f"{near_most:.4g}, far between {far_least:.4g} and {far_most:.4g}"
            )
    return RangeEstimate(
        near,
        far,
        (near_least, near_most),
        (far_least, far_most),
        round(confidence, 3),
        blocks,
        tuple(notes),
        len(taken.positions),
        (float(taken.positions[0]), float(taken.positions[-1])),
    )
