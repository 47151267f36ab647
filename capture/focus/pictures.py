"""The certificate of pictures that are there already: a folder, a session, or files; in frames where no positions are known."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capture.errors import FocusError
from capture.focus.certificate import Certificate, certify, dof_of_growth, growth_of_stills, noise_levels
from capture.focus.doubts import PLAIN, is_misfired, is_stale, light_octaves, neighbours, shake_scores
from capture.focus.growth import Growth
from capture.focus.survey import FrameSurvey, Surveyor
from stacking.develop import Development, alike
from stacking.errors import FrameError
from stacking.sources import find_sources

_FEWEST_FRAMES = 3
_BELIEVED = 0.3
_LIGHT_FRAMES = 4
_BESIDE = 2

Progress = Callable[[str, int, int], None]


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
        Frames that may be spoilt, and why.
    left_out : tuple of (Path, str)
    thumbs : tuple of ndarray
        The frames, some hundred pixels wide.
    """

    files: tuple[Path, ...]
    unit: str
    positions: tuple[float, ...]
    growth: Growth
    certificate: Certificate
    doubtful: dict[Path, str]
    left_out: tuple[tuple[Path, str], ...]
    thumbs: tuple[NDArray[np.uint8], ...]

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
        if self.unit == "um":
            return self.certificate.notes
        words = (("the near end", "the first frame"), ("the far end", "the last frame"))
        notes = self.certificate.notes
        for word, frame in words:
            notes = tuple(note.split(", about")[0].replace(word, frame) for note in notes)
        return notes

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
            "confidence": round(self.growth.confidence, 3),
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


def judge_pictures(paths: Iterable[Path], progress: Progress, *, dof: float | None = None) -> PicturesJudged:
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
    development = Development(sources)
    surveyor: Surveyor | None = None
    surveys: list[FrameSurvey] = []
    files: list[Path] = []
    positions: list[float] = []
    for number, source in enumerate(sources, 1):
        progress("looking at", number, len(sources))
        try:
            gray = development.gray_half(source)
        except FrameError as error:
            left_out.append((source.path, error.message))
            continue
        surveyor = surveyor or Surveyor((gray.shape[0], gray.shape[1]))
        surveys.append(surveyor.survey(gray))
        files.append(source.path)
        # a frame that cannot be read leaves its place empty
        positions.append(float(source.position_um) if in_um and source.position_um is not None else float(number))
    if surveyor is None or len(surveys) < _FEWEST_FRAMES:
        raise FocusError(
            f"{len(surveys)} pictures are too few to judge",
            remedy=f"Give a stack of {_FEWEST_FRAMES} pictures at least.",
        )
    places = np.asarray(positions, np.float64)
    growth = growth_of_stills(places, surveys, surveyor)
    believed = growth.px_per_unit if growth.confidence >= _BELIEVED else None
    if dof is None and believed is not None:
        dof = dof_of_growth(believed)
    certificate = certify(places, surveys, dof, growth_half_px=believed)
    return PicturesJudged(
        tuple(files),
        "um" if in_um else "frame",
        tuple(positions),
        growth,
        certificate,
        {files[index]: reason for index, reason in _doubtful(positions, surveys).items()},
        tuple(left_out),
        tuple(survey.thumb for survey in surveys),
    )


def _doubtful(positions: list[float], surveys: list[FrameSurvey]) -> dict[int, str]:
    """Frames, by index, that their neighbours speak against."""
    at = dict(enumerate(positions))
    lights = [light_octaves(survey) for survey in surveys]
    spread = 1.4826 * float(np.median(np.abs(np.diff(lights)))) / np.sqrt(2)
    found: dict[int, str] = {}
    for index, survey in enumerate(surveys):
        others = [surveys[other] for other in neighbours(index, at, _LIGHT_FRAMES)]
        if reason := is_stale(survey, surveys[:index]) or is_misfired(survey, others, spread):
            found[index] = reason
    scores = shake_scores(at, dict(enumerate(surveys)), noise_levels(surveys))
    named: list[int] = []
    for index in sorted(scores, key=lambda one: -scores[one]):
        # a frame beside a shaken one is only compared with it
        if scores[index] > PLAIN and all(abs(index - other) > _BESIDE for other in named):
            named.append(index)
            found.setdefault(index, "it looks shaken")
    return dict(sorted(found.items()))
