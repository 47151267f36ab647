"""``shoot``, ``run`` and ``control``."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from capture.app.flags import with_flags
from capture.app.opening import Origin, apply_camera_settings, open_rail, set_origin
from capture.app.output import InterruptedRunError, JsonFlag, Reply
from capture.app.session_options import AUTO, ShootFlags
from capture.app.session_plan import expected_s, wish_for
from capture.app.session_running import (
    DeviceNames,
    Shoot,
    check_ready,
    ends_of,
    open_devices,
    plan_of,
    shoot_session,
)
from capture.app.session_stacking import stack_session
from capture.app.stack_options import StackFlags, options_to_record
from capture.camera.protocol import FileFormat
from capture.errors import UsageError
from capture.lengths import parse_length
from capture.session.bug_report import pack_bug_report
from capture.session.control import Order, send_order
from capture.session.folder import SessionFolder, check_new_folder
from capture.session.notify import Notifier
from capture.session.plan import StackPlan
from capture.session.preflight import preflight
from capture.session.targets import check_plan
from capture.settings import load_settings
from stacking.options import StackOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """How to answer."""

    json_output: JsonFlag = False


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    app.command(
        "shoot",
        epilog="Example: focusrail shoot --rail /dev/ttyUSB0 --origin here --near 0 --far 2mm --step 50um --out beetle",
    )(with_flags(shoot, ShootFlags, _Answer))
    app.command(
        "run",
        epilog="Example: focusrail run --rail /dev/ttyUSB0 --origin here --near 0 --far 2mm -m 2 -f 5.6 --out beetle",
    )(with_flags(run, ShootFlags, StackFlags, _Answer))
    app.command("control", epilog="Example: focusrail control beetle pause")(control)
    app.command("report-bug", epilog="Example: focusrail report-bug beetle")(report_bug)


def shoot(flags: ShootFlags, answer: _Answer) -> Reply:
    """Shoot a stack: frames on disk, nothing stacked."""
    wanted = _wanted(flags, None)
    if flags.dry_run:
        return dry_run_reply(wanted)
    shot = shoot_session(wanted)
    return Reply(shot.values, shot.lines)


def run(flags: ShootFlags, stacking: StackFlags, answer: _Answer) -> Reply:
    """Shoot a stack, and merge it: the picture is in DIR/result."""
    options = stacking.options(load_settings(Path.cwd()))
    wanted = _wanted(flags, options)
    if flags.dry_run:
        return dry_run_reply(wanted)
    shot = shoot_session(wanted)
    return finish_run(flags.out, shot.values, shot.lines, options, shot.last_frame_s, wanted.notify)


def finish_run(
    session: Path,
    values: dict[str, Any],
    lines: list[str],
    options: StackOptions,
    last_frame_s: float,
    notify: str | None,
) -> Reply:
    """Stack a session whose frames are all there, and answer as `run` does."""
    notifier = Notifier(notify, session)
    try:
        with SessionFolder.open(session) as folder:
            stacked = stack_session(folder, options)
    except KeyboardInterrupt:
        raise InterruptedRunError(
            "interrupted while stacking",
            state=f"All {values['frames']} frames are safe in {session}; the rail stands still.",
            remedy=f"Go on with: focusrail resume {session}",
        ) from None
    more = {
        "result": stacked["result"],
        "seconds_after_last_frame": round(time.monotonic() - last_frame_s, 3),
        "stack": stacked,
    }
    notifier.finished(f"{stacked['result']} is done")
    notifier.close()
    return Reply(values | more, [*lines, f"picture: {stacked['result']} ({stacked['frames_used']} frames)"])


def _wanted(flags: ShootFlags, options: StackOptions | None) -> Shoot:
    settings = load_settings(Path.cwd())
    beyond = None if flags.never_beyond is None else parse_length(flags.never_beyond, what="--never-beyond")
    wish = wish_for(settings, flags)
    units = {length.unit for length in (wish.near, wish.far, wish.step) if length is not None}
    if beyond is not None and units - {beyond.unit}:
        raise UsageError("--never-beyond does not count as near and far do", remedy="Give all in um, or all in st.")
    return Shoot(
        settings=settings,
        out=flags.out,
        devices=DeviceNames.chosen(settings, flags.rail, flags.profile, flags.camera),
        plan=wish.plan or wish,
        origin=flags.origin,
        after=flags.after,
        camera_settings=flags.camera_settings,
        stack=None if options is None else options_to_record(options),
        never_beyond=None if beyond is None else beyond.value,
        notify=settings.choose("notify", flags.notify),
        log_wire=flags.log_wire,
        repair=wish.plan is None if flags.repair is None else flags.repair,
        reshoot=flags.repair is not False,
        focus=wish.focus,
        step_given=flags.step not in (None, AUTO),
    )


def dry_run_reply(wanted: Shoot) -> Reply:
    """The plan in words, checked against the rail where one is named; nothing moves, unless something of the plan is to be found."""
    check_new_folder(wanted.out)
    focus: dict[str, Any] = {}
    if isinstance(wanted.plan, StackPlan):
        plan = wanted.plan
        checks = preflight(plan, wanted.out, None, None, FileFormat.RAW)
        if wanted.devices.rail is not None:
            with open_rail(wanted.settings, wanted.devices.rail, wanted.devices.profile, wanted.devices.camera) as axis:
                axis.keep_below(wanted.never_beyond)
                if wanted.origin is Origin.KEEP:
                    check_ready(plan, axis)
                else:
                    check_plan(plan, axis)
                checks = preflight(plan, wanted.out, axis, None, FileFormat.RAW)
    else:
        with open_devices(wanted.settings, wanted.devices) as devices:
            if wanted.origin is Origin.KEEP:
                check_ready(None, devices.axis)
            apply_camera_settings(devices.camera, wanted.settings, wanted.camera_settings)
            set_origin(devices.axis, wanted.origin, ends=ends_of(wanted.plan))
            devices.axis.keep_below(wanted.never_beyond)
            found = plan_of(wanted.plan, devices.axis, devices.camera)
            plan, focus = found.plan, found.focus
            checks = preflight(plan, wanted.out, devices.axis, devices.camera, FileFormat.RAW)
    values: dict[str, Any] = {
        "session": None,
        "planned": plan.count,
        "frames": 0,
        "added": 0,
        "reshot": 0,
        "left_out": [],
        "coverage": None,
        "positions": list(plan.positions),
        "near": plan.near,
        "far": plan.far,
        "step": plan.step,
        "settle_s": plan.settle_s,
        "unit": plan.unit.value,
        "expected_s": round(expected_s(plan), 1),
        "focus": focus or None,
        "preflight": [check.values() for check in checks],
    }
    unit = plan.unit.value
    lines = [
        f"{plan.count} frames from {plan.near:g} to {plan.far:g} {unit}, step {plan.step:g} {unit}, "
        f"about {expected_s(plan) / 60:.1f} min"
    ]
    lines += [check.message if check.passed else f"{check.message} {check.remedy}" for check in checks]
    return Reply(values, lines)


def control(
    session: Annotated[Path, typer.Argument(help="Folder of a session that is being shot.", metavar="DIR")],
    order: Annotated[Order, typer.Argument(help="What it is to do.")],
    distance: Annotated[str | None, typer.Argument(help="With extend: by how much, for example 200um.")] = None,
    json_output: JsonFlag = False,
) -> Reply:
    """Tell a session that runs to pause, go on, stop after this frame, or extend its far end."""
    length = None if distance is None else parse_length(distance, what="the distance").value
    send_order(session, order, length)
    return Reply({"session": str(session.resolve()), "order": order.value}, [f"told {session}: {order.value}"])


def report_bug(
    session: Annotated[Path, typer.Argument(help="Folder of the session that went wrong.", metavar="DIR")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Archive to write (default: DIR-report.zip here).")
    ] = None,
    json_output: JsonFlag = False,
) -> Reply:
    """Pack what a maintainer needs of a session, without its pictures: journal, log, versions, settings."""
    archive = Path(f"{session.resolve().name}-report.zip") if output is None else output
    listing = {name: entry.value for name, entry in load_settings(Path.cwd()).listing().items()}
    names = pack_bug_report(session, archive, listing)
    return Reply(
        {"report": str(archive.resolve()), "files": names},
        [f"{archive}: {', '.join(names)}", "look through it, then send it"],
    )
