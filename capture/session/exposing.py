"""One frame: exposed, downloaded, judged new, recorded; tried again as the policy says."""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Callable
from dataclasses import replace

from capture.camera.protocol import Camera, Role, Shot
from capture.camera.values import is_exact
from capture.errors import CameraError, CaptureError, NotStoredError, SessionError, ShotIncompleteError
from capture.session.exposures import SetExposure
from capture.session.folder import SessionFolder
from capture.session.policy import Repeat, rule_for
from capture.session.preflight import LARGER, ROOM_FOR_THE_JOURNAL_BYTES
from capture.session.reconcile import put_aside
from capture.session.records import EventKind
from rail.errors import RailError

_log = logging.getLogger(__name__)


class Exposing:
    """Exposes frames of a session where the carriage stands.

    Parameters
    ----------
    folder : SessionFolder
    camera : Camera
    notice : callable
        Called with what the user should read.
    pause : callable
        Waits some seconds, taking orders meanwhile.

    Attributes
    ----------
    frame_bytes : int
        Size of the largest frame so far.
    digests : set of str
        SHA-256 of all files of the session.
    """

    def __init__(
        self, folder: SessionFolder, camera: Camera, notice: Callable[[str], None], pause: Callable[[float], None]
    ) -> None:
        self._folder = folder
        self._camera = camera
        self._notice = notice
        self._pause = pause
        self._exposures = folder.exposures
        self.frame_bytes = 0
        self.digests: set[str] = set()

    def shoot(self, number: int, planned: int) -> Shot:
        """Expose frame `number` of a plan of `planned`, all exposures of its set, and store it.

        A set counts as a whole: its files are recorded together, after the last.

        Raises
        ------
        CameraError
            After the tries that the policy allows.
        SessionError
            Where disk or journal failed.
        """
        stem = self._folder.stem(number, planned)
        taken: list[tuple[SetExposure, Shot]] = []
        try:
            for member in self._exposures.members:
                share = 1 - len(taken) / self._exposures.count
                taken.append(self._one(number, self._exposures.stem(stem, member.number), member, share))
        finally:
            self._as_metered(taken)
        taken.sort(key=lambda pair: (not pair[0].metered, pair[0].number))
        self._store(number, taken)
        first = taken[0][1]
        return Shot(
            tuple(file for _, shot in taken for file in shot.files),
            first.exposure,
            tuple(note for _, shot in taken for note in shot.notes),
            tuple(warning for _, shot in taken for warning in shot.warnings),
        )

    def _as_metered(self, taken: list[tuple[SetExposure, Shot]]) -> None:
        """A set that was left half way must not leave the camera at another shutter time; what ended it is what counts."""
        if self._exposures.bracket and len(taken) < self._exposures.count:
            with contextlib.suppress(CameraError):
                self._camera.set(Role.SHUTTER, self._exposures.metered)

    def _one(self, number: int, stem: str, member: SetExposure, share: float) -> tuple[SetExposure, Shot]:
        """One exposure of the set of frame `number`, with the shutter time that the camera took for it.

        Tried again as the policy says; `share`: of the set that is still to come.
        """
        journal = self._folder.journal
        which = {"exposure": member.number} if self._exposures.count > 1 else {}
        attempt, taken = 0, member
        while True:
            attempt += 1
            self._require_room(number, share)
            journal.record(EventKind.EXPOSING, number, attempt=attempt, **which)
            try:
                if member.shutter is not None:
                    set_to = self._camera.set(Role.SHUTTER, member.shutter).value
                    if not is_exact(Role.SHUTTER, member.shutter, set_to):
                        taken = replace(member, shutter=set_to)
                shot = self._camera.shoot(self._folder.frames_path, stem)
                self._refuse_old(shot)
            except NotStoredError as error:
                files = self._set_aside(stem, attempt)
                journal.record(EventKind.REJECTED, number, reason=error.message, files=files)
                raise SessionError(
                    f"the disk took no more: {error.message}",
                    remedy=f"Free some space, then go on with: focusrail resume {self._folder.path}. The frames so far are kept.",
                    state=f"Frame {number} was exposed, and does not count.",
                ) from error
            except ShotIncompleteError as error:
                files = self._set_aside(stem, attempt)
                journal.record(EventKind.REJECTED, number, reason=error.message, files=files)
                self._require_room(number, share)
                if attempt >= rule_for(error).tries:
                    raise
                self._notice(f"frame {number}: {error.message.rstrip('.')}; set aside and shot again")
                self._pause(rule_for(error).pause_s)
                continue
            except CameraError as error:
                rule = rule_for(error)
                self._require_room(number, share)
                if rule.repeat is not Repeat.SHOOT or attempt >= rule.tries:
                    journal.record(EventKind.FAILED, number, error=error.kind, message=error.message, attempt=attempt)
                    raise
                note_fault(self._folder, number, error, attempt, self._notice, pause_s=rule.pause_s, tries=rule.tries)
                self._pause(rule.pause_s)
                continue
            self.digests.update(file.sha256 for file in shot.files)
            return taken, shot

    def _refuse_old(self, shot: Shot) -> None:
        """A camera gone on with after a kill may still hold the picture of the frame before."""
        for file in shot.files:
            if file.sha256 in self.digests:
                raise ShotIncompleteError(
                    f"the camera gave an old picture: {file.path.name} is the same as an earlier frame",
                    state="exposed; file stale",
                )

    def _store(self, number: int, taken: list[tuple[SetExposure, Shot]]) -> None:
        journal = self._folder.journal
        files = [
            {
                "file": f"frames/{file.path.name}",
                "sha256": file.sha256,
                "bytes": file.size_bytes,
                "raw": file.raw,
                **self._of_set(member),
            }
            for member, shot in taken
            for file in shot.files
        ]
        self.frame_bytes = max(self.frame_bytes, sum(file.size_bytes for _, shot in taken for file in shot.files))
        notes = [text for _, shot in taken for text in (*shot.notes, *shot.warnings)]
        with journal.together():
            journal.record(EventKind.STORED, number, files=files, exposure=taken[0][1].exposure, notes=notes)
            journal.record(EventKind.ACCEPTED, number)
        for _, shot in taken:
            for warning in shot.warnings:
                self._notice(f"frame {number}: {warning}")
        for note in notes:
            _log.warning("frame %d: %s", number, note)
        _log.info("frame %d: %s", number, ", ".join(file.path.name for _, shot in taken for file in shot.files))

    def _of_set(self, member: SetExposure) -> dict[str, object]:
        """What tells a file of several exposures from the others."""
        if self._exposures.count == 1:
            return {}
        return {"exposure": member.number, "shutter": member.shutter, "metered": member.metered}

    def _require_room(self, number: int, share: float = 1.0) -> None:
        """Stop before a frame that the disk has no room for: an exposure that cannot be kept is none."""
        free = shutil.disk_usage(self._folder.frames_path).free
        needed = int(LARGER * share * self.frame_bytes) + ROOM_FOR_THE_JOURNAL_BYTES
        if free < needed:
            raise SessionError(
                f"the disk is full: frame {number} needs about {needed / 1e6:.1f} MB and {free / 1e6:.1f} MB are free",
                remedy=f"Free some space, then go on with: focusrail resume {self._folder.path}. The frames so far are kept.",
                state=f"Frame {number} does not count; nothing is exposed that could not be kept.",
            )

    def _set_aside(self, stem: str, attempt: int) -> list[dict[str, object]]:
        """Move what arrived of a failed shot to `frames/rejected/`, under a name of its own."""
        paths = sorted(self._folder.frames_path.glob(f"{stem}.*"))
        return [{"file": put_aside(self._folder, path, attempt), "sha256": None} for path in paths]


def note_fault(
    folder: SessionFolder,
    number: int,
    error: CaptureError | RailError,
    attempt: int,
    notice: Callable[[str], None],
    *,
    pause_s: float,
    tries: int,
) -> None:
    """Record a fault after which the session tries again, and say so: after which pause, and which try of how many it will be."""
    folder.journal.record(EventKind.FAILED, number, error=error.kind, message=error.message, attempt=attempt)
    notice(f"frame {number}: {error.message.rstrip('.')}; trying again in {pause_s:g} s (try {attempt + 1} of {tries})")
