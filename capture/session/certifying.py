"""Checks and repairs of a session while the carriage still stands there: doubtful frames, gaps, ends that were cut off."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from concurrent.futures import Future, ThreadPoolExecutor
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from capture.camera.protocol import Camera
from capture.errors import CameraError, CameraLostError, CameraTimeoutError, CaptureError
from capture.session.control import StoppedByUserError
from capture.session.folder import SessionFolder
from capture.session.plan import StackPlan
from capture.session.records import EventKind
from capture.session.targets import FrameTarget
from rail.axis import Axis

_log = logging.getLogger(__name__)

PICTURE = "coverage.png"
LIVE_GROWTH = "live_growth"
"""Where a `NOTED` event keeps the growth of blur that live frames told, in pixels of the still per unit."""
CHECK_PREFIX = ".check-"
# A camera that failed so often to make a second exposure will not make the next.
_MOST_UNCOMPARED = 3
# So often what was shot again for a shake is looked at once more.
_MOST_LOOKS_AGAIN = 2
# Bounds of what is shot beyond the plan: a scene that cannot be certified must not keep the camera busy for ever.
_MOST_ROUNDS = 6
_MOST_ADDED_SHARE = 1.0
_FEWEST_ADDED = 20
# Frames in a row that a second exposure cleared, of those in which a shake may hide: in short stacks, in long ones, and as a share of
# very long ones.
_PATIENCE_SHORT, _SHORT_FRAMES = 12, 60
_PATIENCE = 8
_PATIENCE_SHARE = 0.08
_MOST_CLEARED_SHARE = 0.12


def patience_for(count: int) -> int:
    """After how many cleared frames in a row those of a stack of `count` that are less doubtful are believed."""
    least = _PATIENCE_SHORT if count <= _SHORT_FRAMES else _PATIENCE
    return max(least, math.ceil(_PATIENCE_SHARE * count))


class Doubt(StrEnum):
    """How doubtful a frame must be: not at all, for the most doubtful come first; so that it is worth an exposure that nobody planned; so
    that it is named without one.
    """

    SOME = "some"
    LIKELY = "likely"
    PLAIN = "plain"


class Certifier(Protocol):
    """Judges the frames of a session together. Never raises."""

    def strayed(self, *, wait: bool) -> tuple[int, str] | None:
        """The first frame that does not lie where the rail says, and why; `wait`: when all are judged that are stored."""

    def trust(self, number: int) -> None:
        """Frame `number` was looked after: it lies where the rail says."""

    def lies_at(self, number: int, again: Path) -> bool | None:
        """Whether the picture in `again` was taken where frame `number` was; None where it does not tell."""

    def doubts(self, least: Doubt) -> list[int]:
        """Frames that may be shaken, the most doubtful first."""

    def verdict(self, number: int, again: Path) -> str | None:
        """Why frame `number` is worse than the second exposure in `again`; "" where it is not, None where that exposure says nothing."""

    def unchecked(self, number: int, why: str) -> None:
        """To be said with the certificate, unless the frame is compared later."""

    def discount(self, numbers: AbstractSet[int]) -> None:
        """Frames that stay, but are spoilt: they cover nothing."""

    def note(self, text: str) -> None:
        """To be said with the certificate."""

    def missing(self, step: float, limits: tuple[float, float]) -> list[tuple[float, str]]:
        """Positions that are still needed, and why each."""

    def lacks_growth(self) -> bool:
        """Whether nothing that was measured tells the depth of field: not the frames, nor what came before."""

    def learn_growth(self, px_per_unit: float) -> None:
        """Growth of blur in pixels of the still per unit of position, seen on live frames."""

    def coverage(self, picture: Path | None) -> dict[str, Any]:
        """The certificate as the journal keeps it; drawn into `picture`."""


class Certifying:
    """What a `Certifier` asks for, done with the session's devices.

    Parameters
    ----------
    folder : SessionFolder
    camera : Camera
    certifier : Certifier
    notice : callable
        Called with what the user should read.
    repairs : bool
        Whether frames are shot beyond the plan; else they are judged only, and a second exposure is made of what is plainly spoilt.
    reshoots : bool
        Whether spoilt frames are shot again; else they are named.
    look : callable, optional
        Growth of blur from live frames, for stacks that do not tell it themselves; None from it where it cannot be seen.

    Attributes
    ----------
    certifier : Certifier
    """

    def __init__(
        self,
        folder: SessionFolder,
        camera: Camera,
        certifier: Certifier,
        notice: Callable[[str], None],
        *,
        repairs: bool,
        reshoots: bool = True,
        look: Callable[[Axis], float | None] | None = None,
    ) -> None:
        self._folder = folder
        self._camera = camera
        self.certifier = certifier
        self._notice = notice
        self._repairs = repairs
        self._reshoots = reshoots
        self._look = look
        self._checked: set[int] = set()
        self._found: dict[int, int] = {}
        self._tried_again: set[int] = set()
        self._cleared = 0
        self._uncompared = 0
        self._rounds = 0
        self._added = 0

    def shaken(self, targets: dict[int, float], go: Callable[[int, float], None]) -> dict[int, str]:
        """Doubtful frames that a second exposure of their position shows to be shaken.

        Parameters
        ----------
        targets : dict
            Position of every frame that is there.
        go : callable
            Moves the carriage to the position of a frame, and waits until it has settled.

        Raises
        ------
        rail.errors.RailError
        """
        if not self._reshoots:
            for number in self.certifier.doubts(Doubt.PLAIN):
                if number not in self._checked:
                    self._checked.add(number)
                    self._notice(f"frame {number} looks shaken: look at it before you leave")
            return {}
        patience = patience_for(len(targets))
        budget = math.ceil(_MOST_CLEARED_SHARE * len(targets)) + patience
        least = Doubt.SOME if self._repairs else Doubt.LIKELY
        doubtful = [n for n in self.certifier.doubts(least) if n not in self._checked and n in targets]
        # what was shot again is looked at first, and however many were cleared before it
        doubtful.sort(key=lambda number: number not in self._found)
        owed = sum(number in self._found for number in doubtful)
        found: dict[int, str] = {}
        cleared = 0
        while doubtful and (owed or (cleared < patience and self._cleared < budget)):
            # so many are looked at whatever they show, so the carriage need not run to and fro between them
            sure = max(owed, min(patience - cleared, budget - self._cleared))
            batch, doubtful = doubtful[:sure], doubtful[sure:]
            reasons, ended = self._compare({number: targets[number] for number in batch}, go)
            for number in (number for number in batch if number in reasons):
                if reasons[number]:
                    found[number] = reasons[number]
                    cleared = 0
                    self._found[number] = self._found.get(number, 0) + 1
                    if self._found[number] <= _MOST_LOOKS_AGAIN:
                        self._checked.discard(number)  # the frame that is shot in its place is looked at, too
                else:
                    cleared += 1
                    self._cleared += 1
            untold = [number for number in batch if number not in reasons and self._once_more(number)]
            doubtful, owed = untold + doubtful, len(untold)
            if ended:
                break  # obeyed once what was found until now is set aside: it is shot again when the session is gone on with
        return found

    def _once_more(self, number: int) -> bool:
        """Whether a frame that could not be compared is tried again: once."""
        first = number not in self._tried_again
        self._tried_again.add(number)
        return first

    def lies_at(self, number: int) -> bool | None:
        """Whether the carriage stands where frame `number` was taken, by another exposure; None where it does not tell.

        Raises
        ------
        CameraError
        """
        folder, picture = self._again(number)
        with folder:
            return self.certifier.lies_at(number, picture)

    def _again(self, number: int) -> tuple[TemporaryDirectory[str], Path]:
        """Another exposure where the carriage stands, and the folder that is thrown away with it.

        Raises
        ------
        CameraError
        """
        folder = TemporaryDirectory(dir=self._folder.path, prefix=CHECK_PREFIX)
        try:
            return folder, self._camera.shoot(Path(folder.name), f"{number:04d}").files[0].path
        except BaseException:
            folder.cleanup()
            raise

    def _compare(self, targets: dict[int, float], go: Callable[[int, float], None]) -> tuple[dict[int, str], bool]:
        """What second exposures show of the frames at `targets`, "" where one is good; and whether no more can be made.

        Each is judged while the carriage goes to the next, along its travel. What could not be compared is in none, and said.
        """
        judged: dict[int, Future[str | None]] = {}
        reasons: dict[int, str] = {}
        ended = False
        try:
            with ThreadPoolExecutor(1, thread_name_prefix="second-exposures") as judge:
                for number in sorted(targets, key=lambda number: targets[number]):
                    self._checked.add(number)
                    try:
                        go(number, targets[number])
                        judged[number] = judge.submit(self._judge, number, *self._again(number))
                    except StoppedByUserError:
                        ended = True
                    except CameraError as error:
                        self._not_compared(number, error)
                        lost = isinstance(error, (CameraLostError, CameraTimeoutError))
                        ended = lost or self._uncompared >= _MOST_UNCOMPARED
                    if ended:
                        break
        finally:
            for number, future in judged.items():
                reason = future.result()
                if reason is None:
                    said = "that one says nothing"
                else:
                    reasons[number] = reason
                    said = reason or "it is as good"
                self._folder.journal.record(
                    EventKind.NOTED, text=f"frame {number} was compared with a second exposure: {said}"
                )
        return reasons, ended

    def _not_compared(self, number: int, error: CameraError) -> None:
        text = f"frame {number} could not be checked by a second exposure: {error.message}"
        self._uncompared += 1
        self._notice(text)
        self._folder.journal.record(EventKind.NOTED, text=text)
        self.certifier.unchecked(number, text)

    def _judge(self, number: int, folder: TemporaryDirectory[str], picture: Path) -> str | None:
        with folder:
            return self.certifier.verdict(number, picture)

    def learn(self, axis: Axis) -> None:
        """Have the growth of blur measured where it is needed, once.

        Raises
        ------
        rail.errors.RailError
        """
        if self._look is None or not self.certifier.lacks_growth():
            return
        look, self._look = self._look, None
        try:
            growth = look(axis)
        except CaptureError as error:
            self._notice(f"the depth of field could not be measured: {error.message}")
            return
        if growth is not None:
            self.certifier.learn_growth(growth)
            self._folder.journal.record(
                EventKind.NOTED,
                text=f"live frames: blur grows by {growth:.6g} px of the still per unit",
                live_growth=growth,
            )

    def repairs(self, plan: StackPlan, numbers: Iterable[int], limits: tuple[float, float]) -> list[FrameTarget]:
        """Frames to shoot beyond the plan, recorded as such; none where the certificate passes, or the bound is reached."""
        if not self._repairs or self._rounds >= _MOST_ROUNDS:
            return []
        wanted = self.certifier.missing(plan.step, limits)
        if not wanted:
            return []
        self._rounds += 1
        most = max(_FEWEST_ADDED, int(_MOST_ADDED_SHARE * plan.count))
        if self._added + len(wanted) > most:
            self._notice(f"{len(wanted)} more frames would be needed; {most} added ones are the bound")
            wanted = wanted[: max(0, most - self._added)]
        number = max([plan.count, *numbers])
        targets = []
        for position, reason in wanted:
            number += 1
            self._folder.journal.record(EventKind.ADDED, number, target=position, reason=reason)
            targets.append(FrameTarget(number, position, reason))
        self._added += len(targets)
        if targets:
            low, high = targets[0].position, targets[-1].position
            self._notice(f"{len(targets)} frames are added between {low:g} and {high:g}: {targets[0].added}")
        return targets

    def certify(self) -> dict[str, Any]:
        """Judge, draw, record; the coverage."""
        coverage = self.certifier.coverage(self._folder.result_path / PICTURE)
        self._folder.journal.record(EventKind.CERTIFIED, **coverage)
        words = {True: "passed", False: "NOT passed", None: "could not be made"}[coverage["passed"]]
        gaps = coverage.get("gaps_um") or coverage.get("gaps_steps") or []
        more = f", {len(gaps)} gaps, the first from {gaps[0][0]:g} to {gaps[0][1]:g}" if gaps else ""
        self._notice(f"certificate of coverage: {words}{more}")
        return dict(coverage)
