"""Frames that match the others and still must not be fused: blurred by a shake, cut off by a broken file, or there twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stacking.register.features import Map

_LOST = 0.55
_LOST_AT_END = 0.6
_UNEQUAL = 2.2
_SMEARED, _BLURRED, _NEARLY_NOTHING = 1.35, 0.8, 0.1
# Of its neighbours' sharpness: less is left by no shake.
_NOTHING = 0.01
_LEAST_TILES = 8
_KEPT_SOMEWHERE = 0.9
_MOST_REPEATED = 3


def shaken_frames(frames: Sequence[int], sharpness: Sequence[Map]) -> dict[int, str]:
    """Find frames that a shake has blurred.

    Along a stack the sharpness of any part rises to its focus and falls again, so a frame is nowhere less sharp than both its
    neighbours, whatever the step. A shaken one is nearly everywhere, at least across its path. At the ends of a stack, with one
    neighbour, sharpness that fell far more in one direction than in another gives the shake away: defocus takes all alike.

    Parameters
    ----------
    frames : sequence of int
    sharpness : sequence of ndarray, shape (4, tiles, tiles), float32
        From :func:`stacking.register.features.directional_differences`, noise removed, of equal brightness.

    Returns
    -------
    dict of int to str
        The shaken frames, and a reason to show.
    """
    shaken: dict[int, str] = {}
    last = len(frames) - 1
    for n, k in enumerate(frames):
        if 0 < n < last:
            kept = _kept(sharpness[n], np.minimum(sharpness[n - 1], sharpness[n + 1]))
            if kept is not None and kept.min() < _LOST:
                shaken[k] = (
                    "shows nothing of what its neighbours show: black or blank?"
                    if kept.max() < _NOTHING
                    else f"shaken: {kept.min():.0%} of its neighbours' sharpness"
                )
        elif last > 0:
            kept = _kept(sharpness[n], sharpness[1 if n == 0 else last - 1])
            if kept is not None and kept.min() < _LOST_AT_END and kept.max() > _UNEQUAL * kept.min():
                shaken[k] = "shaken: blurred along one direction"
    return shaken


def smeared_frames(frames: Sequence[int], sharpness: Sequence[Map]) -> dict[int, str]:
    """Find frames that may be shaken a little: blurred along one direction more than defocus does.

    Against the sharper of its neighbours such a frame lost sharpness unequally. Good frames of real and rendered stacks lost it alike
    to a factor of 1.15 (one, nearly without detail, 1.35); a shake of 8 px in 480 gives 1.36 to 1.7. That is worth a note, not a frame.

    Parameters
    ----------
    frames, sharpness
        As for :func:`shaken_frames`.

    Returns
    -------
    dict of int to str
        The frames, and what to say.
    """
    smeared: dict[int, str] = {}
    for n, k in enumerate(frames):
        beside = [sharpness[j] for j in (n - 1, n + 1) if 0 <= j < len(frames)]
        ratios = [kept for other in beside if (kept := _kept(sharpness[n], other)) is not None]
        if len(ratios) == len(beside) > 0 and all(
            _NEARLY_NOTHING < kept.min() < _BLURRED and kept.max() > _SMEARED * kept.min() for kept in ratios
        ):
            smeared[k] = "perhaps shaken a little: blurred along one direction"
    return smeared


def truncated_frames(frames: Sequence[int], dead: Sequence[NDArray[np.bool_]]) -> dict[int, str]:
    """Find frames whose lower end holds no picture: a file that broke off and was filled up with one colour.

    Parameters
    ----------
    frames : sequence of int
    dead : sequence of ndarray, shape (tiles, tiles), bool
        Tiles without the least difference between pixels.
    """
    if len(frames) < 2:
        return {}
    usual = np.mean([d[-1].mean() for d in dead])
    out: dict[int, str] = {}
    for k, d in zip(frames, dead, strict=True):
        others = (usual * len(frames) - d[-1].mean()) / (len(frames) - 1)
        if d[-1].all() and not d.all() and others < 0.5:
            missing = int(np.argmin(d[::-1].all(1))) or d.shape[0] - 0.5
            out[k] = f"truncated: about {(missing + 0.5) / d.shape[0]:.0%} of it is missing at the bottom"
    return out


def repeated_frames(frames: Sequence[int], traces: Sequence[tuple[NDArray[Any], ...]]) -> dict[int, str]:
    """Find frames that are an earlier one once more: a camera that handed out its last picture again, or a file copied twice.

    Two exposures never agree to the last digit of their noise. Where more than a third repeat, the pictures were made without
    any, and repeating tells nothing.

    Parameters
    ----------
    frames : sequence of int
    traces : sequence of tuple of ndarray
        What is known of each, the same for the same picture alone.
    """
    seen: dict[tuple[bytes, ...], int] = {}
    out: dict[int, str] = {}
    for k, trace in zip(frames, traces, strict=True):
        first = seen.setdefault(tuple(part.tobytes() for part in trace), k)
        if first != k:
            out[k] = f"the picture of frame {first + 1} once more"
    return out if len(out) * _MOST_REPEATED <= len(frames) else {}


def _kept(own: Map, other: Map) -> NDArray[np.float64] | None:
    """Return the median share of the other's sharpness that is kept in each direction, over tiles that show any.

    None where too few tiles tell, or where a tenth of them kept most of it in every direction: somewhere this frame is in focus.
    """
    floor = max(1.0, 0.02 * float(other.max()))
    textured = (other > floor).all(0)
    if int(textured.sum()) < _LEAST_TILES:
        return None
    ratio = own[:, textured] / other[:, textured]
    if float(np.quantile(ratio.min(0), 0.9)) > _KEPT_SOMEWHERE:
        return None
    return np.asarray(np.maximum(np.median(ratio, axis=1), 0.0), np.float64)
