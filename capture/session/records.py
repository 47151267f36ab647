"""What a session records: the events of its journal, and the frames they add up to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from rail.errors import RailAlarmError, RailPositionUnknownError, RailResetError


class EventKind(StrEnum):
    """One thing that was about to happen, or had happened."""

    OPENED = "opened"  # the session: versions, devices, settings, plan
    PLANNED = "planned"  # what was left open of the plan is found: plan, and what was measured
    RESUMED = "resumed"  # it is gone on with: versions, devices, what was found
    ADDED = "added"  # frame: a target beyond the plan, and why
    NOTED = "noted"  # something happened that changed no frame: a pause, a device opened anew
    INTENDED = "intended"  # frame: the target it is about to be moved to
    MOVED = "moved"  # frame: where the carriage came to rest
    EXPOSING = "exposing"  # frame: the shutter is about to be released
    STORED = "stored"  # frame: its files are durable under their names, with digests
    ACCEPTED = "accepted"  # frame: it counts
    REJECTED = "rejected"  # frame: it does not, and why
    FAILED = "failed"  # something went wrong: the message, and what was done about it
    PARKED = "parked"  # the carriage was taken to its resting place
    CERTIFIED = "certified"  # what the frames themselves say about their coverage
    STACKED = "stacked"  # a result was written
    ENDED = "ended"  # state: finished, interrupted or failed


INTERRUPTED = "exposed, but not recorded when the session stopped"
"""Why an exposure does not count that was broken off with its session."""

LOST_BY = frozenset({error.kind for error in (RailResetError, RailAlarmError, RailPositionUnknownError)})
"""Kinds of the errors after which a rail does not know its place any more."""

DOUBTED, KNOWN = "doubted", "known"
"""What a `NOTED` event says of the rail's place under ``place``; under ``frames``, which are to be shot again."""


class SessionState(StrEnum):
    """How far a session has come; a journal without an end was killed, and is `open`."""

    OPEN = "open"
    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


class Verdict(StrEnum):
    """What became of a frame."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Event:
    """One row of the journal. `at` is UTC, ISO 8601 with milliseconds; `frame` counts from 1, None for the session's own."""

    number: int
    at: str
    kind: EventKind
    frame: int | None
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FrameRecord:
    """One frame as the journal tells it. Positions are in the axis's unit; `added` says why it is not one of the plan's;
    `rejected` lists the files of earlier exposures that do not count, each with its reason.
    """

    number: int
    target: float | None = None
    position: float | None = None
    files: tuple[Mapping[str, Any], ...] = ()
    exposure: Mapping[str, Any] = field(default_factory=dict)
    verdict: Verdict = Verdict.PENDING
    reason: str = ""
    added: str = ""
    rejected: tuple[Mapping[str, Any], ...] = ()


def fold_frames(events: Iterable[Event], before: Mapping[int, FrameRecord] | None = None) -> dict[int, FrameRecord]:
    """The state of every frame that `events` mention, in the order of their first mention; `before`: as they stood until then."""
    before = {} if before is None else before
    frames: dict[int, FrameRecord] = {}
    for event in events:
        if event.frame is None:
            continue
        record = frames.get(event.frame) or before.get(event.frame) or FrameRecord(event.frame)
        detail = event.detail
        match event.kind:
            case EventKind.ADDED:
                record = replace(record, target=detail["target"], added=detail["reason"])
            case EventKind.INTENDED:
                record = replace(record, target=detail["target"])
            case EventKind.MOVED:
                record = replace(record, position=detail["position"])
            case EventKind.EXPOSING:
                record = replace(record, verdict=Verdict.PENDING, files=(), reason="")
            case EventKind.STORED:
                record = replace(record, files=tuple(detail["files"]), exposure=detail["exposure"])
            case EventKind.ACCEPTED:
                record = replace(record, verdict=Verdict.ACCEPTED, reason="")
            case EventKind.REJECTED:
                files = tuple(detail.get("files", record.files))
                aside = tuple({"file": entry["file"], "reason": detail["reason"]} for entry in files)
                record = replace(
                    record,
                    verdict=Verdict.REJECTED,
                    reason=detail["reason"],
                    files=files,
                    rejected=(*record.rejected, *aside),
                )
            case _:
                pass
        frames[event.frame] = record
    return frames


def fold_state(events: Iterable[Event]) -> SessionState:
    """The state of the session after `events`."""
    state = SessionState.OPEN
    for event in events:
        if event.kind in {EventKind.OPENED, EventKind.RESUMED}:
            state = SessionState.OPEN
        elif event.kind is EventKind.ENDED:
            state = SessionState(event.detail["state"])
    return state


def reshot(events: Iterable[Event]) -> int:
    """How many exposures were refused or set aside and then made again; one that was broken off with its session was not spoilt."""
    count = 0
    spoilt: dict[int, int] = {}
    for event in events:
        if event.frame is None:
            continue
        if event.kind is EventKind.REJECTED and event.detail["reason"] != INTERRUPTED:
            spoilt[event.frame] = spoilt.get(event.frame, 0) + 1
        elif event.kind is EventKind.EXPOSING:
            count += spoilt.pop(event.frame, 0)
    return count


def exposed_since(events: Iterable[Event], number: int) -> tuple[set[int], bool]:
    """Frames exposed since frame `number` was exposed last, that one among them, until the session was gone on with, but for
    those exposed again afterwards; and whether it was gone on with.
    """
    since: set[int] = set()
    earlier = False
    for event in events:
        if event.kind is EventKind.EXPOSING and event.frame is not None:
            if event.frame == number:
                since, earlier = {number}, False
            elif earlier:
                since.discard(event.frame)
            elif since:
                since.add(event.frame)
        elif event.kind is EventKind.RESUMED:
            earlier = True
    return since, earlier


def frames_in_doubt(events: Iterable[Event]) -> set[int]:
    """Frames that were shot after the rail had lost its place, or may have been, and were not shot again since."""
    frames: set[int] = set()
    for event in events:
        if event.kind is EventKind.NOTED and "place" in event.detail:
            frames = set(event.detail.get("frames", ()))
        elif event.kind is EventKind.EXPOSING and event.frame is not None:
            frames.discard(event.frame)
    return frames


def place_in_doubt(events: Iterable[Event], *, homed: bool = False) -> bool:
    """Whether the rail lost its place, on the wire or on none, and it was not found again since: a count that somebody has given
    it meanwhile need not be the session's. One that is told on the wire is no doubt where the session is `homed`: the
    controller forgets its origin then, and one that comes from the switch is the same.
    """
    doubted = False
    for event in events:
        if event.kind is EventKind.NOTED and "place" in event.detail:
            doubted = event.detail["place"] == DOUBTED
        elif event.kind is EventKind.FAILED:
            doubted = doubted or (not homed and event.detail.get("error") in LOST_BY)
        elif event.kind is EventKind.RESUMED:
            doubted = doubted and event.detail.get("origin") == "keep"
    return doubted


def origin_of(events: Iterable[Event]) -> int | None:
    """Name of the origin (`rail.axis.AxisStatus`) that the session counted from last; None where that was never told."""
    name: int | None = None
    for event in events:
        name = event.detail.get("origin_name", name)
    return name
