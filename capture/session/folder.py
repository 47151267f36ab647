"""The session folder: journal, manifest, frames, results and log of one session, held by one process at a time."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from capture.errors import SessionError
from capture.session.claims import Holder, flock_holder, folder_holder
from capture.session.exposures import Exposures, of_the_picture
from capture.session.journal import Journal, is_blank
from capture.session.plan import StackPlan
from capture.session.records import (
    Event,
    EventKind,
    FrameRecord,
    SessionState,
    Verdict,
    fold_frames,
    fold_state,
    frames_in_doubt,
)
from rail.axis import AxisUnit

MANIFEST_VERSION = 1
FEWEST_COMPARED = 3
"""Frames that it takes to find a place by images (`capture.session.place`)."""
_NOTHING = "Nothing was done."
_OF_THE_SESSION = {EventKind.OPENED, EventKind.RESUMED, EventKind.ENDED, EventKind.STACKED, EventKind.CERTIFIED}


class SessionFolder:
    """One session on disk. Made with `create`, found again with `open`; a context that releases lock and journal.

    Attributes
    ----------
    path, frames_path, rejected_path, result_path : Path
    journal : Journal
    """

    def __init__(self, path: Path, *, create: bool) -> None:
        self.path = path
        self.frames_path = path / "frames"
        self.rejected_path = self.frames_path / "rejected"
        self.result_path = path / "result"
        self._manifest_due_s = 0.0
        # what the journal said until event `_seen`: a long session reads each event once
        self._seen = 0
        self._frames: dict[int, FrameRecord] = {}
        self._entries: dict[int, str] = {}
        self._own: list[Event] = []
        try:
            if create:
                for folder in (path, self.frames_path, self.rejected_path, self.result_path):
                    folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise SessionError(
                f"the session folder {path} cannot be used: {error.strerror or error}",
                remedy="Choose a folder that may be written, on a disk with room.",
                state="Nothing was shot.",
            ) from error
        try:
            # a lock on the folder itself leaves no file behind, and ends with the process that holds it
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise _held(path, flock_holder(path)) from None
        try:
            self.journal = Journal(path / "journal.db", create=create)
        except BaseException:
            os.close(self._lock)
            raise

    @classmethod
    def create(
        cls,
        path: Path,
        plan: StackPlan | None,
        *,
        devices: dict[str, Any],
        settings: dict[str, Any],
        origin: str,
        **more: Any,
    ) -> Self:
        """Make a new session in `path`, which must not exist or be empty; `more` is kept with what it was opened with.

        Without a `plan` it is still to be found, and told by `set_plan`.

        Raises
        ------
        SessionError
            Where `path` is a file or a folder that holds something, cannot be made, or is held by another process.
        """
        check_new_folder(path)
        folder = cls(path, create=True)  # the journal that is there, if any, was never written into
        opened: dict[str, Any] = {
            "program": f"focusrail {version('focusrail')}",
            "plan": None if plan is None else _plan_record(plan),
            "devices": devices,
            "settings": settings,
            "origin": origin,
            **more,
        }
        folder.journal.record(EventKind.OPENED, **opened)
        folder.write_manifest()
        return folder

    @classmethod
    def open(cls, path: Path) -> Self:
        """Take up a session that is there."""
        if not (path / "journal.db").is_file():
            raise SessionError(
                f"{path} holds no session: journal.db is missing", remedy="Name a session folder.", state=_NOTHING
            )
        return cls(path, create=False)

    def stem(self, frame: int, count: int) -> str:
        """Name of a frame's files without suffix: its number in the plan, wide enough to sort by name."""
        return f"{frame:0{max(4, len(str(count)))}d}"

    @property
    def read_only(self) -> bool:
        """Whether it lies where nothing may be written: it can be looked at, and that is all."""
        return self.journal.read_only

    @property
    def planned(self) -> bool:
        """Whether the plan is known; where something of it was left open, it is found first."""
        return self.journal.opened()["plan"] is not None

    def set_plan(self, plan: StackPlan, **found: Any) -> None:
        """Write down the plan that was found, and what was measured for it."""
        self.journal.record(EventKind.PLANNED, plan=_plan_record(plan), **found)
        self.write_manifest()

    @property
    def plan(self) -> StackPlan:
        """The plan.

        Raises
        ------
        SessionError
            It was not found yet.
        """
        if not self.planned:
            raise SessionError(
                f"the session {self.path} was stopped while its plan was looked for: it has no frames",
                remedy=f"Go on with: focusrail resume {self.path}",
                state=_NOTHING,
            )
        plan = dict(self.journal.opened()["plan"])
        return StackPlan(**{**plan, "unit": AxisUnit(plan["unit"])})

    @property
    def exposures(self) -> Exposures:
        """What is exposed at each position."""
        return Exposures.recorded(self.journal.opened().get("exposures"))

    def picture_paths(self, frame: FrameRecord) -> tuple[Path, ...]:
        """The files whose average is the frame's picture: mostly one; none where they are still on the camera's card."""
        return tuple(self.path / name for name in of_the_picture(frame.files))

    def frames(self) -> dict[int, FrameRecord]:
        """All frames the journal mentions."""
        self._catch_up()
        return dict(self._frames)

    @property
    def state(self) -> SessionState:
        """How far the session has come."""
        self._catch_up()
        return fold_state(self._own)

    def _catch_up(self) -> None:
        """Take in what was recorded since the last time."""
        events = self.journal.events(after=self._seen)
        if not events:
            return
        changed = fold_frames(events, self._frames)
        self._frames |= changed
        for number in changed:
            self._entries.pop(number, None)
        self._own += [event for event in events if event.kind in _OF_THE_SESSION]
        self._seen = events[-1].number

    def can_be_compared(self) -> bool:
        """Whether there are frames enough, of places that are sure, to find a place by images."""
        in_doubt = frames_in_doubt(self.journal.events())
        known = [frame for frame in self.accepted() if frame.files and frame.number not in in_doubt]
        return len(known) >= FEWEST_COMPARED

    def accepted(self) -> list[FrameRecord]:
        """The frames that count, by position."""
        found = [frame for frame in self.frames().values() if frame.verdict is Verdict.ACCEPTED]
        return sorted(found, key=lambda frame: (frame.position or 0.0, frame.number))

    def manifest(self) -> dict[str, Any]:
        """The session as one value, derived from the journal alone."""
        return {**self._head(), "frames": [json.loads(text) for text in self._frame_texts()]}

    def _head(self) -> dict[str, Any]:
        """The manifest without its frames."""
        self._catch_up()
        opened = next(event for event in reversed(self._own) if event.kind is EventKind.OPENED)
        told = self.journal.opened()
        results = [dict(event.detail) for event in self._own if event.kind is EventKind.STACKED]
        certified = [dict(event.detail) for event in self._own if event.kind is EventKind.CERTIFIED]
        return {
            "version": MANIFEST_VERSION,
            "program": told["program"],
            "created": opened.at,
            "state": fold_state(self._own).value,
            "plan": None if told["plan"] is None else _plan_entry(told["plan"]),
            "origin": told["origin"],
            "devices": told["devices"],
            "settings": told["settings"],
            "frames": [],
            "coverage": certified[-1] if certified else None,
            "resumed": [
                {"at": event.at, **{key: value for key, value in event.detail.items() if key != "program"}}
                for event in self._own
                if event.kind is EventKind.RESUMED
            ],
            "results": results,
        }

    def _frame_texts(self) -> list[str]:
        """The manifest's entries of the frames as JSON; only those that changed are made anew."""
        self._catch_up()
        unit = self.plan.unit if self.planned else AxisUnit.UM
        shown = [n for n, f in sorted(self._frames.items()) if f.files or f.verdict is not Verdict.PENDING]
        for number in shown:
            if number not in self._entries:
                self._entries[number] = json.dumps(_frame_entry(self._frames[number], unit))
        return [self._entries[number] for number in shown]

    def write_manifest(self) -> None:
        """Write `manifest.json` anew: beside, then renamed, so that a reader never sees half of one."""
        beside = self.path / ".manifest.json.part"
        frames = self._frame_texts()
        text = json.dumps(self._head(), indent=1)
        if frames:
            text = text.replace('"frames": []', '"frames": [\n  ' + ",\n  ".join(frames) + "\n ]", 1)
        try:
            beside.write_text(f"{text}\n", encoding="utf-8")
            beside.replace(self.path / "manifest.json")
        except OSError as error:
            raise SessionError(
                f"the manifest in {self.path} cannot be written: {error.strerror or error}",
                remedy="Free some space or permissions. The journal holds everything the manifest would.",
                state="The manifest on disk is an older one, whole.",
            ) from error

    def refresh_manifest(self) -> None:
        """Write the manifest if that costs under 2 % of the time since the last one: a long session is not slowed by it."""
        started_s = time.monotonic()
        if started_s < self._manifest_due_s:
            return
        self.write_manifest()
        ended_s = time.monotonic()
        self._manifest_due_s = ended_s + 50 * (ended_s - started_s)

    def end(self, state: SessionState, **detail: Any) -> None:
        """Record how the session ended, and write the manifest."""
        self.journal.record(EventKind.ENDED, state=state.value, **detail)
        self.write_manifest()

    def close(self) -> None:
        """Release journal and lock; idempotent."""
        self.journal.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _held(path: Path, holder: Holder | None) -> SessionError:
    return SessionError(
        f"the session {path} is held by another process{'' if holder is None else f' ({holder})'}",
        remedy=_ways_out(path, holder),
        state="It was not touched.",
    )


