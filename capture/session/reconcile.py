"""A session found again: what its folder holds is compared with what its journal says, and both are made to agree.

A power cut or a kill leaves at most: files of one exposure that was not recorded, a recorded frame without its verdict, parts of a
download. An exposure that was not recorded does not count (nobody knows that the carriage stood still), but is kept.
"""

from __future__ import annotations

import hashlib
import logging
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from capture.errors import SessionError
from capture.session.certifying import CHECK_PREFIX
from capture.session.folder import SessionFolder
from capture.session.records import INTERRUPTED, EventKind, FrameRecord, Verdict, frames_in_doubt

_log = logging.getLogger(__name__)

# A cut of the power can tear only what was written last; the digests of these many frames are compared, of the others the sizes.
DIGESTS_COMPARED = 12
_NO_PLACE = "shot while the rail's place was in doubt"


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What was put right; each a sentence for the user."""

    notes: tuple[str, ...]


def reconcile(folder: SessionFolder) -> Reconciled:
    """Make journal and folder agree; what does not count is moved to ``frames/rejected`` and recorded with its reason.

    Raises
    ------
    SessionError
        Where a file cannot be read or moved.
    """
    notes: list[str] = []
    if not folder.frames_path.is_dir():
        raise SessionError(
            f"{folder.frames_path} is gone, and {len(folder.accepted())} frames with it",
            remedy="Bring the folder back (is its disk mounted?), then resume again; or begin a new session with --out.",
            state="Nothing has moved, nothing was shot.",
        )
    try:
        frames = folder.frames()
        for part in folder.frames_path.glob(".*.part"):
            part.unlink()
        for left in folder.path.glob(f"{CHECK_PREFIX}*"):
            shutil.rmtree(left, ignore_errors=True)
        stored = sorted((frame for frame in frames.values() if frame.files), key=lambda frame: frame.number)
        last = {frame.number for frame in stored[-DIGESTS_COMPARED:]}
        kept: set[str] = set()
        in_doubt = frames_in_doubt(folder.journal.events())
        for frame in stored:
            if frame.verdict is Verdict.REJECTED:
                continue
            wrong = _NO_PLACE if frame.number in in_doubt else ""
            kept |= _judge(folder, frame, notes, wrong, with_digest=frame.number in last)
        _put_aside_the_rest(folder, kept, notes)
    except OSError as error:
        raise SessionError(
            f"the frames in {folder.path} cannot be checked: {error.strerror or error}",
            remedy="Check the disk and the folder's permissions, then resume again.",
            state="Nothing has moved, nothing was shot.",
        ) from error
    for note in notes:
        _log.info("%s", note)
    return Reconciled(tuple(notes))


def _judge(
    folder: SessionFolder, frame: FrameRecord, notes: list[str], wrong: str = "", *, with_digest: bool
) -> set[str]:
    """The files of `frame` that stay: all of them where it counts; `wrong`: why it does not, whatever its files are like."""
    names = {str(entry["file"]) for entry in frame.files}
    wrong = wrong or _what_is_wrong(folder, frame, with_digest=with_digest or frame.verdict is Verdict.PENDING)
    if not wrong:
        if frame.verdict is Verdict.PENDING:
            folder.journal.record(EventKind.ACCEPTED, frame.number)
        return names
    aside = [{"file": put_aside(folder, folder.path / name), "sha256": None} for name in sorted(names)]
    folder.journal.record(
        EventKind.REJECTED, frame.number, reason=wrong, files=[entry for entry in aside if entry["file"]]
    )
    notes.append(f"frame {frame.number} is shot again: {wrong}")
    return set()


def _what_is_wrong(folder: SessionFolder, frame: FrameRecord, *, with_digest: bool) -> str:
    for entry in frame.files:
        path = folder.path / entry["file"]
        if not path.is_file():
            return f"{entry['file']} is missing"
        if path.stat().st_size != entry["bytes"]:
            return f"{entry['file']} has {path.stat().st_size} bytes instead of {entry['bytes']}"
        if with_digest and _sha256(path) != entry["sha256"]:
            return f"{entry['file']} is not what was stored: its digest differs"
    return ""


def _put_aside_the_rest(folder: SessionFolder, kept: set[str], notes: list[str]) -> None:
    known = folder.frames()
    loose: dict[int, list[Path]] = {}
    for path in sorted(folder.frames_path.iterdir()):
        number = _number(path)
        if path.is_file() and f"frames/{path.name}" not in kept and number in known:
            loose.setdefault(number, []).append(path)
    for number, paths in loose.items():
        files = [{"file": put_aside(folder, path), "sha256": None} for path in paths]
        folder.journal.record(EventKind.REJECTED, number, reason=INTERRUPTED, files=files)
        named = ", ".join(str(entry["file"]) for entry in files)
        notes.append(f"frame {number} was {INTERRUPTED}: kept as {named}, and shot again")


def _number(path: Path) -> int:
    """The frame's number that a file's name starts with; 0 where there is none."""
    found = re.match(r"\d+", path.name)
    return int(found.group()) if found else 0


def put_aside(folder: SessionFolder, path: Path, attempt: int = 1) -> str:
    """Move a file that does not count to ``frames/rejected``, under a free name; its new name, "" where there is no file."""
    if not path.is_file():
        return ""
    folder.rejected_path.mkdir(exist_ok=True)
    target = folder.rejected_path / f"{path.stem}-{attempt}{path.suffix}"
    while target.exists():
        attempt += 1
        target = target.with_name(f"{path.stem}-{attempt}{path.suffix}")
    path.replace(target)
    return f"frames/rejected/{target.name}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
