"""Sessions that lost their place, found again by images: random scenes, lenses, noise and mishaps, without a wire in between.

``python -m tests.capture.place_campaign FOLDER FIRST COUNT`` prints one line of JSON for each seed, and the sums.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from capture.bench.imager import SceneImager, SceneOptions
from capture.bench.interfaces import CarriageSample, ExposureSettings
from capture.camera.protocol import Shot, ShotFile
from capture.errors import SessionError
from capture.session.folder import SessionFolder
from capture.session.placing import MOST_ERROR, Placing
from capture.session.plan import StackPlan
from capture.session.records import EventKind
from rail.grbl.axis import GrblAxis
from tests import by_seed
from tests.rail.grbl_virtual import VirtualRail

BACKLASH_UM = 60.0
FRAMES = 18
_STILL_S = 1e9


@dataclass(frozen=True, slots=True)
class Mishap:
    """One session and what befell it. `moved` in steps; `bump_px` in pixels of the still; `another`: another subject stands there now."""

    seed: int
    texture: str
    magnification: float
    f_number: float
    noise: float
    flicker: float
    step_dof: float
    shot: int
    moved: float
    bump_px: float
    another: bool


def draw(seed: int) -> Mishap:
    """The mishap of a seed."""
    rng = np.random.default_rng(seed)
    return Mishap(
        seed=seed,
        texture="sparse" if rng.random() < 0.2 else "rich",
        magnification=float(rng.choice([1.0, 2.0, 3.0, 5.0])),
        f_number=float(rng.choice([2.8, 4.0, 5.6])),
        noise=float(rng.uniform(0.5, 3.0)),
        flicker=float(rng.choice([0.004, 0.02])),
        step_dof=float(rng.uniform(0.5, 0.9)),
        shot=int(rng.integers(5, FRAMES)),
        moved=float(rng.uniform(-4, 4)),
        bump_px=float(rng.choice([0.0, 0.0, rng.uniform(1, 10)])),
        another=bool(rng.random() < 0.15),
    )


class StillCamera:
    """The bench's imager where the carriage truly stands."""

    def __init__(self, imager: SceneImager, rig: VirtualRail, f_number: float) -> None:
        self.imager = imager
        self._rig = rig
        self._settings = ExposureSettings(100, 1 / 60, f_number)
        self._shots = 0

    def shoot(self, folder: Path, stem: str) -> Shot:
        self._shots += 1
        at = CarriageSample(self._rig.carriage_um(), _STILL_S, False)
        taken = f"2026:01:01 10:{self._shots // 60:02d}:{self._shots % 60:02d}.000"
        content = self.imager.expose(self._settings, at=at, taken=taken, serial=self._shots).dng()
        path = folder / f"{stem}.dng"
        path.write_bytes(content)
        return Shot((ShotFile(path, len(content), hashlib.sha256(content).hexdigest(), raw=True),))


@dataclass(frozen=True, slots=True)
class Found:
    """What came of it: `refused` says why; `off_steps`, `stated_steps`: what it was off and what was stated, in steps; `stills` taken."""

    refused: str = ""
    off_steps: float | None = None
    stated_steps: float | None = None
    stills: int = 0

    @property
    def wrong(self) -> bool:
        """A place believed that is off by more than may ever be."""
        return self.off_steps is not None and abs(self.off_steps) > MOST_ERROR


def run(mishap: Mishap, folder: Path) -> Found:
    """Shoot, lose the place, move the carriage, and look for it."""
    options = SceneOptions(
        seed=mishap.seed,
        sensor_px=(480, 320),
        magnification=mishap.magnification,
        f_number=mishap.f_number,
        noise=mishap.noise,
        flicker=mishap.flicker,
        texture=mishap.texture,  # type: ignore[arg-type]
    )
    imager = SceneImager(options)
    rig = VirtualRail(backlash_um=BACKLASH_UM, profile=f"backlash_um = {BACKLASH_UM}")
    camera = StillCamera(imager, rig, mishap.f_number)
    step = round(mishap.step_dof * imager.lens.depth_of_field_um, 1)
    near = round((imager.truth().near_um or 300.0) - step, 1)
    plan = StackPlan(near, near + step * (FRAMES - 1), step)
    with SessionFolder.create(folder / "s", plan, devices={}, settings={}, origin="here") as session:
        with rig.open() as axis:
            axis.jog(2 * BACKLASH_UM)
            axis.jog(-rig.carriage_um() - 2 * BACKLASH_UM)
            axis.jog(2 * BACKLASH_UM)
            axis.zero()
            zero_um = rig.carriage_um()
            _shoot(session, axis, camera, plan, mishap.shot)
        rig.restart()
        if mishap.another:
            camera.imager = SceneImager(replace(options, seed=mishap.seed + 1000))
        elif mishap.bump_px:
            imager.inject(
                "bump", {"um": mishap.bump_px * imager.lens.pixel_um / mishap.magnification, "angle_deg": 30.0}
            )
        with rig.open() as axis:
            axis.jog(mishap.moved * step)
            try:
                placed = Placing(session, axis, camera, lambda text: None).find(plan)  # type: ignore[arg-type]
            except SessionError as error:
                assert not axis.status().position_known, "a place that was refused is not believed"
                return Found(refused=error.message)
            position = axis.status().position
            assert position is not None
            off = rig.carriage_um() - zero_um - position
            return Found("", round(off / step, 4), round(placed.error / step, 4), placed.stills)


def _shoot(session: SessionFolder, axis: GrblAxis, camera: StillCamera, plan: StackPlan, count: int) -> None:
    for number, target in enumerate(plan.positions[:count], 1):
        reached = axis.move_to(target).position
        (file,) = camera.shoot(session.frames_path, session.stem(number, plan.count)).files
        entry = {"file": f"frames/{file.path.name}", "sha256": file.sha256, "bytes": file.size_bytes, "raw": True}
        session.journal.record(EventKind.INTENDED, number, target=target)
        session.journal.record(EventKind.MOVED, number, position=reached)
        session.journal.record(EventKind.STORED, number, files=[entry], exposure={}, notes=[])
        session.journal.record(EventKind.ACCEPTED, number)


def campaign(folder: Path, seeds: range) -> Iterator[dict[str, Any]]:
    """Run them; one record for each."""
    for seed in seeds:
        mishap = draw(seed)
        (place := folder / str(seed)).mkdir(parents=True)
        found = run(mishap, place)
        yield {**asdict(mishap), **asdict(found), "wrong": found.wrong}


def ended(record: dict[str, Any]) -> str:
    """What became of a search."""
    what = "wrong" if record["wrong"] else "refused" if record["refused"] else "found"
    return f"{what}{', another subject' if record['another'] else ''}"


if __name__ == "__main__":
    by_seed.main(campaign, ended)
