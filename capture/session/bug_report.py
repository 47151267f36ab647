"""What a maintainer needs of a session that went wrong, in one archive, and none of its pictures."""

from __future__ import annotations

import json
import platform
import sqlite3
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from contextlib import closing
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from capture.errors import SessionError
from capture.session.journal import copy_journal, may_be_written

PACKAGES = ("focusrail", "gphoto2", "pyserial", "numpy", "opencv-python-headless", "opencv-python", "rawpy", "typer")
_UNWRITTEN = "No report was written; the session is as it was."
_TEXTS = ("manifest.json", "log.txt")
_REPORTS = (".json", ".toml", ".html")


def pack_bug_report(session: Path, archive: Path, settings: Mapping[str, Any]) -> list[str]:
    """Write `archive` (zip): journal, manifest, log, reports, a list of all files with their sizes, versions, settings.

    Returns
    -------
    list of str
        The names in the archive.

    Raises
    ------
    SessionError
        Where `session` is none, `archive` exists, or one of them cannot be read or written.
    """
    if not (session / "journal.db").is_file():
        raise SessionError(
            f"{session} holds no session: journal.db is missing", remedy="Name a session folder.", state=_UNWRITTEN
        )
    if archive.exists():
        raise SessionError(
            f"{archive} exists", remedy="Choose another name with -o: nothing is written over.", state=_UNWRITTEN
        )
    beside = archive.with_name(f".{archive.name}.part")
    try:
        with zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr("system.json", json.dumps(_system(), indent=1))
            packed.writestr("settings.json", json.dumps(dict(settings), indent=1, default=str))
            packed.writestr("files.json", json.dumps(_listing(session), indent=1))
            for name in _TEXTS:
                if (session / name).is_file():
                    packed.write(session / name, name)
            for path in sorted((session / "result").glob("*")) if (session / "result").is_dir() else ():
                if path.suffix in _REPORTS:
                    packed.write(path, f"result/{path.name}")
            with tempfile.TemporaryDirectory() as scratch:
                for copy in _copies(session / "journal.db", Path(scratch)):
                    packed.write(copy, copy.name)
            names = packed.namelist()
        beside.replace(archive)
    except (OSError, sqlite3.Error) as error:
        beside.unlink(missing_ok=True)
        raise SessionError(
            f"the report of {session} cannot be packed: {error}",
            remedy="Choose a folder with room for it with -o.",
            state=_UNWRITTEN,
        ) from error
    return names


def _copies(journal: Path, scratch: Path) -> list[Path]:
    """The journal at one moment, also while the session runs; of one that nobody can write, its files as they are."""
    if not may_be_written(journal):
        copy_journal(journal, scratch)
        return sorted(scratch.iterdir())
    target = scratch / "journal.db"
    uri = f"{journal.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=10)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
    return [target]


def _listing(session: Path) -> list[dict[str, Any]]:
    files = sorted(path for path in session.rglob("*") if path.is_file())
    return [
        {
            "file": str(path.relative_to(session)),
            "bytes": path.stat().st_size,
            "modified": round(path.stat().st_mtime, 3),
        }
        for path in files
    ]


def _system() -> dict[str, Any]:
    found: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return {"python": sys.version, "platform": platform.platform(), "machine": platform.machine(), "packages": found}
