"""Every error the rail package raises.

::

    RailError
    ├── RailUsageError            the request makes no sense (a bad profile, a bad length, a target outside the limits)
    │   └── RailLimitError        the target lies outside the allowed range; nothing has moved
    ├── RailPositionUnknownError  an absolute move was asked for while the position is not known
    ├── RailStoppedError          a move was ended by `stop` before it arrived; the position is kept
    └── RailDeviceError           the controller or its port failed
        ├── RailPortError         the port cannot be opened, or is lost
        ├── RailBusyError         another process holds the port
        ├── RailTimeoutError      no answer within the deadline
        ├── RailProtocolError     an answer that is not understood
        │   └── RailUnknownControllerError  what answers is no controller this package knows
        ├── RailRefusedError      the controller answered ``error:N``
        ├── RailResetError        the controller restarted in mid-session; the position is lost
        ├── RailEndError          the motor ran into an end of its travel
        └── RailAlarmError        the controller is in, or went into, alarm

A message says what happened; ``state`` what the hardware is in now; ``remedy`` what to do next.
"""

from __future__ import annotations

HOMING_OFF = 5
"""``error:5``, `RailRefusedError.code` of a rail whose homing is not switched on."""

HOME_AGAIN = "Home it with `focusrail rail home`, or set the origin by hand with `focusrail rail zero`."
"""Remedy for a position that is lost; who has more to go by than the rail says what fits there instead."""


class RailError(Exception):
    """Base of all errors of this package.

    Parameters
    ----------
    message : str
        What happened.
    remedy : str
        What the user can do next.
    state : str
        The state the hardware is in now, in words ("" where no hardware is involved).
    """

    kind = "rail"

    def __init__(self, message: str, *, remedy: str = "", state: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.state = state

    def __str__(self) -> str:
        return self.message


class RailUsageError(RailError):
    """The request makes no sense."""

    kind = "rail-usage"


class RailLimitError(RailUsageError):
    """The target lies outside the allowed range; nothing has moved."""

    kind = "rail-limit"


class RailPositionUnknownError(RailError):
    """An absolute move was asked for while the position is not known."""

    kind = "rail-position-unknown"


class RailStoppedError(RailError):
    """A move was ended by ``stop`` before it arrived; the position is kept."""

    kind = "rail-stopped"


class RailDeviceError(RailError):
    """The controller or its port failed."""

    kind = "rail-device"


class RailPortError(RailDeviceError):
    """The port cannot be opened, or is lost."""

    kind = "rail-port"


class RailBusyError(RailDeviceError):
    """Another process holds the port."""

    kind = "rail-busy"


class RailTimeoutError(RailDeviceError):
    """No answer within the deadline."""

    kind = "rail-timeout"


class RailProtocolError(RailDeviceError):
    """An answer that is not understood."""

    kind = "rail-protocol"


class RailUnknownControllerError(RailProtocolError):
    """What answers is no controller this package knows."""

    kind = "rail-unknown-controller"


class RailResetError(RailDeviceError):
    """The controller restarted in mid-session; the position is lost."""

    kind = "rail-reset"


class RailEndError(RailDeviceError):
    """The motor ran into an end of its travel; `about` is where that is, roughly, where the count was known."""

    kind = "rail-end"
    about: float | None = None


class RailRefusedError(RailDeviceError):
    """The controller answered ``error:N``; `code` is N."""

    kind = "rail-refused"

    def __init__(self, message: str, *, code: int, remedy: str = "", state: str = "") -> None:
        super().__init__(message, remedy=remedy, state=state)
        self.code = code


class RailAlarmError(RailDeviceError):
    """The controller is in, or went into, alarm; `code` is N of ``ALARM:N``, None where it did not say."""

    kind = "rail-alarm"

    def __init__(self, message: str, *, code: int | None = None, remedy: str = "", state: str = "") -> None:
        super().__init__(message, remedy=remedy, state=state)
        self.code = code
