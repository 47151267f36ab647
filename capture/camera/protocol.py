"""The camera as the rest of the program sees it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self


class Role(StrEnum):
    """What a setting is for, whatever the camera calls it (the names of the command line's contract)."""

    ISO = "iso"
    SHUTTER = "shutter"
    APERTURE = "aperture"
    EXPOSURE_MODE = "exposure_mode"
    WHITE_BALANCE = "white_balance"
    FORMAT = "format"
    TARGET = "target"
    LIVE_VIEW = "live_view"
    FOCUS_DRIVE = "focus_drive"
    MIRROR = "mirror"
    DRIVE_MODE = "drive_mode"
    BATTERY = "battery"
    AUTOFOCUS = "autofocus"
    MAGNIFY = "magnify"
    EXPOSURE_PREVIEW = "exposure_preview"
    AUTO_POWER_OFF = "auto_power_off"
    SHUTTER_TYPE = "shutter_type"


class FileFormat(StrEnum):
    """The files a shot makes."""

    RAW = "RAW"
    JPEG = "JPEG"
    RAW_JPEG = "RAW+JPEG"


class CaptureTarget(StrEnum):
    """Where the camera puts a shot before it is downloaded."""

    CARD = "card"
    MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class RoleState:
    """One role as found on the camera: its configuration name, its value, and what it could be ([] where free)."""

    name: str
    value: str
    choices: tuple[str, ...]
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class CameraInfo:
    """Model and roles; a role that the camera lacks is None."""

    model: str
    roles: dict[Role, RoleState | None]


@dataclass(frozen=True, slots=True)
class ShotFile:
    """One downloaded file: durable under its final name, its size and digest (SHA-256, hex)."""

    path: Path
    size_bytes: int
    sha256: str
    raw: bool


@dataclass(frozen=True, slots=True)
class Shot:
    """All files of one exposure, RAW first, and the exposure as the file itself tells it (keys `iso`, `shutter_s`, `f_number`,
    `time`; absent where the file does not say). `notes` are for the log; `warnings` are what the user should read now.
    """

    files: tuple[ShotFile, ...]
    exposure: dict[str, str | float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LiveFrame:
    """One live-view frame: JPEG bytes, and when it arrived (seconds of `time.monotonic`)."""

    jpeg: bytes
    arrived_s: float


class Camera(Protocol):
    """One camera. Every method raises `capture.errors.CameraError` only; every wait has a deadline.

    Leaving the context, by whatever way, ends live view and releases the camera.
    """

    def info(self) -> CameraInfo:
        """Model and roles as they stand now."""

    def get(self, role: Role) -> RoleState:
        """One role as it stands now; `CameraSettingError` where the camera lacks it."""

    def set(self, role: Role, value: str) -> RoleState:
        """Write one role and read it back. Equal spellings match (`1/125` and `0.008`); a value that is not offered is refused
        with the nearest that is.
        """

    def shoot(self, folder: Path, stem: str) -> Shot:
        """Take one shot and download all its files as `folder/stem.<suffix>`, durable; never overwrites."""

    def preview(self) -> LiveFrame:
        """One live frame; live view is off again afterwards unless a `live` stream is open."""

    def live(self) -> AbstractContextManager[Iterator[LiveFrame]]:
        """A stream of live frames at the camera's own pace; live view ends when the context does."""

    def close(self) -> None:
        """End live view and release the camera; idempotent."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
