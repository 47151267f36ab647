"""What the fault tests and campaigns share: figures, a quiet log, a zeroed rail, the one question that counts, damage on the wire,
and strangers on the port.
"""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from rail.axis import AxisState
from rail.errors import RailError, RailPositionUnknownError
from rail.grbl.axis import GrblAxis
from tests.rail.grbl_virtual import READ_S, VirtualPort, VirtualRail


@dataclass
class Befallen:
    """What came of faults, by fault: how often it struck in an operation, was told by an error, took the position, and the longest time
    from the fault to that error, s of the simulated time.
    """

    came: Counter[str] = field(default_factory=Counter)
    told: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    slowest_s: dict[str, float] = field(default_factory=dict)

    def took(self, what: str, seconds: float) -> None:
        self.slowest_s[what] = max(self.slowest_s.get(what, 0.0), seconds)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The driver logs every fault that it is made to see."""
    logger = logging.getLogger("rail")
    level = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(level)


def zeroed(rail: VirtualRail) -> tuple[GrblAxis, int]:
    axis = rail.open()
    axis.zero()
    return axis, rail.steps()


def believed_right(rail: VirtualRail, axis: GrblAxis, origin: int) -> bool:
    """True where a position is believed; fails where it is not the one counted outside."""
    status = axis.status()
    if status.position is None:
        assert not status.position_known
        return False
    assert status.position / axis.capabilities.resolution == pytest.approx(rail.steps() - origin, abs=1e-4)
    return True


def damage(rng: random.Random, kind: str, done: list[bool]) -> Callable[[bytes], bytes]:
    def once(data: bytes) -> bytes:
        if done or not data:
            return data
        done.append(True)
        place = rng.randrange(len(data))
        if kind == "drop":
            return data[:place] + data[place + 1 :]
        return data[:place] + bytes([data[place] ^ (1 << rng.randrange(8))]) + data[place + 1 :]

    return once


def changed_once(port: VirtualPort, old: bytes, new: bytes) -> list[float]:
    """From now on the first bytes written with `old` in them arrive with `new` in its place; when they were is in the list."""
    struck: list[float] = []

    def once(data: bytes) -> bytes:
        if old not in data or struck:
            return data
        struck.append(port.now)
        return data.replace(old, new)

    port.mangle_out = once
    return struck


def error_of(action: Callable[[], object]) -> RailError | None:
    try:
        action()
    except RailError as error:
        return error
    return None


def damaged_run(seed: int, dialect: str = "grbl") -> bool:
    """One byte goes wrong at a random moment of a few moves. Returns whether something was noticed."""
    rng = random.Random(seed)
    rail = VirtualRail(steps_per_mm=rng.choice([400.0, 1600.0]), profile="backlash_um = 50", dialect=dialect)
    axis, origin = zeroed(rail)
    kind, way = rng.choice(["drop", "flip"]), rng.choice(["out", "in"])
    done: list[bool] = []

    def break_it() -> None:
        setattr(rail.port, f"mangle_{way}", damage(rng, kind, done))

    rail.call_later(rng.uniform(0, 2.5), break_it)
    noticed = False
    low, high = axis.limits
    for _ in range(3):
        error = error_of(lambda: axis.move_to(rng.uniform(-3000, 3000)))
        noticed = noticed or error is not None
        if isinstance(error, RailPositionUnknownError):
            break
        assert error is None or error.remedy
        assert low - 3000 < (rail.steps() - origin) * rail.step_um < high + 3000
    break_it()
    for _ in range(3):
        status = axis.status()
        if status.position is not None:
            assert status.position / axis.capabilities.resolution == pytest.approx(rail.steps() - origin, abs=1e-4), (
                seed
            )
    rail.port.mangle_in = rail.port.mangle_out = lambda data: data
    status = axis.status()
    if status.state is AxisState.ALARM or status.state is AxisState.UNKNOWN:
        axis.unlock()
    if not axis.status().position_known:
        axis.zero()
    axis.move_to(100)
    axis.close()
    return noticed


class Talker:
    """Something else on the port: says its piece when opened, and answers every line the same."""

    def __init__(self, greeting: bytes, answer: bytes = b"") -> None:
        self.now = 0.0
        self._waiting = bytearray(greeting)
        self._answer = answer

    @property
    def in_waiting(self) -> int:
        return len(self._waiting)

    def read(self, size: int = 1, /) -> bytes:
        if not self._waiting:
            self.now += READ_S
        taken = bytes(self._waiting[:size])
        del self._waiting[:size]
        return taken

    def write(self, data: bytes, /) -> int:
        if b"\n" in data:
            self._waiting += self._answer
        return len(data)

    def close(self) -> None:
        self._waiting.clear()
