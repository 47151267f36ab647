"""The origin's mark, kept in the controller's own volatile memory.

Position knowledge must survive from one process to the next and must die with the controller's memory. So the origin
is written as a G92 offset (X is the origin, Z carries this mark): GRBL clears it at every reset, and a Z that is not a
mark means that nobody knows the position. The mark says where the origin comes from, which origin it was written for
and under which steps/mm (a changed ``$100``, another program's G92 and a damaged line silently shift every position, so
a mark beside another one must not be believed), and the last binary digits of the step at which the carriage was sent to
rest, because a report of whole micrometres cannot tell neighbours on a finer grid apart. Y carries a name, drawn by lot
whenever an origin is set: one set anew, after a restart too, is another one, even at the same step.
"""

from __future__ import annotations

from dataclasses import dataclass

DIGITS = 64
"""The mark keeps the step count modulo this."""

_BASE = 100
_SUMS = 400
_NO_DIGITS = 99
_TOLERANCE = 0.003  # a report in inches has steps of 0.00254 mm


@dataclass(frozen=True, slots=True)
class Mark:
    """What the mark says.

    Attributes
    ----------
    homed : bool
        The origin comes from an end switch, not from a hand.
    digits : int or None
        Machine step at which the carriage was last sent to rest, modulo `DIGITS`; None where nobody knows it to the step.
    """

    homed: bool
    digits: int | None = None


def encode_mark(mark: Mark, controller_steps_per_mm: float, origin: int) -> float:
    """The work Z, mm, that carries `mark` for an origin at that machine step: 100 to 900, with two decimals."""
    whole = _BASE + 2 * _checksum(controller_steps_per_mm, origin) + int(mark.homed)
    return whole + (_NO_DIGITS if mark.digits is None else mark.digits % DIGITS) / 100


def decode_mark(work_z_mm: float, controller_steps_per_mm: float, origin: int) -> Mark | None:
    """Read a work Z; None where it is no mark, or one written for another origin or under other steps/mm (but for 1 in 400)."""
    hundredths = round(work_z_mm * 100)
    if abs(work_z_mm - hundredths / 100) > _TOLERANCE:
        return None
    whole, digits = divmod(hundredths, 100)
    homed = whole - _BASE - 2 * _checksum(controller_steps_per_mm, origin)
    if homed not in {0, 1} or DIGITS <= digits != _NO_DIGITS:
        return None
    return Mark(homed=bool(homed), digits=None if digits == _NO_DIGITS else digits)


def _checksum(controller_steps_per_mm: float, origin: int) -> int:
    # Multiplicative hashes (Knuth): neighbours land far apart. Three decimals, as the controller reports them.
    mixed = round(controller_steps_per_mm * 1000) * 2654435761 + origin * 2246822519
    return (mixed % 2**32) * _SUMS >> 32
