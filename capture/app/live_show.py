"""The run of ``live``: frames in, pictures and numbers out, keys to jogs."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

import cv2

from capture.app.live_jogging import Jogging
from capture.app.live_keys import Keys
from capture.app.live_options import LiveFlags
from capture.app.output import say
from capture.app.terminal_picture import Graphics, graphics_of, render
from capture.camera.protocol import LiveFrame
from capture.errors import UsageError
from capture.focus.peaking import Peaking, Zones
from capture.focus.peaking_stream import PeakedFrame, peaked_frames
from rail.axis import Axis

_WINDOW = "focusrail live"
_STATUS_LINES = 3
_LARGER = 2.0
_WARM_UP = 4
_BAR = 20
_KEYS = "left/right jog   up/down distance   space stop   n near   f far   q end"


class Shown:
    """Shows frames until a bound, a key, or Ctrl-C.

    Parameters
    ----------
    flags : LiveFlags
    axis : Axis or None
    zones : Zones
    jog : float
        Distance of one press, in the axis's unit.

    Attributes
    ----------
    number : int
        Frames so far.
    ended_by : str
        ``count``, ``time``, ``key``, ``window`` or ``frame`` (one frame into a file).
    """

    def __init__(self, flags: LiveFlags, axis: Axis | None, zones: Zones, jog: float) -> None:
        self._flags = flags
        self._axis = axis
        self._peaking = Peaking(zones)
        self._jog = jog
        self._unit = "um" if axis is None else axis.capabilities.unit.value
        self.number = 0
        self.ended_by = ""
        self._last: PeakedFrame | None = None
        self._how = self._chosen()
        self._drawn = False

    @property
    def values(self) -> dict[str, Any]:
        """The last frame's numbers, and the ends that were marked."""
        if self._last is None:
            return {}
        facts = {name: value for name, value in self._last.facts.items() if name not in {"frame", "arrived_s"}}
        suffix = "um" if self._unit == "um" else "steps"
        return facts | {f"near_{suffix}": self._peaking.zones.near, f"far_{suffix}": self._peaking.zones.far}

    def lines(self) -> list[str]:
        """The same in words."""
        if self._last is None:
            return ["no frame came"]
        zones = self._peaking.zones
        marks = [
            f"{name} {end:.1f} {self._unit}"
            for name, end in (("near", zones.near), ("far", zones.far))
            if end is not None
        ]
        files = [str(path) for path in (self._flags.output, self._flags.frames) if path is not None]
        return [self._words(self._last), *([", ".join(marks)] if marks else []), *files]

    def run(self, frames: Iterator[LiveFrame]) -> None:
        """Show `frames`; motion is stopped and the terminal put right on every way out.

        Raises
        ------
        UsageError
            A file cannot be written.
        CaptureError
        """
        begun_s = time.monotonic()
        with ExitStack() as stack:
            keys = stack.enter_context(Keys())
            jogging = stack.enter_context(Jogging(self._axis))
            index = stack.enter_context(self._index()) if self._flags.frames is not None else None
            stack.callback(self._tidy)
            if keys.there:
                say(_KEYS if self._axis is not None else "q ends")
            for frame in peaked_frames(frames, self._peaking, jogging.position, unit=self._unit):
                self.number, self._last = frame.number, frame
                self._give_out(frame, index)
                self._show(frame, jogging)
                for key in keys.pressed():
                    self._act(key, jogging)
                self._bound(begun_s)
                if self.ended_by:
                    break
            if self._flags.output is not None and self._last is not None:
                _write(self._flags.output, self._last)

    def _bound(self, begun_s: float) -> None:
        flags = self._flags
        if flags.count is not None and self.number >= flags.count:
            self.ended_by = "count"
        elif flags.seconds is not None and time.monotonic() - begun_s >= flags.seconds:
            self.ended_by = "time"
        elif flags.output is not None and flags.count is None and flags.seconds is None and self.number >= _WARM_UP:
            self.ended_by = "frame"  # a few frames tell the noise

    def _act(self, key: str, jogging: Jogging) -> None:
        zones = self._peaking.zones
        match key:
            case "q" | "Q":
                self.ended_by = "key"
            case "left" | "j" | "h":
                jogging.by(-self._jog)
            case "right" | "k" | "l":
                jogging.by(self._jog)
            case "up" | "+":
                self._jog *= _LARGER
            case "down" | "-":
                self._jog /= _LARGER
            case " ":
                jogging.stop()
            case "n":
                self._peaking.zones = replace(zones, near=jogging.position())
            case "f":
                self._peaking.zones = replace(zones, far=jogging.position())

    def _give_out(self, frame: PeakedFrame, index: TextIO | None) -> None:
        if index is not None and self._flags.frames is not None:
            name = f"live-{frame.number:06d}.jpg"
            try:
                (self._flags.frames / name).write_bytes(frame.jpeg())
                index.write(json.dumps({"file": name, **frame.facts}) + "\n")
                index.flush()
            except OSError as error:
                raise UsageError(
                    f"{self._flags.frames} cannot be written: {error.strerror}",
                    remedy="Make room, or choose another folder.",
                ) from error
        if self._flags.jsonl:
            sys.stdout.write(json.dumps(frame.facts) + "\n")
            sys.stdout.flush()

    def _index(self) -> TextIO:
        folder = self._flags.frames
        assert folder is not None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not self._flags.force and next(folder.glob("live-*.jpg"), None) is not None:
                raise UsageError(f"{folder} holds frames already", remedy="Give another folder, or --force.")
            return (folder / "frames.jsonl").open("w", encoding="utf-8")
        except OSError as error:
            raise UsageError(
                f"{folder} cannot be written: {error.strerror}", remedy="Choose a folder that may be written."
            ) from error

    # -- the picture --------------------------------------------------------------------------------------------------

    def _chosen(self) -> str:
        show = self._flags.show
        if show == "window" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            # asked before: without a display the toolkit ends the process
            raise UsageError(
                "there is no display for a window", remedy="Give --show blocks, or -o FILE, or --frames FOLDER."
            )
        if show != "auto":
            return show
        if (
            self._flags.json_output
            or self._flags.jsonl
            or self._flags.output is not None
            or self._flags.frames is not None
        ):
            return "none"
        if sys.stderr.isatty():
            return graphics_of(os.environ).value
        return "none"

    def _show(self, frame: PeakedFrame, jogging: Jogging) -> None:
        if self._how == "none":
            return
        if self._how == "window":
            self._show_window(frame)
            return
        columns, rows = shutil.get_terminal_size((80, 24))
        true_color = os.environ.get("COLORTERM", "") in {"truecolor", "24bit"}
        picture = render(
            frame.picture, Graphics(self._how), columns, max(rows - _STATUS_LINES, 4), true_color=true_color
        )
        status = f"\x1b[{max(rows - 1, 1)};1H\x1b[K{self._words(frame)}   jog {self._jog:g} {self._unit}"
        if jogging.message:
            status += f"\r\n\x1b[K{jogging.message}"[: columns + 8]
        # the whole frame at once, so that nothing flickers
        sys.stderr.write(("" if self._drawn else "\x1b[2J\x1b[?25l") + picture + status)
        sys.stderr.flush()
        self._drawn = True

    def _show_window(self, frame: PeakedFrame) -> None:
        try:
            cv2.imshow(_WINDOW, frame.picture)
            pressed = cv2.waitKey(1) & 0xFF
            self._drawn = True
        except cv2.error as error:
            raise UsageError(
                "there is no display for a window", remedy="Give --show blocks, or -o FILE, or --frames FOLDER."
            ) from error
        if pressed in {ord("q"), 27}:
            self.ended_by = "window"

    def _tidy(self) -> None:
        if not self._drawn:
            return
        if self._how == "window":
            cv2.destroyAllWindows()
        else:
            sys.stderr.write("\x1b[0m\x1b[?25h\r\n")
            sys.stderr.flush()

    def _words(self, frame: PeakedFrame) -> str:
        peaks = frame.peaks
        share = peaks.sharpness / peaks.best if peaks.best > 0 else 0.0
        bar = "#" * round(_BAR * share) + "." * (_BAR - round(_BAR * share))
        where = "" if peaks.position is None else f"at {peaks.position:.1f} {self._unit}   "
        best = "" if peaks.best_position is None else f", best at {peaks.best_position:.1f}"
        return f"{where}in focus {peaks.share:.1%}   sharpness [{bar}] {share:.0%} of the best{best}"


def _write(path: Path, frame: PeakedFrame) -> None:
    beside = path.with_name(f".{path.name}.part")
    done, encoded = cv2.imencode(path.suffix.lower(), frame.picture)
    assert done
    try:
        beside.write_bytes(bytes(encoded))
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise UsageError(
            f"{path} cannot be written: {error.strerror}", remedy="Choose a folder that may be written."
        ) from error
