"""A camera through libgphoto2 that outlives the library (the protocol `capture.camera.protocol.Camera`).

The child process holds the library and does as it is told; everything that needs judgement is on this side: which entry serves a role,
whether a value is offered, and, in `gphoto_shot`, whether a shot's files are whole and new.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from capture.camera.deadlines import Deadlines
from capture.camera.focus_drive import focus_orders
from capture.camera.gphoto_link import GphotoLink, SpentError
from capture.camera.gphoto_settings import choose_entry, needed_entry, write_checked
from capture.camera.gphoto_shot import ShotTaker
from capture.camera.process import LibraryProcess
from capture.camera.protocol import CameraInfo, LiveFrame, Role, RoleState, Shot
from capture.camera.readiness import BatteryWatch, Obstacle, Store, obstacles, unready
from capture.camera.roles import Setting, find_roles, stands, state_of
from capture.camera.values import BULB_S, bulb_time, shutter_seconds
from capture.errors import CameraError, CameraLostError, CameraSettingError, CameraStateError, ShotError

_UNMAGNIFIED = "1"
_STATE_S = 1.0
"""Some bodies refuse a live frame that is not ready yet (Nikon 1: libgphoto2 #1291)."""
_SERIAL_NAMES = ("serialnumber", "eosserialnumber")


class GphotoCamera:
    """One camera. Calls of several threads are served one after the other.

    Parameters
    ----------
    port : str or None
        ``usb:001,004``, ``ptpip:HOST:PORT:PORT``; the first camera on the USB where None.
    deadlines : Deadlines or None
        How long calls may take; the defaults are for real cameras.
    repeats : int
        How often a shot is repeated that the loss of the library or the link took away.
    start : callable
        Starts the child process.

    Attributes
    ----------
    flash_wait_s : float
        Least time between two releases, in which a flash is charged again; 0: none.
    live_check : bool
        Whether `obstacles` asks for a live frame.
    """

    def __init__(
        self,
        port: str | None = None,
        *,
        deadlines: Deadlines | None = None,
        repeats: int = 2,
        start: Callable[[], LibraryProcess] = LibraryProcess,
    ) -> None:
        self._lock = threading.RLock()
        self._link = GphotoLink(port, deadlines or Deadlines(), start)
        self._shots = ShotTaker(self._link, repeats)
        self._streaming = False
        self._focusing = False
        self._live_view_on = False
        self._live_pid: int | None = None
        self._magnified: tuple[str, int | None] | None = None
        self._closed = False
        self._battery = BatteryWatch()
        self._battery_due_s = 0.0
        self._bulb_s: float | None = None
        self.flash_wait_s = 0.0
        self.live_check = True
        self._link.connect_patiently()

    def tell(self, notice: Callable[[str], None], trouble: Callable[[str], None] | None = None) -> None:
        """Have `notice` told what is waited for, and how long at most, from now on; `trouble` that the camera is gone, and back (`notice`
        without it). Both must return quickly."""
        self._link.notice = notice
        self._link.trouble = notice if trouble is None else trouble

    @property
    def driver_pid(self) -> int | None:
        """Process id of the child that holds libgphoto2; None while there is none."""
        return self._link.pid

    def _check_open(self) -> None:
        if self._closed:
            raise CameraLostError("The camera was closed.", remedy="Open it again.", state="closed")

    # -- settings ----------------------------------------------------------------------------------------------------------------

    def info(self) -> CameraInfo:
        """Model and roles as they stand now."""
        with self._lock:
            self._check_open()
            roles = find_roles(self._link.idempotent(self._link.read_tree))
            roles[Role.SHUTTER] = self._held(roles[Role.SHUTTER])
            if (live_view := self._link.entry(Role.LIVE_VIEW)) is not None:
                roles[Role.LIVE_VIEW] = state_of(self._link.idempotent(lambda: self._link.as_it_is(live_view)))
            return CameraInfo(self._link.model, roles)

    def get(self, role: Role) -> RoleState:
        """One role as it stands now; `CameraSettingError` where the camera lacks it."""
        with self._lock:
            self._check_open()
            state = self._link.idempotent(lambda: state_of(self._link.read_anew(needed_entry(self._link, role))))
            return (self._held(state) or state) if role is Role.SHUTTER else state

    def _held(self, state: RoleState | None) -> RoleState | None:
        """The shutter's state; at bulb with the time for which shots hold it, as `set` takes it."""
        if state is None or self._bulb_s is None or shutter_seconds(state.value) != BULB_S:
            return state
        return replace(state, value=f"bulb:{self._bulb_s:g}")

    def obstacles(self, *, frames: int = 1, bytes_a_frame: int | None = None) -> tuple[Obstacle, ...]:
        """What stands in the way of `frames` frames: battery, card, modes, and whether it takes orders at all, which a live frame tells;
        see `capture.camera.readiness`."""
        with self._lock:
            self._check_open()
            self._link.idempotent(self._link.hear)  # what changed since it was last read
            info = self.info()
            try:
                told = self._link.idempotent(
                    lambda: self._link.ask("stores", "reading the cards", deadline_s=self._link.deadlines.call_s)
                )
            except CameraError:
                told = None  # bodies that keep it to themselves
            stores = [store for store in told if isinstance(store, Store)] if isinstance(told, list) else None
            found = obstacles(info, stores, frames=frames, bytes_a_frame=bytes_a_frame)
            # at bulb many bodies refuse live frames, and release all the same
            looks = self.live_check and self._bulb_s is None and not any(one.fatal for one in found)
            state = self._state() if looks else None
            return found if state is None else (state, *found)

    def _state(self) -> Obstacle | None:
        """What a live frame tells of the state that the camera is in."""
        end = time.monotonic() + _STATE_S
        while True:
            try:
                self.preview()
            except CameraStateError as error:
                if time.monotonic() >= end:
                    return unready(error)
                self._link.pause("waiting for the camera")
            except CameraError as error:
                return unready(error)
            else:
                return None

    def set(self, role: Role, value: str) -> RoleState:
        """Write one role and read it back; equal spellings match, what is not offered is refused with the nearest that is.

        A shutter time longer than those offered (or ``bulb:SECONDS``) sets the camera to bulb; shots are then held for that time, and the
        role's value is ``bulb:SECONDS`` as long as the camera stands at bulb.
        """

        def call() -> RoleState:
            wish, bulb_s = value, None
            if role is Role.SHUTTER:
                bulb_s = bulb_time(value, self._link.read(needed_entry(self._link, role)).choices)
                wish = value if bulb_s is None else "bulb"
            read, choice = choose_entry(self._link, role, wish)
            if not stands(role, read, choice):
                read = write_checked(self._link, role, read, choice)
            self._link.asked[role] = choice
            state = state_of(read)
            if role is not Role.SHUTTER:
                return state
            self._bulb_s = bulb_s
            return self._held(state) or state

        with self._lock:
            self._check_open()
            return self._link.idempotent(call)

    # -- shots and live view -------------------------------------------------------------------------------------------------------

    def shoot(self, folder: Path, stem: str, *, bulb_s: float | None = None) -> Shot:
        """Take one shot and download all its files as ``folder/stem.<suffix>``, durable; never overwrites.

        A shot that a dead link or library took away is looked for on the card, and repeated where it is lost; the notes say so.

        Parameters
        ----------
        folder : Path
            An existing folder.
        stem : str
            Name without suffix; no file may have it yet.
        bulb_s : float or None
            Seconds to hold the shutter where the camera is set to bulb; None: as its shutter was set, see `set`.

        Raises
        ------
        ShotRefusedError
            Nothing was exposed.
        ShotIncompleteError
            Exposed, but a file is missing, torn or stale; nothing is left under `stem`.
        CameraError
            The camera could not be got back.
        """
        with self._lock:
            self._check_open()
            self._live_pid = None  # a shot ends live view
            held_s = self._bulb_s if bulb_s is None else bulb_s
            try:
                shot = self._shots.take(folder, stem, held_s, live=self._streaming, apart_s=self.flash_wait_s)
            except CameraError as error:
                if isinstance(error, ShotError):
                    self._battery_due_s = 0.0
                    self._battery_warning()
                error.remedy = f"{error.remedy} {self._battery.hint}".strip()
                raise
            warning = self._battery_warning()
            return replace(shot, warnings=(*shot.warnings, warning)) if warning else shot

    def know(self, pictures: Iterable[Path]) -> None:
        """Pictures of an earlier run, which the camera may give a second time: a shot that is one of them is refused as stale."""
        self._shots.know(pictures)

    def _battery_warning(self) -> str:
        """What there is to say of the battery since the last look; a camera that does not tell is no fault of the shot."""
        entry, now_s = self._link.entry(Role.BATTERY), time.monotonic()
        if entry is None or now_s < self._battery_due_s:
            return ""
        self._battery_due_s = now_s + self._link.deadlines.battery_s
        with contextlib.suppress(CameraError, SpentError):
            return self._battery.look(self._link.read(entry).value)
        return ""

    def preview(self) -> LiveFrame:
        """One live frame; live view is off again afterwards unless a `live` stream is open."""

        with self._lock:
            self._check_open()
            frame = self._link.idempotent(self._live_frame)
            self._leave_live_view()
            return frame

    def _leave_live_view(self) -> None:
        """End live view where nobody needs it any more."""
        if not (self._streaming or self._focusing or self._closed):
            self._end_live_view()

    def _end_live_view(self) -> None:
        self._link.idempotent(self._link.end_live_view)
        self._live_view_on = False

    @contextlib.contextmanager
    def magnified(self, value: str) -> Iterator[RoleState]:
        """Magnify live view meanwhile (role `magnify`, one of its choices), and show the whole again afterwards, whatever ends it.

        To be used within `live`: most bodies magnify only what they show.

        Raises
        ------
        CameraSettingError
            The camera magnifies nothing, or not so.
        """
        with self._lock:
            self._check_open()
            before = self.get(Role.MAGNIFY)
            state = self.set(Role.MAGNIFY, value)
            self._magnified = value, self._link.pid
        try:
            yield state
        finally:
            with self._lock:
                self._magnified = None
                if not self._closed:
                    with contextlib.suppress(CameraError, SpentError):
                        self.set(Role.MAGNIFY, _UNMAGNIFIED if before.name == "eoszoom" else before.value)

    def _magnify_again(self) -> None:
        """A camera that was opened anew shows the whole."""
        if self._magnified is not None and self._magnified[1] != self._link.pid:
            value = self._magnified[0]
            self._link.ask("preview", "taking a live frame", deadline_s=self._link.deadlines.live_s)
            write_checked(self._link, Role.MAGNIFY, *choose_entry(self._link, Role.MAGNIFY, value))
            self._magnified = value, self._link.pid

    def _live_frame(self) -> LiveFrame:
        self._live_view_on, self._live_pid = True, self._link.pid
        self._magnify_again()
        live_s = self._link.deadlines.live_s
        jpeg = self._link.patiently(
            lambda: self._link.ask("preview", "taking a live frame", deadline_s=live_s), within_s=live_s
        )
        if not isinstance(jpeg, bytes):
            raise TypeError(type(jpeg))
        return LiveFrame(jpeg, time.monotonic())

    @contextlib.contextmanager
    def live(self) -> Iterator[Iterator[LiveFrame]]:
        """A stream of live frames at the camera's own pace; live view ends when the context does.

        Where the camera can show live frames as bright as the still will be, it does so meanwhile.
        """
        with self._lock:
            self._check_open()
            self._streaming = True
        try:
            with self._exposure_preview():
                yield self._frames()
        finally:
            with self._lock:
                self._streaming = False
                self._leave_live_view()

    @contextlib.contextmanager
    def _exposure_preview(self) -> Iterator[None]:
        with self._lock:
            entry = self._link.entry(Role.EXPOSURE_PREVIEW)
            # Bodies that show the whole exposure of the mode M without being asked have no such entry.
            off = entry is not None and not entry.read_only and entry.value.casefold() in {"off", "0"}
            if off:
                with contextlib.suppress(CameraSettingError):
                    self.set(Role.EXPOSURE_PREVIEW, "on")
        try:
            yield
        finally:
            with self._lock:
                if off and not self._closed:
                    self._link.asked.pop(Role.EXPOSURE_PREVIEW, None)
                    with contextlib.suppress(CameraError, SpentError):
                        self.set(Role.EXPOSURE_PREVIEW, "off")

    def _frames(self) -> Iterator[LiveFrame]:
        while self._streaming:
            with self._lock:
                if self._closed:
                    return
                frame = self._link.idempotent(self._live_frame)
            yield frame

    def drive_focus(self, steps: int) -> None:
        """Move the lens's focus motor by `steps` (positive: farther), with live view on, which most bodies need for it.

        The motor has no scale, loses steps, and has play between its directions: come from one side always.

        Raises
        ------
        CameraSettingError
            The camera drives no focus.
        CameraError
            The motor stands at its end, or cannot move by so little; or the link died, and where the motor stands is unknown.
        """
        with self._lock:
            setting = self.focus_drive()
            live_view = self._link.entry(Role.LIVE_VIEW)
            if live_view is not None and not (self._live_view_on and self._live_pid == self._link.pid):
                self._link.idempotent(self._live_frame)
            try:
                for order in focus_orders(setting, steps):
                    self._link.write(setting, order)
            except SpentError as spent:
                raise spent.error from None
            finally:
                if live_view is not None:
                    self._leave_live_view()

    def focus_drive(self) -> Setting:
        """The entry that moves the lens's focus motor; `CameraSettingError` where there is none."""
        with self._lock:
            self._check_open()
            return self._link.idempotent(lambda: self._link.read(needed_entry(self._link, Role.FOCUS_DRIVE)))

    @contextlib.contextmanager
    def focusing(self) -> Iterator[None]:
        """Keep live view on between several calls of `drive_focus`; at the end the camera has told all it had to tell."""
        with self._lock:
            self._check_open()
            self._focusing = True
        try:
            yield
            with self._lock:
                self._link.idempotent(
                    lambda: self._link.ask("drain", "waiting for the lens", deadline_s=10.0, limit_s=1.0)
                )
        finally:
            with self._lock:
                self._focusing = False
                if self._live_view_on:
                    self._leave_live_view()

    @property
    def identity(self) -> str:
        """Model, serial number and port: the same as long as the same camera stays plugged in."""
        with self._lock:
            serial = next((entry.value for entry in self._link.tree if entry.name in _SERIAL_NAMES and entry.value), "")
            return f"{self._link.model} {serial} {self._link.port}"

    # -- end -----------------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End live view and release the camera; idempotent, and quiet where the camera is gone."""
        with self._lock:
            if self._closed:
                return
            try:
                if self._live_view_on:
                    self._end_in_haste()
            finally:
                self._streaming = False
                self._closed = True
                self._link.drop()

    def _end_in_haste(self) -> None:
        """Live view off on the way out; one attempt with a fresh camera where this one is spent."""
        with contextlib.suppress(CameraError, SpentError):
            try:
                self._link.end_live_view()
            except SpentError:
                self._link.connect()  # which ends live view

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
