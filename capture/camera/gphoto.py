"""libgphoto2 as the child process uses it, in one thread: settings, shots, live frames.

What this module, `gphoto_open` and `gphoto_files` keep from their callers: values of configuration widgets are read through the C
library, because the binding takes down the process where a camera reports no value; a downloaded file goes straight to a file
descriptor, because the binding's buffers own nothing; the reasons of an error come only through callbacks of the context, as bytes.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import gphoto2 as gp

from capture.camera.gphoto_files import CameraFiles, sync
from capture.camera.gphoto_library import BUSY_REASON
from capture.camera.gphoto_open import DriverError
from capture.camera.roles import Setting
from capture.camera.wire import (
    SHOT_ADDED,
    SHOT_STORED,
    SHOT_TRIGGERED,
    SHOT_TRIGGERING,
    Collected,
    FetchedFile,
    Progress,
    Report,
    ShotOrder,
)

_BUSY_PAUSE_MS = 50
_DRAIN_S = 0.15
_ABANDON_S = 1.0
_UNKNOWN_QUIET_S = 2.0
# What holds the shutter open and lets it go: each maker's entry, with the words of the library's versions, the best first.
_HELD = (
    ("/main/actions/bulb", ("1",), ("0",)),
    ("/main/actions/eosremoterelease", ("Press Full MF", "Press Full"), ("Release", "Release Full")),
)


class GphotoDriver(CameraFiles):
    """One camera through libgphoto2. Not for several threads. Every method raises `DriverError` or `OSError`.

    After a `DriverError` that the link caused (lost, timeout) the instance is spent: a `gp.Camera` is never used again after that.
    """

    def tree(self) -> list[Setting]:
        """The whole configuration."""
        with self._calls() as camera:
            return list(self._leaves(camera.get_config(self._context), ""))

    def _leaves(self, widget: gp.CameraWidget, above: str) -> Iterator[Setting]:
        path = f"{above}/{widget.get_name()}"
        if widget.get_type() not in {gp.GP_WIDGET_WINDOW, gp.GP_WIDGET_SECTION}:
            yield self._widgets.setting(widget, path)
            return
        for i in range(widget.count_children()):
            yield from self._leaves(widget.get_child(i), path)

    def read(self, path: str) -> Setting:
        """One entry as it stands now."""
        with self._calls() as camera:
            return self._widgets.setting(camera.get_single_config(path.rpartition("/")[2], self._context), path)

    def write(self, path: str, value: str) -> Setting:
        """Write one entry and read it back."""
        name = path.rpartition("/")[2]
        with self._calls() as camera:
            widget = camera.get_single_config(name, self._context)
            kind = widget.get_type()
            if kind == gp.GP_WIDGET_RANGE:
                widget.set_value(float(value))
            elif kind in {gp.GP_WIDGET_TOGGLE, gp.GP_WIDGET_DATE}:
                widget.set_value(int(value))
            else:
                widget.set_value(value)
            with self._log.listening():
                camera.set_single_config(name, widget, self._context)
            return self._widgets.setting(camera.get_single_config(name, self._context), path)

    def shoot(self, order: ShotOrder, report: Report) -> Collected:
        """Release, and download each file as it comes, until all are here or the deadlines say that no more will come.

        Fewer files than expected are not an error here: the caller judges.
        """
        strays = self._clear(_DRAIN_S, erase=order.erase)
        report(Progress(SHOT_TRIGGERING))
        self._complete = False
        self._release(order)
        report(Progress(SHOT_TRIGGERED))
        try:
            files = self._collect(order, report)
        except DriverError:
            # What else belongs to this shot must not be taken for a part of the next one.
            with contextlib.suppress(DriverError):
                self._abandon(order)
            raise
        return Collected(tuple(files), tuple(strays))

    def _clear(self, limit_s: float, *, erase: bool) -> list[str]:
        strays = [*self._late, *self.drain(limit_s)]
        self._late.clear()
        for stray in strays if erase else []:
            self._erase(stray)
        return strays

    def _abandon(self, order: ShotOrder) -> None:
        """Wait a moment for the files of a shot that failed, and drop them."""
        end = time.monotonic() + _ABANDON_S
        while (added := self.next_file(end - time.monotonic())) is not None:
            if order.erase:
                self._erase(added)

    def _collect(self, order: ShotOrder, report: Report) -> list[FetchedFile]:
        files: list[FetchedFile] = []
        names: set[str] = set()
        end = time.monotonic() + order.exposure_s + order.first_file_s
        while time.monotonic() < end:
            done = order.expected is not None and len(files) >= order.expected
            wait_s = order.quiet_s if done else min(0.5, max(0.001, end - time.monotonic()))
            added = self.next_file(wait_s)
            if added is None:
                if done or (order.expected is None and files and self._quiet_s() > _UNKNOWN_QUIET_S):
                    break
                continue
            # A body with two cards in backup mode announces every picture twice.
            if (name := added.rpartition("/")[2]) in names:
                continue
            names.add(name)
            report(Progress(SHOT_ADDED, added))
            fetched = self._download(added, order.folder, f".{order.stem}.{len(files)}.part")
            report(Progress(SHOT_STORED, fetched.temporary))  # who looks at it does so while the disk works
            sync(Path(fetched.temporary))
            files.append(fetched)
            if order.erase:
                self._erase(added)
            self._heard_s = time.monotonic()  # what it told while it sent stands in a queue
            end = self._heard_s + order.next_file_s
        return files

    def _release(self, order: ShotOrder) -> None:
        end = time.monotonic() + order.first_file_s
        while True:
            try:
                if order.bulb_s is None:
                    self._trigger()
                else:
                    self._expose_bulb(order.bulb_s)
            except DriverError as error:
                if error.code != gp.GP_ERROR_CAMERA_BUSY or time.monotonic() >= end:
                    raise
                self.wait_event(_BUSY_PAUSE_MS)
            else:
                return

    def _trigger(self) -> None:
        with self._calls() as camera, self._log.listening():
            camera.trigger_capture(self._context)
        if refusal := self._log.unreleased():
            code = gp.GP_ERROR_CAMERA_BUSY if refusal == BUSY_REASON else gp.GP_ERROR
            raise DriverError(code, "The order to release was not taken.", (refusal,))

    def _expose_bulb(self, bulb_s: float) -> None:
        """Hold the shutter with the entry that this maker has for it; it is let go on every way out."""
        refused: DriverError | None = None
        for path, presses, releases in _HELD:
            try:
                entry = self.read(path)
                press, release = (
                    next((word for word in words if word in entry.choices), words[0]) for words in (presses, releases)
                )
                self.write(path, press)
            except DriverError as error:
                if error.code == gp.GP_ERROR_CAMERA_BUSY:
                    raise
                # Some bodies list an entry that they do not take; one that they do not list is a bad parameter.
                refused = refused or (error if error.code != gp.GP_ERROR_BAD_PARAMETERS else None)
                continue
            try:
                time.sleep(bulb_s)  # the exposure itself
            finally:
                self.write(path, release)
            return
        raise refused or DriverError(gp.GP_ERROR_NOT_SUPPORTED, "it takes no order to hold its shutter open")

    def let_go(self) -> None:
        """Close a shutter that an earlier library held open; nothing where none is."""
        for path, _, releases in _HELD:
            with contextlib.suppress(DriverError):
                choices = self.read(path).choices
                self.write(path, next((word for word in releases if word in choices), releases[0]))

    def preview(self) -> bytes:
        """One live frame, JPEG."""
        with self._calls() as camera:
            file = gp.CameraFile()
            camera.capture_preview(file, self._context)
            # The view owns nothing: copied while `file` is alive.
            return bytes(memoryview(file.get_data_and_size()))
