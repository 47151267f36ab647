"""Judging what a shot brought, and giving it its name: whole, new, and as many files as there must be, or nothing at all."""

from __future__ import annotations

import contextlib
import filecmp
import os
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

from capture.camera.picture_file import PictureFacts, inspect_picture
from capture.camera.protocol import FileFormat, Shot, ShotFile
from capture.camera.wire import Collected, FetchedFile, ShotOrder
from capture.errors import NotStoredError, ShotIncompleteError, ShotRefusedError


class Arrivals:
    """All files that came from one camera since it was opened.

    A file that the camera gives a second time (some bodies do, from their memory) is told by its digest, or by an exposure time
    before the last shot's; equal times are fine. A clock that was set back (by its user, or by a battery that was changed) shows so, too:
    the first such picture is refused, and where the next one is another and not older than that, the clock is believed.
    """

    def __init__(self) -> None:
        self._digests: set[str] = set()
        self._last_times: dict[bool, str] = {}  # of the last RAW and of the last other file
        self._refused: PictureFacts | None = None  # the last that its time alone spoke against
        self._before: list[Path] = []
        self._learned: dict[str, int] = {}
        self._inspected: dict[str, PictureFacts] = {}
        self.last_camera_path: str | None = None
        """Where the camera keeps the last file taken over; None before the first, and where it keeps none."""

    def learned(self, file_format: str) -> int | None:
        """Files that a shot made before with a format string that nobody understands."""
        return self._learned.get(file_format)

    def know(self, pictures: Iterable[Path]) -> None:
        """Pictures that an earlier run had from the camera: none of them is new."""
        self._before += pictures

    @staticmethod
    def check_free(folder: Path, stem: str) -> None:
        """Refuse a stem that is taken, or a folder that is none, before anything is exposed."""
        if not folder.is_dir():
            raise ShotRefusedError(
                f"There is no folder {folder}.", remedy="Make it, or name another.", state="nothing was exposed"
            )
        taken = sorted(path.name for path in folder.iterdir() if path.stem == stem)
        if taken:
            raise ShotRefusedError(
                f"{folder} holds {taken[0]} already; pictures are never overwritten.",
                remedy="Choose another name or folder.",
                state="nothing was exposed",
            )

    @staticmethod
    def discard_parts(folder: Path, stem: str) -> None:
        """Remove what a broken download left."""
        _remove(folder, rf"\.{re.escape(stem)}\.\d+\.part")

    @staticmethod
    def discard_refused(folder: Path, stem: str) -> None:
        """Remove what was refused of a shot whose files were all had after all."""
        _remove(folder, rf"{re.escape(stem)}\.refused(-\d+)?\.\w+")

    def begin(self) -> None:
        """A shot begins: what was inspected before belongs to others, under the same names."""
        self._inspected.clear()

    def look(self, temporary: str, camera_path: str) -> None:
        """Inspect a file that has just come, while its shot goes on."""
        self._inspected[temporary] = _facts(Path(temporary), _suffix(camera_path))

    def _facts(self, file: FetchedFile) -> PictureFacts:
        return self._inspected.get(file.temporary) or _facts(Path(file.temporary), _suffix(file.camera_path))

    def is_new(self, file: FetchedFile) -> bool:
        """Whether the file is whole and no earlier one."""
        facts = self._facts(file)
        return not facts.problem and not self._stale(file, facts)

    def _stale(self, file: FetchedFile, facts: PictureFacts) -> str:
        if facts.sha256 in self._digests or any(_same_contents(Path(file.temporary), path) for path in self._before):
            return "it is the same as an earlier one"
        time = facts.exposure.get("time")
        if self._is_early(facts) and not self._is_set_back(facts):
            return f"it was taken at {time}, before the last shot"
        return ""

    def _is_early(self, facts: PictureFacts) -> bool:
        """Whether a file tells of a time before the last shot's.

        Many bodies write fractions of the second into RAW and JPEG differently, or into one of them only: those are compared among
        files of one kind.
        """
        time = facts.exposure.get("time")
        return isinstance(time, str) and any(
            _is_before(time, last, to_fractions=raw == facts.raw) for raw, last in self._last_times.items()
        )

    def _is_set_back(self, facts: PictureFacts) -> bool:
        """Whether a time before the last shot's is that of a clock that was set back."""
        before = self._refused
        if before is None or facts.sha256 == before.sha256:
            return False
        time, refused = str(facts.exposure["time"]), str(before.exposure["time"])
        return not _is_before(time, refused, to_fractions=facts.raw == before.raw)

    def accept(self, order: ShotOrder, collected: Collected, known: FileFormat | None, format_text: str) -> Shot:
        """Name the files of a shot durably, RAW first.

        Raises
        ------
        ShotIncompleteError
            A file is missing, torn or stale; nothing is left under the shot's name, and what came lies beside it as ``STEM.refused``
            with the file's suffix.
        """
        folder = Path(order.folder)
        notes = [f"The camera gave a file that nobody asked for: {path}." for path in collected.strays]
        try:
            facts = {file: self._facts(file) for file in collected.files}
            self._refuse_bad(facts)
            chosen = _one_of_each(facts, notes)
            _refuse_missing(chosen, order, known)
            _refuse_mixed(chosen)
            files = self._publish(folder, order.stem, chosen)
        except BaseException as error:
            if isinstance(error, ShotIncompleteError) and not isinstance(error, NotStoredError):
                names = _keep_refused(folder, order.stem, collected.files)
                error.state += f"; kept as {', '.join(names)}" if names else ""
            self.discard_parts(folder, order.stem)
            raise
        self.discard_parts(folder, order.stem)
        self._digests.update(file.sha256 for file in files)
        exposure = next((facts.exposure for facts in chosen.values() if facts.exposure), {})
        self._note_times(chosen, notes)
        self._learned.setdefault(format_text, len(files))
        self.last_camera_path = None if order.erase else max(file.camera_path for file in chosen)
        return Shot(files, exposure, tuple(notes))

    def _note_times(self, chosen: dict[FetchedFile, PictureFacts], notes: list[str]) -> None:
        times = {facts.raw: time for facts in chosen.values() if isinstance(time := facts.exposure.get("time"), str)}
        if any(self._is_early(facts) for facts in chosen.values()):
            notes.append(
                f"The camera's clock was set back: from {max(self._last_times.values())} to {min(times.values())}."
            )
            self._last_times.clear()
        self._last_times.update(times)
        if times:
            self._refused = None

    def _refuse_bad(self, facts: dict[FetchedFile, PictureFacts]) -> None:
        for file, told in facts.items():
            name = file.camera_path.rpartition("/")[2]
            if told.problem:
                raise ShotIncompleteError(
                    f"The file {name} is not whole: {told.problem}.",
                    remedy="Shoot again; where it repeats, check the cable and the card.",
                    state="exposed; file torn",
                )
            if stale := self._stale(file, told):
                if told.sha256 not in self._digests:
                    self._refused = told
                raise ShotIncompleteError(
                    f"The camera gave an old picture ({name}): {stale}.",
                    remedy="Shoot again; where it repeats, store on the card (target card).",
                    state="exposed; file stale",
                )

    @staticmethod
    def _publish(folder: Path, stem: str, chosen: dict[FetchedFile, PictureFacts]) -> tuple[ShotFile, ...]:
        done: list[Path] = []
        files = []
        try:
            for file, facts in chosen.items():
                final = folder / f"{stem}{facts.suffix or _suffix(file.camera_path)}"
                _take_name(Path(file.temporary), final)
                done.append(final)
                files.append(ShotFile(final, file.size_bytes, facts.sha256, facts.raw))
            _sync_folder(folder)
        except OSError as error:
            for path in done:
                path.unlink(missing_ok=True)
            raise NotStoredError(
                f"The picture could not be stored in {folder}: {error.strerror or error}.",
                remedy="Make room on the disk, or choose a folder that can be written.",
                state="exposed; not stored",
            ) from error
        return tuple(files)


