"""The place of a picture, told from pictures whose places are known: painted stacks of a tilted plane, and what must be refused."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from capture.app.session_options import ResumeOrigin
from capture.app.session_position import _refuse_another_origin
from capture.camera.protocol import Shot, ShotFile
from capture.errors import SessionError
from capture.session.folder import SessionFolder
from capture.session.place import FEWEST_FRAMES, PlaceFinder, Side
from capture.session.placing import MOST_ERROR, Placing
from capture.session.plan import StackPlan
from capture.session.records import EventKind
from tests.rail.grbl_virtual import VirtualRail

ROWS, COLUMNS, STEP = 240, 360, 40.0
KNOWN = [STEP * k for k in range(9)]
RNG_NOISE = 1.5


class Scene:
    """A textured plane, from 0 um at the left to 500 um at the right; blur grows by a pixel for every 40 um."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        sharp = cv2.GaussianBlur(rng.random((ROWS + 40, COLUMNS + 40)).astype(np.float32), (0, 0), 0.7)
        self._sharp = np.clip(0.5 + 1.6 * (sharp - sharp.mean()), 0.02, 0.98)
        self._noise = np.random.default_rng(seed + 1)

    def picture(self, position: float, aside: tuple[float, float] = (0.0, 0.0)) -> NDArray[np.uint8]:
        sigmas = np.arange(0.4, 14.0, 0.4)
        away = np.abs(np.linspace(0, 500, COLUMNS + 40)[None, :] - position) / STEP + 0.4
        soft = np.zeros_like(self._sharp)
        for sigma in sigmas:
            weight = np.clip(1 - np.abs(away - sigma) / 0.4, 0, 1).astype(np.float32)
            if weight.any():
                soft += weight * cv2.GaussianBlur(self._sharp, (0, 0), float(sigma))
        moved = cv2.warpAffine(
            soft, np.array([[1, 0, aside[0]], [0, 1, aside[1]]]), soft.shape[::-1], flags=cv2.INTER_CUBIC
        )
        shown = 255 * moved[20:-20, 20:-20] + self._noise.normal(0, RNG_NOISE, (ROWS, COLUMNS))
        return np.clip(shown, 0, 255).astype(np.uint8)

    def save(self, folder: Path, position: float, aside: tuple[float, float] = (0.0, 0.0)) -> Path:
        path = folder / f"{position:.0f}-{aside[0]:.0f}-{aside[1]:.0f}.png"
        assert cv2.imwrite(str(path), cv2.cvtColor(self.picture(position, aside), cv2.COLOR_GRAY2BGR))
        return path


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene(3)


