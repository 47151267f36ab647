"""``rail``: the axis alone."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from capture.app import calibrate_commands, calibrate_target
from capture.app.holding import end_holder
from capture.app.opening import Origin, held_controller, held_rail, set_origin, standing_part
from capture.app.output import InterruptedRunError, JsonFlag, Reply, say
from capture.app.rail_calibrate import calibrate_group
from capture.errors import UsageError
from capture.lengths import parse_length
from capture.settings import load_settings
from rail.axis import Axis, AxisStatus, AxisUnit
from rail.grbl.homing import HomingAxis

RailOption = Annotated[str | None, typer.Option("--rail", help="Rail port: /dev/ttyUSB0, socket://host:port, lens:.")]
ProfileOption = Annotated[str | None, typer.Option("--profile", help="Rail profile: a name or a TOML file.")]
CameraOption = Annotated[
    str | None, typer.Option("--camera", help="With --rail lens: the camera whose lens it is, as for `camera`.")
]
# a negative position looks like an option; nothing else of these commands does
_NEGATIVE = {"ignore_unknown_options": True}


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    example = "Example: focusrail rail {} --rail /dev/ttyUSB0"
    group = typer.Typer(
        help="The rail alone: where it is, move it, stop it.", epilog=example.format("status"), no_args_is_help=True
    )
    group.command("status", epilog=example.format("status"))(status)
    group.command("home", epilog=example.format("home"))(home)
    group.command("zero", epilog=example.format("zero"))(zero)
    group.command("unlock", epilog=example.format("unlock"))(unlock)
    group.command("move", epilog=example.format("move -7000um"), context_settings=_NEGATIVE)(move)
    group.command("jog", epilog=example.format("jog 0.5mm"), context_settings=_NEGATIVE)(jog)
    group.command("stop", epilog=example.format("stop"))(stop)
    group.command("settings", epilog=example.format("settings --profile t8-lead2 --write"))(settings)
    group.command("doctor", epilog=example.format("doctor"))(doctor)
    calibrate = calibrate_group()
    calibrate_commands.register(calibrate)
    calibrate_target.register(calibrate)
    group.add_typer(calibrate, name="calibrate")
    app.add_typer(group, name="rail")


def status_values(status: AxisStatus, unit: AxisUnit) -> dict[str, Any]:
    """An axis's status under the contract's keys."""
    in_um = unit is AxisUnit.UM
    return {
        "position_um": status.position if in_um else None,
        "position_steps": None if in_um else status.position,
        "state": status.state.value,
        "position_known": status.position_known,
        "homed": status.homed,
    }


def status_reply(status: AxisStatus, unit: AxisUnit) -> Reply:
    """The status as an answer."""
    known = "" if status.position_known else ", position unknown: home or zero the rail"
    where = "" if status.position is None else f" at {status.position:g} {unit.value}"
    return Reply(
        status_values(status, unit), [f"{status.state.value}{where}{known}{', homed' if status.homed else ''}"]
    )


def _with_axis(
    rail: str | None, profile: str | None, camera: str | None, action: Callable[[Axis], AxisStatus]
) -> Reply:
    with held_rail(load_settings(Path.cwd()), rail, profile, camera) as axis:
        unit = axis.capabilities.unit
        try:
            return status_reply(action(axis), unit)
        except KeyboardInterrupt:
            stopped = axis.stop()
            where = "at an unknown position" if stopped.position is None else f"at {stopped.position:g} {unit.value}"
            state = f"Motion is stopped, the {standing_part(axis)} stands {where}."
            raise InterruptedRunError("interrupted", state=state, remedy="") from None


def status(
    rail: RailOption = None,
    profile: ProfileOption = None,
    camera: CameraOption = None,
    json_output: JsonFlag = False,
) -> Reply:
    """Where the carriage is, and what the controller is doing."""
    with held_rail(load_settings(Path.cwd()), rail, profile, camera) as axis:
        return status_reply(axis.status(), axis.capabilities.unit)


def home(
    rail: RailOption = None,
    profile: ProfileOption = None,
    camera: CameraOption = None,
    json_output: JsonFlag = False,
) -> Reply:
    """Find the end switch; its position becomes the origin. Tells how far off it was, where the position came from it before."""
    found: dict[str, Any] = {"switch_shift_um": None, "notices": []}

    def find(axis: Axis) -> AxisStatus:
        status = axis.home()
        if isinstance(axis, HomingAxis):
            found.update(switch_shift_um=axis.switch_shift_um, notices=list(axis.notices))
        return status

    reply = _with_axis(rail, profile, camera, find)
    return replace(reply, values={**reply.values, **found})


def zero(
    rail: RailOption = None,
    profile: ProfileOption = None,
    camera: CameraOption = None,
    json_output: JsonFlag = False,
) -> Reply:
    """Call the present position 0."""
    return _with_axis(rail, profile, camera, lambda axis: axis.zero())


def unlock(
    rail: RailOption = None,
    profile: ProfileOption = None,
    camera: CameraOption = None,
    json_output: JsonFlag = False,
) -> Reply:
    """Leave an alarm."""
    return _with_axis(rail, profile, camera, lambda axis: axis.unlock())


def move(
    position: Annotated[str, typer.Argument(help="Target, for example 1200um, -0.5mm; grows towards the subject.")],
    rail: RailOption = None,
    profile: ProfileOption = None,
    camera: CameraOption = None,
    origin: Annotated[Origin, typer.Option("--origin", help="keep; here: zero first; home: home first.")] = Origin.KEEP,
    json_output: JsonFlag = False,
) -> Reply:
    """Go to a position and wait until the carriage stands still there."""
    target = parse_length(position, what="position")

    def go(axis: Axis) -> AxisStatus:
        _same_unit(axis, target.unit)
        set_origin(axis, origin, ends=(target.value,))
        return axis.move_to(target.value)

    return _with_axis(rail, profile, camera, go)


def jog(
    distance: Annotated[str, typer.Argument(help="Distance, for example 0.5mm or -100um.")],
    rail: RailOption = None,
    profile: ProfileOption = None,
    camera: CameraOption = None,
    json_output: JsonFlag = False,
) -> Reply:
    """Move by a distance; allowed while the position is unknown."""
    length = parse_length(distance, what="distance")

    def go(axis: Axis) -> AxisStatus:
        _same_unit(axis, length.unit)
        return axis.jog(length.value)

    return _with_axis(rail, profile, camera, go)


def stop(
    rail: RailOption = None,
    profile: ProfileOption = None,
    camera: CameraOption = None,
    json_output: JsonFlag = False,
) -> Reply:
    """Stop motion at once, also that of another focusrail: it is told to end (SIGTERM), which stops the motion first."""
    ended = end_holder(load_settings(Path.cwd()), rail)
    reply = _with_axis(rail, profile, camera, lambda axis: axis.stop())
    lines = [f"process {ended} was told to end, and has stopped"] if ended is not None else []
    return replace(reply, values={**reply.values, "ended_process": ended}, lines=[*lines, *reply.lines])


def _same_unit(axis: Axis, unit: AxisUnit) -> None:
    if axis.capabilities.unit is not unit:
        own = axis.capabilities.unit.value
        raise UsageError(f"this axis counts in {own}, not in {unit.value}", remedy=f"Write the length in {own}.")


def settings(
    rail: RailOption = None,
    profile: ProfileOption = None,
    write: Annotated[
        bool, typer.Option("--write", help="Write what differs from the profile, after a question.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --write: do not ask.")] = False,
    json_output: JsonFlag = False,
) -> Reply:
    """The controller's own settings, what the profile would change in them, and with --write the change."""
    from rail.opening import compare, describe_settings

    with held_controller(load_settings(Path.cwd()), rail, profile) as axis:
        found = describe_settings(axis)
        differing = compare(axis)
        rows = [
            f"{c.name:32} {c.now:g} -> {c.wanted:.3f}".rstrip("0").rstrip(".") + f"  {c.meaning}" for c in differing
        ]
        hint, written = "", False
        if write and differing:
            say(f"profile {axis.profile.name!r} changes:")
            for row in rows:
                say(f"  {row}")
            if not yes:
                _agreed(json_output=json_output)
            hint = axis.write(differing)
            found, written = describe_settings(axis), True
        values = status_values(axis.status(), axis.capabilities.unit)
        name = axis.profile.name
    lines = [f"{key}={entry['value']:<12} {entry['meaning']}" for key, entry in found.items()]
    if written:
        lines += [f"{len(differing)} settings written and read back", *([hint] if hint else [])]
    elif differing:
        lines += [f"profile {name!r} would change (--write):", *rows]
    else:
        lines.append(f"nothing differs from profile {name!r}")
    changes = [{"name": c.name, "now": c.now, "wanted": c.wanted, "meaning": c.meaning} for c in differing]
    return Reply({**values, "settings": found, "changes": changes, "written": written, "hint": hint}, lines)


