"""Frames that match the others and still must not be fused: blurred by a shake, cut off by a broken file, or there twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stacking.register.features import Map

_LOST = 0.55
# Of the logarithm of one direction's sharpness over another's, against the frames around; and in standard deviations of its median.
_SMEARED, _PERHAPS, _SURE = 0.3, 0.2, 6.0
_LEAST_SHARPNESS = 0.25
# Frames around that one is compared with: half of them must be good.
_AROUND = 10
# Of its neighbours' sharpness: less is left by no shake.
_NOTHING = 0.01
_LEAST_TILES = 8
_KEPT_SOMEWHERE = 0.9
_MOST_REPEATED = 3
# Linear light, and the factor that an exposure may be off.
_WHITE, _BLACK, _EXPOSED = 0.9, 0.002, 4.0


def shaken_frames(frames: Sequence[int], sharpness: Sequence[Map]) -> dict[int, str]:
    """Find frames that a shake has blurred, also several in a row, anywhere.

    A shake takes sharpness along one direction more than along another (:func:`_smears`). And along a stack the sharpness of any part
    rises to its focus and falls again, so a frame is nowhere less sharp than both its neighbours, whatever the step; a shaken one is
    nearly everywhere, at least across its path.

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
    smeared = {n for n, strength in _smears(sharpness).items() if strength > _SMEARED}
    shaken = {frames[n]: "shaken: blurred along one direction" for n in smeared}
    sound = [n for n in range(len(frames)) if n not in smeared]
    for before, n, after in zip(sound, sound[1:], sound[2:], strict=False):
        kept = _kept(sharpness[n], np.minimum(sharpness[before], sharpness[after]))
        if kept is not None and kept.min() < _LOST:
            shaken[frames[n]] = (
                "shows nothing of what its neighbours show: black or blank?"
                if kept.max() < _NOTHING
                else f"shaken or out of focus: {kept.min():.0%} of its neighbours' sharpness"
            )
    return shaken


def smeared_frames(frames: Sequence[int], sharpness: Sequence[Map]) -> dict[int, str]:
    """Find frames that may be shaken a little: what :func:`shaken_frames` goes by, with a lower bound. Worth a note, not a frame.

    Parameters
    ----------
    frames, sharpness
        As for :func:`shaken_frames`.

    Returns
    -------
    dict of int to str
        The frames, and what to say.
    """
    said = "perhaps shaken a little: blurred along one direction"
    return {frames[n]: said for n, strength in sorted(_smears(sharpness).items()) if strength > _PERHAPS}


def truncated_frames(frames: Sequence[int], dead: Sequence[NDArray[np.bool_]], light: Sequence[Map]) -> dict[int, str]:
    """Find frames whose lower end holds no picture: a file that broke off and was filled up with one colour.

    White and black that what the others show there may well have become by its exposure are no fill.

    Parameters
    ----------
    frames : sequence of int
    dead : sequence of ndarray, shape (tiles, tiles), bool
        Tiles without the least difference between pixels.
    light : sequence of ndarray, float32
        Mean linear light of blocks, all of one shape, 0 to 1; -1 where it is clipped.
    """
    if len(frames) < 2:
        return {}
    usual = np.mean([d[-1].mean() for d in dead])
    shown = [_lowest_light(each) for each in light]
    out: dict[int, str] = {}
    for n, (k, d) in enumerate(zip(frames, dead, strict=True)):
        others = (usual * len(frames) - d[-1].mean()) / (len(frames) - 1)
        if not d[-1].all() or d.all() or others >= 0.5:
            continue
        around = float(np.median(shown[:n] + shown[n + 1 :]))
        white, black = (
            shown[n] > _WHITE and around > _WHITE / _EXPOSED,
            shown[n] < _BLACK and around < _BLACK * _EXPOSED,
        )
        if not white and not black:
            missing = int(np.argmin(d[::-1].all(1))) or d.shape[0] - 0.5
            out[k] = f"truncated: about {(missing + 0.5) / d.shape[0]:.0%} of it is missing at the bottom"
    return out


