"""The step, measured: how fast blur grows with defocus, and what depth of field and step follow."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from capture.depth_of_field import PIXELS_PER_COC, DepthOfField, Optics, depth_of_field, magnification_of_growth
from capture.errors import OverexposedError
from capture.focus.growth import Growth
from capture.focus.region import Region
from capture.focus.sweep import MOSTLY_CLIPPED, Say, Sweep, View, silent, sweep

FIRST_SPACING = 40.0
FRAMES = 25
LEAST_BLIND = 4300.0
"""How far from its start a search goes at least, in the axis's unit, while nothing comes into focus."""
# And so many times as far as the first sweep: a rail drives towards the subject.
_BLIND = 3.0
_ROUNDS = 9
_ENOUGH_CONFIDENCE = 0.6
_FLAT = 1.6
_LIKE = 0.15
# An f-number that a still names is the one that was entered within this; a magnification may be entered so many times wrong.
_SAME_STOP, _MISREAD = 0.05, 1.6


@dataclass(frozen=True, slots=True)
class StillOptics:
    """What a still says of the lens where the user said nothing: marked f-number, and pixel pitch in um."""

    f_number: float
    pixel_um: float


@dataclass(frozen=True, slots=True)
class StepEstimate:
    """What was measured, and what follows.

    Attributes
    ----------
    blur_px_per_um : float or None
        Growth of the blur circle's diameter, in pixels of the still, per unit of position; None where nothing could be measured.
    dof_um, step_um : float or None
        In the unit of the positions; from the formula where nothing could be measured.
    overlap, confidence : float
    formula : DepthOfField or None
    notes : tuple of str
        What the user should know: why the confidence is low, how far formula and measurement differ.
    frames : int
        Live frames that were looked at.
    seen : Sweep or None
        The sweep that it rests on: `find_range` goes on from there.
    """

    blur_px_per_um: float | None
    dof_um: float | None
    step_um: float | None
    overlap: float
    confidence: float
    formula: DepthOfField | None
    notes: tuple[str, ...]
    frames: int
    seen: Sweep | None = field(default=None, repr=False, compare=False)


def measure_step(
    view: View,
    live_scale: float,
    overlap: float,
    optics: Optics | None = None,
    *,
    still: StillOptics | None = None,
    region: Region | None = None,
    reach: float = math.inf,
    say: Say = silent,
) -> StepEstimate:
    """Sweep round the present position until blur's growth is known, and derive depth of field and step.

    Parameters
    ----------
    view : View
    live_scale : float
        Pixels of the still for one of the live frame.
    overlap : float
        Share by which neighbouring zones of focus are to overlap.
    optics : Optics or None
        As the user gave them: the wave part of the depth of field comes from there, and the formula is compared.
    still : StillOptics or None
        Stands in for `optics` in the wave part, with the magnification at which the growth agrees with it; positions are in um then.
    region : Region or None
    reach : float
        How far from the present position is searched.
    say : callable

    Raises
    ------
    FocusError, CaptureError, rail.errors.RailError
    """
    formula = None if optics is None else depth_of_field(optics, overlap)
    first = FIRST_SPACING if formula is None else 0.75 * live_scale * formula.geometric_um
    best, seen, frames = _search(view, first, reach, region, say)
    return replace(conclude(best, live_scale, overlap, formula, frames, still, optics), seen=seen)


