"""Registration of a stack while its frames arrive: pairs at once, one solution for all at the end."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from stacking.errors import RegistrationError, StackingUsageError
from stacking.frames import Registration
from stacking.register.chain import Chain, components, solve_chain
from stacking.register.damage import repeated_frames, shaken_frames, smeared_frames, truncated_frames
from stacking.register.deformation import sure_deformation
from stacking.register.features import LEAST_CONTRAST, Features, Gray, Map, extract
from stacking.register.matching import Match, MatchQuery, match
from stacking.register.photometry import encoded_ratio, peculiar_levels
from stacking.register.similarity import Similarity
from stacking.register.trajectory import bumped_frames, places, steady_matches

_FULL_BELOW_PIXELS = 3_000_000
# Of the shorter side, to be registered and to be looked at: what is smaller shows too little.
_LEAST_SIDE_PX, _LEAST_STILL_SIDE_PX = 24, 4
_LOW_CONTRAST = 1.0
_CLIPPED = 65535
_DIRECT = 2
_REMEMBERED = 5
_ANCHOR_EVERY = 8
_LEAST_STILL = 3
_BLANK = "blank: there is nothing to see in it"
_NOT_THERE = "does not lie on the others: moved, or a foreign picture?"


@dataclass(frozen=True, slots=True)
class Solution:
    """Where every frame lies, and which do not belong.

    Attributes
    ----------
    registrations : dict of int to Registration
        For every frame that is not left out.
    reference : int
        The frame whose geometry and brightness all others are brought to.
    left_out : dict of int to str
        Frames that must not be fused, and why.
    notes : tuple of (int, str)
        Frames that are used, with what was peculiar about them.
    deformed : tuple of str
        How all frames depart from similarity, where they surely do.
    """

    registrations: dict[int, Registration]
    reference: int
    left_out: dict[int, str] = field(default_factory=dict)
    notes: tuple[tuple[int, str], ...] = ()
    deformed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Trace:
    """What is kept of every frame to the end: some ten kilobytes, whatever its size."""

    light: NDArray[np.uint16]
    sharpness: Map
    dead: NDArray[np.bool_]
    contrast: float
    light_factor: int


class Registrar:
    """Registers frames as they come, in memory that does not grow with their number (some ten kilobytes a frame).

    Not thread-safe, except :meth:`measure`, which may run for several frames at once. The solution depends on the frames and
    their order alone.

    Parameters
    ----------
    size : (int, int)
        Width and height of every frame, pixels.
    positions_um : sequence of float or None, optional
        Rail position of each frame by its index, where known: what frames cannot tell of their scale is taken
        from the others over position (else over index).
    reference : int, optional
        The frame to register to; by default the middle one of those that belong. Where it is left out, the nearest that
        belongs takes its place.
    motion : {"similarity", "none"}
        "none" takes every frame as lying still; brightness is matched all the same, and foreign pictures are found.
    matcher : callable, optional
        Stands in for :func:`stacking.register.matching.match`: takes a query and returns what that returns, perhaps from memory.
    name_of : callable, optional
        What the frame of an index is called where another one is said to repeat it.
    """

    def __init__(
        self,
        size: tuple[int, int],
        *,
        positions_um: Sequence[float | None] | None = None,
        reference: int | None = None,
        motion: str = "similarity",
        matcher: Callable[[MatchQuery], Match | None] = match,
        name_of: Callable[[int], str] = "frame {}".format,
    ) -> None:
        if motion not in ("similarity", "none"):
            raise StackingUsageError(f"unknown motion {motion!r}", remedy="use 'similarity' or 'none'")
        self._size = size
        self._positions = positions_um
        self._reference = reference
        self._still = motion == "none"
        self._too_small = min(size) < (_LEAST_STILL_SIDE_PX if self._still else _LEAST_SIDE_PX)
        self._traces: dict[int, _Trace] = {}
        self._matches: list[Match] = []
        self._recent: list[Features] = []
        self._anchor: Features | None = None
        self._since_anchor = 0
        self._connected: set[int] = set()
        self._matcher = matcher
        self._name_of = name_of
        self._provisional: dict[int, Similarity] = {}

    @staticmethod
    def wants_full(size: tuple[int, int]) -> bool:
        """Tell whether frames of this (width, height) should be given at full instead of half size."""
        return size[0] * size[1] < _FULL_BELOW_PIXELS

    def measure(self, index: int, gray: Gray) -> Features:
        """Do the part of :meth:`add` that concerns one frame alone; several threads may at once.

        Parameters
        ----------
        index : int
            Place of the frame in the stack.
        gray : ndarray, shape (height // 2, width // 2) or (height, width), uint8
            Encoded luma. A half-size one is the mean of 2 x 2 blocks; rounding odd sizes up is as good. Not copied:
            do not change it afterwards.
        """
        return extract(index, gray, self._size)

    def add(self, index: int, gray: Gray | Features) -> None:
        """Register one frame with those before it.

        Parameters
        ----------
        index : int
            Place in the stack; must grow from call to call. Indices may be missing.
        gray : ndarray or Features
            The frame's luma as in :meth:`measure`, or what that returned.
        """
        frame = gray if isinstance(gray, Features) else self.measure(index, gray)
        if self._traces and index <= max(self._traces):
            raise StackingUsageError(
                f"frame {index} was added after frame {max(self._traces)}", remedy="add frames in order"
            )
        self._traces[index] = _Trace(
            _stored(frame.light),
            frame.sharpness,
            frame.dead,
            frame.contrast,
            frame.light_factor,
        )
        if frame.blank or self._too_small:
            return
        found = self._pair(frame)
        self._matches += found
        self._remember(frame, found)
        if found and not self._provisional:
            self._provisional[found[0].old] = Similarity()
        for m in found:
            if m.old in self._provisional:
                self._provisional[frame.index] = self._provisional[m.old].then(m.similarity)
                break

    def provisional(self, index: int) -> Similarity | None:
        """Where a frame lies on the first one that any other matched, over one match after the other: good enough for a preview.

        None where no match leads to it.
        """
        return self._provisional.get(index)

    def solve(self, avoid: Collection[int] = ()) -> Solution:
        """Solve for all frames at once. May be called at any time, and again after more frames.

        Parameters
        ----------
        avoid : collection of int
            Frames that are not the reference as long as there are others.

        Returns
        -------
        Solution

        Raises
        ------
        RegistrationError
            Where no two frames belong together, or where they are too small.
        """
        frames = sorted(self._traces)
        if not frames:
            raise RegistrationError("there is no frame to register", remedy="add frames first")
        if self._too_small:
            width, height = self._size
            still = min(self._size) >= _LEAST_STILL_SIDE_PX
            raise RegistrationError(
                f"frames of {width}x{height} pixels are too small to tell how they lie on each other",
                remedy="Give larger frames" + (", or use --align none for such as lie still." if still else "."),
            )
        left_out = {k: _BLANK for k in frames if self._traces[k].contrast < LEAST_CONTRAST}
        seen = [k for k in frames if k not in left_out]
        if not seen:
            raise RegistrationError("every frame is blank", remedy="Check lens cap, light and exposure.")
        groups = components(seen, self._matches)
        if self._still and not _tells(groups):
            groups = [seen]
        belonging = groups[0]
        if len(belonging) == 1 and len(seen) > 1:
            raise RegistrationError(
                "no two frames show the same thing",
                remedy="Check that the pictures are one stack; use --align none for frames that need no alignment.",
            )
        for group in groups[1:]:
            dim = all(self._traces[k].contrast < _LOW_CONTRAST for k in group)
            why = _NOT_THERE if self._still else _why_alone(group)
            left_out |= dict.fromkeys(group, _BLANK if dim else why)
        traces = [self._traces[k] for k in belonging]
        cut = truncated_frames(belonging, [t.dead for t in traces], [_levels(t.light) for t in traces])
        repeated = repeated_frames(belonging, [(t.light, t.sharpness, t.dead) for t in traces], self._name_of)
        left_out |= repeated | cut
        belonging = [k for k in belonging if k not in cut and k not in repeated]
        reference, chain, gains = self._solve_for(frames, belonging, avoid)
        shaken = {}
        if not self._still:
            shaken = shaken_frames(belonging, [self._traces[k].sharpness * gains[k].mean() ** 2 for k in belonging])
        if 0 < len(shaken) <= len(belonging) // 3:
            left_out |= shaken
            belonging = [k for k in belonging if k not in shaken]
            reference, chain, gains = self._solve_for(frames, belonging, avoid)
        registrations = {}
        for k in belonging:
            matrix, deformation = chain.deformation.placed(chain.poses[k], k, reference, self._size)
            registrations[k] = Registration(matrix, gains[k], chain.residuals_px[k], deformation)
        notes = self._notes(belonging, chain.poses, gains)
        return Solution(registrations, reference, dict(sorted(left_out.items())), notes, chain.deformation.notes())

    def _solve_for(
        self, frames: Sequence[int], belonging: Sequence[int], avoid: Collection[int]
    ) -> tuple[int, Chain, dict[int, NDArray[np.float64]]]:
        """Return the reference, where frames lie, and gains; a reference far off the others' brightness gives way to a neighbour."""
        wanted = frames[len(frames) // 2] if self._reference is None else self._reference
        able = [k for k in belonging if k not in avoid] or belonging
        reference = min(able, key=lambda k: (abs(k - wanted), k))
        chain = self._chain(belonging, reference)
        gains = self._gains(belonging, reference, chain.poses)
        peculiar = peculiar_levels(belonging, gains)
        if self._reference is None and reference in peculiar:
            usual = [k for k in able if k not in peculiar]
            reference = min(usual or able, key=lambda k: (abs(k - wanted), k))
            chain = self._chain(belonging, reference)
            gains = self._gains(belonging, reference, chain.poses)
        return reference, chain, gains

    def _chain(self, frames: Sequence[int], reference: int) -> Chain:
        if self._still:
            return Chain(dict.fromkeys(frames, Similarity()), dict.fromkeys(frames, 0.0))
        inside = set(frames)
        matches = [m for m in self._matches if m.old in inside and m.new in inside]
        kept = components(frames, matches)[0]
        if len(kept) < len(frames):  # a frame left out was the only bridge: go over it all the same
            matches, kept = self._matches, list(components(sorted(self._traces), self._matches)[0])
        matches = [m for m in matches if m.old in kept]
        place = dict(zip(kept, places(kept, self._positions), strict=True))
        deformed = sure_deformation(matches, place, self._size)
        matches = [deformed.freed(m) for m in matches]
        chain = solve_chain(kept, matches, reference)
        extra = steady_matches(kept, chain, matches, self._size, self._positions)
        if extra:
            chain = solve_chain(kept, [*matches, *extra], reference)
        return replace(chain, deformation=deformed)

    def _gains(
        self, frames: Sequence[int], reference: int, poses: Mapping[int, Similarity]
    ) -> dict[int, NDArray[np.float64]]:
        """Return the factor that brings each frame to the reference; over the nearest neighbour where they share too little."""
        gains = {reference: np.ones(3)}
        outward = sorted((k for k in frames if k != reference), key=lambda k: (abs(k - reference), k))
        for k in outward:
            nearest = min(gains, key=lambda j: (abs(j - k), j))
            for other in (reference, nearest):
                ratio = self._ratio(other, k, poses)
                if ratio is not None:
                    gains[k] = gains[other] / ratio
                    break
            else:
                gains[k] = gains[nearest].copy()
        return gains

    def _ratio(self, old: int, new: int, poses: Mapping[int, Similarity]) -> NDArray[np.float64] | None:
        one, two = self._traces[old], self._traces[new]
        between = poses[old].inverse().then(poses[new])
        luma = encoded_ratio(_levels(one.light), _levels(two.light), between, one.light_factor)
        return None if luma is None else np.full(3, luma)

    def _notes(
        self, frames: Sequence[int], poses: Mapping[int, Similarity], gains: dict[int, NDArray[np.float64]]
    ) -> tuple[tuple[int, str], ...]:
        notes = [
            (k, f"moved by {px:.0f} px against its neighbours") for k, px in bumped_frames(frames, poses, self._size)
        ]
        for k, level in peculiar_levels(frames, gains).items():
            word, stops = "brighter" if level > 0 else "darker", abs(level) / np.log(2.0)
            text = f"{stops:.1f} stops {word} than the others ({np.expm1(level):+.0%} of light), matched to them"
            notes.append((k, text))
        by_corners = {k for m in self._matches if m.points > 0 for k in (m.old, m.new)}
        if not self._still:
            steady = [self._traces[k].sharpness * gains[k].mean() ** 2 for k in frames]
            notes += sorted(smeared_frames(frames, steady).items())
            notes += [
                (k, "hardly anything to follow: registered by its large shapes") for k in frames if k not in by_corners
            ]
        return tuple(sorted(notes))

    def _pair(self, frame: Features) -> list[Match]:
        """Match with the two frames before; farther back where those fail, and with the anchor for a straight chain."""
        if self._still:
            asked = (self._matcher(MatchQuery(old, frame, self._size, still=True)) for old in self._recent)
            return [m for m in asked if m is not None]
        found: list[Match] = []
        matched = [f for f in reversed(self._recent) if f.index in self._connected]
        alone = [f for f in reversed(self._recent) if f.index not in self._connected]
        for n, old in enumerate(matched):
            if len(found) == _DIRECT:
                break
            found += self._match(old, frame, found, thorough=n < _DIRECT)
        for n, old in enumerate(alone[: 1 if found else _REMEMBERED]):
            found += self._match(old, frame, found, thorough=not found and n < _DIRECT)
        anchor = self._anchor
        if anchor is not None and found and all(anchor.index != m.old for m in found):
            found += self._match(anchor, frame, found, alike=True)
        return found

    def _match(
        self, old: Features, new: Features, found: Sequence[Match], *, alike: bool = False, thorough: bool = True
    ) -> list[Match]:
        known = self._through(old.index, found)
        if alike and known is None:
            return []
        m = self._matcher(MatchQuery(old, new, self._size, known, alike, thorough))
        return [] if m is None else [m]

    def end(self) -> None:
        """Let go of the pictures that further frames would be matched with; what is added yet is matched in small."""
        self._recent = [f.without_detail() for f in self._recent]
        self._anchor = None if self._anchor is None else self._anchor.without_detail()

    def _through(self, old: int, found: Sequence[Match]) -> Similarity | None:
        """Return what the matches so far say of the way from an older frame to the new one, over one frame between."""
        for last in found:
            for before in reversed(self._matches):
                if before.new == last.old and before.old == old:
                    return before.similarity.then(last.similarity)
                if before.old == last.old and before.new == old:
                    return before.similarity.inverse().then(last.similarity)
        return None

    def _remember(self, frame: Features, found: Sequence[Match]) -> None:
        """Keep the last two frames whole, of the last that belong some more in small, and an anchor."""
        for m in found:
            self._connected |= {m.old, m.new}
        self._recent.append(frame)
        last = self._recent[-_DIRECT:]
        older = [f for f in self._recent[:-_DIRECT] if f.index in self._connected][-(_REMEMBERED - _DIRECT) :]
        self._recent = [f.without_detail() for f in older] + last
        if found and (self._anchor is None or self._since_anchor >= _ANCHOR_EVERY):
            self._anchor, self._since_anchor = frame, 0
        self._since_anchor += 1


def _stored(light: Map) -> NDArray[np.uint16]:
    return np.where(light < 0, _CLIPPED, np.round(light * (_CLIPPED - 1))).astype(np.uint16)


def _levels(stored: NDArray[np.uint16]) -> Map:
    return np.where(stored == _CLIPPED, np.float32(-1), stored / np.float32(_CLIPPED - 1)).astype(np.float32)


def _tells(groups: Sequence[Sequence[int]]) -> bool:
    """Whether so many frames that lie still resemble each other that those which do not are foreign."""
    return len(groups[0]) >= _LEAST_STILL and len(groups[0]) > 2 * sum(map(len, groups[1:]))


def _why_alone(group: Sequence[int]) -> str:
    if len(group) == 1:
        return "matches no other frame: a foreign picture?"
    return f"matches only {len(group) - 1} other frame{'s' if len(group) > 2 else ''}, not the rest: another stack?"
