"""What passes between the session and the child process that owns libgphoto2: plain values, pickled over a socket pair.

One request at a time. The child answers with any number of `Progress` and then one `Done` or `Failed`; nothing else ever comes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Request:
    """Call `operation` of the driver; the child ends itself (and libgphoto2 with it) when it is not done after `deadline_s`."""

    operation: str
    arguments: dict[str, object] = field(default_factory=dict)
    deadline_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a running request is: `stage` is one of the `SHOT_*` words or `CAMERA_EVENT`, `detail` what it says there."""

    stage: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """The request succeeded."""

    result: object


@dataclass(frozen=True, slots=True)
class Failed:
    """The request failed in libgphoto2 (`code` < 0, its result code) or in the operating system (`code` 0)."""

    code: int
    text: str
    reasons: tuple[str, ...] = ()


Reply = Progress | Done | Failed
Report = Callable[[Progress], None]

SHOT_TRIGGERING = "triggering"  # from here on the camera may expose
SHOT_TRIGGERED = "triggered"  # the camera took the order
SHOT_ADDED = "added"  # the camera has a file; detail is its path there
CAMERA_EVENT = "event"  # what the camera told meanwhile, for the log; says nothing of how far the request is
SHOT_STORED = "stored"  # the file is here, and is being made durable; detail is its temporary name


@dataclass(frozen=True, slots=True)
class OpenedCamera:
    """The camera that was opened: libgphoto2's model name and port."""

    model: str
    port: str


@dataclass(frozen=True, slots=True)
class DetectedCamera:
    """A camera that libgphoto2 sees on a bus."""

    model: str
    port: str


@dataclass(frozen=True, slots=True)
class ShotOrder:
    """One shot.

    Attributes
    ----------
    folder, stem : str
        Where the files go: as ``folder/.stem.N.part`` until they are judged.
    expected : int or None
        Files that the shot makes; None where the format does not say: then all that comes until the camera has said that it is done.
    exposure_s : float
        How long the shutter may be open, self-made delays of the body included.
    erase : bool
        Whether a file is removed from the camera once it is here (camera memory, which would fill up).
    bulb_s : float or None
        Hold the shutter open for so long; the camera is set to bulb.
    first_file_s, next_file_s, quiet_s : float
        Longest wait for the first file after the exposure, for each further one, and the silence that ends the collecting.
    """

    folder: str
    stem: str
    expected: int | None
    exposure_s: float
    erase: bool
    bulb_s: float | None = None
    first_file_s: float = 20.0
    next_file_s: float = 10.0
    quiet_s: float = 0.002


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """A file of a shot, complete as far as the transfer can tell, under its temporary name."""

    temporary: str
    camera_path: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file on the camera's card, its size, and when it was written by the camera's clock; None where the camera does not say."""

    camera_path: str
    size_bytes: int | None
    written_s: int | None


@dataclass(frozen=True, slots=True)
class Collected:
    """All that one shot gave."""

    files: tuple[FetchedFile, ...]
    strays: tuple[str, ...] = ()
