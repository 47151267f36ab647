"""Faults of the scene: a bumped table, a shaken exposure, light that fails."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Disturbance:
    """What the next exposure suffers.

    Attributes
    ----------
    bump_um : (float, float)
        Where the subject has been pushed to, x and y.
    shake_px : float
        Length of the shake during the exposure, in pixels of the still; 0 for none.
    shake_angle_deg : float
    light : float
        Factor on the light.
    """

    bump_um: tuple[float, float] = (0.0, 0.0)
    shake_px: float = 0.0
    shake_angle_deg: float = 0.0
    light: float = 1.0


# name -> parameter -> (default, lowest value, meaning)
_FAULTS: dict[str, dict[str, tuple[float, float, str]]] = {
    "bump": {
        "um": (20.0, -math.inf, "how far the subject is pushed sideways, um"),
        "angle_deg": (0.0, -math.inf, "direction, degrees, 0 to the right, 90 downwards"),
        "shots": (0.0, 0.0, "shots after which it is back; 0 for never"),
    },
    "shake": {
        "px": (3.0, 0.0, "length of the shake during the exposure, pixels of the still"),
        "angle_deg": (35.0, -math.inf, "direction, degrees"),
        "shots": (1.0, 0.0, "how many shots are shaken; 0 for all"),
    },
    "flash_misfire": {
        "factor": (0.3, 0.0, "factor on the light"),
        "shots": (1.0, 0.0, "how many shots are dark; 0 for all"),
    },
}


class SceneFaults:
    """The scene's faults, each on for a number of shots or until cleared; not thread-safe by itself."""

    def __init__(self) -> None:
        self._on: dict[str, dict[str, float]] = {}

    def faults(self) -> dict[str, dict[str, str]]:
        """Fault name -> {parameter: meaning, unit and default}."""
        return {
            name: {parameter: f"{meaning} (default {default:g})" for parameter, (default, _, meaning) in known.items()}
            for name, known in _FAULTS.items()
        }

    def inject(self, name: str, parameters: dict[str, object]) -> None:
        """Switch a fault on in place of an earlier one of the name; ValueError for what it does not know."""
        known = _FAULTS.get(name)
        if known is None:
            raise ValueError(f"the scene has no fault {name!r}; it has {', '.join(_FAULTS)}")
        values = {parameter: default for parameter, (default, _, _) in known.items()}
        for parameter, value in parameters.items():
            if parameter not in known:
                raise ValueError(f"{name} has no parameter {parameter!r}; it has {', '.join(known)}")
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise ValueError(f"{name}: {parameter} must be a number, not {value!r}")
            if not math.isfinite(value) or value < known[parameter][1]:
                raise ValueError(f"{name}: {parameter} cannot be {value}")
            values[parameter] = float(value)
        if values["shots"] != int(values["shots"]):
            raise ValueError(f"{name}: shots must be a whole number")
        self._on[name] = values

    def clear(self, name: str) -> None:
        """Switch a fault off; ValueError for a name it does not know."""
        if name not in _FAULTS:
            raise ValueError(f"the scene has no fault {name!r}; it has {', '.join(_FAULTS)}")
        self._on.pop(name, None)

    def bump_um(self) -> tuple[float, float]:
        """Where the subject stands now."""
        bump = self._on.get("bump")
        if bump is None:
            return 0.0, 0.0
        angle = math.radians(bump["angle_deg"])
        return bump["um"] * math.cos(angle), bump["um"] * math.sin(angle)

    def next_shot(self) -> Disturbance:
        """What the next shot suffers; counts it."""
        shake, dark = self._on.get("shake"), self._on.get("flash_misfire")
        disturbance = Disturbance(
            bump_um=self.bump_um(),
            shake_px=shake["px"] if shake else 0.0,
            shake_angle_deg=shake["angle_deg"] if shake else 0.0,
            light=dark["factor"] if dark else 1.0,
        )
        for name, values in list(self._on.items()):
            if values["shots"] == 1:
                del self._on[name]
            elif values["shots"] > 1:
                values["shots"] -= 1
        return disturbance
