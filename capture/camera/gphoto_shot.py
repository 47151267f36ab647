"""One shot through the link: released, collected, judged; found again or repeated where the link or the library died under way."""

from __future__ import annotations

import contextlib
import itertools
import math
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from capture.camera.arrivals import Arrivals
from capture.camera.faults import shot_error
from capture.camera.gphoto_link import GphotoLink, SpentError
from capture.camera.protocol import CaptureTarget, Role, Shot
from capture.camera.values import BULB_S, files_expected, format_of, nearest_choice, same, shutter_seconds, target_of
from capture.camera.wire import (
    SHOT_ADDED,
    SHOT_STORED,
    SHOT_TRIGGERED,
    SHOT_TRIGGERING,
    Collected,
    Failed,
    FetchedFile,
    ListedFile,
    Progress,
    ShotOrder,
)
from capture.errors import CameraError, ShotIncompleteError, ShotRefusedError

_MIRROR_DELAY_S = 5.0
_UNKNOWN_EXPOSURE_S = 30.0
_HELD_WITHIN_S = 0.5  # orders to press and to let go take their time, and bodies round
_FOUND = {False: "The shot was found on the card.", True: "The shot was still in the camera's memory."}
_CLOCK_S = 2
"""Times of files are even seconds on a card's FAT."""
_LOOKED_AT = 4
"""Newest files of the card that are looked at for a lost shot."""
_KIB = 1 << 10
_CLUSTER_BYTES = 1 << 19
"""No card of up to 2 TB is formatted with larger ones."""


class _Phase:
    """How far a shot is known to have come."""

    def __init__(self) -> None:
        self.begun_s = time.monotonic()
        self.stage = ""
        self.added: list[str] = []

    def note(self, progress: Progress) -> None:
        if progress.stage == SHOT_TRIGGERING:
            self.begun_s = time.monotonic()
        self.stage = progress.stage
        if progress.stage == SHOT_ADDED:
            self.added.append(progress.detail)

    @property
    def exposed(self) -> bool:
        """Whether the shutter surely opened."""
        return self.stage in {SHOT_TRIGGERED, SHOT_ADDED, SHOT_STORED}