def _lowest_light(light: Map) -> float:
    """The mean light of the lowest twelfth of a frame."""
    lowest = light[-max(1, light.shape[0] // 12) :]
    return float(np.where(lowest < 0, np.float32(1.0), lowest).mean())


def repeated_frames(
    frames: Sequence[int], traces: Sequence[tuple[NDArray[Any], ...]], name_of: Callable[[int], str]
) -> dict[int, str]:
    """Find frames that are an earlier one once more: a camera that handed out its last picture again, or a file copied twice.

    Two exposures never agree to the last digit of their noise. Where more than a third repeat, the pictures were made without
    any, and repeating tells nothing.

    Parameters
    ----------
    frames : sequence of int
    traces : sequence of tuple of ndarray
        What is known of each, the same for the same picture alone.
    name_of : callable
        What a frame is called.
    """
    seen: dict[tuple[bytes, ...], int] = {}
    out: dict[int, str] = {}
    for k, trace in zip(frames, traces, strict=True):
        first = seen.setdefault(tuple(part.tobytes() for part in trace), k)
        if first != k:
            out[k] = f"the picture of {name_of(first)} once more"
    return out if len(out) * _MOST_REPEATED <= len(frames) else {}


class _Directions:
    """How sharpness is shared out among directions, in one frame against another.

    For every tile two numbers: the logarithm of the sharpness along - over that along |, and of that along \\ over that along /. A shake
    adds the same vector to those of all tiles, twice its angle round; its length does not depend on the angle.
    """

    def __init__(self, sharpness: Sequence[Map]) -> None:
        self._told = [(s > _LEAST_SHARPNESS).all(0) for s in sharpness]
        self._textured = [(s > _least(s)).all(0) for s in sharpness]
        logs = [np.log(np.maximum(s, np.float32(_LEAST_SHARPNESS)), dtype=np.float64) for s in sharpness]
        self._shares = [log[0::2] - log[1::2] for log in logs]
        self._medians: dict[tuple[int, int], NDArray[np.float64] | None] = {}

    def differences(self, own: int, other: int) -> NDArray[np.float64] | None:
        """Vectors of one frame less those of the other, shape (2, n), for the n tiles that tell; None where too few do."""
        tiles = self._told[own] & self._told[other] & (self._textured[own] | self._textured[other])
        if int(tiles.sum()) < _LEAST_TILES:
            return None
        return np.asarray(self._shares[own][:, tiles] - self._shares[other][:, tiles], np.float64)

    def median(self, own: int, other: int) -> NDArray[np.float64] | None:
        """The same in the median of the tiles, shape (2,)."""
        if own > other:
            turned = self.median(other, own)
            return None if turned is None else -turned
        if (own, other) not in self._medians:
            found = self.differences(own, other)
            self._medians[own, other] = None if found is None else np.median(found, axis=1)
        return self._medians[own, other]


def _smears(sharpness: Sequence[Map]) -> dict[int, float]:
    """Places of frames that lost sharpness along one direction more than across it, and how much more (a logarithm).

    Defocus takes all directions alike, and what a lens does to one more than to another grows from frame to frame. A shake stands in one
    frame, or in each of a few in its own way, while most of the frames around agree. So the frame that departs most from them is taken
    out, and so on; each must then stand out of the nearest that are left, on either side.
    """
    directions = _Directions(sharpness)
    left = list(range(len(sharpness)))
    found: dict[int, tuple[float, NDArray[np.float64]]] = {}
    while len(left) > 2:
        departures = {n: _departure(directions, n, left) for n in left}
        most = max(left, key=lambda n: departures[n][0])
        if departures[most][0] < _PERHAPS:
            break
        found[most] = departures[most]
        left.remove(most)
    return {n: min(much, _stands_out(directions, n, left, way)) for n, (much, way) in found.items()}


def _departure(directions: _Directions, n: int, left: Sequence[int]) -> tuple[float, NDArray[np.float64]]:
    """How far frame `n` departs from at least half of the frames around, and which way, a vector of length one."""
    around = sorted((k for k in left if k != n), key=lambda k: (abs(k - n), k))[:_AROUND]
    told = [apart for apart in (directions.median(n, k) for k in around) if apart is not None]
    if len(told) < 2:
        return 0.0, np.zeros(2)
    way = np.median(told, axis=0)
    way /= max(float(np.hypot(*way)), 1e-9)
    far = np.sort(np.array(told) @ way)
    return float(far[(len(far) - 1) // 2]), way


def _stands_out(directions: _Directions, n: int, left: Sequence[int], way: NDArray[np.float64]) -> float:
    """The least by which frame `n` stands out of the two nearest on either side, in one way; 0 where that is not sure.

    What these two differ between themselves is no shake of this one.
    """
    least: list[float] = []
    for near in ([k for k in left if k < n][:-3:-1], [k for k in left if k > n][:2]):
        if not near:
            continue
        apart = directions.differences(n, near[0])
        if apart is None:
            return 0.0
        apart = way @ apart
        middle = float(np.median(apart))
        scatter = 1.4826 * float(np.median(np.abs(apart - middle)))
        if middle < _SURE * float(np.hypot(1.25 * scatter / np.sqrt(apart.size), 0.01)):
            return 0.0
        least.append(middle)
        if len(near) > 1:
            others = directions.median(n, near[1]), directions.median(near[0], near[1])
            over_both, between = (0.0 if o is None else float(way @ o) for o in others)
            least += [over_both, middle - between]
    return min(least, default=0.0)


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
