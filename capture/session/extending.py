"""The far end of a session that runs, extended by its user: what is allowed, and which frames it gives."""

from __future__ import annotations

from collections.abc import Iterable

from capture.session.folder import SessionFolder
from capture.session.plan import StackPlan
from capture.session.records import EventKind
from capture.session.targets import FrameTarget, targets_of

EXTENDED = "far end extended by the user"
# Of the plan's whole range, in one order: mm typed for um must not reach the rail's end.
_MOST = 3
_CLOSE = 1e-6


def far_end(targets: Iterable[FrameTarget]) -> float:
    """Position of the farthest frame there is, or is to be; of one or more."""
    return max(target.position for target in targets)


def why_not(plan: StackPlan, far: float, high: float, distance: float) -> str:
    """Why the far end cannot be extended by `distance`, "" where it can.

    Parameters
    ----------
    plan : StackPlan
    far : float
        Where it is now, in the plan's unit.
    high : float
        End of the allowed range.
    distance : float
    """
    unit = plan.unit.value
    if distance > _MOST * max(plan.far - plan.near, plan.step):
        return (
            f"{distance:g} {unit} is more than {_MOST} times the plan's whole range; "
            "give it in smaller orders if it is meant"
        )
    if far + distance > high + _CLOSE:
        return f"it would lie at {far + distance:g} {unit}, and the allowed range ends at {high:g} {unit}"
    return ""


def extended(plan: StackPlan, far: float, distance: float) -> list[float]:
    """Positions of the frames that an extension adds: a step apart, the last at the new end."""
    positions = []
    position = far
    while position < far + distance - _CLOSE:
        position = min(position + plan.step, far + distance)
        positions.append(position)
    return positions


def extend(folder: SessionFolder, plan: StackPlan, high: float, distance: float) -> tuple[list[FrameTarget], str]:
    """Add the frames of an extension by `distance` to the session, in its journal: what is promised outlives a stop, and a kill.

    Returns
    -------
    tuple
        The frames; and why there are none, "" where there are.
    """
    targets = targets_of(plan, folder.frames())  # the frame that is being shot is among them
    far = far_end(targets)
    if refused := why_not(plan, far, high, distance):
        return [], refused
    first = max(target.number for target in targets) + 1
    added = [FrameTarget(n, position, EXTENDED) for n, position in enumerate(extended(plan, far, distance), first)]
    with folder.journal.together():
        for target in added:
            folder.journal.record(EventKind.ADDED, target.number, target=target.position, reason=EXTENDED)
    return added, ""