class ShotTaker:
    """Takes shots, and remembers what came, so that an old picture is not taken for a new one."""

    def __init__(self, link: GphotoLink, repeats: int) -> None:
        self._link = link
        self._repeats = repeats
        self._arrivals = Arrivals()
        self._strays: set[str] = set()
        self._room_before: dict[str, int] = {}
        self._clock_before_s: int | None = None
        self.released_s = -math.inf

    def know(self, pictures: Iterable[Path]) -> None:
        """See `GphotoCamera.know`."""
        self._arrivals.know(pictures)

    def take(self, folder: Path, stem: str, bulb_s: float | None, *, live: bool, apart_s: float = 0.0) -> Shot:
        """See `GphotoCamera.shoot`; `live` says that a stream of live frames is open, which is interrupted.

        Releases are at least `apart_s` apart; `released_s` is when the last one was (`time.monotonic`).
        """
        self._arrivals.check_free(folder, stem)
        notes: list[str] = []
        for left in range(self._repeats, -1, -1):
            phase = _Phase()
            order: ShotOrder | None = None
            try:
                if (early_s := self.released_s + apart_s - time.monotonic()) > 0:
                    time.sleep(early_s)  # a flash charges, and tells nobody
                self._link.ensure()
                if live:
                    self._link.end_live_view()
                order = self._order(folder, stem, bulb_s)
                return self._collected(order, phase, notes)
            except SpentError as spent:
                Arrivals.discard_parts(folder, stem)
                notes.append(f"{spent.error.message} The camera was opened again.")
                self._link.recover(spent.error)
                refused = spent.answered and not phase.exposed
                if order is not None and (found := self._look_for(order, phase, wait=not refused)) is not None:
                    return self._judged(order, found, [*notes, _FOUND[order.erase]])
                if not left:
                    raise _given_up(spent.error, phase) from None
                notes.append(
                    "The shot was lost and repeated." if phase.stage else "Nothing had been exposed; it was taken then."
                )
            except BaseException:
                Arrivals.discard_parts(folder, stem)
                raise
        raise AssertionError("the loop returns or raises")

    def _collected(self, order: ShotOrder, phase: _Phase, notes: list[str]) -> Shot:
        """The shot as it came; where a file lacks whose event was lost, from the card, which a camera opened anew lists as it is."""
        collected = self._collect(order, phase)
        self._strays.update(collected.strays)
        try:
            return self._judged(order, collected, notes)
        except ShotIncompleteError:
            if order.erase or len(collected.files) >= (order.expected or 1):
                raise
            with contextlib.suppress(CameraError, SpentError):
                self._link.connect()
                if (found := self._look_for(order, phase)) is not None:
                    shot = self._judged(order, found, [*notes, _FOUND[order.erase]])
                    Arrivals.discard_refused(Path(order.folder), order.stem)
                    return shot
            raise

    def _order(self, folder: Path, stem: str, bulb_s: float | None) -> ShotOrder:
        target = self._assert_target()
        file_format = self._link.entry(Role.FORMAT)
        text = self._link.read(file_format).value if file_format is not None else ""
        expected = files_expected(text)
        if target is CaptureTarget.CARD and self._arrivals.last_camera_path is None:
            self._room_before, self._clock_before_s = self._room(), self._clock()
        return ShotOrder(
            folder=str(folder),
            stem=stem,
            expected=self._arrivals.learned(text) if expected is None else expected,
            exposure_s=self._exposure_s(bulb_s),
            erase=target is not CaptureTarget.CARD,
            bulb_s=bulb_s,
            first_file_s=self._link.deadlines.shot_s,
            next_file_s=self._link.deadlines.next_file_s,
        )

    def _assert_target(self) -> CaptureTarget | None:
        """The capture target, put right before the shot: some bodies flip it."""
        setting = self._link.entry(Role.TARGET)
        if setting is None:
            return CaptureTarget.CARD  # a body without the setting keeps its pictures; nothing of it is deleted
        read = self._link.read(setting)
        wish = self._link.asked.get(Role.TARGET)
        if wish is not None and read.value != wish:
            read = self._link.write(setting, wish)
        return target_of(read.value)

    def _exposure_s(self, bulb_s: float | None) -> float:
        """The longest time that the shutter and the body's own delays can take."""
        setting = self._link.entry(Role.SHUTTER)
        seconds = shutter_seconds(self._link.read(setting).value) if setting is not None else None
        if seconds == BULB_S and bulb_s is None:
            raise ShotRefusedError(
                "The camera is set to bulb, and no time was given to hold its shutter.",
                remedy="Set a shutter time, or give the time for bulb.",
                state="nothing was exposed",
            )
        if bulb_s is not None:
            seconds = bulb_s
        if seconds is None:
            seconds = _UNKNOWN_EXPOSURE_S
        mirror = self._link.entry(Role.MIRROR)
        delayed = mirror is not None and mirror.value.casefold() not in {"", "off", "0"}
        # After a long exposure bodies take a dark frame of the same length.
        dark_s = seconds if seconds >= 1.0 else 0.0
        return seconds + dark_s + (_MIRROR_DELAY_S if delayed else 0.0)

    def _collect(self, order: ShotOrder, phase: _Phase) -> Collected:
        deadlines = self._link.deadlines
        hidden_s = deadlines.memory_s if order.erase else 0.0
        release_s = order.exposure_s + order.first_file_s + hidden_s + 5.0
        silence = {
            SHOT_TRIGGERING: release_s,
            SHOT_TRIGGERED: release_s,
            SHOT_ADDED: deadlines.stall_s,
            SHOT_STORED: order.next_file_s + hidden_s + 5.0,
        }

        self._arrivals.begin()

        def on_progress(progress: Progress) -> float | None:
            phase.note(progress)
            if progress.stage == SHOT_TRIGGERED:
                self.released_s = time.monotonic()
            if progress.stage == SHOT_STORED:
                self._arrivals.look(progress.detail, phase.added[-1])
            return silence.get(progress.stage)

        def error_of(failed: Failed, doing: str) -> CameraError:
            return shot_error(failed, doing, exposed=phase.exposed)

        collected = self._link.ask(
            "shoot",
            f"shooting {order.stem}",
            deadline_s=deadlines.call_s,
            watched=Path(order.folder),
            on_progress=on_progress,
            error_of=error_of,
            order=order,
        )
        if not isinstance(collected, Collected):
            raise TypeError(type(collected))
        return collected

    def _judged(self, order: ShotOrder, collected: Collected, notes: list[str]) -> Shot:
        file_format = self._link.entry(Role.FORMAT)
        text = file_format.value if file_format is not None else ""
        shot = self._arrivals.accept(order, collected, format_of(text), text)
        return Shot(shot.files, shot.exposure, (*notes, *shot.notes, *self._differences(shot.exposure, order.bulb_s)))

    def _differences(self, exposure: dict[str, str | float], held_s: float | None) -> Iterator[str]:
        """What the file says of the exposure other than the settings; manual lenses say nothing, automatic modes promise nothing."""
        for role, key in ((Role.ISO, "iso"), (Role.SHUTTER, "shutter_s"), (Role.APERTURE, "f_number")):
            setting, told = self._link.entry(role), exposure.get(key)
            if setting is None or not isinstance(told, float):
                continue
            if role is Role.SHUTTER and held_s is not None:
                if abs(told - held_s) > max(_HELD_WITHIN_S, 0.1 * held_s):
                    yield f"The shutter was held for {held_s:g} s; the file says {told:.6g}."
                continue
            spelt = f"{told:.0f}" if role is Role.ISO else f"{told:.6g}"
            measurable = nearest_choice(role, spelt, (setting.value,)) == setting.value
            if measurable and not same(role, spelt, setting.value):
                yield f"The {role.value} was set to {setting.value}; the file says {spelt}."

    def _look_for(self, order: ShotOrder, phase: _Phase, *, wait: bool = True) -> Collected | None:
        """The shot's files, where the camera has them all; None where the shot is lost or never was.

        A camera whose link or library died goes on with its exposure: until that must be stored, nothing is decided. What lay in its
        memory went with the link; what comes there afterwards does not. There is nothing to wait for where the order itself was refused.
        """
        if not phase.stage or (order.erase and phase.added):
            return None
        found = None
        try:
            if order.bulb_s is not None and phase.stage == SHOT_TRIGGERING:
                self._spoil(order, phase, wait=wait)
            elif (found := self._fetched(order, phase)) is None and wait and self._await(order, phase):
                found = self._fetched(order, phase)
        except (CameraError, SpentError):
            found = None
        if found is None:
            Arrivals.discard_parts(Path(order.folder), order.stem)
        return found

    def _spoil(self, order: ShotOrder, phase: _Phase, *, wait: bool) -> None:
        """Close a shutter that a dead library left open: what it exposed is not what was asked for, and nobody's picture."""
        self._link.ask("let_go", "closing the shutter", deadline_s=self._link.deadlines.call_s)
        if wait:
            self._await(order, phase)
        self._strays.update(phase.added)

    def _await(self, order: ShotOrder, phase: _Phase) -> bool:
        """Wait until the shot must be stored, or was announced; False where that was so before."""
        end = phase.begun_s + order.exposure_s + order.next_file_s
        if time.monotonic() >= end:
            return False
        call_s, missing = self._link.deadlines.call_s, (order.expected or 1) - len(phase.added)
        while missing > 0 and (left_s := end - time.monotonic()) > 0:
            added = self._link.ask("next_file", "waiting for the shot", deadline_s=left_s + call_s, wait_s=left_s)
            if isinstance(added, str):
                phase.added.append(added)
                missing -= 1
                end = time.monotonic() + order.next_file_s
        if missing > 0 and not order.erase:
            self._link.connect()  # the library lists a card once
        return True

    def _fetched(self, order: ShotOrder, phase: _Phase) -> Collected | None:
        """What was announced, fetched anew; what was not is looked for among the newest files of the card. None where files lack."""
        self._arrivals.begin()
        fetched: list[FetchedFile] = []
        paths = list(dict.fromkeys(phase.added))
        if paths and len(paths) != order.expected and not order.erase:
            paths += self._named_alike(paths)
        if len(paths) < (order.expected or 1) and not order.erase:
            paths += self._unannounced({*paths, *self._strays}, order.expected)
        for number, path in enumerate(paths[-_LOOKED_AT:]):
            file = self._link.ask(
                "fetch",
                f"fetching {path}",
                deadline_s=self._link.deadlines.stall_s + (self._link.deadlines.memory_s if order.erase else 0.0),
                watched=Path(order.folder),
                camera_path=path,
                folder=order.folder,
                name=f".{order.stem}.{number}.part",
            )
            if order.erase:
                self._link.ask("erase", f"erasing {path}", deadline_s=self._link.deadlines.call_s, camera_path=path)
            if isinstance(file, FetchedFile) and self._arrivals.is_new(file):
                fetched.append(file)
        return Collected(tuple(fetched)) if fetched and len(fetched) == (order.expected or len(fetched)) else None

    def _named_alike(self, announced: list[str]) -> list[str]:
        """Files on the card, not announced, that have folder and stem of an announced one: those of one shot do."""
        stems = {path.rpartition(".")[0] for path in announced}
        listed = [file.camera_path for store in {_store(path) for path in announced} for file in self._newest(store)]
        return [path for path in listed if path.rpartition(".")[0] in stems and path not in announced]

    def _unannounced(self, known: set[str], expected: int | None) -> list[str]:
        """Files on the card of a shot that was not announced, the first of them first.

        They lie behind the last one taken over; before any was, they are the newest, written since, that make up for the room that is
        gone.
        """
        last = self._arrivals.last_camera_path
        if last is not None:
            listed = [file.camera_path for file in self._newest(_store(last))]
            behind = itertools.takewhile(lambda path: path != last, listed)
            return [path for path in reversed(list(behind)) if path not in known]
        for folder, room_bytes in self._room().items():
            gone_bytes = self._room_before.get(folder, room_bytes) - room_bytes
            if gone_bytes <= 0 or self._clock_before_s is None:
                continue  # nothing was stored, or nobody knows what is new
            since_s = self._clock_before_s - _CLOCK_S
            new = [file for file in self._newest(folder) if file.written_s is not None and file.written_s >= since_s]
            if made_up := _making_up(new, gone_bytes, expected):
                return [file.camera_path for file in reversed(made_up) if file.camera_path not in known]
        return []

    def _newest(self, store: str) -> list[ListedFile]:
        """The newest files of a card, the last first."""
        deadline_s = self._link.deadlines.call_s * 2
        listed = self._link.ask("newest", "listing the card", deadline_s=deadline_s, store=store, count=2 * _LOOKED_AT)
        return listed if isinstance(listed, list) else []

    def _room(self) -> dict[str, int]:
        """Room on the cards in bytes, by their folders; empty where the camera does not tell."""
        with contextlib.suppress(CameraError):
            told = self._link.ask("stores", "reading the cards", deadline_s=self._link.deadlines.call_s)
            if isinstance(told, list):
                return {store.folder: store.free_bytes for store in told if store.free_bytes is not None}
        return {}

    def _clock(self) -> int | None:
        """The camera's clock, as it writes it into its files; None where it does not tell."""
        entry = next((entry for entry in self._link.tree if entry.name == "datetime" and entry.kind == "date"), None)
        with contextlib.suppress(CameraError):
            if entry is not None and (told := self._link.read(entry).value).isdigit():
                return int(told)
        return None


def _store(camera_path: str) -> str:
    return "/" + camera_path.split("/")[1]


def _making_up(newest: list[ListedFile], gone_bytes: int, expected: int | None) -> list[ListedFile]:
    """The `expected` first of `newest` (or as many as it needs), where their sizes are what is gone; none where they are not.

    Cards are filled by clusters, and tell their room in KiB.
    """
    for count in [expected] if expected is not None else range(1, _LOOKED_AT + 1):
        sizes = [file.size_bytes for file in newest[:count]]
        known_bytes = [size for size in sizes if size is not None]
        if len(known_bytes) == count and -_KIB < gone_bytes - sum(known_bytes) < count * _CLUSTER_BYTES + _KIB:
            return newest[:count]
    return []


def _given_up(error: CameraError, phase: _Phase) -> CameraError:
    if phase.exposed:
        return ShotIncompleteError(
            error.message, remedy=error.remedy, state="exposed; file missing; the camera is open again"
        )
    return error