def _agreed(*, json_output: bool) -> None:
    if json_output or not sys.stdin.isatty():
        raise UsageError(
            "settings are only written after a question, and nobody can be asked here",
            remedy="Look at the differences (`focusrail rail settings`), then add --yes.",
        )
    if not typer.confirm("Write them to the controller?", err=True):
        raise UsageError("nothing was written", remedy="Say y, or change the profile first.")


def doctor(rail: RailOption = None, profile: ProfileOption = None, json_output: JsonFlag = False) -> Reply:
    """What is wrong with the controller's set-up, and how to mend it."""
    from rail.opening import examine

    with held_controller(load_settings(Path.cwd()), rail, profile) as axis:
        findings = examine(axis)
        values = status_values(axis.status(), axis.capabilities.unit)
        who, resets, name = axis.identity, axis.reset_on_open, axis.profile.name
    lines = [f"{finding['severity']:8} {finding['message']} {finding['remedy']}" for finding in findings]
    healthy = not any(finding["severity"] == "wrong" for finding in findings)
    head = f"{who.name} ({who.version}), profile {name!r}; opening its port " + (
        "restarts it" if resets else "left it running, so separate commands keep the position"
    )
    controller = {"name": who.name, "dialect": who.dialect, "version": who.version}
    return Reply(
        {**values, "findings": findings, "healthy": healthy, "controller": controller, "resets_on_open": resets},
        [head, *(lines or ["nothing is wrong"])],
    )
