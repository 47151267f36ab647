"""What is known of a lens motor's place, kept from one program to the next.

A lens motor has no scale and a body has no memory for marks, so the count is kept here, and believed only as long as nothing can have moved
the lens unseen: for the same camera at the same port (a replugged one gets another), since this computer was started. A hand on the
focus ring is not seen; nothing could see it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class LensPlace:
    """Where a motor stands, as far as it is known: steps are counted from the origin, or from wherever counting began last.

    Attributes
    ----------
    count : int
        Steps from there.
    known : bool
        Whether that is the origin's.
    homed : bool
        Whether the origin is the motor's near end.
    taken_up : bool
        Whether it came from the near side, its play taken up.
    near_end, far_end : int or None
        The counts at which it stands at its ends; None where that is not known.
    at_end : int
        Whether it stands at one: -1 the near, 1 the far one, 0 none that is known.
    """

    count: int = 0
    known: bool = False
    homed: bool = False
    taken_up: bool = False
    near_end: int | None = None
    far_end: int | None = None
    at_end: int = 0

    def counted_from(self, count: int) -> LensPlace:
        """The same place, called `count` from now on."""
        shift = count - self.count
        near, far = (None if end is None else end + shift for end in (self.near_end, self.far_end))
        return replace(self, count=count, known=True, homed=False, near_end=near, far_end=far)


class LensLedger:
    """The record of one camera's lens.

    Parameters
    ----------
    identity : str
        Of the camera, see `GphotoCamera.identity`.
    folder : Path or None
        Where records are kept; None: the user's folder for what lasts until the computer is switched off.
    boot : Path
        Names the computer's present run.
    """

    def __init__(self, identity: str, folder: Path | None = None, boot: Path = _BOOT) -> None:
        self._folder = _volatile_folder() if folder is None else folder
        self._path = self._folder / f"lens-{hashlib.sha256(identity.encode()).hexdigest()[:16]}.json"
        try:
            self._boot = boot.read_text(encoding="ascii").strip()
        except OSError:
            self._boot = ""

    def read(self) -> LensPlace:
        """What is known; nothing where there is no record, or none that can be believed."""
        try:
            if self._path.stat().st_uid != os.getuid():
                return LensPlace()
            told = json.loads(self._path.read_text(encoding="utf-8"))
            if not self._boot or told.pop("boot") != self._boot:
                return LensPlace()
            return LensPlace(**told)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return LensPlace()

    def write(self, place: LensPlace) -> None:
        """Keep `place`. Where that is not possible nothing is kept, and the next program knows nothing."""
        beside = self._path.with_suffix(".part")
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if self._folder.stat().st_uid != os.getuid():
                return  # somebody else's, in a folder that is everybody's
            self._path.unlink(missing_ok=True)
            beside.write_text(json.dumps({**asdict(place), "boot": self._boot}), encoding="utf-8")
            beside.replace(self._path)


def _volatile_folder() -> Path:
    """This user's folder for what need not outlive the computer's run."""
    told = os.environ.get("XDG_RUNTIME_DIR", "")
    if told and os.access(told, os.W_OK):
        return Path(told) / "focusrail"
    return Path(tempfile.gettempdir()) / f"focusrail-{os.getuid()}"