def conclude(
    growth: Growth,
    live_scale: float,
    overlap: float,
    formula: DepthOfField | None,
    frames: int,
    still: StillOptics | None = None,
    optics: Optics | None = None,
) -> StepEstimate:
    """Depth of field and step from the growth of blur in live pixels; `optics` are those of `formula`."""
    notes = [growth.why] if growth.why else []
    if not growth.confidence > 0:
        notes.append("nothing could be measured" + ("" if formula is None else ": the step is the formula's"))
        total = None if formula is None else formula.total_um
        return StepEstimate(
            None, total, None if formula is None else formula.step_um, overlap, 0.0, formula, tuple(notes), frames
        )
    per_um = growth.px_per_unit * live_scale
    geometric = 2 * PIXELS_PER_COC / per_um
    wave, told = _wave(per_um, formula, still, optics)
    total = geometric + wave
    if told:
        notes.append(told)
    if formula is not None:
        ratio = geometric / formula.geometric_um
        if abs(np.log(ratio)) > _LIKE:
            notes.append(
                f"the measured geometric part of the depth of field is {ratio:.2f} times the formula's, {geometric:.1f} instead of "
                f"{formula.geometric_um:.1f} um: check the magnification and the f-number that were entered"
                + (", and that nothing shakes" if ratio > 1 else "")
            )
    return StepEstimate(
        per_um, total, total * (1 - overlap), overlap, round(growth.confidence, 3), formula, tuple(notes), frames
    )


def _wave(
    per_um: float, formula: DepthOfField | None, still: StillOptics | None, optics: Optics | None
) -> tuple[float, str]:
    """The wave part of the depth of field, and what is to be said of it."""
    if formula is not None:
        named = None if still is None else still.f_number
        return wave_beside(2 * PIXELS_PER_COC / per_um, formula, optics, named)
    if still is None:
        return 0.0, (
            "without the wave part, which takes the magnification and the f-number: depth of field and step come out too small "
            "where diffraction counts, never too large"
        )
    m = magnification_of_growth(per_um, still.f_number, still.pixel_um)
    wave = depth_of_field(Optics(m, still.f_number, coc_um=PIXELS_PER_COC * still.pixel_um)).wave_um
    return wave, (
        f"the wave part, {wave:.1f} um, is reckoned from the f/{still.f_number:g} that the still names and the magnification of {m:.2f} "
        "at which blur grows so fast: give both if that is not your lens"
    )


def wave_beside(
    geometric_um: float, formula: DepthOfField, optics: Optics | None = None, named_f_number: float | None = None
) -> tuple[float, str]:
    """The wave part of optics of which `geometric_um` was measured, and what is to be said of it.

    The wave part grows with (N_eff / m)^2, the geometric part with N_eff / m^2. Where the measured one departs from the formula's,
    N or m was entered wrong. Where a picture names the N that was entered, m is what is wrong, and what was measured tells it. Else
    which of them is not known; the least that either would give never makes a step too large.

    Parameters
    ----------
    geometric_um : float
    formula : DepthOfField
        Of the optics as they were entered.
    optics : Optics or None
        Those.
    named_f_number : float or None
        As a picture names it.
    """
    ratio = geometric_um / formula.geometric_um
    if abs(np.log(ratio)) <= _LIKE:
        return formula.wave_um, ""
    if optics is not None and (m := _misread(geometric_um, optics, named_f_number)) is not None:
        wave = depth_of_field(replace(optics, magnification=m)).wave_um
        return wave, (
            f"the wave part is taken as {wave:.1f} um instead of the formula's {formula.wave_um:.1f} um: the picture names the f-number "
            f"that was entered, and with it blur grows so fast at a magnification of {m:.2f}; {optics.magnification:g} was entered"
        )
    if ratio > 1:
        return formula.wave_um, ""
    wave = formula.wave_um * ratio**2
    return wave, (
        f"the wave part is taken as {wave:.1f} um instead of the formula's {formula.wave_um:.1f} um, the least that a wrong "
        "magnification or f-number would make of it, so that the step is not too large: what was measured contradicts the optics"
    )


def _misread(geometric_um: float, optics: Optics, named_f_number: float | None) -> float | None:
    """The magnification that `optics` must have for the measured depth; None where it may as well be their f-number that is wrong."""
    n = optics.f_number
    if n is None or optics.numerical_aperture is not None or named_f_number is None:
        return None
    if abs(math.log(named_f_number / n)) > _SAME_STOP:
        return None
    m = magnification_of_growth(2 * optics.coc_um / geometric_um, n, 1.0, optics.pupil_ratio)
    return m if abs(math.log(m / optics.magnification)) <= math.log(_MISREAD) else None


