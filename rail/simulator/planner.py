"""Planner: a short queue of straight moves and the speeds at which they may follow each other.

Look-ahead over trapezoidal profiles with the junction-deviation rule (S. K. Jeon, "Improving Grbl: Cornering
Algorithm", 2011). Lengths in mm, speeds in mm/s, accelerations in mm/s2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from rail.simulator.eeprom import Eeprom
from rail.simulator.single import divide, single, to_steps

CAPACITY = 15
"""Blocks that fit; a further move waits for a free one."""

_MINIMUM_RATE = 1.0 / 60.0
_LEAST_ACCELERATION = 1e-6  # zero would divide by zero; the real controller stalls as well


@dataclass(slots=True)
class Overrides:
    """Percent of the programmed feed, rapid and spindle speed."""

    feed: int = 100
    rapid: int = 100
    spindle: int = 100


@dataclass(frozen=True, slots=True)
class MoveRequest:
    """What the parser knows of a move besides its target.

    Attributes
    ----------
    feed_mm_min : float
        Programmed feed; moves a minute where `inverse_time`.
    rapid, inverse_time, fixed_feed : bool
        As fast as the axes can; G93; not subject to the feed override (jogs, probing, homing).
    spindle_rpm : float
        Spindle speed during the move; 0 where it is off.
    """

    feed_mm_min: float
    rapid: bool = False
    inverse_time: bool = False
    fixed_feed: bool = False
    spindle_rpm: float = 0.0


@dataclass(slots=True)
class Block:
    """One planned move. `length_mm` shrinks as it is handed to the stepper."""

    steps: tuple[int, int, int]
    signs: tuple[int, int, int]
    length_mm: float
    acceleration: float
    rapid_rate: float
    programmed_rate: float
    request: MoveRequest
    unit: tuple[float, ...]
    entry_speed: float = 0.0
    max_junction_speed: float = 0.0
    max_entry_speed: float = 0.0
    events: int = field(init=False)
    steps_per_mm: float = field(init=False)

    def __post_init__(self) -> None:
        self.events = max(self.steps)
        self.steps_per_mm = self.events / self.length_mm

    def nominal_speed(self, overrides: Overrides) -> float:
        """Cruising speed under the present overrides."""
        if self.request.rapid:
            speed = self.rapid_rate * overrides.rapid / 100
        else:
            speed = self.programmed_rate * (1.0 if self.request.fixed_feed else overrides.feed / 100)
            speed = min(speed, self.rapid_rate)
        return max(speed, _MINIMUM_RATE)


def _unit(vector: Sequence[float]) -> tuple[float, tuple[float, ...]]:
    length = math.sqrt(sum(c * c for c in vector))
    return length, tuple(c / length for c in vector)


def _limited(maxima: Sequence[float], unit: Sequence[float]) -> float:
    return min(abs(limit / c) for limit, c in zip(maxima, unit, strict=True) if c)


class Planner:
    """The queue.

    Attributes
    ----------
    blocks : list of Block
        The first is the one the stepper takes segments from.
    position : list of int
        Steps at the end of the queue.
    """

    def __init__(self, eeprom: Eeprom, overrides: Overrides) -> None:
        self._eeprom = eeprom
        self._overrides = overrides
        self.blocks: list[Block] = []
        self.position = [0, 0, 0]
        self._previous_unit: tuple[float, ...] = (0.0, 0.0, 0.0)
        self._previous_nominal = 0.0

    @property
    def full(self) -> bool:
        """No room for another block."""
        return len(self.blocks) >= CAPACITY

    @property
    def free(self) -> int:
        """Blocks that still fit."""
        return CAPACITY - len(self.blocks)

    def clear(self, position: Sequence[int]) -> None:
        """Forget every block; the queue ends at `position`, in steps."""
        self.blocks.clear()
        self.position = list(position)
        self._previous_unit, self._previous_nominal = (0.0, 0.0, 0.0), 0.0

    def block(
        self, start: Sequence[int], target_mm: Sequence[float], request: MoveRequest
    ) -> tuple[Block, list[int]] | None:
        """A block from `start` (steps) to `target_mm`, and the steps where it ends; None where it has no step."""
        scale = [self._eeprom.axis(100, axis) for axis in range(3)]
        end = [to_steps(single(mm * k)) for mm, k in zip(target_mm, scale, strict=True)]
        delta = [b - a for a, b in zip(start, end, strict=True)]
        if not any(delta):
            return None
        vector = [divide(d, k) for d, k in zip(delta, scale, strict=True)]
        if not all(math.isfinite(c) for c in vector):
            return None  # steps on an axis without steps/mm: no length, no speed
        length, unit = _unit(vector)
        rapid = _limited([self._eeprom.axis(110, axis) / 60 for axis in range(3)], unit)
        rate = request.feed_mm_min / 60 * (length if request.inverse_time else 1.0)
        made = Block(
            steps=(abs(delta[0]), abs(delta[1]), abs(delta[2])),
            signs=(-1 if delta[0] < 0 else 1, -1 if delta[1] < 0 else 1, -1 if delta[2] < 0 else 1),
            length_mm=length,
            acceleration=max(self._acceleration(unit), _LEAST_ACCELERATION),
            rapid_rate=rapid,
            programmed_rate=rate,
            request=request,
            unit=unit,
        )
        if self.blocks:
            made.max_junction_speed = self._junction_speed(unit)
        return made, end

    def append(self, target_mm: Sequence[float], request: MoveRequest) -> bool:
        """Queue a move; False where it has no step. The caller tells the stepper, before, to update the first block."""
        made = self.block(self.position, target_mm, request)
        if made is None:
            return False
        block, end = made
        nominal = block.nominal_speed(self._overrides)
        block.max_entry_speed = min(nominal, self._previous_nominal, block.max_junction_speed)
        self._previous_nominal = nominal
        self._previous_unit = block.unit
        self.position = end
        self.blocks.append(block)
        self.recalculate()
        return True

    def apply_overrides(self) -> None:
        """Take changed overrides into account."""
        previous = math.inf
        for block in self.blocks:
            nominal = block.nominal_speed(self._overrides)
            block.max_entry_speed = min(nominal, previous, block.max_junction_speed)
            previous = nominal
        self._previous_nominal = previous
        self.recalculate()

    def recalculate(self) -> None:
        """Plan the entry speeds anew. That of the first block stands: it is already being executed."""
        exit_square = 0.0
        for block in reversed(self.blocks[1:]):
            reachable = exit_square + 2 * block.acceleration * block.length_mm
            block.entry_speed = min(block.max_entry_speed, math.sqrt(reachable))
            exit_square = block.entry_speed**2
        for block, following in zip(self.blocks, self.blocks[1:], strict=False):
            reachable = block.entry_speed**2 + 2 * block.acceleration * block.length_mm
            following.entry_speed = min(following.entry_speed, math.sqrt(reachable))

    def exit_speed(self) -> float:
        """Speed at the end of the first block."""
        return self.blocks[1].entry_speed if len(self.blocks) > 1 else 0.0

    def _acceleration(self, unit: Sequence[float]) -> float:
        return _limited([self._eeprom.axis(120, axis) for axis in range(3)], unit)

    def _junction_speed(self, unit: Sequence[float]) -> float:
        cosine = -sum(a * b for a, b in zip(self._previous_unit, unit, strict=True))
        if cosine > 0.999999:
            return 0.0
        if cosine < -0.999999:
            return math.inf
        _, bisector = _unit([b - a for a, b in zip(self._previous_unit, unit, strict=True)])
        half_sine = math.sqrt(0.5 * (1.0 - cosine))
        return math.sqrt(self._acceleration(bisector) * self._eeprom.settings[11] * half_sine / (1.0 - half_sine))
