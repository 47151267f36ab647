"""Every error the capture package raises itself (those of `rail` and `stacking` pass through as they are).

::

    CaptureError
    ├── UsageError               the request makes no sense; nothing was done
    │   └── ConfigurationError   a settings file or an environment variable cannot be used
    ├── SessionError             the session folder cannot be used, or the session stopped
    │   └── HeldError            another process of this program works with the rail or the camera
    ├── FocusError               step, range or coverage cannot be found from what the camera shows
    │   └── OverexposedError     nearly all of the live picture is clipped white
    └── CameraError              the camera failed
        ├── CameraNotFoundError  no camera at the port
        ├── CameraBusyError      another process holds the camera
        ├── CameraTimeoutError   no answer within the deadline; the camera hangs or sleeps
        ├── CameraLostError      the link is gone
        ├── CameraSettingError   a role or a value the camera does not offer
        ├── CameraStateError     it takes no such order in the state that it is in: playback, a menu
        ├── FocusEndError        the lens's focus motor stands at an end
        └── ShotError            a shot failed
            ├── ShotRefusedError      the camera did not take it (autofocus, card full); nothing was exposed
            │   └── ShotBusyError     it stayed busy until the deadline; nothing was exposed
            └── ShotIncompleteError   exposed, but a file is missing, cut short or stale
                └── NotStoredError        the computer's disk did not take it

A message says what happened; ``state`` what the hardware is in now; ``remedy`` what to do next.
"""

from __future__ import annotations


class CaptureError(Exception):
    """Base of all errors of this package: what happened, the state of the hardware, and what to do next."""

    kind = "capture"

    def __init__(self, message: str, *, remedy: str = "", state: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.state = state


class UsageError(CaptureError):
    """The request makes no sense; nothing was done."""

    kind = "usage"


class ConfigurationError(UsageError):
    """A settings file or an environment variable cannot be used."""

    kind = "configuration"


class SessionError(CaptureError):
    """The session folder cannot be used, or the session stopped."""

    kind = "session"


class HeldError(SessionError):
    """Another process of this program works with the rail or the camera: refused, nothing failed."""

    kind = "held"


class FocusError(CaptureError):
    """Step, range or coverage cannot be found from what the camera shows."""

    kind = "focus"


class OverexposedError(FocusError):
    """All of the live picture, or nearly so, is clipped white."""

    kind = "overexposed"


class CameraError(CaptureError):
    """The camera failed."""

    kind = "camera"


class CameraNotFoundError(CameraError):
    """No camera at the port."""

    kind = "camera-not-found"


class CameraBusyError(CameraError):
    """Another process holds the camera."""

    kind = "camera-busy"


class CameraTimeoutError(CameraError):
    """No answer within the deadline; the camera hangs or sleeps."""

    kind = "camera-timeout"


class CameraLostError(CameraError):
    """The link to the camera is gone."""

    kind = "camera-lost"


class CameraSettingError(CameraError):
    """A role or a value that this camera does not offer."""

    kind = "camera-setting"


class CameraStateError(CameraError):
    """The camera takes no such order in the state that it is in: it shows its pictures or a menu, say."""

    kind = "camera-state"


class FocusEndError(CameraError):
    """The lens's focus motor stands at an end of its travel; it went as far as it could."""

    kind = "focus-end"


class ShotError(CameraError):
    """A shot failed."""

    kind = "shot"


class ShotRefusedError(ShotError):
    """The camera did not take the shot; nothing was exposed."""

    kind = "shot-refused"


class ShotBusyError(ShotRefusedError):
    """The camera stayed busy until the deadline for a shot; nothing was exposed."""

    kind = "shot-busy"


class ShotIncompleteError(ShotError):
    """The shot was exposed, but a file is missing, cut short or stale."""

    kind = "shot-incomplete"


class NotStoredError(ShotIncompleteError):
    """The shot was exposed, but the computer's disk did not take its files: no fault of the camera's, and no shot again would mend it."""

    kind = "not-stored"
