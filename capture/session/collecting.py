"""A camera's card brought to its session: pictures that were taken by a shutter release are matched, copied and recorded.

The card's folder is only read. Copies are durable under the session's names before the journal says so; a collection that was broken off is
done again from the start, and finds what it has done.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from capture.camera.picture_file import RAW_SUFFIXES, read_exposure
from capture.errors import SessionError
from capture.session.card_matching import Exposure, Match, match, match_by_order
from capture.session.folder import SessionFolder
from capture.session.records import Event, EventKind, Verdict

_log = logging.getLogger(__name__)

SUFFIXES = RAW_SUFFIXES | {".jpg", ".jpeg", ".tif", ".tiff", ".heic", ".heif", ".hif"}
MISSING = "released, but no picture of it is on the card"
_UNTOUCHED = "Nothing was copied; the session is as it was."
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class CardPicture:
    """One exposure on the card: its files (RAW first), and when it was taken by the camera's clock, seconds; None where no file says."""

    files: tuple[Path, ...]
    taken_s: float | None
    exposure: dict[str, str | float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its first file's name."""
        return self.files[0].name


@dataclass(frozen=True, slots=True)
class Collected:
    """What came of a collection.

    Attributes
    ----------
    frames : int
        Frames that have their picture now.
    copied : int
        Of these, newly copied.
    missing : tuple of int
        Frames whose picture is not on the card.
    extra : tuple of str
        Pictures taken within the session's time that belong to no frame; left where they are.
    others : int
        Pictures taken before and after.
    clock_offset_s : float or None
        The camera's clock less the computer's.
    spread_s : float
        By how much the pairs differ in that.
    """

    frames: int
    copied: int
    missing: tuple[int, ...]
    extra: tuple[str, ...]
    others: int
    clock_offset_s: float | None
    spread_s: float

    def values(self) -> dict[str, Any]:
        """The same for JSON and the journal."""
        return {
            "frames": self.frames,
            "copied": self.copied,
            "missing": list(self.missing),
            "extra": list(self.extra),
            "others": self.others,
            "clock_offset_s": None if self.clock_offset_s is None else round(self.clock_offset_s, 3),
            "spread_s": round(self.spread_s, 3),
        }


def to_collect(folder: SessionFolder) -> list[int]:
    """Frames that were released and whose pictures are still on the card."""
    frames = folder.frames().values()
    return [frame.number for frame in frames if frame.verdict is Verdict.ACCEPTED and not frame.files]


def collect(folder: SessionFolder, source: Path) -> Collected:
    """Find the pictures of `folder`'s frames in `source` and below it, and copy them to the session.

    Raises
    ------
    SessionError
        Where nothing fits, or more than one answer does: then nothing was copied. Or where a copy failed: the frames so far are kept.
    """
    events = folder.journal.events()
    there = {frame.number for frame in folder.accepted() if frame.files}
    exposures = exposures_of(events, there)
    if not _wanted(exposures):
        if exposures and there:
            return Collected(len(there), 0, (), (), 0, None, 0.0)
        raise SessionError(
            f"{folder.path} holds no frame that waits for a picture",
            remedy="--collect is for sessions that were shot with --camera shutter.",
            state=_UNTOUCHED,
        )
    pictures = read_card(source)
    found = _match(exposures, pictures, _offset_found(events))
    if not found.pairs:
        raise SessionError(
            f"none of the {len(pictures)} pictures in {source} fits the {_wanted(exposures)} exposures of {folder.path}",
            remedy="Is it the right card or folder? The pictures must keep the times that the camera wrote.",
            state=_UNTOUCHED,
        )
    if found.rivals or found.doubtful:
        raise SessionError(
            f"which picture belongs to which frame cannot be told: {_ambiguity(exposures, pictures, found)}",
            remedy="Put only this session's pictures into a folder, all of them, and collect from there. If one was never taken, shoot "
            "its frame again in a new session: a guess would put every frame at its neighbour's place.",
            state=_UNTOUCHED,
        )
    pairs = {
        exposures[number].frame: pictures[picture]
        for number, picture in found.pairs.items()
        if exposures[number].counts
    }
    copied = 0
    try:
        for frame, picture in sorted(pairs.items()):
            _store(folder, frame, picture)
            copied += 1
    except OSError as error:
        raise SessionError(
            f"a picture could not be copied from {source}: {error.strerror or error}",
            remedy="Check the card, and the room on the disk; then collect again.",
            state=f"{copied} pictures were copied and are kept.",
        ) from error
    missing = tuple(sorted({exposure.frame for exposure in exposures if exposure.counts} - pairs.keys()))
    for frame in missing:
        folder.journal.record(EventKind.REJECTED, frame, reason=MISSING, files=[])
    result = _result(exposures, pictures, found, there, missing, copied=copied)
    folder.journal.record(EventKind.NOTED, text=f"collected from {source}", collected=result.values())
    folder.write_manifest()
    return result


def _wanted(exposures: Iterable[Exposure]) -> int:
    return sum(exposure.counts for exposure in exposures)


def _offset_found(events: Iterable[Event]) -> float | None:
    """The clocks' offset that an earlier collection found."""
    offset = None
    for event in events:
        if event.kind is EventKind.NOTED and "collected" in event.detail:
            offset = event.detail["collected"].get("clock_offset_s", offset)
    return offset


def exposures_of(events: Iterable[Event], there: Collection[int] = ()) -> list[Exposure]:
    """Every release of a session in order of time; one that failed or was made again does not count, nor those of the frames in
    `there`, which have their pictures.
    """
    last: dict[int, Exposure] = {}
    found: list[Exposure] = []
    begun: dict[int, float] = {}

    def given_up(frame: int) -> None:
        if frame in begun:
            found.append(Exposure(frame, begun.pop(frame), counts=False))

    for event in events:
        if event.frame is None:
            continue
        if event.kind is EventKind.EXPOSING:
            given_up(event.frame)
            if event.frame in last:
                found.append(Exposure(event.frame, last.pop(event.frame).at_s, counts=False))
            begun[event.frame] = datetime.fromisoformat(event.at).timestamp()
        elif event.kind is EventKind.STORED and "released" in event.detail["exposure"]:
            begun.pop(event.frame, None)
            released = datetime.fromisoformat(str(event.detail["exposure"]["released"])).timestamp()
            last[event.frame] = Exposure(event.frame, released, event.frame not in there)
    for frame in list(begun):
        given_up(frame)
    return sorted([*found, *last.values()], key=lambda exposure: exposure.at_s)


def read_card(source: Path) -> list[CardPicture]:
    """The pictures in `source` and its subfolders; files of one name in one folder are one exposure. In order of time, then of name.

    Raises
    ------
    SessionError
    """
    groups: dict[Path, list[Path]] = {}
    try:
        if not source.is_dir():
            raise SessionError(
                f"{source} is no folder", remedy="Name the folder that holds the card's pictures.", state=_UNTOUCHED
            )
        for path in source.rglob("*"):
            hidden = any(part.startswith(".") for part in path.relative_to(source).parts)
            if path.suffix.casefold() in SUFFIXES and not hidden and path.is_file():
                groups.setdefault(path.with_suffix(""), []).append(path)
        pictures = [_picture(paths) for paths in groups.values()]
    except OSError as error:
        raise SessionError(
            f"{source} cannot be read: {error.strerror or error}",
            remedy="Check the card and its reader.",
            state=_UNTOUCHED,
        ) from error
    return sorted(pictures, key=lambda picture: (picture.taken_s or 0.0, _natural(picture.files[0])))


def _picture(paths: list[Path]) -> CardPicture:
    files = sorted(paths, key=lambda path: (path.suffix.casefold() not in RAW_SUFFIXES, path.name))
    exposure = next((found for path in files if "time" in (found := read_exposure(path))), {})
    return CardPicture(tuple(files), _seconds(str(exposure.get("time", ""))), exposure)


def _seconds(text: str) -> float | None:
    """An Exif time as seconds, the camera's clock taken for UTC: only differences count."""
    whole, _, part = text.partition(".")
    try:
        moment = datetime.strptime(whole.strip(), "%Y:%m:%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return moment.timestamp() + (float(f"0.{part}") if part.isdigit() else 0.0)


def _natural(path: Path) -> list[tuple[int, str]]:
    parts = re.split(r"(\d+)", str(path))
    return [(int(part), "") if part.isdigit() else (0, part.casefold()) for part in parts]


def _match(exposures: list[Exposure], pictures: list[CardPicture], known_offset_s: float | None) -> Match:
    times = [picture.taken_s for picture in pictures if picture.taken_s is not None]
    if not times:
        return match_by_order(exposures, len(pictures))
    zone = datetime.fromtimestamp(exposures[0].at_s).astimezone().utcoffset()
    found = match(
        exposures,
        times,
        _resolution(times),
        known_offset_s=known_offset_s,
        right_offset_s=0.0 if zone is None else zone.total_seconds(),
    )
    # Pictures without a time can be matched to nothing; they come first in the order.
    shift = len(pictures) - len(times)
    answers = [
        replace(answer, pairs={number: picture + shift for number, picture in answer.pairs.items()})
        for answer in (found, *found.rivals)
    ]
    return replace(answers[0], rivals=tuple(answers[1:]))


def _resolution(times: list[float]) -> float:
    """Of the camera's clock: a second, unless any picture says more."""
    parts = {round(time % 1, 3) for time in times}
    if parts == {0.0}:
        return 1.0
    return 0.1 if all(round(part * 10, 2) % 1 == 0 for part in parts) else 0.01


def _ambiguity(exposures: list[Exposure], pictures: list[CardPicture], found: Match) -> str:
    if found.rivals:
        rows = []
        for answer in (found, *found.rivals)[:3]:
            without = sorted(
                exposures[i].frame for i in range(len(exposures)) if exposures[i].counts and i not in answer.pairs
            )
            first = min(answer.pairs)
            lacking = f", without frame {', '.join(map(str, without[:4]))}" if without else ""
            rows.append(f"frame {exposures[first].frame} is {pictures[answer.pairs[first]].name}{lacking}")
        return "; or ".join(rows)
    frames = ", ".join(str(exposures[number].frame) for number in found.doubtful[:8])
    return f"of the frames {frames} one has no picture, and their times are too near to each other to say which"


def _result(
    exposures: list[Exposure],
    pictures: list[CardPicture],
    found: Match,
    there: set[int],
    missing: tuple[int, ...],
    *,
    copied: int,
) -> Collected:
    used = set(found.pairs.values())
    times = [pictures[picture].taken_s or 0.0 for picture in used]
    low, high = min(times), max(times)
    loose = [picture for number, picture in enumerate(pictures) if number not in used]
    extra = [picture.name for picture in loose if picture.taken_s is not None and low <= picture.taken_s <= high]
    others = len(loose) - len(extra)
    # A picture of an attempt that failed was found, but nobody wants it.
    spoilt = [
        at
        for number, at in found.pairs.items()
        if not exposures[number].counts and exposures[number].frame not in there
    ]
    extra += [pictures[at].name for at in spoilt]
    frames = len(there) + sum(exposures[number].counts for number in found.pairs)
    return Collected(frames, copied, missing, tuple(extra), others, found.offset_s, found.spread_s)


def _store(folder: SessionFolder, frame: int, picture: CardPicture) -> None:
    """Copy the files of one frame and record them."""
    record = folder.frames()[frame]
    stem = folder.stem(frame, folder.plan.count)
    files = []
    for path in picture.files:
        target = folder.frames_path / f"{stem}{path.suffix.casefold()}"
        digest, size = _copy(path, target)
        raw = path.suffix.casefold() in RAW_SUFFIXES
        files.append({"file": f"frames/{target.name}", "sha256": digest, "bytes": size, "raw": raw})
    exposure = {**record.exposure, **picture.exposure}
    folder.journal.record(
        EventKind.STORED, frame, files=files, exposure=exposure, notes=[f"collected: {path}" for path in picture.files]
    )
    folder.journal.record(EventKind.ACCEPTED, frame)
    _log.info("frame %d: %s", frame, ", ".join(path.name for path in picture.files))


def _copy(path: Path, target: Path) -> tuple[str, int]:
    """Copy beside, durable, then rename; digest and size of what was read. What is there under that name is the same copy, begun before."""
    beside = target.with_name(f".{target.name}.part")
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as source, beside.open("wb") as copy:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            copy.write(chunk)
            size += len(chunk)
        copy.flush()
        os.fsync(copy.fileno())
    beside.replace(target)
    return digest.hexdigest(), size