def _ways_out(path: Path, holder: Holder | None) -> str:
    stop = "stop it" if holder is None else f"stop it (`focusrail control {path} stop`, or `kill -INT {holder.pid}`)"
    return f"Wait until it has ended, {stop}, or choose another folder."


def folder_failed(folder: SessionFolder, error: OSError) -> SessionError:
    """What is said where the folder of a session that shoots cannot be written or read any more."""
    return SessionError(
        f"the session folder {folder.path} cannot be used any more: {error.strerror or error}",
        remedy=f"See that the disk is there, has room and may be written; then: focusrail resume {folder.path}",
        state="Motion is stopped. The frames so far are kept.",
    )


def check_new_folder(path: Path) -> None:
    """Refuse, before any device is touched, a folder that cannot become a session.

    Raises
    ------
    SessionError
        Where `path` is a file, a folder that holds something, or lies where nothing may be made.
    """
    if path.exists() and not path.is_dir():
        raise SessionError(f"{path} is a file", remedy="Name a new folder for the session with --out.", state=_NOTHING)
    if path.is_dir() and any(path.iterdir()) and not never_began(path):
        remedy = "Name a new folder with --out: a session never writes over another."
        if (path / "journal.db").is_file():
            if (holder := folder_holder(path)) is not None:
                raise _held(path, holder)
            remedy = f"It holds a session: go on with it (focusrail resume {path}), or name a new folder with --out."
        raise SessionError(f"{path} is not empty", remedy=remedy, state=_NOTHING)
    above = next((folder for folder in (path, *path.absolute().parents) if folder.exists()), Path("/"))
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise SessionError(
            f"{path} cannot be made in {above}", remedy="Choose a folder that may be written.", state=_NOTHING
        )


