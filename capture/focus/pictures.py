"""The certificate of pictures that are there already: a folder, a session, or files; in frames where no positions are known."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capture.errors import FocusError
from capture.focus.blurred import blurred_frames
from capture.focus.certificate import Certificate, certify, dof_of_growth, growth_of_stills, noise_levels
from capture.focus.doubts import PLAIN, shake_doubts
from capture.focus.growth import Growth
from capture.focus.odd import STALE, odd_frames
from capture.focus.survey import FrameSurvey, Surveyor, lain_on
from stacking.develop import Development
from stacking.develop_picture import luma
from stacking.errors import FrameError, RegistrationError
from stacking.frames import Source
from stacking.register.registrar import Registrar, Solution
from stacking.selection import alike
from stacking.sources import find_sources

_FEWEST_FRAMES = 3
# Times the usual step of the numbers in the files' names, and the share of steps from which it is the usual one.
_JUMP, _COUNTED = 1.5, 0.75
_BELIEVED = 0.3
_BESIDE = 2
# Score of a shake from which a frame counts for nothing: of 22 clean stacks of the bench one frame reached 5.7.
_SURELY = 8.0

_STRICT = (
    "pictures tell the geometric part of the depth of field alone: where diffraction adds much to it (high magnification, small aperture) "
    "the step is finer than is said here; --dof gives the whole"
)

Progress = Callable[[str, int, int], None]


class DofFrom(StrEnum):
    """Who tells the depth of field: the pictures themselves, the session that they are of, or the user."""

    PICTURES = "pictures"
    SESSION = "session"
    GIVEN = "given"


@dataclass(frozen=True, slots=True)
class PicturesJudged:
    """What pictures say of their own coverage.

    Attributes
    ----------
    files : tuple of Path
        From near to far where positions are known, else in the order they are stacked.
    unit : str
        "um", or "frame": positions are the frames' numbers, from 1.
    positions : tuple of float
    growth : Growth
        Of blur, in pixels of the half-size frame per unit.
    certificate : Certificate
    doubtful : dict of Path to str
        Frames that may be spoilt, and why; those that surely are count for nothing in the certificate.
    left_out : tuple of (Path, str)
    thumbs : tuple of ndarray
        The frames that are not spoilt, laid on each other, some hundred pixels wide.
    dof_from : DofFrom
    """

    files: tuple[Path, ...]
    unit: str
    positions: tuple[float, ...]
    growth: Growth
    certificate: Certificate
    doubtful: dict[Path, str]
    left_out: tuple[tuple[Path, str], ...]
    thumbs: tuple[NDArray[np.uint8], ...]
    dof_from: DofFrom

    @property
    def confidence(self) -> float | None:
        """How sure the depth of field is that the pictures tell, 0 to 1; None where it is not theirs."""
        return round(self.growth.confidence, 3) if self.dof_from is DofFrom.PICTURES else None

    @property
    def step(self) -> float:
        """The usual distance between neighbouring frames."""
        return float(np.median(np.diff(self.positions)))

    @property
    def step_share(self) -> float | None:
        """The step in depths of field; None where that is not known. Above 1, planes between the frames are in focus in none."""
        return None if self.certificate.dof is None else self.step / self.certificate.dof

    @property
    def notes(self) -> tuple[str, ...]:
        """The certificate's; where nobody knows which end is near, the ends are the first and the last frame."""
        strict = (_STRICT,) if self.dof_from is DofFrom.PICTURES and self.certificate.dof is not None else ()
        if self.unit == "um":
            return self.certificate.notes + strict
        words = (("the near end", "the first frame"), ("the far end", "the last frame"))
        notes = self.certificate.notes
        for word, frame in words:
            notes = tuple(note.split(", about")[0].replace(word, frame) for note in notes)
        return notes + self._jump_notes() + strict

    def _jump_notes(self) -> tuple[str, ...]:
        """Places where numbers are missing in the names: without positions nothing else tells that frames were taken out."""
        paths = [*self.files, *(path for path, _ in self.left_out)]
        numbers = sorted({int(found[-1]) for path in paths if (found := re.findall(r"\d+", path.stem))})
        steps = np.diff(numbers)
        # one number twice, or times of day: not a count of frames
        if len(numbers) < len(paths) or np.mean(steps == np.median(steps)) < _COUNTED:
            return ()
        return tuple(
            f"the numbers of the files jump from {before} to {before + step}: if frames were taken out there, planes are missing that "
            "cannot be told without positions"
            for before, step in zip(numbers, steps, strict=False)
            if step > _JUMP * np.median(steps)
        )

    def values(self) -> dict[str, Any]:
        """The same for JSON."""
        found = self.certificate
        suffix = "um" if self.unit == "um" else "frames"
        weakest = None
        if found.weakest is not None and found.weakest_share is not None:
            weakest = {"position": round(found.weakest, 2), "of_half_dof": round(found.weakest_share, 3)}
        return {
            "frames": len(self.files),
            "unit": self.unit,
            f"step_{suffix}": round(self.step, 4),
            f"dof_{suffix}": None if found.dof is None else round(found.dof, 4),
            "step_of_dof": None if self.step_share is None else round(self.step_share, 3),
            "overlap": None if self.step_share is None else round(1 - self.step_share, 3),
            "dof_from": self.dof_from.value,
            "confidence": self.confidence,
            "coverage": {
                "passed": found.passed,
                "weakest": weakest,
                "gaps_um" if suffix == "um" else "gaps_frames": [
                    [round(g.near, 2), round(g.far, 2)] for g in found.gaps
                ],
                "cut_off_near": round(found.cut_near, 4),
                "cut_off_far": round(found.cut_far, 4),
                "textured_blocks": found.textured,
                "notes": list(self.notes),
            },
            "doubtful": [{"file": str(path), "reason": reason} for path, reason in self.doubtful.items()],
            "left_out": [{"file": str(path), "reason": reason} for path, reason in self.left_out],
        }


