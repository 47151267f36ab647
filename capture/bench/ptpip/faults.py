"""The faults of the camera: their catalogue, and which are on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

Parameter = int | float | str


@dataclass(frozen=True, slots=True)
class ParameterSpec:
    """One parameter of a fault: its default (which fixes its type), what it means, and what it may be."""

    default: Parameter
    meaning: str
    choices: tuple[str, ...] = ()

    def describe(self) -> str:
        """Meaning, choices and default in one line."""
        listed = f" ({', '.join(self.choices)})" if self.choices else ""
        return f"{self.meaning}{listed}; default {self.default}"

    def check(self, name: str, value: object) -> Parameter:
        """The value in the parameter's type; ValueError where it has another, is negative or is no choice."""
        if isinstance(self.default, str):
            if not isinstance(value, str) or (self.choices and value not in self.choices):
                raise ValueError(f"{name} is one of {', '.join(self.choices)}; got {value!r}")
            return value
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
            raise ValueError(f"{name} is a number of at least 0; got {value!r}")
        if isinstance(self.default, int):
            if value != int(value):
                raise ValueError(f"{name} is a whole number; got {value!r}")
            return int(value)
        return float(value)


def _shots(default: int, of: str = "shots") -> ParameterSpec:
    return ParameterSpec(default, f"how many {of} it strikes before it is over; 0: until cleared")


_SECONDS = ParameterSpec(0.0, "device seconds until it is over by itself; 0: until cleared")

CATALOGUE: Mapping[str, Mapping[str, ParameterSpec]] = MappingProxyType(
    {
        "unplug": {"seconds": ParameterSpec(0.0, "device seconds until it is plugged in again; 0: until `plug`")},
        "plug": {},
        "hang": {
            "seconds": _SECONDS,
            "on": ParameterSpec("any", "what it stops answering", ("any", "capture", "transfer", "live")),
        },
        "busy": {
            "seconds": _SECONDS,
            "on": ParameterSpec("any", "`release`: only the order to release is answered so", ("any", "release")),
        },
        "store_full": {
            "target": ParameterSpec("both", "which store is full", ("card", "memory", "both")),
            "shots": _shots(0, "refused captures"),
        },
        "no_card": {},
        "out_of_focus": {
            "when": ParameterSpec("always", "`autofocus`: only a capture that asks for it", ("always", "autofocus")),
            "shots": _shots(0, "refused captures"),
        },
        "access_denied": {
            "on": ParameterSpec(
                "capture", "what is denied", ("capture", "connect", "settings", "settings_silently", "transfer")
            ),
            "shots": _shots(0, "refusals"),
        },
        "cut_transfer": {
            "after": ParameterSpec(0.5, "share of the file that still arrives before the link breaks, 0 to 1"),
            "shots": _shots(1, "transfers"),
        },
        "stale_frame": {"shots": _shots(1)},
        "missing_second_file": {"shots": _shots(1, "RAW+JPEG shots")},
        "lost_event": {"shots": _shots(1)},
        "low_battery": {"percent": ParameterSpec(3, "what the battery level falls to")},
        "asleep": {
            "wakes": ParameterSpec(
                "connect", "what wakes it: a new connection, or a hand (`clear`)", ("connect", "hand")
            ),
        },
        "wrong_mode": {
            "mode": ParameterSpec("playback", "where its dial or its menu stands", ("playback", "auto")),
        },
        "slow": {"bytes_per_s": ParameterSpec(100_000.0, "transfer speed in bytes per device second")},
        "die_after": {
            "shots": ParameterSpec(1, "shots taken before it switches itself off"),
            "when": ParameterSpec("stored", "it dies in the last exposure, or after it", ("exposing", "stored")),
        },
    }
)


@dataclass(slots=True)
class _Active:
    parameters: dict[str, Parameter]
    left: int | None
    """How many times it still strikes; None: until cleared."""
    until: float | None
    """Device time at which it is over."""

    def has(self, wanted: Mapping[str, tuple[Parameter, ...]]) -> bool:
        return all(self.parameters[key] in values for key, values in wanted.items())


@dataclass(slots=True)
class Faults:
    """Which faults are on. Safe from any thread.

    `now` is the device clock; `changed(name, on)` is called outside the lock when a fault comes or is cleared.
    """

    now: Callable[[], float]
    changed: Callable[[str, bool], None] = lambda _name, _on: None
    _active: dict[str, _Active] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def inject(self, name: str, parameters: Mapping[str, object]) -> None:
        """Switch a fault on; ValueError for a name, parameter or value it does not know."""
        specs = CATALOGUE.get(name)
        if specs is None:
            raise ValueError(f"no fault {name!r}; there are {', '.join(CATALOGUE)}")
        for given in parameters:
            if given not in specs:
                raise ValueError(f"{name} has no parameter {given!r}; it has {', '.join(specs) or 'none'}")
        values = {key: spec.check(key, parameters.get(key, spec.default)) for key, spec in specs.items()}
        left = int(values.get("shots", 0)) or None if name != "die_after" else None
        seconds = float(values.get("seconds", 0))
        with self._lock:
            self._active[name] = _Active(values, left, self.now() + seconds if seconds else None)
        self.changed(name, True)

    def clear(self, name: str) -> None:
        """Switch a fault off; ValueError for a name it does not know."""
        if name not in CATALOGUE:
            raise ValueError(f"no fault {name!r}; there are {', '.join(CATALOGUE)}")
        with self._lock:
            self._active.pop(name, None)
        self.changed(name, False)

    def look(self, name: str, **wanted: tuple[Parameter, ...]) -> Mapping[str, Parameter] | None:
        """The parameters of a fault that is on, else None. `wanted`: values a parameter must have."""
        with self._lock:
            active = self._live(name)
            return active.parameters if active is not None and active.has(wanted) else None

    def strike(self, name: str, **wanted: tuple[Parameter, ...]) -> Mapping[str, Parameter] | None:
        """As `look`, for a fault that strikes now: it counts. `wanted`: values a parameter must have to strike."""
        with self._lock:
            active = self._live(name)
            if active is None or not active.has(wanted):
                return None
            if active.left is not None:
                active.left -= 1
                if active.left == 0:
                    del self._active[name]
            return active.parameters

    def remaining_s(self, name: str) -> float | None:
        """Device seconds until a fault is over by itself; None where it is not or never is."""
        with self._lock:
            active = self._live(name)
            return None if active is None or active.until is None else active.until - self.now()

    def _live(self, name: str) -> _Active | None:
        active = self._active.get(name)
        if active and active.until is not None and self.now() >= active.until:
            del self._active[name]
            return None
        return active


def catalogue() -> dict[str, dict[str, str]]:
    """Every fault with its parameters described."""
    return {name: {key: spec.describe() for key, spec in specs.items()} for name, specs in CATALOGUE.items()}