def _search(
    view: View, spacing: float, reach: float, region: Region | None, say: Say
) -> tuple[Growth, Sweep | None, int]:
    """Sweeps, finer, coarser or farther along, until one shows blocks going in and out of focus."""
    low, high = view.limits
    centre = min(max(view.here, low), high)
    low, high = max(low, centre - reach), min(high, centre + reach)
    home, blind = centre, max(_BLIND * spacing * (FRAMES - 1) / 2, LEAST_BLIND)
    best = Growth(float("nan"), 0.0, float("nan"), 0, "nothing was seen")
    shown: Sweep | None = None
    frames = 0
    seen: set[tuple[float, float]] = set()
    for _ in range(_ROUNDS):
        spacing = max(spacing, view.resolution)
        span = min(spacing * (FRAMES - 1), high - low)
        start = min(max(centre - span / 2, low), high - span)
        count = int(span / spacing + 1e-6) + 1
        if count < 5:
            spacing = max(span / 8, view.resolution)
            count = int(span / spacing + 1e-6) + 1
            if count < 5:
                break
        key = (round(start, 1), round(spacing, 2))
        if key in seen:
            break
        seen.add(key)
        say(f"sweep of {count} live frames from {start:.0f} to {start + spacing * (count - 1):.0f}")
        try:
            taken = sweep(view, start + spacing * np.arange(count), region)
        except OverexposedError as error:
            frames += 2
            best = best if best.blocks else replace(best, why=f"{error.message}: shorten the exposure")
            break
        frames += count + 3
        large = taken.pooled()
        growth = large.growth()
        if (clipped := float(large.clipped.mean())) > MOSTLY_CLIPPED:
            growth = replace(growth, why="most of the live picture is clipped white: shorten the exposure")
            if len(seen) == 1:
                say(
                    f"note: {clipped:.0%} of the live picture is clipped white: shorten the exposure; what is left is looked at"
                )
        if growth.confidence > best.confidence or (not best.blocks and growth.why):
            best, shown = growth, taken
        if best.confidence >= _ENOUGH_CONFIDENCE:
            break
        ahead = _next(large, start + span / 2, spacing)
        if ahead is not None:
            centre, spacing = ahead
            continue
        centre, spacing = home, 3 * spacing
        low, high = max(low, home - blind), min(high, home + blind)
        if span >= 0.9 * (high - low):
            if not best.blocks:
                why = f"nothing comes into focus from {start:.0f} to {start + span:.0f}, and farther away it is not searched for"
                best = replace(best, why=why)
            break
    return best, shown, frames


def _next(taken: Sweep, centre: float, spacing: float) -> tuple[float, float] | None:
    """Where and how finely to look next; None where nothing shows that."""
    span = taken.positions[-1] - taken.positions[0]
    votes = {"near": 0, "far": 0, "fine": 0, "coarse": 0}
    for band in range(len(taken.bands.frequencies)):
        peaks = taken.peaks(band)
        votes["near"] += peaks.beyond_near
        votes["far"] += peaks.beyond_far
        width = peaks.half_width[np.isfinite(peaks.half_width)]
        votes["fine"] += int((2 * width < 2.5 * spacing).sum())
        votes["coarse"] += int((2 * width > 0.7 * span).sum())
    energy = taken.energies[:, 0].reshape(len(taken.positions), -1).sum(axis=1)
    if energy.max() < _FLAT * energy.min() and not votes["fine"]:
        return None
    what = max(votes, key=lambda name: votes[name])
    if not votes[what]:
        return None
    if what == "fine":
        best = float(taken.positions[int(energy.argmax())])
        return best, spacing / 3
    if what == "coarse":
        return centre, spacing * 2.5
    return centre + (0.8 if what == "far" else -0.8) * span, spacing
