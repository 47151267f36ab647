"""Looking through a camera that a rail, or its own lens motor, moves."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from numpy.typing import NDArray

from capture.camera.protocol import Camera, LiveFrame
from capture.errors import CameraError, FocusError
from capture.focus.bands import linear_gray
from capture.focus.sweep import overexposed
from rail.axis import Axis, AxisState, AxisUnit, SteeredAxis
from rail.errors import RailEndError, RailError, RailPositionUnknownError
from stacking.develop import as_source
from stacking.selection import probe

F32 = NDArray[np.float32]

SEARCH_STEPS = 4320.0
"""Of a lens's motor, each way: as far as a first sweep that was made coarser three times."""

# Two frames that differ by no more than this many times what noise makes them differ show the same thing.
_LIKE = 1.4
_MOST_WAITED = 12
_MOST_BROKEN = 5
_FIRST_LOOKS = 5
# From here on a live pixel is white, and with so many of them no noise tells two frames apart.
_WHITE, _ALL_WHITE = 250, 0.95
# A frame may have been exposed before the axis stood.
_IN_FLIGHT = 1


class AxisView:
    """A `View` through live frames: a move, then frames until two in a row show the same.

    Parameters
    ----------
    axis : SteeredAxis
        Knows its position.
    frames : iterator of LiveFrame
        An open stream.
    within : (float, float), optional
        Where it may go, inside the axis's limits.
    """

    def __init__(
        self, axis: SteeredAxis, frames: Iterator[LiveFrame], within: tuple[float, float] | None = None
    ) -> None:
        self._axis = axis
        self._frames = frames
        self._within = within
        self._last = b""
        self._quiet: float | None = None

    @property
    def limits(self) -> tuple[float, float]:
        """The axis's, as far as they may be used."""
        low, high = self._axis.limits
        return (low, high) if self._within is None else (max(low, self._within[0]), min(high, self._within[1]))

    @property
    def reach(self) -> float:
        """How far from here a subject is searched for: the limits of a lens say nothing of its travel."""
        return SEARCH_STEPS if self._axis.capabilities.unit is AxisUnit.STEP else math.inf

    @property
    def here(self) -> float:
        """Where the axis stands.

        Raises
        ------
        RailPositionUnknownError
        """
        position = self._axis.status().position
        if position is None:
            raise RailPositionUnknownError(
                "the position is unknown",
                remedy="Give --origin here to zero it where it stands, or --origin home to home it.",
            )
        return position

    @property
    def resolution(self) -> float:
        """The axis's own step."""
        return self._axis.capabilities.resolution

    def frame(self, position: float) -> tuple[float, F32]:
        """Go there, wait for quiet, look."""
        if self._quiet is None:
            self._learn_quiet()
        low, high = self.limits
        reached = self._axis.move_to(min(max(position, low), high)).position
        if reached is None:
            raise RailPositionUnknownError("the position was lost in a sweep", remedy="Home it, or zero it by hand.")
        return reached, self._settled()

    def again(self) -> F32:
        """The next frame that is not the last one once more."""
        broken = 0
        while True:
            live = next(self._frames)
            if live.jpeg != self._last:
                self._last = live.jpeg
                encoded = _decoded(live.jpeg)
                if encoded is not None:
                    return linear_gray(encoded)
            broken += 1
            if broken >= _MOST_BROKEN:
                still = _decoded(self._last)
                if still is not None and (still >= _WHITE).mean() > _ALL_WHITE:
                    raise overexposed("The rail stands at rest.")
                raise CameraError(
                    "live view stands still, or its frames cannot be read",
                    remedy="Switch the camera off and on, and try again.",
                )

    def _learn_quiet(self) -> None:
        """How much two frames of the same thing differ, here."""
        before = self._small(self.again())
        differences = []
        for _ in range(_FIRST_LOOKS):
            after = self._small(self.again())
            differences.append(_difference(before, after))
            before = after
        self._quiet = float(np.median(differences))

    def _settled(self) -> F32:
        assert self._quiet is not None
        for _ in range(_IN_FLIGHT):
            self.again()
        before = self._small(self.again())
        difference = 0.0
        for _ in range(_MOST_WAITED):
            frame = self.again()
            after = self._small(frame)
            difference = _difference(before, after)
            if difference <= _LIKE * self._quiet:
                break
            before = after
        # noise changes with light and focus, slowly; where it never got quiet this is what quiet is like there
        self._quiet = 0.6 * self._quiet + 0.4 * difference
        return frame

    @staticmethod
    def _small(frame: F32) -> F32:
        rows, columns = frame.shape
        small = cv2.resize(frame, (max(columns // 2, 1), max(rows // 2, 1)), interpolation=cv2.INTER_AREA)
        return np.asarray(small / max(float(small.mean()), 1e-6), np.float32)


def _difference(one: F32, other: F32) -> float:
    if one.shape != other.shape:
        raise FocusError(
            "live view changed its size meanwhile",
            remedy="Leave the camera's magnification alone while it is measured.",
        )
    return float(np.abs(one - other).mean())


@contextmanager
def looking(
    axis: Axis, camera: Camera, *, come_back: bool = True, within: tuple[float, float] | None = None
) -> Iterator[AxisView]:
    """A view through `camera`; live view ends with the context, and the axis comes back as `returning` has it."""
    with camera.live() as frames:
        view = AxisView(axis, frames, within)
        with returning(axis, come_back=come_back):
            yield view


@contextmanager
def returning(axis: Axis, *, come_back: bool = True) -> Iterator[None]:
    """The axis is back where it stood when the context ends, whatever ends it, as far as it knew where that was.

    But after Ctrl-C, or an error of the rail's, it stays where it was stopped. From an end that its lens ran into it is moved back, to
    about where it stood where the count was lost.
    """
    stood = axis.status().position
    back = come_back and stood is not None
    try:
        yield
    except RailEndError as error:
        back = False
        if come_back and stood is not None:
            _leave_end(axis, stood, error)
        raise
    except (KeyboardInterrupt, RailError):
        back = False
        with suppress(RailError):
            axis.stop()
        raise
    finally:
        if back and stood is not None and axis.status().state is AxisState.IDLE:
            axis.move_to(stood)


def _leave_end(axis: Axis, stood: float, error: RailEndError) -> None:
    with suppress(RailError):
        if axis.status().position is not None:
            axis.move_to(stood)
            error.state = "The lens stands where it was."
        elif error.about is not None:
            axis.jog(stood - error.about)
            error.state = "The lens was moved back to about where it was; its position is unknown."


@dataclass(frozen=True, slots=True)
class StillFacts:
    """What one test shot tells.

    Attributes
    ----------
    width, height : int
        In pixels.
    live_scale : float
        Pixels of the still for one of a live frame that shows the whole of it.
    pixel_um, f_number : float or None
        The sensor's pixel pitch and the marked f-number, where the file says.
    size_bytes : int
        Of all its files.
    """

    width: int
    height: int
    live_scale: float
    pixel_um: float | None
    f_number: float | None = None
    size_bytes: int = 0


def look_at_still(camera: Camera) -> StillFacts:
    """Take a live frame and one test shot, which is thrown away. A camera without live frames is refused before anything is exposed.

    Raises
    ------
    CameraError, FocusError, stacking.errors.StackingError
    """
    encoded = _decoded(camera.preview().jpeg)
    if encoded is None:
        raise CameraError("the live frame cannot be read", remedy="Switch the camera off and on, and try again.")
    with TemporaryDirectory(prefix="focusrail-") as folder:
        shot = camera.shoot(Path(folder), "test")
        if not shot.files:
            raise FocusError(
                "this camera gives no pictures to look at", remedy="Give --live-scale, or near, far and step by hand."
            )
        found = probe(as_source(shot.files[0].path))
    pitch, f_number = (shot.exposure.get(name) for name in ("pixel_um", "f_number"))
    return StillFacts(
        found.width,
        found.height,
        max(found.width, found.height) / max(int(side) for side in encoded.shape[:2]),
        pitch if isinstance(pitch, float) else None,
        f_number if isinstance(f_number, float) and f_number > 0 else None,
        sum(file.size_bytes for file in shot.files),
    )


def _decoded(jpeg: bytes) -> NDArray[np.uint8] | None:
    decoded = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE) if jpeg else None
    return None if decoded is None else np.asarray(decoded, np.uint8)
