"""``resume``: a session that stopped anywhere is gone on with."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from capture.app.flags import with_flags
from capture.app.opening import DeviceNames, Origin, release_autofocus
from capture.app.output import JsonFlag, Reply, say
from capture.app.session_beginning import clear_the_way, refuse_unready, shoot_in
from capture.app.session_collecting import certify_frames, collect_session, how_to_collect
from capture.app.session_commands import UNSTACKED, finish_run
from capture.app.session_options import ResumeFlags
from capture.app.session_plan import PlanWish
from capture.app.session_position import establish_position
from capture.app.session_running import KEPT_ROLES, Devices, Shoot, ShotSession, open_devices, outcome_values
from capture.app.session_stacking import RunningStacker, over_what_is_outdated, picture_of
from capture.app.stack_options import options_from_record
from capture.camera.protocol import Camera, FileFormat
from capture.camera.shutter_camera import PORT as SHUTTER
from capture.camera.values import same
from capture.errors import CameraError, CameraSettingError, CaptureError, SessionError
from capture.session.folder import SessionFolder
from capture.session.preflight import preflight
from capture.session.reconcile import reconcile
from capture.session.records import EventKind, SessionState, Verdict, reshot
from capture.session.shooting import AfterShooting, ShootOutcome
from capture.session.targets import targets_of
from capture.session.watching import Companion
from capture.settings import Settings, load_settings
from rail.errors import RailError


@dataclass(frozen=True, slots=True, kw_only=True)
class _Which:
    """The session, and how to answer."""

    session: Annotated[Path, typer.Argument(help="Session folder to go on with.", metavar="DIR")]
    json_output: JsonFlag = False


def register(app: typer.Typer) -> None:
    """Add the command of this module to `app`."""
    app.command("resume", epilog="Example: focusrail resume beetle --origin images")(
        with_flags(resume, _Which, ResumeFlags)
    )


def resume(which: _Which, flags: ResumeFlags) -> Reply:
    """Go on with a session that stopped anywhere: what is there is checked, what is missing is shot, then stacked."""
    settings = load_settings(Path.cwd())
    with ExitStack() as stack:
        with SessionFolder.open(which.session) as folder:
            opened = dict(folder.journal.opened())
            options = None if opened.get("stack") is None else options_from_record(opened["stack"])
            if folder.read_only:
                return _finished_there(folder, stacked=options is not None)
            wanted = _wanted(settings, folder, opened, flags)
            if options is not None and _result(folder) is None:
                from stacking.stack import check_wishes

                check_wishes(over_what_is_outdated(folder, options))
            was = folder.state
            for note in reconcile(folder).notes:
                say(note)
            missing = _missing(folder)
            running = None
            if flags.collect is not None:
                shot = collect_session(folder, flags.collect, _as_it_is(folder))
                missing = _missing(folder)
            elif missing is None or missing:
                if options is not None:
                    running = stack.enter_context(RunningStacker(which.session, options))
                companions = () if running is None else (running,)
                shot = _go_on(folder, opened, wanted, flags, was, missing, companions)
            else:
                finished = was is SessionState.FINISHED
                shot = _as_it_is(folder) if finished else _judged(folder, opened, wanted, flags, was)
            result = _result(folder)
        if shot.incomplete:
            unstacked = {} if options is None else UNSTACKED
            return Reply({**shot.values, **unstacked}, [*shot.lines, *_left_to_do(which.session, shot)])
        if options is None or (not missing and result is not None):
            more = {} if options is None else {"result": result, "seconds_after_last_frame": 0.0}
            return Reply({**shot.values, **more}, shot.lines)
        return finish_run(which.session, shot, options, wanted.notify, running)


def _finished_there(folder: SessionFolder, *, stacked: bool) -> Reply:
    """The answer for a session that lies where nothing may be written: as it is, where it is finished.

    Raises
    ------
    SessionError
        Where something is left to do.
    """
    missing, result = _missing(folder), _result(folder)
    left = ["its plan was not found yet"] if missing is None else []
    left += [f"{len(missing)} of its frames are missing"] if missing else []
    if not left and folder.state is not SessionState.FINISHED:
        left = ["its frames were not judged yet"]
    if stacked and result is None:
        left.append("its picture is not made")
    if left:
        raise SessionError(
            f"{folder.path} may not be written, and is not finished: {' and '.join(left)}",
            remedy="Make its folder and disk writable, or copy the whole folder to where it is; then resume again.",
            state="Nothing was changed, nothing has moved.",
        )
    shot = _as_it_is(folder)
    more = {"result": result, "seconds_after_last_frame": 0.0} if stacked else {}
    return Reply({**shot.values, **more}, [*shot.lines, "it is finished, and in a folder that may not be written"])


def _left_to_do(session: Path, shot: ShotSession) -> list[str]:
    return [how_to_collect(session, shot.values["to_collect"])] if shot.values["to_collect"] else []


def _wanted(settings: Settings, folder: SessionFolder, opened: dict[str, Any], flags: ResumeFlags) -> Shoot:
    rail, camera = opened["devices"]["rail"], opened["devices"]["camera"]
    names = DeviceNames(
        flags.rail or rail["port"] or settings.choose("rail", None),
        flags.profile or rail["profile"] or settings.choose("profile", None),
        flags.camera or camera["port"] or settings.choose("camera", None),
    )
    wish = None if folder.planned else PlanWish.recorded(opened["wish"])
    return Shoot(
        settings=settings,
        out=folder.path,
        devices=names,
        plan=folder.plan if wish is None else wish,
        origin=Origin.KEEP,
        after=AfterShooting(opened.get("after", AfterShooting.NEAR.value)),
        camera_settings={},
        stack=opened.get("stack"),
        never_beyond=opened.get("never_beyond"),
        notify=settings.choose("notify", flags.notify),
        log_wire=flags.log_wire,
        repair=bool(opened.get("repair", False)),
        reshoot=bool(opened.get("reshoot", True)),
        focus=None if wish is None else wish.focus,
        step_given=bool(opened.get("step_given", True)),
    )


def _missing(folder: SessionFolder) -> list[int] | None:
    """Frames still to shoot; None where it is not known which they are: the plan was not found yet."""
    if not folder.planned:
        return None
    frames = folder.frames()
    wanted = targets_of(folder.plan, frames)
    return [t.number for t in wanted if t.number not in frames or frames[t.number].verdict is not Verdict.ACCEPTED]


def _judged(
    folder: SessionFolder, opened: dict[str, Any], wanted: Shoot, flags: ResumeFlags, was: SessionState
) -> ShotSession:
    """A session that was stopped between its last frame and their judgement; with the devices where gaps are to be closed, or the frames do
    not tell the depth of field, as it would have been.
    """
    if not _certified(folder):
        has_camera = wanted.devices.camera != SHUTTER
        if has_camera and wanted.repair:
            try:
                return _go_on(folder, opened, wanted, flags, was, [], ())
            except (CaptureError, RailError):
                say(
                    "note: the frames of the plan are there, but were not judged to the end, and gaps would be closed with the "
                    f"devices. Without that: focusrail stack {folder.path} -o picture.tif"
                )
                raise
        coverage = certify_frames(folder)
        if has_camera and not (coverage.get("dof_um") or coverage.get("dof_steps")):
            try:
                return _go_on(folder, opened, wanted, flags, was, [], ())
            except (CaptureError, RailError) as error:
                say(
                    f"note: the depth of field stays unknown, since it could not be seen on live frames: {error.message}"
                )
    folder.end(SessionState.FINISHED)
    return _as_it_is(folder)


def _certified(folder: SessionFolder) -> bool:
    return any(event.kind is EventKind.CERTIFIED for event in folder.journal.events())


def _as_it_is(folder: SessionFolder) -> ShotSession:
    frames = folder.accepted()
    added = sum(bool(frame.added) for frame in frames)
    values = outcome_values(
        folder, ShootOutcome(folder.plan.count, len(frames), added, reshot(folder.journal.events()))
    )
    return ShotSession(values, [f"all {len(frames)} frames are in {folder.path}"], time.monotonic())


def _result(folder: SessionFolder) -> str | None:
    """The picture already made of this session, as long as it is there and its frames are the same."""
    name = picture_of(folder)
    return None if name is None else str((folder.path / name).resolve())


def _go_on(
    folder: SessionFolder,
    opened: dict[str, Any],
    wanted: Shoot,
    flags: ResumeFlags,
    was: SessionState,
    missing: list[int] | None,
    companions: tuple[Companion, ...],
) -> ShotSession:
    if missing is None:
        say("the session was stopped while its plan was looked for: that is begun anew")
    else:
        say(f"{len(folder.accepted())} frames are there, {len(missing)} are missing")
    with ExitStack() as stack:
        devices = stack.enter_context(
            open_devices(wanted.settings, wanted.devices, wanted.never_beyond, log_wire=wanted.log_wire)
        )
        devices.log.write_to(folder.path / "log.txt")
        _same_camera(devices.camera, opened)
        put_back_settings(devices.camera, dict(opened.get("camera_state", {})), dict(opened["settings"]))
        release_autofocus(devices.camera)
        if missing is None:
            refuse_unready(devices.camera, devices.axis)
        found = establish_position(devices, flags.origin, folder, check=flags.check)
        if missing is not None:
            _look_ahead(folder, opened, wanted, devices, len(missing))
        folder.journal.record(
            EventKind.RESUMED,
            program=f"focusrail {version('focusrail')}",
            was=was.value,
            missing=len(missing or ()),
            **found,
        )
        return shoot_in(folder, devices, wanted, companions)


def _look_ahead(folder: SessionFolder, opened: dict[str, Any], wanted: Shoot, devices: Devices, frames: int) -> None:
    """The preflight of the frames that are missing.

    Raises
    ------
    CameraError, SessionError
    """
    size = max((sum(int(e["bytes"]) for e in f.files) for f in folder.accepted()), default=0)
    checks = preflight(
        folder.plan,
        folder.path,
        devices.axis,
        devices.camera,
        FileFormat(opened.get("file_format", FileFormat.RAW.value)),
        frames=frames,
        frame_bytes=size or None,
        last_event=folder.journal.events()[-1].at,
        stacks=wanted.stack is not None,
        exposures=folder.exposures.count,
    )
    clear_the_way(checks, devices.axis)


def _same_camera(camera: Camera, opened: dict[str, Any]) -> None:
    model, before = camera.info().model, opened["devices"]["camera"].get("model")
    if before is not None and model != before:
        raise SessionError(
            f"the session was shot with a {before}, this is a {model}",
            remedy="Connect the same camera: frames of two cameras make no stack.",
            state="Nothing has moved, nothing was shot.",
        )


def put_back_settings(camera: Camera, state: dict[str, str], written: dict[str, str]) -> None:
    """Compare the camera with what the session was begun with, and put back what differs.

    Raises
    ------
    CameraError
        Where what decides the exposure differs and cannot be put back.
    """
    found = camera.info().roles
    for role in KEPT_ROLES:
        now = found.get(role)
        value = state.get(role.value, written.get(role.value))
        if now is None or value is None or same(role, now.value, value):
            continue
        try:
            camera.set(role, value)
        except CameraSettingError as error:
            raise CameraError(
                f"the camera's {role.value} stands at {now.value}; the session was shot with {value}",
                remedy=f"Set it on the camera, then resume again. ({error.message})",
                state="Nothing has moved, nothing was shot.",
            ) from error
        say(f"{role.value} was {now.value or 'not told'}; put back to the session's {value}")
