"""A place that was lost on no wire: the frames tell that the carriage did not go where the controller counted it.

Steps that a motor loses, and a carriage that jams, are seen in no answer of the controller. The place is looked after as soon as the
pictures speak against it: one still where a frame before was taken; where that shows another place, the end switch where the session counts
from one, else more stills.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress

from capture.camera.protocol import Camera
from capture.errors import CaptureError
from capture.session.folder import SessionFolder
from capture.session.moving import ways_on
from capture.session.plan import StackPlan
from capture.session.records import DOUBTED, KNOWN, EventKind
from rail.axis import Axis
from rail.errors import RailDeviceError, RailError, RailLimitError

# Of the step: a place that is farther off than this was lost.
_LOST = 0.25
_ASKED = 3  # so many frames are shot once more where they do not tell
_MOST = 3  # a rail that loses its place so often is no rail to be left alone


class Recovering:
    """Looks after a place that is in doubt.

    Parameters
    ----------
    folder : SessionFolder
    camera : Camera
    trouble, notice : callable
        Told what the user may want to see to, and what is found.
    lies_at : callable
        Goes to the target of a frame, and tells by another exposure whether the carriage stands where that was taken; None: not told.
    """

    def __init__(
        self,
        folder: SessionFolder,
        camera: Camera,
        trouble: Callable[[str], None],
        notice: Callable[[str], None],
        *,
        lies_at: Callable[[StackPlan, int, float], bool | None],
    ) -> None:
        self._folder = folder
        self._camera = camera
        self._trouble = trouble
        self._notice = notice
        self._lies_at = lies_at
        self._lost = 0

    def look_after(
        self, axis: Axis, plan: StackPlan, number: int, why: str, doubtful: Collection[int], *, earlier: bool
    ) -> bool:
        """Find the place of `axis` again; whether `doubtful` were shot at wrong places. The axis counts right then.

        Parameters
        ----------
        number : int
            The first frame that does not lie where the rail says.
        why : str
        doubtful : collection of int
            It, and all frames exposed since.
        earlier : bool
            It was shot before the session was gone on with: the place has been established since, and the frame itself is looked after.

        Raises
        ------
        RailDeviceError
            The place stays lost.
        """
        self._trouble(f"frame {number}: {why}: the rail may have lost steps, or jams; its place is looked after")
        text = f"from frame {number} on the place is in doubt: {why}"
        self._folder.journal.record(EventKind.NOTED, text=text, place=DOUBTED, frames=sorted(doubtful))
        try:
            lost = self._is_elsewhere(plan, number) if earlier else self._find(axis, plan, doubtful)
        except (CaptureError, RailError) as error:
            state = error.state if isinstance(error, RailError) else "The carriage stands still; its place is in doubt."
            raise RailDeviceError(
                f"the rail lost steps, or jams: at frame {number} {why}; its place could not be found again: {error.message}",
                remedy="See that the carriage moves freely along the whole range (screw, coupling, motor current). "
                f"{ways_on(self._folder)}",
                state=f"Frame {number} and those after it, {len(doubtful)} in all, are set aside. {state}".strip(),
            ) from error
        found = "the rail had lost its place, and has it again" if lost else "all stands where it counts"
        self._notice(found)
        self._folder.journal.record(EventKind.NOTED, text=found, place=KNOWN, frames=sorted(doubtful) if lost else [])
        self._lost += lost
        if self._lost > _MOST:
            raise RailDeviceError(
                f"the rail lost its place {self._lost} times in this session, the last time at frame {number}",
                remedy="See that the carriage moves freely; a lower speed or acceleration, more motor current. "
                f"Then go on with: focusrail resume {self._folder.path}",
                state=f"The place was found again; {len(doubtful)} frames are set aside. The carriage stands still.",
            )
        return lost

    def _is_elsewhere(self, plan: StackPlan, number: int) -> bool:
        """Whether another picture of its place shows that frame `number` was taken elsewhere."""
        target = self._folder.frames()[number].target
        return target is not None and self._lies_at(plan, number, target) is False

    def _find(self, axis: Axis, plan: StackPlan, doubtful: Collection[int]) -> bool:
        """By a picture of a frame before, or of another where it does not tell; where that says nothing good, by the switch, or by more."""
        from capture.session.placing import Placing  # with its array libraries only where they are needed

        before = [frame for frame in self._folder.accepted() if frame.number not in doubtful and frame.files]
        # of the last one a carriage that jams would give another picture
        for known in before[-3::-2][:_ASKED] or before[:-1][:1]:
            if known.target is None:
                continue
            lies = self._lies_at(plan, known.number, known.target)
            if lies:
                return False
            if lies is False:
                break  # one that does not tell says nothing against the place: another is asked
        if axis.status().homed:
            with suppress(RailLimitError):  # where homing ends is a place that is never to be passed
                return self._by_switch(axis, plan)
        found = Placing(self._folder, axis, self._camera, self._notice, without=doubtful).find(plan)
        unit = plan.unit.value
        self._notice(f"the carriage stands at {found.position:.1f} {unit}, to within {found.error:.2g} {unit}")
        return found.counted is None or abs(found.position - found.counted) > _LOST * plan.step

    def _by_switch(self, axis: Axis, plan: StackPlan) -> bool:
        axis.home()
        shift_um = getattr(axis, "switch_shift_um", None)
        if shift_um is None:
            return True  # a controller that does not tell; it counts from its switch again all the same
        self._notice(f"the end switch was met {abs(shift_um):.0f} um from its place")
        return bool(abs(shift_um) > _LOST * plan.step)