def never_began(path: Path) -> bool:
    """Whether `path` holds nothing but what a session leaves that ended before it had a plan."""
    known = {"frames", "result", "journal.db", "journal.db-wal", "journal.db-shm", ".manifest.json.part"}
    known |= {"manifest.json", "log.txt"}
    try:
        inside = {entry.name for entry in path.iterdir()}
        if "journal.db" not in inside and inside - {"frames", "result"}:
            return False
        empty = not any(entry.is_file() for name in ("frames", "result") for entry in (path / name).rglob("*"))
    except OSError:
        return False
    return inside <= known and empty and ("journal.db" not in inside or is_blank(path / "journal.db"))


def _plan_record(plan: StackPlan) -> dict[str, Any]:
    return {**asdict(plan), "unit": plan.unit.value}


def _plan_entry(plan: Mapping[str, Any]) -> dict[str, Any]:
    unit = AxisUnit(plan["unit"])
    suffix = "um" if unit is AxisUnit.UM else "steps"
    names = {"near": f"near_{suffix}", "far": f"far_{suffix}", "step": f"step_{suffix}", "settle_s": "settle_s"}
    count = StackPlan(**{**plan, "unit": unit}).count
    return {**{new: plan[old] for old, new in names.items()}, "frames": count}


def _frame_entry(frame: FrameRecord, unit: AxisUnit) -> dict[str, Any]:
    first = frame.files[0] if frame.files else {}
    in_um = unit is AxisUnit.UM
    return {
        "number": frame.number,
        "file": first.get("file"),
        "files": [entry["file"] for entry in frame.files],
        "position_um": frame.position if in_um else None,
        "position_steps": None if in_um else frame.position,
        "target": frame.target,
        "sha256": first.get("sha256"),
        "exposures": [
            {name: entry[name] for name in ("file", "exposure", "shutter", "metered")}
            for entry in frame.files
            if "exposure" in entry
        ],
        "averaged": list(of_the_picture(frame.files)),
        "digests": {entry["file"]: entry["sha256"] for entry in frame.files},
        "exposure": dict(frame.exposure),
        "verdict": frame.verdict.value,
        "reason": frame.reason,
        "added": frame.added or None,
        "rejected": [dict(entry) for entry in frame.rejected],
    }