def judge_pictures(
    paths: Iterable[Path], progress: Progress, *, dof: float | None = None, dof_from: DofFrom = DofFrom.GIVEN
) -> PicturesJudged:
    """Survey the pictures that `paths` name, and judge them together.

    Parameters
    ----------
    paths : iterable of Path
        As for the stacker: a folder, a session, or files.
    progress : callable
        Called with (stage, done, total).
    dof : float or None
        Total depth of field in the positions' unit; None: told by the pictures themselves, for a circle of confusion of two pixels,
        without the wave part.
    dof_from : DofFrom
        Who gave `dof`.

    Raises
    ------
    stacking.errors.StackingError
        Where there are no pictures to read.
    FocusError
        Where there are too few.
    """
    listing = find_sources(paths)
    chosen = alike(listing.sources)
    left_out = [(one.path, one.reason) for one in (*listing.left_out, *chosen.left_out)]
    sources = list(chosen.sources)
    told = [source.position_um for source in sources if source.position_um is not None]
    in_um = len(told) == len(sources) == len(set(told))
    if in_um:
        sources.sort(key=lambda source: source.position_um or 0.0)
    torn = {source.path for source in chosen.unreadable}
    series = [source.path for source in listing.sources if source in chosen.sources or source.path in torn]
    seen = _looked_at(sources, in_um, progress, left_out, series)
    try:
        solution = seen.registrar.solve()
    except RegistrationError as error:
        raise FocusError(
            f"the pictures cannot be judged together: {error.message}", remedy="Give the pictures of one stack."
        ) from None
    doubtful, spoilt = _judged(seen, solution)
    if len(seen.files) - len(spoilt) < _FEWEST_FRAMES:
        raise _too_few(len(seen.files) - len(spoilt))
    whole = [index for index in range(len(seen.files)) if index not in spoilt]
    # a spoilt frame leaves its place empty, as one that cannot be read
    places = np.asarray([seen.positions[index] for index in whole], np.float64)
    # magnification changes over a stack, and hands move: else texture would drift from block to block
    surveys = [lain_on(seen.surveys[index], solution.registrations[index].matrix, seen.surveyor) for index in whole]
    growth = growth_of_stills(places, surveys, seen.surveyor)
    believed = growth.px_per_unit if growth.confidence >= _BELIEVED else None
    if dof is None:
        dof_from = DofFrom.PICTURES
        dof = None if believed is None else dof_of_growth(believed)
    return PicturesJudged(
        tuple(seen.files),
        "um" if in_um else "frame",
        tuple(seen.positions),
        growth,
        certify(places, surveys, dof, growth_half_px=believed),
        {seen.files[index]: reason for index, reason in doubtful.items()},
        tuple(left_out),
        tuple(survey.thumb for survey in surveys),
        dof_from,
    )


