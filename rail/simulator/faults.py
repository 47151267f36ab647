"""Faults of the rail: what goes wrong on the wire, in the controller, in the mechanics.

A fault acts at once. Some are events, over as soon as they have happened; others last until they are cleared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rail.simulator.controller import GrblController
from rail.simulator.states import State

Value = bool | int | float | str

LIMIT_PULSE_S = 0.2


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a fault: what it means, its default (whose type it has), and what it may be."""

    meaning: str
    default: Value
    low: float = 0.0
    high: float = 1e9
    choices: tuple[str, ...] = ()

    def read(self, name: str, given: object) -> Value:
        """The value `given`; ValueError where it cannot be one."""
        if isinstance(self.default, bool):
            if not isinstance(given, bool):
                raise ValueError(f"{name} is true or false, not {given!r}")
            return given
        if isinstance(self.default, str):
            if given not in self.choices:
                raise ValueError(f"{name} is one of {', '.join(self.choices)}, not {given!r}")
            return str(given)
        if isinstance(given, bool) or not isinstance(given, (int, float)) or not self.low <= given <= self.high:
            raise ValueError(f"{name} is a number from {self.low:g} to {self.high:g}, not {given!r}")
        if isinstance(self.default, int) and given != int(given):
            raise ValueError(f"{name} is a whole number, not {given!r}")
        return type(self.default)(given)

    def describe(self) -> str:
        """In words, with the default."""
        choices = f" ({', '.join(self.choices)})" if self.choices else ""
        return f"{self.meaning}{choices}; default {str(self.default).lower()}"


_DIRECTION = Parameter("which way the bytes go", "to_host", choices=("to_host", "to_controller"))
_COUNT = Parameter("how many bytes, 0: until cleared", 1)
_SKIP = Parameter("bytes to let pass before each", 0)

FAULTS: Mapping[str, Mapping[str, Parameter]] = {
    "reset": {"silence_s": Parameter("silence before the banner, device seconds", 0.0)},
    "unplug": {"power": Parameter("the controller loses its power, too", default=False)},
    "plug": {},
    "alarm": {"code": Parameter("ALARM number; the motors stop dead", 3, low=1, high=9)},
    "hard_limit": {
        "hold_s": Parameter("how long the limit input stays closed, device seconds", LIMIT_PULSE_S),
        "force": Parameter("raise ALARM:1 even where $21=0", default=True),
    },
    "drop_byte": {"direction": _DIRECTION, "count": _COUNT, "skip": _SKIP},
    "flip_byte": {
        "direction": _DIRECTION,
        "count": _COUNT,
        "skip": _SKIP,
        "bit": Parameter("which bit changes", 4, high=7),
    },
    "jam": {},
    "lose_steps": {"steps": Parameter("how many of the next motor steps are lost", 160, low=1)},
    "stuck_switch": {"pressed": Parameter("stuck closed, else open", default=True)},
    "silent": {},
}


@dataclass(slots=True)
class _Mangling:
    left: int
    skip: int
    passed: int = 0
    flip: int = 0


class Wire:
    """What happens to bytes between host and controller."""

    def __init__(self) -> None:
        self.silent = False
        self.faults: dict[tuple[str, str], _Mangling] = {}

    def carry(self, data: bytes, direction: str) -> bytes:
        """What of `data` arrives, ``"to_host"`` or ``"to_controller"``."""
        if self.silent and direction == "to_host":
            return b""
        for key in [key for key in self.faults if key[1] == direction]:
            data = self._mangle(data, key)
        return data

    def _mangle(self, data: bytes, key: tuple[str, str]) -> bytes:
        fault = self.faults[key]
        out = bytearray()
        for at, byte in enumerate(data):
            if fault.passed < fault.skip:
                fault.passed += 1
                out.append(byte)
                continue
            fault.passed = 0
            if fault.flip:
                out.append(byte ^ fault.flip)
            fault.left -= 1
            if not fault.left:
                del self.faults[key]
                return bytes(out) + data[at + 1 :]
        return bytes(out)

    def add(self, name: str, values: Mapping[str, Value]) -> None:
        """Switch ``drop_byte`` or ``flip_byte`` on."""
        count = int(values["count"])
        flip = 1 << int(values["bit"]) if name == "flip_byte" else 0
        # -1 never counts down to 0.
        self.faults[name, str(values["direction"])] = _Mangling(count or -1, int(values["skip"]), flip=flip)

    def remove(self, name: str) -> None:
        """Switch it off, both ways."""
        for direction in ("to_host", "to_controller"):
            self.faults.pop((name, direction), None)


def listing() -> dict[str, dict[str, str]]:
    """Every fault and its parameters, in words."""
    return {name: {key: spec.describe() for key, spec in specs.items()} for name, specs in FAULTS.items()}


def read_parameters(name: str, given: Mapping[str, Any]) -> dict[str, Value]:
    """The parameters of fault `name`, defaults filled in.

    Raises
    ------
    ValueError
        An unknown fault or parameter, or a value that makes no sense.
    """
    specs = FAULTS.get(name)
    if specs is None:
        raise ValueError(f"the rail has no fault {name!r}; it has {', '.join(FAULTS)}")
    if unknown := sorted(set(given) - set(specs)):
        known = ", ".join(specs) or "no parameters"
        raise ValueError(f"fault {name!r} has no parameter {unknown[0]!r}; it has {known}")
    return {key: spec.read(f"{name}: {key}", given.get(key, spec.default)) for key, spec in specs.items()}


def act(controller: GrblController, wire: Wire, name: str, values: Mapping[str, Value]) -> None:
    """Do what a fault of controller, wire or mechanics does. The time is that of `controller`."""
    core = controller.core
    slide = core.slides[0]
    if name == "reset":
        controller.hardware_reset(float(values["silence_s"]))
        return
    if name == "alarm":
        _alarm(controller, int(values["code"]))
    elif name == "hard_limit":
        slide.stuck = True
        if values["force"] and not core.eeprom.flag(21):
            _alarm(controller, 1)
    elif name in ("drop_byte", "flip_byte"):
        wire.add(name, values)
    elif name == "jam":
        slide.jammed = True
    elif name == "lose_steps":
        slide.lose += int(values["steps"])
    elif name == "stuck_switch":
        slide.stuck = bool(values["pressed"])
    elif name == "silent":
        wire.silent = True
    controller.changed()


def undo(controller: GrblController, wire: Wire, name: str) -> None:
    """End such a fault."""
    slide = controller.core.slides[0]
    ends: dict[str, Callable[[], None]] = {
        "drop_byte": lambda: wire.remove("drop_byte"),
        "flip_byte": lambda: wire.remove("flip_byte"),
        "jam": lambda: setattr(slide, "jammed", False),
        "lose_steps": lambda: setattr(slide, "lose", 0),
        "stuck_switch": lambda: setattr(slide, "stuck", None),
        "hard_limit": lambda: setattr(slide, "stuck", None),
        "silent": lambda: setattr(wire, "silent", False),
    }
    if name in ends:
        controller.core.stepper.sync(controller.core.now)
        ends[name]()
        controller.changed()


def _alarm(controller: GrblController, code: int) -> None:
    core = controller.core
    if core.state is not State.ALARM:
        core.reset_request()
        core.raise_alarm(code)
