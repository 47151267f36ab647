"""``--collect``: a session's pictures, brought from the camera's card."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

from capture.app.output import InterruptedRunError
from capture.app.session_running import ShotSession, frame_watch
from capture.camera.shutter_camera import PORT
from capture.errors import SessionError, UsageError
from capture.session.certifying import PICTURE
from capture.session.collecting import Collected, collect, to_collect
from capture.session.folder import SessionFolder
from capture.session.records import EventKind, SessionState, Verdict
from capture.session.targets import targets_of


def check_collectable(camera: str | None, source: Path | None) -> None:
    """Refuse ``--collect`` with a camera that gives its pictures itself.

    Raises
    ------
    UsageError
    """
    if source is not None and camera != PORT:
        raise UsageError(
            "--collect is for --camera shutter, whose pictures stay on the camera's card",
            remedy="Leave it out: this camera's pictures are downloaded as they are taken.",
        )


def collect_after_shooting(shot: ShotSession, session: Path, source: Path | None) -> ShotSession:
    """Bring the pictures of a session that was just shot; without `source` say how that is done later.

    Raises
    ------
    SessionError
        The frames are shot all the same, and can be collected later.
    """
    with SessionFolder.open(session) as folder:
        waiting = to_collect(folder)
        if not waiting:
            return shot
        if source is None:
            return replace(shot, lines=[*shot.lines, how_to_collect(session, len(waiting))])
        try:
            if sys.stdin is not None and sys.stdin.isatty():
                typer.prompt(
                    f"Bring the camera's card to {source}, then press Enter", default="", show_default=False, err=True
                )
            return collect_session(folder, source, shot)
        except (KeyboardInterrupt, typer.Abort):
            raise InterruptedRunError(
                "interrupted before all pictures were brought in",
                state=f"All {len(waiting)} frames were shot; their pictures are on the camera's card.",
                remedy=f"Bring them in with: focusrail resume {session} --collect {source}",
            ) from None
        except SessionError as error:
            error.state = (
                f"All {len(waiting)} frames were shot; their pictures are on the camera's card. {error.state}".strip()
            )
            error.remedy = f"{error.remedy} Then: focusrail resume {session} --collect {source}".strip()
            raise


def how_to_collect(session: Path, count: int) -> str:
    """What is left to do, in words."""
    return f"{count} pictures are on the camera's card; bring them in with: focusrail resume {session} --collect FOLDER"


def collect_session(folder: SessionFolder, source: Path, shot: ShotSession) -> ShotSession:
    """Collect, certify, and answer: `shot` with what has come.

    Raises
    ------
    SessionError
    """
    found = collect(folder, source)
    frames = folder.frames()
    targets = [target.number for target in targets_of(folder.plan, frames)]
    to_shoot = [n for n in targets if n not in frames or frames[n].verdict is not Verdict.ACCEPTED]
    values: dict[str, Any] = {
        "frames": len(folder.accepted()),
        "to_collect": len(to_collect(folder)),
        "to_shoot": len(to_shoot),
        "collected": found.values(),
        "coverage": certify_frames(folder),
    }
    if to_shoot:
        folder.end(SessionState.INTERRUPTED, reason=f"frames without a picture: {_numbers(to_shoot)}")
    elif folder.state is not SessionState.FINISHED:
        folder.end(SessionState.FINISHED)
    return ShotSession(shot.values | values, _words(found, to_shoot, folder.path, source), shot.last_frame_s)


def certify_frames(folder: SessionFolder) -> dict[str, Any]:
    """Judge the frames that are there, without devices: the coverage, which is recorded and drawn."""
    with contextlib.closing(frame_watch(folder)) as watch:
        for frame in folder.accepted():
            if frame.files and frame.position is not None:
                watch.frame_stored(frame.number, frame.position, folder.picture_paths(frame))
        coverage = watch.coverage(folder.result_path / PICTURE)
    folder.journal.record(EventKind.CERTIFIED, **coverage)
    folder.write_manifest()
    return coverage


def _words(found: Collected, to_shoot: Sequence[int], session: Path, source: Path) -> list[str]:
    offset = found.clock_offset_s
    clock = "" if offset is None else f"; the camera's clock is {offset:+.1f} s off UTC"
    lines = [f"{found.frames} pictures of {session} are in, {found.copied} copied now from {source}{clock}"]
    if found.extra:
        names = ", ".join(found.extra[:5]) + (" ..." if len(found.extra) > 5 else "")
        lines.append(f"{len(found.extra)} pictures belong to no frame, and stay where they are: {names}")
    if found.missing:
        lines.append(f"no picture of frame {_numbers(found.missing)} is there")
    if to_shoot:
        lines.append(
            f"{len(to_shoot)} frames are missing: with the card back in the camera, focusrail resume {session} shoots them"
        )
    return lines


def _numbers(frames: Sequence[int]) -> str:
    return ", ".join(map(str, frames[:10])) + (" ..." if len(frames) > 10 else "")
