"""The exposures of one position: one, several that are averaged, or a bracket of shutter times."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from capture.camera.protocol import Role
from capture.camera.values import BULB_S, same, shutter_seconds
from capture.errors import UsageError

MOST_SHOTS = 1000


@dataclass(frozen=True, slots=True)
class SetExposure:
    """One exposure of a position's set.

    Attributes
    ----------
    number : int
        From 1, in the order in which the bracket was given, all shots of one shutter time after one another.
    shutter : str or None
        The time to set; None: as the camera stands.
    metered : bool
        Whether the picture is made of it; the others of a bracket are stored beside.
    """

    number: int
    shutter: str | None
    metered: bool


@dataclass(frozen=True, slots=True)
class Exposures:
    """What is exposed at each position of a session.

    Attributes
    ----------
    shots : int
        Of each exposure, to be averaged.
    bracket : tuple of str
        Shutter times, two or more; empty where the shutter stays as it is.
    metered : str
        The shutter time of the bracket that the picture is made of; "" where it is not chosen yet, or there is no bracket.
    """

    shots: int = 1
    bracket: tuple[str, ...] = ()
    metered: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.shots <= MOST_SHOTS:
            raise UsageError(f"{self.shots} shots of each exposure cannot be", remedy=f"Give 1 to {MOST_SHOTS}.")

    @property
    def count(self) -> int:
        """Exposures at each position."""
        return self.shots * max(1, len(self.bracket))

    @property
    def members(self) -> tuple[SetExposure, ...]:
        """In the order in which they are taken: the metered ones last, so that the camera is left as comparisons want it."""
        times: Sequence[str | None] = self.bracket or (None,)
        numbered = [
            SetExposure(1 + place * self.shots + shot, time, time is None or time == self.metered)
            for place, time in enumerate(times)
            for shot in range(self.shots)
        ]
        return tuple(sorted(numbered, key=lambda one: one.metered))

    def stem(self, stem: str, number: int) -> str:
        """Name of an exposure's files without suffix, of a frame whose files would be called `stem`."""
        return stem if self.count == 1 else f"{stem}-{number:0{len(str(self.count))}d}"

    def chosen(self, shutter: str) -> Exposures:
        """With the metered time: that of the bracket at which the camera stands, else the middle one."""
        if not self.bracket:
            return self
        metered = next((time for time in self.bracket if same(Role.SHUTTER, time, shutter)), None)
        if metered is None:
            by_length = sorted(self.bracket, key=lambda time: shutter_seconds(time.removeprefix("bulb:")) or 0.0)
            metered = by_length[(len(by_length) - 1) // 2]
        return Exposures(self.shots, self.bracket, metered)

    def record(self) -> dict[str, Any]:
        """As the journal keeps it."""
        return asdict(self)

    @classmethod
    def recorded(cls, kept: Mapping[str, Any] | None) -> Exposures:
        """What `record` gave; one exposure for sessions that say nothing of it."""
        return cls() if kept is None else cls(kept["shots"], tuple(kept["bracket"]), kept["metered"])


def bracket_times(bracket: str | None) -> tuple[str, ...]:
    """The shutter times of ``--bracket``; none where it is not given.

    Raises
    ------
    UsageError
        Fewer than two, one of them twice, or bulb without a time.
    """
    if bracket is None:
        return ()
    times = tuple(part.strip() for part in bracket.split(",") if part.strip())
    if len(times) < 2 or any(same(Role.SHUTTER, *pair) for pair in combinations(times, 2)):
        raise UsageError(
            "a bracket has two shutter times or more, each once", remedy="Give them as --bracket 1/60,1/15,1/4."
        )
    for time in times:
        require_time(time)
    return times


def require_time(shutter: object) -> None:
    """`UsageError` for a wish of bulb that does not say how long."""
    if isinstance(shutter, str) and shutter_seconds(shutter) == BULB_S:
        raise UsageError(
            "at bulb the shutter is held for a time, and none was given",
            remedy="Give it as bulb:2 (two seconds); a time beyond the camera's longest is held by bulb without saying so.",
        )


def of_the_picture(files: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Of a frame's stored files those that its picture is the average of: the metered exposures', RAW where there is any."""
    metered = [entry for entry in files if entry.get("metered", True)]
    raw = [entry for entry in metered if entry.get("raw")]
    chosen = raw or metered
    first = {
        str(entry.get("exposure", 1)): str(entry["file"]) for entry in reversed(chosen)
    }  # of a pair the first file
    return tuple(reversed(first.values()))