def _remove(folder: Path, pattern: str) -> None:
    for path in folder.iterdir():
        if re.fullmatch(pattern, path.name):
            path.unlink(missing_ok=True)


def _keep_refused(folder: Path, stem: str, files: Iterable[FetchedFile]) -> list[str]:
    """A picture that is not taken over is not thrown away: who called decides. Their names."""
    names = []
    for file in files:
        if not file.size_bytes:
            continue
        kept, count = folder / f"{stem}.refused{_suffix(file.camera_path)}", 1
        while kept.exists():
            count += 1
            kept = folder / f"{stem}.refused-{count}{_suffix(file.camera_path)}"
        with contextlib.suppress(OSError):
            Path(file.temporary).rename(kept)
            names.append(kept.name)
    return names


def _suffix(camera_path: str) -> str:
    return Path(camera_path).suffix.lower()


def _facts(path: Path, suffix: str) -> PictureFacts:
    try:
        return inspect_picture(path, suffix=suffix)
    except OSError as error:
        return PictureFacts(False, f"it cannot be read ({error.strerror or error})")


def _same_contents(path: Path, other: Path) -> bool:
    """Whether two files are one picture; others differ in size, or in their first bytes: large ones are not read through for that."""
    try:
        return filecmp.cmp(path, other, shallow=False)
    except OSError:
        return False  # it was moved away meanwhile


