"""The first picture of a run, which may be one that the camera still held: told by its time, since no earlier digest is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from capture.session.records import Event, EventKind

# A picture's time has whole seconds at worst, and two clocks run at different rates.
_TOLERANCE_S = 3.0
_COMPARED = 3


@dataclass(frozen=True, slots=True)
class _Exposed:
    """A frame of one run: between which times of the computer it was exposed, and when by the camera's clock; seconds."""

    frame: int
    begun_s: float
    stored_s: float
    camera_s: float


def old_pictures(events: Iterable[Event]) -> dict[int, str]:
    """Frames that were the first of their run (begun, or gone on with), and older than they can be; and why.

    The camera's clock may stand anywhere, but it runs: a true first picture is no longer before the next ones than the computer says.
    A picture that is not refused where it comes, because it is the first, shows so by the next three at the latest.
    """
    found: dict[int, str] = {}
    run: list[_Exposed] = []
    begun: dict[tuple[int, int], float] = {}
    for event in events:
        if event.kind in (EventKind.OPENED, EventKind.RESUMED):
            found |= _old(run)
            run, begun = [], {}
        elif event.frame is None:
            continue
        elif event.kind is EventKind.EXPOSING:
            begun[event.frame, int(event.detail.get("exposure", 1))] = _seconds(event.at)
            run = [one for one in run if one.frame != event.frame]
            found.pop(event.frame, None)
        elif event.kind is EventKind.STORED and event.detail["files"]:
            began_s = begun.get((event.frame, int(event.detail["files"][0].get("exposure", 1))))
            camera_s = _camera_seconds(event.detail["exposure"])
            if began_s is not None and camera_s is not None:
                run.append(_Exposed(event.frame, began_s, _seconds(event.at), camera_s))
    return found | _old(run)


def _old(run: list[_Exposed]) -> dict[int, str]:
    if len(run) < 2:
        return {}
    first, later = run[0], run[1 : 1 + _COMPARED]
    early_s = min(first.begun_s - first.camera_s - (one.stored_s - one.camera_s) for one in later)
    if early_s <= _TOLERANCE_S:
        return {}
    return {first.frame: f"the camera gave an old picture: it is {early_s:.0f} s older than the frames after it allow"}


def _seconds(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()


def _camera_seconds(exposure: Mapping[str, object]) -> float | None:
    time = exposure.get("time")
    if not isinstance(time, str):
        return None
    whole, _, rest = time.partition(".")
    try:
        seconds = datetime.strptime(whole, "%Y:%m:%d %H:%M:%S").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
    return seconds + (float(f"0.{rest}") if rest.isdigit() else 0.0)
