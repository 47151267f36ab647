"""``shoot`` and ``run``."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import typer

from capture.app.dry_run import dry_run
from capture.app.flags import with_flags
from capture.app.opening import DeviceNames
from capture.app.output import InterruptedRunError, JsonFlag, Reply, say
from capture.app.session_beginning import shoot_session
from capture.app.session_collecting import check_collectable, collect_after_shooting
from capture.app.session_options import AUTO, ShootFlags
from capture.app.session_plan import wish_for
from capture.app.session_running import Shoot, ShotSession
from capture.app.session_stacking import RunningStacker, stack_session
from capture.app.stack_options import StackFlags, options_to_record
from capture.camera.shutter_camera import PORT as SHUTTER
from capture.errors import SessionError, UsageError
from capture.lengths import parse_length
from capture.session.exposures import Exposures, bracket_times
from capture.session.folder import SessionFolder
from capture.session.log import SessionLog
from capture.session.notify import Notifier
from capture.settings import load_settings
from stacking.errors import RegistrationError, StackingError
from stacking.options import StackOptions

UNSTACKED = {"result": None, "seconds_after_last_frame": None}
"""What `run` has to say of a session whose pictures are not all there."""


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


def shoot(flags: ShootFlags, answer: _Answer) -> Reply:
    """Shoot a stack: frames on disk, nothing stacked."""
    wanted = _wanted(flags, None)
    if flags.dry_run:
        return dry_run(wanted)
    shot = collect_after_shooting(shoot_session(wanted), flags.out, flags.collect)
    return Reply(shot.values, shot.lines)


def run(flags: ShootFlags, stacking: StackFlags, answer: _Answer) -> Reply:
    """Shoot a stack, and merge it: the picture is in DIR/result."""
    from stacking.stack import check_wishes

    options = stacking.options(load_settings(Path.cwd()))
    check_wishes(options)
    wanted = _wanted(flags, options)
    if flags.dry_run:
        return dry_run(wanted)
    with RunningStacker(flags.out, options) as running:
        shot = collect_after_shooting(shoot_session(wanted, (running,)), flags.out, flags.collect)
        if shot.incomplete:
            return Reply(shot.values | UNSTACKED, shot.lines)
        return finish_run(flags.out, shot, options, wanted.notify, running)


def finish_run(
    session: Path, shot: ShotSession, options: StackOptions, notify: str | None, running: RunningStacker | None = None
) -> Reply:
    """Stack a session whose frames are all there, and answer as `run` does; `running`: what saw the frames come."""
    with SessionLog() as log, closing(Notifier(notify, session, say)) as notifier:
        log.write_to(session / "log.txt")
        try:
            with SessionFolder.open(session) as folder:
                stacked = stack_session(folder, options, running)
        except (StackingError, SessionError) as error:
            error.state = f"All {shot.values['frames']} frames are safe in {session}; the rail stands still. {error.state}".strip()
            error.remedy = f"{error.remedy} {_way_on(error, session)}".strip()
            notifier.trouble(error.message)
            raise
        except KeyboardInterrupt:
            raise InterruptedRunError(
                "interrupted while stacking",
                state=f"All {shot.values['frames']} frames are safe in {session}; the rail stands still.",
                remedy=f"Go on with: focusrail resume {session}",
            ) from None
        more = {
            "result": stacked["result"],
            "seconds_after_last_frame": round(time.monotonic() - shot.last_frame_s, 3),
            "stack": stacked,
        }
        notifier.finished(f"{stacked['result']} is done")
    return Reply(shot.values | more, [*shot.lines, f"picture: {stacked['result']} ({stacked['frames_used']} frames)"])


def _way_on(error: Exception, session: Path) -> str:
    """The command that goes on after the picture could not be made."""
    if isinstance(error, RegistrationError):
        # `resume` would do the same once more, and takes no options of the picture
        return f"Options of the picture go to: focusrail stack {session} -o picture.tif"
    return f"Then go on with: focusrail resume {session}"


def _wanted(flags: ShootFlags, options: StackOptions | None) -> Shoot:
    settings = load_settings(Path.cwd())
    beyond = None if flags.never_beyond is None else parse_length(flags.never_beyond, what="--never-beyond")
    check_collectable(settings.choose("camera", flags.camera), flags.collect)
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
        exposures=_exposures(settings.choose("camera", flags.camera), flags),
    )


def _exposures(camera: str | None, flags: ShootFlags) -> Exposures:
    """What is exposed at each position.

    Raises
    ------
    UsageError
    """
    exposures = Exposures(flags.shots, bracket_times(flags.bracket))
    if exposures.bracket and flags.shutter is not None:
        raise UsageError("--bracket sets the shutter itself", remedy="Leave --shutter out.")
    if exposures.count > 1 and camera == SHUTTER:
        raise UsageError(
            "--shots and --bracket need a camera that can be asked: those of a shutter release are matched one to a position",
            remedy="Leave them out, or connect the camera.",
        )
    return exposures
