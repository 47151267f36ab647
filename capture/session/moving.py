"""The carriage of a session: gone to a frame's place, the rail opened anew where the policy says so."""

from __future__ import annotations

from collections.abc import Callable

from capture.errors import CaptureError
from capture.session.exposing import note_fault
from capture.session.folder import FEWEST_COMPARED, SessionFolder
from capture.session.policy import Repeat, rule_for
from capture.session.records import LOST_BY, origin_of, place_in_doubt
from capture.session.watching import Watcher
from rail.axis import Axis, AxisState, AxisStatus
from rail.errors import (
    HOME_AGAIN,
    RailDeviceError,
    RailError,
    RailPositionUnknownError,
    RailResetError,
)


class Moving:
    """Moves the axis of a session.

    Parameters
    ----------
    folder : SessionFolder
    axis : Axis
        Open, and left open.
    watcher : Watcher
    pause : callable
        Waits some seconds, taking orders meanwhile.
    reopen : callable, optional
        Opens the rail again after its link was lost.

    Attributes
    ----------
    axis : Axis
        The one in use now.
    """

    def __init__(
        self,
        folder: SessionFolder,
        axis: Axis,
        watcher: Watcher,
        pause: Callable[[float], None],
        reopen: Callable[[], Axis] | None,
    ) -> None:
        self.axis = axis
        self._given_axis = axis
        self._folder = folder
        self._watcher = watcher
        self._pause = pause
        self._reopen = reopen

    def close(self) -> None:
        """Close the axis where it was opened here."""
        if self.axis is not self._given_axis:
            self.axis.close()

    def move(self, number: int, target: float) -> float:
        """Go to `target` of frame `number`; where the carriage came to rest. A position lost in mid-session is a device that failed.

        Raises
        ------
        rail.errors.RailError
        """
        tries = 0
        while True:
            lost = "the controller restarted or lost count"
            try:
                reached = self.axis.move_to(target).position
            except RailPositionUnknownError as error:
                if number == 1 and not tries:
                    raise
                reached, lost = None, error.message
            except RailDeviceError as error:
                tries += 1
                self._open_anew(number, error, tries)
                continue
            if reached is None:
                raise RailResetError(
                    f"the rail lost its position before frame {number}: {lost}",
                    remedy=ways_on(self._folder),
                    state="Motion is stopped.",
                )
            return reached

    def _open_anew(self, number: int, error: RailError, tries: int) -> None:
        """Open the rail again where the policy says so; raises what ends the session."""
        rule = rule_for(error)
        if rule.repeat is not Repeat.REOPEN or self._reopen is None:
            raise error
        began = error.message.rstrip(".")
        while True:
            if tries >= rule.tries:
                raise error
            note_fault(
                self._folder, number, error, tries, self._watcher.trouble, pause_s=rule.pause_s, tries=rule.tries
            )
            self._pause(rule.pause_s)
            self.axis.close()
            try:
                self.axis = self._reopen()
            except RailError as again:
                # what had gone wrong before comes first
                again.message = f"{began}; opening it again: {again.message}"
                error, tries = again, tries + 1
                continue
            status = self.axis.status()
            if not counts_as_before(self._folder, status):
                raise RailResetError(
                    f"the rail lost its position before frame {number}: {error.message}",
                    remedy=ways_on(self._folder, locked=status.state is AxisState.ALARM),
                    state="The rail answers again, but does not count from the session's origin any more.",
                )
            self._watcher.notice("the rail is back and knows its position: going on")
            return


def counts_as_before(folder: SessionFolder, status: AxisStatus) -> bool:
    """Whether the axis counts from the very origin that the session does, as far as it tells; a switch is always the same."""
    homed = bool(folder.journal.opened().get("homed", False))
    if not status.position_known or status.homed != homed:
        return False
    name = origin_of(folder.journal.events())
    return homed or name is None or status.origin is None or status.origin == name


def tell_ways_on(folder: SessionFolder, error: CaptureError | RailError) -> None:
    """Complete the remedy of what ended the session by the command that goes on with it, which works as it stands there."""
    if "focusrail resume" in error.remedy:
        return
    homed = bool(folder.journal.opened().get("homed", False))
    if error.kind in LOST_BY or place_in_doubt(folder.journal.events(), homed=homed):
        ways = f"{ways_on(folder)}."  # an alarm's own remedy has told how it is left
        if HOME_AGAIN in error.remedy:
            error.remedy = error.remedy.replace(f"then: {HOME_AGAIN}", f"then {ways[0].lower()}{ways[1:]}")
            error.remedy = error.remedy.replace(HOME_AGAIN, ways)
        else:
            error.remedy = f"{error.remedy} {ways}".strip()
    else:
        error.remedy = f"{error.remedy} Then go on with: focusrail resume {folder.path}".strip()


def ways_on(folder: SessionFolder, *, locked: bool = False) -> str:
    """How a session is gone on with whose place was lost; `locked`: the controller is in alarm."""
    resume = f"focusrail resume {folder.path} --origin"
    if folder.journal.opened().get("homed"):
        return f"Go on with: {resume} home"
    unlock = "leave the alarm with `focusrail rail unlock`, " if locked else ""
    by_hand = f"{unlock}bring the carriage to the session's 0 with `focusrail rail jog`, then: {resume} here"
    if folder.can_be_compared():
        return f"Go on with: {resume} images (a few stills tell the place), or {by_hand}"
    return (
        f"{by_hand[0].upper()}{by_hand[1:]}. Or begin anew in another folder (--out): "
        f"with fewer than {FEWEST_COMPARED} frames of sure places little is lost, and stills cannot tell the place"
    )