@dataclass(frozen=True, slots=True)
class _Seen:
    """The frames that could be read, and what is known of each."""

    files: list[Path]
    positions: list[float]
    surveys: list[FrameSurvey]
    surveyor: Surveyor
    registrar: Registrar


def _looked_at(
    sources: Sequence[Source], in_um: bool, progress: Progress, left_out: list[tuple[Path, str]], series: Sequence[Path]
) -> _Seen:
    development = Development(sources)
    rows, columns = development.size
    registrar = Registrar((columns, rows), positions_um=[source.position_um for source in sources] if in_um else None)
    found: _Seen | None = None
    for number, source in enumerate(sources, 1):
        progress("looking at", number, len(sources))
        try:
            gray = development.gray_half(source)
            full = luma(development.frame(source).image) if registrar.wants_full((columns, rows)) else gray
        except FrameError as error:
            left_out.append((source.path, error.message))
            continue
        found = found or _Seen([], [], [], Surveyor((gray.shape[0], gray.shape[1])), registrar)
        registrar.add(len(found.files), full)
        found.surveys.append(found.surveyor.survey(gray))
        found.files.append(source.path)
        # of the series: a frame that cannot be read leaves its place empty
        place = series.index(source.path) + 1
        found.positions.append(float(source.position_um) if in_um and source.position_um is not None else float(place))
    if found is None:
        raise _too_few(0)
    return found


def _too_few(count: int) -> FocusError:
    return FocusError(
        f"{count} pictures are too few to judge", remedy=f"Give a stack of {_FEWEST_FRAMES} pictures at least."
    )


def _judged(seen: _Seen, solution: Solution) -> tuple[dict[int, str], set[int]]:
    """Frames, by index, that their neighbours speak against and why; and those of them that show no plane of the subject as it is.

    What `stack` would leave out is spoilt, and what the neighbours surely call shaken or blurred, or an earlier frame; another
    brightness can be matched, and a frame that only looks shaken is named.
    """
    at, surveys = dict(enumerate(seen.positions)), dict(enumerate(seen.surveys))
    found = solution.left_out
    spoilt = set(found)
    fit = {index: survey for index, survey in surveys.items() if index not in spoilt}
    odd = odd_frames(at, fit)
    spoilt |= {index for index, reason in odd.items() if reason == STALE}
    noise = noise_levels(list(fit.values()))
    blurred = blurred_frames(at, fit, noise)
    odd |= dict.fromkeys(blurred, "shaken or blurred: nothing in it is sharp, though its neighbours are")
    spoilt |= blurred
    fit = {index: survey for index, survey in fit.items() if index not in blurred}
    doubts = shake_doubts({index: at[index] for index in fit}, fit, noise)
    scores = {index: doubt.score for index, doubt in doubts.items()}
    named: list[int] = []
    for index in sorted(scores, key=lambda one: -scores[one]):
        # a frame beside a shaken one is only compared with it
        if scores[index] > PLAIN and all(abs(index - other) > _BESIDE for other in named):
            named.append(index)
            odd.setdefault(index, "it looks shaken")
    spoilt |= {index for index in named if scores[index] > _SURELY}
    return dict(sorted((odd | found).items())), spoilt
