"""Watches the frames of a session as they come: surveys each in the background, and judges them together."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capture.camera.picture_file import inspect_picture
from capture.focus.certificate import (
    Certificate,
    certify,
    frames_for,
    growth_of_stills,
    noise_levels,
    noise_of_least,
)
from capture.focus.coverage_picture import draw_coverage
from capture.focus.doubts import LIKELY, PLAIN, most_doubtful, shake_doubts, shaken_against
from capture.focus.judged_depth import JudgedDepth, WatchWishes
from capture.focus.odd import FEWEST_BESIDE, is_misfired, is_stale, odd_frames
from capture.focus.shelf import SurveyShelf
from capture.focus.survey import HALF_PX, FrameSurvey, Surveyor
from capture.focus.travel import FEWEST_FRAMES, STANDS, Stray, find_stray, way_back
from capture.session.certifying import Doubt
from rail.axis import AxisUnit
from stacking.develop import Development, as_source
from stacking.errors import StackingError

_log = logging.getLogger(__name__)

_BELIEVED = 0.3
_FEWEST_FRAMES = 3
# Frames beyond an end at a time: how far it goes is told the better the nearer one is.
_MOST_BEYOND = 6
_MOST_WAITED_S = 600.0
# Frames that are looked at again, before those that came since, to know the usual way from one to the next.
_WAY_BEFORE = 5
# Mean linear light of a frame that is mostly clipped: what goes in and out of focus there is not seen.
_CLIPPED_LIGHT = 0.7
_LEAPS = 4
# In usual ways from one frame to the next: another picture of a frame's place is no farther from it.
_SAME_PLACE = 0.35


class FrameWatch:
    """A companion of the shooting, and its certifier. Nothing here raises: what cannot be judged is noted.

    Parameters
    ----------
    wishes : WatchWishes
    unit : AxisUnit
        What positions count. Optics are known in um only: in steps of a lens the frames alone tell the depth of field.
    """

    def __init__(self, wishes: WatchWishes, unit: AxisUnit = AxisUnit.UM) -> None:
        self._wishes = wishes
        self._unit = unit
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="frame-watch")
        self._waiting: dict[int, Future[FrameSurvey | None]] = {}
        self._surveys = SurveyShelf()
        self._least: NDArray[np.float32] | None = None  # of every block's levels, in all frames so far
        self._way_judged: int | None = None  # the frame up to which the way from frame to frame is as planned
        self._way_trusted: set[int] = set()
        self._shot_again: set[int] = set()
        self._spoilt: set[int] = set()
        self._unchecked: dict[int, str] = {}
        self._positions: dict[int, float] = {}
        self._judged: set[int] = set()
        self._development: Development | None = None
        self._surveyor: Surveyor | None = None
        self._depth = JudgedDepth(wishes, unit, self.note)
        self._live_growth: float | None = None
        self._growth_known = False
        self._certificate: Certificate | None = None  # of the frames as they are; asked for up to four times at the end
        self.still_px: int | None = None
        self.notes: list[str] = []

    def close(self) -> None:
        """Forget what is still waiting."""
        self._worker.shutdown(wait=True, cancel_futures=True)
        self._surveys.close()

    # -- frames ------------------------------------------------------------------------------------------------------------------

    def frame_stored(self, number: int, position: float, paths: Sequence[Path]) -> None:
        """An accepted frame is on disk; of several exposures the first is judged, as what it is compared with is one."""
        self._collect(wait=False)  # what is done goes to the shelf: a future would keep it in memory
        self._positions[number] = position
        self._waiting[number] = self._worker.submit(self._survey, paths[0])

    def frame_withdrawn(self, number: int) -> None:
        """It does not count any more."""
        self._collect(wait=True)
        self._certificate = None
        self._surveys.pop(number, None)
        self._positions.pop(number, None)
        self._judged.discard(number)
        self._way_judged = None
        self._way_trusted.discard(number)
        self._spoilt.discard(number)
        self._unchecked.pop(number, None)
        self._shot_again.add(number)

    def all_stored(self) -> None:
        """The certificate is asked for by itself."""

    def suspects(self, *, wait: bool) -> dict[int, str]:
        """Frames that are dark, bright, or an earlier picture once more."""
        self._collect(wait=wait)
        if len(self._surveys) <= FEWEST_BESIDE:
            return {}
        new = set(self._surveys) - self._judged
        self._judged |= new
        return odd_frames(self._positions, self._surveys, new)

    def strayed(self, *, wait: bool) -> tuple[int, str] | None:
        """The first frame that does not lie where the rail says, and what speaks for that."""
        self._collect(wait=wait)
        order = sorted(self._surveys, key=lambda number: self._positions[number])
        if self._least is None or len(order) < FEWEST_FRAMES:
            return None
        since = order.index(self._way_judged) if self._way_judged in order else 0
        begin = 0 if wait else max(0, since - _WAY_BEFORE)
        order = order[begin:]
        first = 1 if wait else max(1, since - begin)
        surveys = [self._surveys[number] for number in order]
        if float(np.median([survey.brightness for survey in surveys])) > _CLIPPED_LIGHT:
            self.note("most of the picture is clipped white: lost steps would not be seen in it")
            return None
        positions = np.asarray([self._positions[number] for number in order], np.float64)
        noise = noise_of_least(self._least)
        trusted = {index for index, number in enumerate(order) if number in self._way_trusted}
        for index in range(first, len(order) - 1):  # one may be the camera's, two in a row are not
            again = is_stale(surveys[index], surveys[index - 1 : index]) and is_stale(
                surveys[index + 1], surveys[index : index + 1]
            )
            if again and index not in trusted:
                return order[index], Stray(index, 0.0).words
        alone = {index for index, number in enumerate(order) if number in self._shot_again}
        while found := find_stray(positions, surveys, noise, first=first, trusted=trusted, alone=alone):
            # terraces, and flat subjects, come into focus by leaps: where that was seen often only a picture that stands still counts
            if found.share < STANDS or len(self._way_trusted) < _LEAPS:
                return order[found.index], found.words
            trusted.add(found.index)
        self._way_judged = order[-2]  # the last is judged again with the one behind it
        return None

    def trust(self, number: int) -> None:
        """Frame `number` was looked after: it lies where the rail says."""
        self._way_trusted.add(number)

    def lies_at(self, number: int, again: Path) -> bool | None:
        """Whether the picture in `again` was taken where frame `number` was; None where it does not tell."""
        survey = self._survey(again)
        order = sorted(self._surveys, key=lambda one: self._positions[one])
        if survey is None or self._least is None or number not in order:
            return None
        at = order.index(number)
        near = order[max(0, at - _WAY_BEFORE) : at + _WAY_BEFORE]
        surveys = [self._surveys[one] for one in near]
        way = way_back(surveys, near.index(number), survey, noise_of_least(self._least))
        return None if way is None else way < _SAME_PLACE

    # -- the certifier -------------------------------------------------------------------------------------------------------------

    def doubts(self, least: Doubt) -> list[int]:
        """Frames that may be shaken, the most doubtful first: a second exposure tells."""
        self._collect(wait=True)
        surveys = self._ordered()
        if not surveys:
            return []
        numbers = [number for number, _ in surveys]
        noise = noise_levels([survey for _, survey in surveys])
        doubts = shake_doubts({number: self._positions[number] for number in numbers}, dict(surveys), noise)
        if least is Doubt.SOME:
            return most_doubtful(numbers, doubts)
        if not doubts:
            self.note(f"{len(surveys)} frames, or frames at uneven steps, are too few to be judged for shake")
        enough = LIKELY if least is Doubt.LIKELY else PLAIN
        scores = {number: doubt.score for number, doubt in doubts.items() if doubt.score > enough}
        return sorted(scores, key=lambda number: -scores[number])

    def verdict(self, number: int, again: Path) -> str | None:
        """Why frame `number` is worse than the second exposure in `again`; "" where it is not, None where that exposure says nothing."""
        survey = self._survey(again)
        if survey is None or number not in self._surveys:
            return None
        others = [other for one, other in self._surveys.items() if one != number]
        if odd := is_stale(survey, others) or is_misfired(survey, [self._surveys[number]], 0.0):
            self.unchecked(number, f"the second exposure of frame {number} says nothing: {odd}")
            return None
        self._unchecked.pop(number, None)
        noise = noise_levels([survey for _, survey in self._ordered()])
        return shaken_against(self._surveys[number], survey, noise)

    def unchecked(self, number: int, why: str) -> None:
        """To be said with the certificate, unless the frame is compared later."""
        _log.warning("%s", why)
        self._unchecked[number] = why

    def discount(self, numbers: AbstractSet[int]) -> None:
        """Frames that stay, but are spoilt: they cover nothing."""
        if numbers:
            self._spoilt |= numbers
            self._certificate = None

    def missing(self, step: float, limits: tuple[float, float]) -> list[tuple[float, str]]:
        """Positions that are still needed, and why each."""
        certificate = self.certificate()
        if certificate.dof is None:
            return []
        pace = max(min(step, certificate.dof * (1 - (self._wishes.overlap or 0.3))), 1e-3)
        wanted = [
            (p, "a gap: a plane of the subject was in focus in no frame") for p in frames_for(certificate.gaps, pace)
        ]
        sound = [position for number, position in self._positions.items() if number not in self._spoilt]
        if not sound:
            return []
        first, last = min(sound), max(sound)
        for end in certificate.reach:
            start, sign = (first, -1) if end < first else (last, 1)
            count = min(int(np.ceil(abs(end - start) / pace)), _MOST_BEYOND)
            wanted += [(start + sign * pace * k, "the subject goes on beyond the end") for k in range(1, count + 1)]
        return [(position, why) for position, why in wanted if limits[0] <= position <= limits[1]]

    def lacks_growth(self) -> bool:
        """Whether nothing that was measured tells the depth of field: a formula's is as wrong as what was entered."""
        measured = self._wishes.dof is not None or self._live_growth is not None
        if measured or len(self._positions) < _FEWEST_FRAMES:
            return False
        self.certificate()
        return not self._growth_known

    def learn_growth(self, px_per_unit: float) -> None:
        """Growth of blur in pixels of the still per unit of position, seen on live frames."""
        self._certificate = None
        self._live_growth = px_per_unit

    def certificate(self) -> Certificate:
        """What the frames so far say of their coverage."""
        self._collect(wait=True)
        if self._certificate is None:
            self._certificate = self._certified()
        return self._certificate

    def _certified(self) -> Certificate:
        sound = [(self._positions[number], survey) for number, survey in self._ordered() if number not in self._spoilt]
        surveys = [survey for _, survey in sound]
        positions = np.asarray([position for position, _ in sound], np.float64)
        growth = None
        if self._surveyor is not None and len(surveys) >= _FEWEST_FRAMES:
            found = growth_of_stills(positions, surveys, self._surveyor)
            growth = found.px_per_unit if found.confidence >= _BELIEVED else None
        if growth is None and self._live_growth is not None:
            growth = self._live_growth / HALF_PX
        self._growth_known = growth is not None
        return certify(positions, surveys, self._depth.dof(growth), growth_half_px=growth, overlap=self._wishes.overlap)

    def coverage(self, picture: Path | None) -> dict[str, Any]:
        """The certificate as the journal keeps it; drawn into `picture`."""
        certificate = self.certificate()
        drawn = None
        if picture is not None and self._surveys:
            try:
                ordered = list(self._ordered())
                sound = [survey for number, survey in ordered if number not in self._spoilt]
                thumbs = [survey.thumb for survey in sound or [survey for _, survey in ordered]]
                draw_coverage(picture, certificate, self._sorted_positions(), thumbs)
                drawn = picture.name
            except (OSError, ValueError) as error:
                self.note(f"the coverage could not be drawn: {error}")
        notes = [*certificate.notes, *self.notes, *self._unchecked.values()]
        if (stray := self.strayed(wait=True)) is not None:
            notes.append(f"frame {stray[0]}: {stray[1]}; the rail may have lost steps, and that was not looked after")
        values: dict[str, Any] = {
            "passed": certificate.passed,
            "weakest": None
            if certificate.weakest is None
            else {
                "position": round(certificate.weakest, 2),
                "of_half_dof": None if certificate.weakest_share is None else round(certificate.weakest_share, 3),
            },
            "gaps_um": None,
            "dof_um": None,
            "cut_off_near": round(certificate.cut_near, 4),
            "cut_off_far": round(certificate.cut_far, 4),
            "textured_blocks": certificate.textured,
            "map": drawn,
            "notes": notes,
        }
        suffix = "um" if self._unit is AxisUnit.UM else "steps"
        values[f"gaps_{suffix}"] = [[round(gap.near, 2), round(gap.far, 2)] for gap in certificate.gaps]
        values[f"dof_{suffix}"] = None if certificate.dof is None else round(certificate.dof, 3)
        return values

    # -- inside --------------------------------------------------------------------------------------------------------------------

    def _survey(self, path: Path) -> FrameSurvey | None:
        try:
            source = as_source(path)
            if self._development is None:
                self._development = Development([source])
                self._depth.learn(inspect_picture(path).exposure)
            gray = self._development.gray_half(source)
            if self._surveyor is None:
                self._surveyor = Surveyor((gray.shape[0], gray.shape[1]))
                self.still_px = round(HALF_PX * max(gray.shape))
            return self._surveyor.survey(gray)
        except (StackingError, OSError, ValueError) as error:
            self.note(f"{path.name} could not be judged: {error}")
            return None

    def note(self, text: str) -> None:
        """To be said with the certificate."""
        _log.warning("%s", text)
        if text not in self.notes:
            self.notes.append(text)

    def _collect(self, *, wait: bool) -> None:
        for number, future in list(self._waiting.items()):
            if wait or future.done():
                survey = future.result(_MOST_WAITED_S)
                del self._waiting[number]
                if survey is not None and number in self._positions:
                    self._certificate = None
                    self._surveys[number] = survey
                    levels = survey.levels.astype(np.float32)
                    self._least = levels if self._least is None else np.minimum(self._least, levels)

    def _ordered(self) -> list[tuple[int, FrameSurvey]]:
        """By position; of two at one place the later."""
        at = {self._positions[number]: number for number in sorted(self._surveys)}
        return [(at[position], self._surveys[at[position]]) for position in sorted(at)]

    def _sorted_positions(self) -> list[float]:
        return [self._positions[number] for number, _ in self._ordered()]
