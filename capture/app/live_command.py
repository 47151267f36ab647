"""``live``: what is in focus now, with focus peaking, while the user jogs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from capture.app.flags import with_flags
from capture.app.live_options import LiveFlags
from capture.app.opening import DeviceNames, apply_camera_settings, held_camera, looking_devices
from capture.app.output import InterruptedRunError, Reply
from capture.camera.protocol import Camera
from capture.errors import UsageError
from capture.lengths import Length, parse_length
from capture.session.plan import check_ends
from capture.settings import load_settings
from rail.axis import Axis, AxisUnit

if TYPE_CHECKING:  # array libraries are loaded by the commands that need them
    from capture.app.live_show import Shown
    from capture.focus.peaking import Zones

_DEFAULT_STEP = {AxisUnit.UM: 20.0, AxisUnit.STEP: 5.0}


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("live", epilog="Example: focusrail live --rail /dev/ttyUSB0 --camera usb: --step 20um")(
        with_flags(live, LiveFlags)
    )


def live(flags: LiveFlags) -> Reply:
    """Show what is in focus now, in colour over the live picture, while you jog.

    Keys: left/right or j/k jog, up/down or +/- change the distance, space stops, n and f mark near and far end, q ends.
    """
    from capture.app.live_show import Shown

    _check(flags)
    settings = load_settings(Path.cwd())
    with ExitStack() as stack:
        exposure = {"iso": flags.iso, "shutter": flags.shutter, "aperture": flags.aperture}
        axis: Axis | None = None
        if settings.choose("rail", flags.rail) is None:
            camera: Camera = stack.enter_context(held_camera(settings, flags.camera))
            apply_camera_settings(camera, settings, exposure)
        else:
            names = DeviceNames.chosen(settings, flags.rail, flags.profile, flags.camera)
            looking = looking_devices(settings, names, flags.origin, exposure, positioned=False)
            axis, camera = stack.enter_context(looking)
        unit = AxisUnit.UM if axis is None else axis.capabilities.unit
        zones, jog = _zones(flags, unit), _length(flags.jog, "--jog", unit)
        shown = Shown(flags, axis, zones, jog or _DEFAULT_STEP[unit])
        begun_s = time.monotonic()
        try:
            with _live(camera, flags.magnify) as frames:
                shown.run(frames)
        except KeyboardInterrupt:
            where = "" if axis is None else " Motion is stopped."
            raise InterruptedRunError(
                "interrupted",
                state=f"Live view is off after {shown.number} frames.{where}",
                remedy="",
            ) from None
        return _reply(flags, shown, time.monotonic() - begun_s)


def _reply(flags: LiveFlags, shown: Shown, seconds: float) -> Reply:
    values = dict(shown.values)
    values |= {
        "frames": shown.number,
        "seconds": round(seconds, 3),
        "frames_per_s": round(shown.number / seconds, 2) if seconds > 0 else None,
        "ended_by": shown.ended_by,
        "file": None if flags.output is None else str(flags.output.resolve()),
        "folder": None if flags.frames is None else str(flags.frames.resolve()),
    }
    return Reply({} if flags.jsonl else values, shown.lines())


def _check(flags: LiveFlags) -> None:
    """Refuse what cannot be before anything is opened."""
    if flags.jsonl and flags.json_output:
        raise UsageError("--json and --jsonl both write to stdout", remedy="Give one of them.")
    if flags.show not in {"auto", "kitty", "iterm", "sixel", "blocks", "window", "none"}:
        raise UsageError(
            f"there is no way to show a picture called '{flags.show}'",
            remedy="Give auto, kitty, iterm, sixel, blocks, window or none.",
        )
    if flags.output is not None:
        if flags.output.exists() and not flags.force:
            raise UsageError(f"{flags.output} exists", remedy="Give another name, or --force to write over it.")
        if flags.output.suffix.lower() not in {".jpg", ".jpeg", ".png"}:
            raise UsageError(f"{flags.output} is no picture's name", remedy="End it with .jpg or .png.")
    for name in ("near", "far", "step", "dof", "jog"):
        text = getattr(flags, name)
        if text is not None:
            length = parse_length(text, what=f"--{name}")
            if name in {"step", "dof", "jog"} and length.value <= 0:
                raise UsageError(f"--{name} must be greater than zero", remedy="Give it for example as 20um.")
    if flags.near is not None and flags.far is not None:
        near, far = parse_length(flags.near, what="--near"), parse_length(flags.far, what="--far")
        if near.unit is not far.unit:
            raise UsageError("near and far do not count the same", remedy="Give both in um (or mm), or both in st.")
        check_ends(near.value, far.value)


def _zones(flags: LiveFlags, unit: AxisUnit) -> Zones:
    from capture.focus.peaking import Zones

    values = [_length(getattr(flags, name), f"--{name}", unit) for name in ("near", "far", "step", "dof")]
    return Zones(*values)


def _length(text: str | None, what: str, unit: AxisUnit) -> float | None:
    if text is None:
        return None
    length: Length = parse_length(text, what=what)
    if length.unit is not unit:
        raise UsageError(f"{what} counts in {length.unit.value}, the axis in {unit.value}", remedy="Use its unit.")
    return length.value


@contextmanager
def _live(camera: Any, magnify: str | None) -> Iterator[Iterator[Any]]:
    with camera.live() as frames:
        if magnify is None:
            yield frames
            return
        next(frames)
        with camera.magnified(magnify):
            next(frames)  # which may have been on its way
            yield frames
