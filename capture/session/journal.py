"""The journal: every step of a session, written before and after it happens, durable the moment `record` returns.

SQLite in WAL mode with ``synchronous=FULL``: a committed event survives SIGKILL and a power cut (https://www.sqlite.org/pragma.html#pragma_synchronous).
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

from capture.errors import SessionError
from capture.session.records import Event, EventKind

FORMAT_VERSION = 3

# What brings a journal of an older format to the next; each is one transaction. Formats 2 and 3 only have more kinds of events, and
# more in their details.
_UPGRADES = {1: "", 2: ""}

_SCHEMA = """
CREATE TABLE event (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at     TEXT NOT NULL,
    kind   TEXT NOT NULL,
    frame  INTEGER,
    detail TEXT NOT NULL
) STRICT;
"""


_TELLS_A_PLAN = "kind = 'planned' OR (kind = 'opened' AND json_extract(detail, '$.plan') IS NOT NULL)"
_DAMAGED = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)
_LITTLE_BYTES = 3_000_000
_NOTHING_SHOT = "Nothing was shot."
_BEGIN_AGAIN = "Nothing is lost: start it again with the command that began it; the folder may stay."


def is_blank(path: Path) -> bool:
    """Whether the journal at `path` holds no plan: its session was killed before it began, or while its plan was looked for."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=2)) as database:
            tables = database.execute("SELECT count(*) FROM sqlite_master WHERE name = 'event'").fetchone()[0]
            return not tables or not database.execute(f"SELECT count(*) FROM event WHERE {_TELLS_A_PLAN}").fetchone()[0]
    except sqlite3.Error:
        return False


def copy_journal(path: Path, folder: Path) -> Path:
    """A copy of the journal at `path` in `folder`, with what is only in its write-ahead log: one that can be opened.

    Only for a journal that nobody writes.

    Raises
    ------
    OSError
    """
    for name in (path.name, f"{path.name}-wal"):
        if (path.parent / name).is_file():
            shutil.copyfile(path.parent / name, folder / name)
    return folder / path.name


def may_be_written(path: Path) -> bool:
    """Whether the journal at `path` can be: SQLite writes beside it even to read."""
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def _room(path: Path) -> str:
    """SQLite calls a full disk many names; this says it where it is so."""
    try:
        free = shutil.disk_usage(path.parent).free
    except OSError:
        return ""
    return f" (the disk is full: {free / 1e6:.1f} MB are free)" if free < _LITTLE_BYTES else ""


def _program() -> str:
    try:
        return f"focusrail {version('focusrail')}"
    except PackageNotFoundError:
        return "another version"


class Journal:
    """The journal of one session; one writer at a time (the session folder's lock sees to that).

    Parameters
    ----------
    path : Path
        The database file; made where `create` is set, else it must be there.

    Attributes
    ----------
    read_only : bool
        It lies where nothing may be written: a copy is read, nothing can be recorded.

    Raises
    ------
    SessionError
        Where it cannot be opened, read or written, or was made by a newer program.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self._path = path
        if not create and not path.is_file():
            raise SessionError(
                f"{path.parent} holds no session: journal.db is missing",
                remedy="Name a session folder.",
                state="Nothing was done.",
            )
        self.read_only = not create and not may_be_written(path)
        self._copy = TemporaryDirectory(prefix="focusrail-") if self.read_only else None
        with self._mapped():
            opened = path if self._copy is None else copy_journal(path, Path(self._copy.name))
            self._database = sqlite3.connect(opened, isolation_level=None, timeout=10)
        try:
            self._begin(create=create)
        except BaseException:
            self._database.close()
            raise

    def _begin(self, *, create: bool) -> None:
        """Make it, or bring it to the present format; nothing of a newer one is touched."""
        path = self._path
        with self._mapped():
            found: int = self._database.execute("PRAGMA user_version").fetchone()[0]
            if found <= FORMAT_VERSION:
                self._database.execute("PRAGMA journal_mode=WAL")
                self._database.execute("PRAGMA synchronous=FULL")
            if found == 0 and create:
                self._database.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version={FORMAT_VERSION}; COMMIT;")
                found = FORMAT_VERSION
            while found in _UPGRADES:
                self._database.executescript(f"BEGIN; {_UPGRADES[found]} PRAGMA user_version={found + 1}; COMMIT;")
                found += 1
        if found == 0:
            raise SessionError(
                f"the session {path.parent} was stopped before its first step", remedy=_BEGIN_AGAIN, state=_NOTHING_SHOT
            )
        if found != FORMAT_VERSION:
            raise SessionError(
                f"the journal in {path.parent} has format {found}; this program reads up to {FORMAT_VERSION}",
                remedy=f"It was written by a newer focusrail: use that one, or a later one (this is {_program()}).",
                state="Nothing was changed.",
            )

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            if getattr(error, "sqlite_errorcode", None) in _DAMAGED:
                folder = self._path.parent
                raise SessionError(
                    f"the journal {self._path} is damaged: {error}",
                    remedy=f"Bring it back from a copy. Or stack what is there: focusrail stack {folder} -o picture.tif "
                    "(manifest.json tells which frames count), and shoot the rest as a session of its own.",
                    state="Nothing was changed; the frames are files of their own, and not touched by it.",
                ) from error
            raise SessionError(
                f"the journal {self._path} cannot be used: {error}{_room(self._path)}",
                remedy="Check that the disk has room and the folder may be written.",
                state="Everything recorded so far is kept.",
            ) from error

    def record(self, kind: EventKind, frame: int | None = None, **detail: Any) -> None:
        """Write one event; durable when this returns."""
        if self.read_only:
            raise SessionError(
                f"the session {self._path.parent} may not be written",
                remedy="Make its folder and disk writable, or copy the whole folder to where it is.",
                state="Nothing was changed.",
            )
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self._mapped():
            self._database.execute(
                "INSERT INTO event (at, kind, frame, detail) VALUES (?, ?, ?, ?)",
                (at, kind.value, frame, json.dumps(detail, sort_keys=True)),
            )

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is recorded inside becomes durable together when this ends: all of it, or, after a kill or an error, nothing."""
        with self._mapped():
            self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._database.execute("ROLLBACK")
            raise
        with self._mapped():
            self._database.execute("COMMIT")

    def events(self, after: int = 0) -> list[Event]:
        """All events in the order in which they happened; only those after number `after`, where that is given."""
        return self._events("number > ?", after)

    def _events(self, which: str, *values: int) -> list[Event]:
        with self._mapped():
            rows = self._database.execute(
                f"SELECT number, at, kind, frame, detail FROM event WHERE {which} ORDER BY number", values
            ).fetchall()
        return [Event(number, at, EventKind(kind), frame, _detail(text)) for number, at, kind, frame, text in rows]

    def opened(self) -> Mapping[str, Any]:
        """What the session was opened with: versions, plan, devices, settings; with what was found of the plan since."""
        told: dict[str, Any] = {}
        for event in self._events("kind IN ('opened', 'planned')"):
            if event.kind is EventKind.OPENED:
                told = dict(event.detail)  # a session whose plan was not found may be begun again
            elif event.kind is EventKind.PLANNED:
                told |= event.detail
        if told:
            return told
        raise SessionError(
            f"the session {self._path.parent} was stopped before its first step",
            remedy=_BEGIN_AGAIN,
            state=_NOTHING_SHOT,
        )

    def close(self) -> None:
        """Close the database; idempotent."""
        self._database.close()
        if self._copy is not None:
            self._copy.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _detail(text: str) -> dict[str, Any]:
    detail: dict[str, Any] = json.loads(text)
    return detail