@pytest.fixture(scope="module")
def finder(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> PlaceFinder:
    folder = tmp_path_factory.mktemp("known")
    return PlaceFinder([(position, scene.save(folder, position)) for position in KNOWN])


@pytest.mark.parametrize("position", [47.0, 100.0, 155.0, 212.0, 268.0])
def test_places_between_the_frames(finder: PlaceFinder, scene: Scene, tmp_path: Path, position: float) -> None:
    seen = finder.look(scene.save(tmp_path, position))
    assert finder.is_alike(seen)
    assert seen.position == pytest.approx(position, abs=0.12 * STEP)
    assert seen.shift_px < 1


@pytest.mark.parametrize("position", [90.0, 230.0])
def test_a_picture_that_lies_aside_is_laid_on_the_frames_first(
    finder: PlaceFinder, scene: Scene, tmp_path: Path, position: float
) -> None:
    seen = finder.look(scene.save(tmp_path, position, (9.0, -6.0)))
    assert finder.is_alike(seen)
    assert seen.shift_px == pytest.approx(np.hypot(9, 6), abs=0.5)
    assert seen.position == pytest.approx(position, abs=0.25 * STEP)


@pytest.mark.parametrize(("position", "side"), [(-80.0, Side.BEFORE), (420.0, Side.BEYOND)])
def test_places_beyond_the_frames(
    finder: PlaceFinder, scene: Scene, tmp_path: Path, position: float, side: Side
) -> None:
    seen = finder.look(scene.save(tmp_path, position))
    assert seen.side is side
    assert not finder.is_alike(seen)
    end = KNOWN[0] if side is Side.BEFORE else KNOWN[-1]
    assert 0.4 * abs(position - end) < abs(seen.position - end) < 2.5 * abs(position - end)


def test_another_subject_is_like_none(finder: PlaceFinder, tmp_path: Path) -> None:
    flat = tmp_path / "flat.png"
    assert cv2.imwrite(str(flat), np.full((ROWS, COLUMNS, 3), 128, np.uint8))
    assert not finder.is_alike(finder.look(flat))


class PaintedCamera:
    """Takes the scene's picture where the carriage truly stands."""

    def __init__(self, scene: Scene, rig: VirtualRail, zero_um: float) -> None:
        self._scene, self._rig, self._zero_um = scene, rig, zero_um

    def shoot(self, folder: Path, stem: str) -> Shot:
        path = self._scene.save(folder, self._rig.carriage_um() - self._zero_um).rename(folder / f"{stem}.png")
        return Shot((ShotFile(path, path.stat().st_size, stem, raw=False),))


@pytest.mark.parametrize("lost", [0.0, 0.25])
def test_a_rail_that_counts_a_part_of_a_step_wrong_is_set_right(scene: Scene, tmp_path: Path, lost: float) -> None:
    plan = StackPlan(0, STEP * 12, STEP, settle_s=0)
    rig = VirtualRail()
    said: list[str] = []
    made = SessionFolder.create(tmp_path / "s", plan, devices={}, settings={}, origin="here")
    with made as folder, rig.open() as axis:
        axis.zero()
        zero_um = rig.carriage_um()
        for number, position in enumerate(KNOWN, 1):
            name = scene.save(folder.frames_path, position).name
            folder.journal.record(EventKind.MOVED, number, position=position)
            folder.journal.record(EventKind.STORED, number, files=[{"file": f"frames/{name}"}], exposure={}, notes=[])
            folder.journal.record(EventKind.ACCEPTED, number)
        axis.jog(lost * STEP)
        axis.set_position(0)  # as it counts that lost them
        camera = PaintedCamera(scene, rig, zero_um)
        found = Placing(folder, axis, camera, said.append).check(plan)  # type: ignore[arg-type]
        off = rig.carriage_um() - zero_um - (axis.status().position or 0.0)
    assert off == pytest.approx(0, abs=0.05 * STEP)
    if lost:
        assert found is not None
        assert found.error < MOST_ERROR * STEP
        assert "counts wrong by about +" in said[0]
    else:
        assert found is None
        assert "agrees with the session's frames to within" in said[-1]


def test_too_few_frames_and_frames_that_tell_nothing(scene: Scene, tmp_path: Path) -> None:
    few = [(position, scene.save(tmp_path, position)) for position in KNOWN[: FEWEST_FRAMES - 1]]
    with pytest.raises(SessionError, match="too few") as refused:
        PlaceFinder(few)
    assert "--origin here" in refused.value.remedy
    same = scene.save(tmp_path, 100.0)
    with pytest.raises(SessionError, match="nothing in the frames goes in and out of focus"):
        PlaceFinder([(position, same) for position in KNOWN])


@pytest.mark.parametrize(
    ("homed", "origin", "way_on"),
    [
        (False, ResumeOrigin.HOME, "--origin images"),
        (True, ResumeOrigin.HERE, "--origin home"),
        (True, ResumeOrigin.IMAGES, "--origin home"),
        (True, ResumeOrigin.HOME, ""),
        (False, ResumeOrigin.HERE, ""),
        (False, ResumeOrigin.IMAGES, ""),
        (True, ResumeOrigin.KEEP, ""),
    ],
)
def test_a_session_counts_as_it_was_begun(tmp_path: Path, homed: bool, origin: ResumeOrigin, way_on: str) -> None:
    made = SessionFolder.create(
        tmp_path / "s", StackPlan(0, 500, 50), devices={}, settings={}, origin="here", homed=homed
    )
    with made as folder:
        if not way_on:
            _refuse_another_origin(origin, folder, homed=homed)
            return
        with pytest.raises(SessionError) as refused:
            _refuse_another_origin(origin, folder, homed=homed)
        assert way_on in refused.value.remedy
        assert "Nothing has moved" in refused.value.state
