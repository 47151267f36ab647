"""The camera body, whatever its maker: it exposes, keeps the files, shows live view and drives the lens's focus."""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from capture.bench.interfaces import Carriage, CarriageSample, ExposureSettings, Imager
from capture.bench.ptpip.codes import ObjectFormat
from capture.bench.ptpip.faults import Faults, Parameter
from capture.bench.ptpip.happenings import Happening, Listener, Readiness, Refusal, RefusedError
from capture.bench.ptpip.lens import FocusMotor
from capture.bench.ptpip.settings import BULB, BodySettings, Clock
from capture.bench.ptpip.storage import CARD, Storage, StorageFullError

_log = logging.getLogger(__name__)
_LONGEST_BULB_S = 900.0
_FOCUS_HUNT_S = 0.4
_METERED = BodySettings()  # what the eye is shown, whatever the still will be


@dataclass(frozen=True, slots=True)
class _Release:
    settings: BodySettings
    in_memory: bool
    session: int
    out_of_focus: bool
    moment: tuple[str, CarriageSample, float] | None = None  # time stamp, carriage, clock: when a cable pressed it


@dataclass(slots=True)
class _File:
    suffix: str
    format: int
    data: bytes


@dataclass
class CameraBody:
    """One body. Safe from any thread; shots are exposed and rendered on a thread of its own.

    Attributes
    ----------
    shots : int
        Exposures since it was made.
    settings : BodySettings
    """

    imager: Imager
    carriage: Carriage
    clock: Clock
    storage: Storage
    faults: Faults
    settings: BodySettings
    lens: FocusMotor
    frames_per_s: float = 25.0
    died: Callable[[], None] = lambda: None
    shots: int = 0
    listener: Listener | None = None
    _jobs: queue.SimpleQueue[_Release | None] = field(default_factory=queue.SimpleQueue)
    _ready: threading.Condition = field(default_factory=threading.Condition)
    _exposing: _Release | None = None
    _open_until: float = 0.0
    _ended: threading.Event = field(default_factory=threading.Event)
    _live: bool = False
    _live_frames: int = 0
    _live_due: float = 0.0
    _announced: deque[tuple[Happening, int]] = field(default_factory=deque)
    _previous: dict[int, bytes] = field(default_factory=dict)
    _last_time: datetime | None = None
    _shots_to_live: int | None = None
    _worker: threading.Thread | None = None
    _session: int = 0
    _failure: Refusal | None = None
    _last_bytes: int = 0

    # -- life -------------------------------------------------------------------------------------------------------
    def start(self) -> None:
        """Start the thread that exposes."""
        self._worker = threading.Thread(target=self._work, name="camera-body", daemon=True)
        self._worker.start()

    def stop(self) -> None:
        """End it; an exposure under way is given up."""
        self._ended.set()
        self._jobs.put(None)
        if self._worker is not None:
            self._worker.join(timeout=10.0)

    def attach(self, listener: Listener | None) -> None:
        """A session opens (or closes: None): what lay in memory for the one before is gone, live view is off."""
        with self._ready:
            self.listener = listener
            self._session += 1
            self._announced.clear()
            self._live = False
        self.storage.empty_memory()

    def arm_death(self, parameters: Mapping[str, Parameter] | None) -> None:
        """Set (or, with None, disarm) after how many shots it switches itself off."""
        self._shots_to_live = None if parameters is None else max(1, int(parameters["shots"]))

    # -- settings ---------------------------------------------------------------------------------------------------
    def change(self, key: str, value: Any) -> None:
        """Set one setting; refused while exposing."""
        with self._ready:
            if self._exposing is not None:
                raise RefusedError(Refusal.BUSY)
            self.settings = self.settings.changed(key, value)

    def battery_changed(self) -> None:
        """Tell the session: initiators keep what they read until they hear that it changed."""
        self._tell(Happening.BATTERY_CHANGED)

    def turn_dial(self, program: str) -> None:
        """Turn the mode dial, as a hand does: at any time."""
        with self._ready:
            self.settings = self.settings.changed("program", program)
        self._tell(Happening.MODE_CHANGED)

    def _tell(self, happening: Happening) -> None:
        with self._ready:
            if self.listener is not None:
                self.listener(happening)

    @property
    def battery_percent(self) -> int:
        """What the battery level shows."""
        low = self.faults.look("low_battery")
        return int(low["percent"]) if low else self.settings.battery_percent

    # -- stills -----------------------------------------------------------------------------------------------------
    def capture(self, *, in_memory: bool, autofocus: bool) -> None:
        """Release the shutter; returns at once. `readiness` tells when the files are there, or that focus failed."""
        with self._ready:
            if self._exposing is not None:
                raise RefusedError(Refusal.BUSY)
            self._check_release(in_memory=in_memory)
            focusing = autofocus and self.settings.focus != "manual"
            unfocused = self.faults.strike("out_of_focus", when=("always", "autofocus") if focusing else ("always",))
            self._ended.clear()
            self._failure = None
            self._exposing = _Release(self.settings, in_memory, self._session, unfocused is not None)
            self._jobs.put(self._exposing)

    def press(self) -> None:
        """The release on a cable: an exposure to the card, of this very moment, however long the last one's files take to make.

        Raises
        ------
        RefusedError
            The shutter is open, or cannot be opened.
        """
        with self._ready:
            now = self.clock.now()
            if now < self._open_until or (self._exposing is not None and self._exposing.moment is None):
                raise RefusedError(Refusal.BUSY)
            self._check_release(in_memory=False)
            shutter_s = _LONGEST_BULB_S if self.settings.shutter_s == BULB else float(self.settings.shutter_s)
            self._open_until = now + shutter_s
            unfocused = self.faults.strike("out_of_focus", when=("always",)) is not None
            self._ended.clear()
            self._failure = None
            moment = (self._time_stamp(), self._sample(), now)
            release = _Release(self.settings, False, self._session, unfocused, moment)
            self._exposing = release
            self._jobs.put(release)

    def _check_release(self, *, in_memory: bool) -> None:
        if self.faults.look("busy"):
            raise RefusedError(Refusal.BUSY)
        self._check_playback()
        if self.faults.strike("access_denied", on=("capture",)):
            raise RefusedError(Refusal.ACCESS_DENIED)
        if not in_memory and self.faults.look("no_card") is not None:
            raise RefusedError(Refusal.NO_CARD)
        if self.faults.strike("store_full", target=("both", "memory" if in_memory else "card")):
            raise RefusedError(Refusal.STORE_FULL)
        if not in_memory and self.storage.free_bytes() < self._last_bytes:
            raise RefusedError(Refusal.STORE_FULL)
        if self.battery_percent == 0:
            raise RefusedError(Refusal.BATTERY)

    def _check_playback(self) -> None:
        if self.faults.look("wrong_mode", mode=("playback",)):
            raise RefusedError(Refusal.MODE)

    def terminate(self) -> None:
        """Close the shutter of a bulb exposure."""
        with self._ready:
            if self._exposing is None or self._exposing.settings.shutter_s != BULB:
                raise RefusedError(Refusal.NOT_EXPOSING)
            self._ended.set()

    def readiness(self, patience_s: float = 0.0) -> Readiness:
        """Whether it takes a command; waits up to `patience_s` real seconds for it to.

        `RefusedError`, once, where the release before came to nothing.
        """
        with self._ready:
            release = self._exposing
            if release is not None and release.settings.shutter_s == BULB and not self._ended.is_set():
                return Readiness.BULB
            self._ready.wait_for(lambda: self._exposing is None, patience_s)
            if self._exposing is not None:
                return Readiness.BUSY
        arrives = self.lens.arrives_s
        if self.clock.now() < arrives <= self.clock.now() + patience_s:
            self.clock.wait_until(arrives)
        if self.lens.moving(self.clock.now()) or self.faults.look("busy", on=("any",)):
            return Readiness.BUSY
        with self._ready:
            failure, self._failure = self._failure, None
        if failure is not None:
            raise RefusedError(failure)
        return Readiness.READY

    def fetched(self, handle: int) -> None:
        """An object was read to its end: the next one in memory is announced."""
        if self.storage.was_fetched(handle):
            self._announce_next()

    # -- live view --------------------------------------------------------------------------------------------------
    @property
    def live(self) -> bool:
        """Whether live view is on."""
        return self._live

    def start_live(self) -> None:
        """Switch live view on; refused on an empty battery, and while its pictures are shown."""
        self._check_playback()
        if self.battery_percent < 5:
            raise RefusedError(Refusal.BATTERY)
        self._live = True

    def end_live(self) -> None:
        """Switch live view off."""
        self._live = False

    def live_image(self) -> bytes:
        """The next live frame, at the body's own pace."""
        with self._ready:
            if not self._live:
                raise RefusedError(Refusal.NOT_LIVE)
            if self._exposing is not None:
                raise RefusedError(Refusal.BUSY)
            settings = self.settings
            self._live_frames += 1
            number = self._live_frames
        due = self._live_due
        now = self.clock.now()
        if now < due <= now + 1.0 / self.frames_per_s:
            self.clock.wait_until(due)
        self._live_due = self.clock.now() + 1.0 / self.frames_per_s
        shutter_s = float(settings.shutter_s) if settings.shutter_s != BULB else 1.0
        exposure = ExposureSettings(settings.iso, shutter_s, settings.f_number)
        if not settings.exposure_preview:
            exposure = ExposureSettings(_METERED.iso, float(_METERED.shutter_s), settings.f_number)
        return self.imager.live_jpeg(exposure, at=self._sample(), frame=number, magnify=settings.magnify)

    # -- focus ------------------------------------------------------------------------------------------------------
    def drive_focus(self, steps: int) -> None:
        """Move the lens's focus by so many steps (positive: farther); needs live view, returns at once.

        `readiness` tells when it is there, or that an end stopped it short.
        """
        if not self._live:
            raise RefusedError(Refusal.NOT_LIVE)
        now = self.clock.now()
        if self.lens.moving(now):
            raise RefusedError(Refusal.BUSY)
        stood = self.lens.position_steps
        if self.lens.move(steps, now):
            return
        if self.lens.position_steps == stood:
            raise RefusedError(Refusal.END_OF_TRAVEL)
        with self._ready:
            self._failure = Refusal.END_OF_TRAVEL

    def _sample(self) -> CarriageSample:
        at = self.carriage.sample()
        now = self.clock.now()
        return CarriageSample(
            at.position_um + self.lens.offset_um(now),
            min(at.rest_s, self.lens.rest_s(now)),
            at.moving or self.lens.moving(now),
        )

    # -- the exposing thread ----------------------------------------------------------------------------------------
    def _work(self) -> None:
        while (release := self._jobs.get()) is not None:
            try:
                happenings = self._expose(release)
            except Exception:  # noqa: BLE001 - whatever the imager raises, the body must be ready again
                _log.exception("the simulated camera could not make its picture")
                happenings = []
            with self._ready:
                # Announced before it is ready: who polls for readiness finds the events waiting.
                self._announced.extend(happenings)
            self._announce_next()
            with self._ready:
                if self._exposing is release:  # a cable may have pressed the next one meanwhile
                    self._exposing = None
                self._ready.notify_all()
            if self._shots_to_live is not None and happenings:
                self._shots_to_live -= 1
                if self._shots_to_live <= 0:
                    self._die()

    def _die(self) -> None:
        self._shots_to_live = None
        self.died()

    def _expose(self, release: _Release) -> list[tuple[Happening, int]]:
        settings = release.settings
        if release.out_of_focus:
            self._elapse(_FOCUS_HUNT_S)
            self._failure = Refusal.OUT_OF_FOCUS
            return []
        if settings.delay_s:
            self._elapse(settings.delay_s)
        taken, at, opened = release.moment or (self._time_stamp(), self._sample(), self.clock.now())
        open_s = _LONGEST_BULB_S if settings.shutter_s == BULB else float(settings.shutter_s)
        self._elapse(max(0.0, opened + open_s - self.clock.now()))
        dying = self.faults.look("die_after")
        if dying and dying["when"] == "exposing" and self._shots_to_live == 1:
            self._die()
            return []
        shutter_s = self.clock.now() - opened if settings.shutter_s == BULB else float(settings.shutter_s)
        exposure = ExposureSettings(settings.iso, shutter_s, settings.f_number)
        self.shots += 1
        negative = self.imager.expose(exposure, at=at, taken=taken, serial=self.shots)
        files = []
        if settings.quality.raw:
            files.append(_File("DNG", ObjectFormat.DNG, negative.dng()))
        if settings.quality.jpeg:
            files.append(_File("JPG", ObjectFormat.EXIF_JPEG, negative.jpeg()))
        self._spoil(files)
        if release.in_memory and release.session != self._session:
            return []  # memory does not outlive the session that asked for the shot
        return self._keep(files, taken, in_memory=release.in_memory)

    def _spoil(self, files: list[_File]) -> None:
        fresh = {file.format: file.data for file in files}
        if all(file.format in self._previous for file in files) and self.faults.strike("stale_frame"):
            for file in files:
                file.data = self._previous[file.format]
        self._previous = fresh
        if len(files) > 1 and self.faults.strike("missing_second_file"):
            del files[1:]

    def _keep(self, files: list[_File], taken: str, *, in_memory: bool) -> list[tuple[Happening, int]]:
        happenings: list[tuple[Happening, int]] = []
        stamp = taken[:19].replace(":", "").replace(" ", "T")
        number = (self.shots - 1) % 9999 + 1
        self._last_bytes = sum(len(file.data) for file in files)
        for file in files:
            name = f"DSC_{number:04d}.{file.suffix}"
            if in_memory:
                handle = self.storage.put_in_memory(name, file.format, file.data, stamp)
                happenings.append((Happening.FILE_IN_MEMORY, handle))
                continue
            try:
                handle = self.storage.put_on_card(name, file.format, file.data, stamp)
            except StorageFullError:
                _log.warning("the simulated card is full: %s is lost", name)
                happenings.append((Happening.CARD_FULL, CARD))
                continue
            happenings.append((Happening.FILE_ON_CARD, handle))
        if self.faults.strike("lost_event"):
            happenings.clear()  # the files are there, and nobody is told
        happenings.append((Happening.DONE_IN_MEMORY if in_memory else Happening.DONE_ON_CARD, 0))
        return happenings

    def _announce_next(self) -> None:
        # Of the files in memory one at a time is announced, as bodies do that hold them in one buffer: the next one
        # follows when the one before was fetched.
        with self._ready:
            while self._announced:
                happening, handle = self._announced.popleft()
                if self.listener is not None:
                    self.listener(happening, handle)
                if happening is Happening.FILE_IN_MEMORY and any(
                    later is Happening.FILE_IN_MEMORY for later, _ in self._announced
                ):
                    return

    def _elapse(self, seconds: float) -> None:
        self.clock.wait_until(self.clock.now() + seconds, self._ended)

    def _time_stamp(self) -> str:
        now = datetime.now(tz=UTC).astimezone()
        now = now.replace(microsecond=now.microsecond // 1000 * 1000)
        if self._last_time is not None and now <= self._last_time:
            now = self._last_time + timedelta(milliseconds=1)
        self._last_time = now
        return now.strftime("%Y:%m:%d %H:%M:%S.") + f"{now.microsecond // 1000:03d}"
