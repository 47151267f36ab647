"""Travel of the rail against a ruled target that the camera sees move sideways: whole lines are counted, parts of one told by their phase.

No length in the picture is needed, nor the magnification: a line's distance from the next is known on the target itself.
"""

from __future__ import annotations

from capture.errors import FocusError
from capture.focus.region import Region
from capture.focus.ruler import find_spacing, line_phase
from capture.focus.sweep import Say, View, silent

# The first move, in lines: its sense and length are told though steps/mm are wrong by up to a factor of two.
_FIRST = 0.2
_LEAST, _MOST = 0.5, 2.0
# Each move is so many times as long as all before it; the lines' phase may depart so far from what these foretell, in turns.
_LONGER = 1.0
_ASTRAY = 0.2


def measure_travel(
    view: View, spacing: float, distance: float, *, region: Region | None = None, say: Say = silent
) -> float:
    """How far the lines really moved while the axis went `distance` up from where it stands, in the unit of `spacing`.

    Parameters
    ----------
    view : View
        Of even parallel lines that fill it, in focus, square to the travel; the camera looks across the travel, not along it.
    spacing : float
        From line to line, as the target is made.
    distance : float
        By the axis's own count; above `spacing` / 5.
    region : Region or None
    say : callable

    Raises
    ------
    FocusError
        No such lines, they do not move with the axis, or they were lost on the way.
    CaptureError, rail.errors.RailError
    """
    part = region or Region()
    start, gray = view.frame(view.here)
    lines = find_spacing(part.crop(gray))
    if lines is None:
        raise FocusError(
            "no evenly ruled lines stand out in the live picture",
            remedy="Let the target fill it, its lines in focus and at least four live pixels apart.",
            state="Nothing was written.",
        )
    say(f"lines {lines.px:.1f} live pixels apart")
    last = line_phase(part.crop(gray), lines)
    gone, turns = 0.0, 0.0
    target = min(_FIRST * spacing, distance)
    while True:
        reached, gray = view.frame(start + target)
        moved, phase = reached - start - gone, line_phase(part.crop(gray), lines)
        foretold = turns / gone * moved if gone else 0.0
        more = foretold + (phase - last - foretold + 0.5) % 1.0 - 0.5
        if not moved > 0:
            raise FocusError(
                f"{distance:g} is less than the axis's own step",
                remedy="Command some millimetres.",
                state="Nothing was written.",
            )
        if not gone and not _LEAST < abs(more) * spacing / moved < _MOST:
            raise FocusError(
                f"the lines moved by {abs(more) * spacing:.3g} while the axis went {moved:.3g}",
                remedy="Let the camera look across the travel at lines square to it, and give the target's own --spacing; "
                "or take a ruler or dial gauge (--measured).",
                state="Nothing was written.",
            )
        if abs(more - foretold) > _ASTRAY and gone:
            raise FocusError(
                f"the lines were lost after {gone:.0f}: they moved by {abs(more):.2f} of one instead of {abs(foretold):.2f}",
                remedy="Check that nothing slips, that the lines stay in focus, and that the backlash of the profile is not too small.",
                state="Nothing was written.",
            )
        gone, turns, last = gone + moved, turns + more, phase
        if target >= distance:
            return abs(turns) * spacing
        target = min((1 + _LONGER) * gone, distance)