def _is_before(time: str, other: str, *, to_fractions: bool) -> bool:
    """Whether one EXIF time lies before another, as far as both tell; a file without fractions is of any part of its second."""
    whole, _, rest = time.partition(".")
    other_whole, _, other_rest = other.partition(".")
    digits = max(len(rest), len(other_rest))
    fractions = to_fractions and rest and other_rest and rest.ljust(digits, "0") < other_rest.ljust(digits, "0")
    return whole < other_whole or (whole == other_whole and bool(fractions))


def _one_of_each(facts: dict[FetchedFile, PictureFacts], notes: list[str]) -> dict[FetchedFile, PictureFacts]:
    """One file of each kind, RAW first; of several the one taken last (a late file of a lost shot may come before it)."""
    best: dict[str, FetchedFile] = {}
    for file, told in facts.items():
        other = best.get(_suffix(file.camera_path))
        if other is not None:
            notes.append(f"Of two {_suffix(file.camera_path)} files the later one was kept.")
            times = (str(one.exposure.get("time", "")) for one in (told, facts[other]))
            if _is_before(*times, to_fractions=True):
                continue
        best[_suffix(file.camera_path)] = file
    ordered = sorted(best.values(), key=lambda file: not facts[file].raw)
    return {file: facts[file] for file in ordered}


def _refuse_missing(chosen: dict[FetchedFile, PictureFacts], order: ShotOrder, known: FileFormat | None) -> None:
    if not chosen:
        raise ShotIncompleteError(
            f"The camera released, but no file came within {order.exposure_s + order.first_file_s:.0f} s.",
            remedy="Check that it stands on manual focus (some bodies do not say that they held a release back), has a card with room, "
            "and that its format makes files.",
            state="released; no file",
        )
    raws = [facts.raw for facts in chosen.values()]
    missing = {
        FileFormat.RAW: [] if any(raws) else ["RAW"],
        FileFormat.JPEG: [] if not all(raws) else ["JPEG"],
        FileFormat.RAW_JPEG: [] if len(raws) > 1 and any(raws) and not all(raws) else ["JPEG" if any(raws) else "RAW"],
    }
    lacking = missing[known] if known is not None else []
    if lacking or len(chosen) < (order.expected or 1):
        what = lacking[0] if lacking else f"{order.expected}"
        raise ShotIncompleteError(
            f"The {what} file of the shot did not come within {order.next_file_s:.0f} s; {len(chosen)} did.",
            remedy="Shoot again; where it repeats, store on the card (target card).",
            state="exposed; file missing",
        )


def _refuse_mixed(chosen: dict[FetchedFile, PictureFacts]) -> None:
    """The files of one exposure tell one time, to the second; those that share a name may lie to both sides of its end."""
    times = {time for facts in chosen.values() if isinstance(time := facts.exposure.get("time"), str)}
    seconds = sorted({time.partition(".")[0] for time in times})
    named_alike = len({file.camera_path.rpartition(".")[0] for file in chosen}) == 1
    if len(seconds) > 1 and not (named_alike and _are_neighbours(seconds)):
        raise ShotIncompleteError(
            f"The camera gave files of different shots together, taken at {' and '.join(sorted(times))}.",
            remedy="Shoot again; where it repeats, store on the card (target card).",
            state="exposed; file stale",
        )


def _are_neighbours(seconds: list[str]) -> bool:
    """Whether EXIF times without fractions are at most a second apart; what is no time has no neighbours."""
    try:
        first, last = (datetime.strptime(second, "%Y:%m:%d %H:%M:%S") for second in (seconds[0], seconds[-1]))  # noqa: DTZ007 (EXIF has no zone)
    except ValueError:
        return False
    return last - first <= timedelta(seconds=1)


def _take_name(temporary: Path, final: Path) -> None:
    """Give the file its name, and never one that is taken."""
    try:
        os.link(temporary, final)
    except FileExistsError:
        raise
    except OSError:
        # Disks without hard links (FAT, network shares).
        if final.exists():
            raise FileExistsError(17, "File exists", str(final)) from None
        temporary.rename(final)
    else:
        temporary.unlink()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # Some network shares cannot.
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
