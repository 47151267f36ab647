"""Frames that match the others and still must not be fused: blurred by a shake, cut off by a broken file, or there twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stacking.register.features import Map

_LOST = 0.55
# Of the logarithm of one direction's sharpness over another's, at an end of a stack; and in standard deviations of its median.
_SMEARED_AT_END, _PERHAPS_AT_END, _SURE = 0.4, 0.25, 6.0
_LEAST_SHARPNESS = 0.25
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
    neighbour, sharpness that fell more in one direction than in another gives the shake away (:func:`_smear_at_end`).

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
                    else f"shaken or out of focus: {kept.min():.0%} of its neighbours' sharpness"
                )
        elif _smear_at_end(n, sharpness) > _SMEARED_AT_END:
            shaken[k] = "shaken: blurred along one direction"
    return shaken


def smeared_frames(frames: Sequence[int], sharpness: Sequence[Map]) -> dict[int, str]:
    """Find frames that may be shaken a little: blurred along one direction more than defocus does.

    Against the sharper of its neighbours such a frame lost sharpness unequally. Good frames of real and rendered stacks lost it alike
    to a factor of 1.15 (one, nearly without detail, 1.35); a shake of 8 px in 480 gives 1.36 to 1.7. That is worth a note, not a frame.
    At the ends as :func:`shaken_frames`, with a lower bound.

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
    last = len(frames) - 1
    for n, k in enumerate(frames):
        if 0 < n < last:
            ratios = [_kept(sharpness[n], sharpness[j]) for j in (n - 1, n + 1)]
            found = all(
                kept is not None and _NEARLY_NOTHING < kept.min() < _BLURRED and kept.max() > _SMEARED * kept.min()
                for kept in ratios
            )
        else:
            found = _smear_at_end(n, sharpness) > _PERHAPS_AT_END
        if found:
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


def _smear_at_end(n: int, sharpness: Sequence[Map]) -> float:
    """How much more sharpness frame `n`, the first or the last, lost in one direction than in another; 0 where there is no telling.

    Defocus takes all directions alike, and what a lens does to one more than to another grows from frame to frame. A shake stands in one
    frame alone: it shows against the next frame and the one after that, along the same direction, and not between these two. Over good
    frames of four real and five rendered stacks this was at most 0.14; a shake of 15 px in 2000 gives 0.2 to 1.1.
    """
    inward = 1 if n == 0 else -1
    if len(sharpness) < 3:
        return 0.0
    own, next_, after = (sharpness[n + inward * k] for k in range(3))
    unequal = _log_kept(own, next_)
    if unequal is None:
        return 0.0
    of_direction = np.median(unequal - unequal.mean(0), axis=1)
    most, least = int(of_direction.argmax()), int(of_direction.argmin())
    apart = unequal[most] - unequal[least]
    middle = float(np.median(apart))
    scatter = 1.4826 * float(np.median(np.abs(apart - middle)))
    if middle < _SURE * float(np.hypot(1.25 * scatter / np.sqrt(apart.size), 0.01)):
        return 0.0
    others = [_log_kept(own, after), _log_kept(next_, after)]
    over_both, between = (0.0 if o is None else float(np.median(o[most] - o[least])) for o in others)
    return min(middle, over_both, middle - between)


def _log_kept(own: Map, other: Map) -> NDArray[np.float64] | None:
    """Logarithm of the other's sharpness that is kept, by direction and tile that shows any; None where too few do."""
    textured = (other > _least(other)).all(0) & (own > _LEAST_SHARPNESS).all(0)
    if int(textured.sum()) < _LEAST_TILES:
        return None
    return np.log(own[:, textured].astype(np.float64) / other[:, textured])


def _least(sharpness: Map) -> float:
    """Below this a tile shows nothing."""
    return max(1.0, 0.02 * float(sharpness.max()))


def _kept(own: Map, other: Map) -> NDArray[np.float64] | None:
    """Return the median share of the other's sharpness that is kept in each direction, over tiles that show any.

    None where too few tiles tell, or where a tenth of them kept most of it in every direction: somewhere this frame is in focus.
    """
    textured = (other > _least(other)).all(0)
    if int(textured.sum()) < _LEAST_TILES:
        return None
    ratio = own[:, textured] / other[:, textured]
    if float(np.quantile(ratio.min(0), 0.9)) > _KEPT_SOMEWHERE:
        return None
    return np.asarray(np.maximum(np.median(ratio, axis=1), 0.0), np.float64)
