"""Random set-ups of lens, sensor, light and subject, looked at by the estimators without a wire in between, against the bench's truth."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from capture.bench.imager import SceneImager, SceneOptions
from capture.bench.interfaces import CarriageSample, ExposureSettings
from capture.bench.optics import Lens
from capture.bench.scene import MAX_DEPTH_UM
from capture.depth_of_field import PIXELS_PER_COC, Optics
from capture.focus.bands import linear_gray
from capture.focus.certificate import certify, frames_for, growth_of_stills, noise_levels
from capture.focus.doubts import most_doubtful, shake_doubts, shaken_against
from capture.focus.range import find_range
from capture.focus.step import measure_step
from capture.focus.survey import HALF_PX, FrameSurvey, Surveyor
from capture.session.certifying import patience_for
from stacking.develop import Development, as_source
from tests.capture.focus_scenes import write_scene

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

TRAVEL_UM = 20_000.0
MOTOR_STEP_UM = 0.5
WRONG = 1.3
# A confidence below is a warning.
UNSURE = 0.3
# A shake of 2 px changes nothing in a picture whose points are wider than this.
VISIBLE_AIRY_PX = 6.0


@dataclass(frozen=True, slots=True)
class SetUp:
    """One bench, and what its user believes."""

    seed: int
    magnification: float
    f_number: float
    live_scale: float
    iso: int
    noise: float
    flicker: float
    texture: str
    sensor_px: tuple[int, int]
    pixel_um: float
    start: float  # share of the scene's depth; None of it is known to the estimators
    believed: float  # factor on the magnification that the user enters
    scene_file: Path | None = None
    depth_dofs: float | None = None  # how deep the scene is, in depths of field; None: as the bench has it

    def imager(self) -> SceneImager:
        dof_um = Lens(self.magnification, self.f_number, self.pixel_um).depth_of_field_um
        return SceneImager(
            SceneOptions(
                scene_file=self.scene_file,
                depth_um=None if self.depth_dofs is None else min(self.depth_dofs * dof_um, MAX_DEPTH_UM),
                seed=self.seed,
                sensor_px=self.sensor_px,
                pixel_um=self.pixel_um,
                magnification=self.magnification,
                f_number=self.f_number,
                live_scale=self.live_scale,
                noise=self.noise,
                flicker=self.flicker,
                texture="sparse" if self.texture == "sparse" else "rich",
                settle_time_s=0.0,
            )
        )

    def optics(self) -> Optics:
        """As the user enters them."""
        return Optics(self.magnification * self.believed, self.f_number, coc_um=PIXELS_PER_COC * self.pixel_um)


def draw(seed: int) -> SetUp:
    """A set-up of the kind that the measurement must do: magnification 0.5 to 10, f/2.8 to f/16, live view 1 to 6 times smaller."""
    rng = np.random.default_rng([seed, 6])
    return SetUp(
        seed=int(rng.integers(1, 10_000)),
        magnification=float(np.round(np.exp(rng.uniform(np.log(0.5), np.log(10.0))), 2)),
        f_number=float(rng.choice([2.8, 4.0, 5.6, 8.0, 11.0, 16.0])),
        live_scale=float(np.round(rng.uniform(1.0, 6.0), 2)),
        iso=int(rng.choice([100, 200, 400, 800, 1600])),
        noise=float(rng.uniform(0.5, 1.5)),
        flicker=float(rng.uniform(0.0, 0.03)),
        texture="sparse" if rng.random() < 0.5 else "rich",
        sensor_px=[(1200, 800), (900, 600), (1800, 1200)][int(rng.integers(3))],
        pixel_um=float(rng.choice([3.3, 4.0, 5.9])),
        start=float(rng.uniform(-0.2, 1.0)),
        believed=1.0 if seed % 2 else float(rng.choice([WRONG, 1 / WRONG])),
    )


@dataclass
class Looking:
    """A `View` through the bench's imager: live frames as JPEG, decoded as those of a camera."""

    set_up: SetUp
    imager: SceneImager
    here: float = 0.0
    limits: tuple[float, float] = (-TRAVEL_UM, TRAVEL_UM)
    resolution: float = MOTOR_STEP_UM
    seen: list[float] = field(default_factory=list)
    _frames: int = 0

    def frame(self, position: float) -> tuple[float, F32]:
        self.here = float(np.clip(round(position / self.resolution) * self.resolution, *self.limits))
        self.seen.append(self.here)
        return self.here, self.again()

    def again(self) -> F32:
        self._frames += 1
        iso = self.set_up.iso
        settings = ExposureSettings(iso, 1 / 60 * 100 / iso, self.set_up.f_number)
        jpeg = self.imager.live_jpeg(settings, at=CarriageSample(self.here, 1e9, False), frame=self._frames)
        encoded = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
        assert encoded is not None
        return linear_gray(np.asarray(encoded, np.uint8))


def look(set_up: SetUp) -> Looking:
    """From where the user left the carriage."""
    imager = set_up.imager()
    start = imager.scene.near_um + set_up.start * (imager.scene.far_um - imager.scene.near_um)
    return Looking(set_up, imager, here=float(np.clip(start, -TRAVEL_UM, TRAVEL_UM)))


@dataclass
class Campaign:
    """What a campaign found, one line a set-up."""

    lines: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def count(self, name: str, yes: bool = True) -> None:
        self.counts[name] = self.counts.get(name, 0) + bool(yes)

    def report(self) -> str:
        return "\n".join([*self.lines, ", ".join(f"{name}: {value}" for name, value in self.counts.items())])


def measure_steps(seeds: range) -> Campaign:
    """`measure_step` in random set-ups: within 10 %, said to be unsure, silently wrong by more than 25 %; wrong magnifications noticed."""
    found = Campaign()
    for seed in seeds:
        set_up = draw(seed)
        view = look(set_up)
        truth = view.imager.lens.blur_px_per_um
        estimate = measure_step(view, set_up.live_scale, 0.3, set_up.optics())
        growth = estimate.blur_px_per_um
        error = float("nan") if growth is None else growth / truth - 1
        unsure = estimate.confidence < UNSURE
        noticed = any("check the magnification" in note for note in estimate.notes)
        found.count("set-ups")
        found.count("within 10 %", abs(error) <= 0.1)
        found.count("not within 10 %, and said to be unsure", not abs(error) <= 0.1 and unsure)
        found.count("silently wrong by more than 25 %", abs(error) > 0.25 and not unsure)
        found.count("magnification wrong", set_up.believed != 1)
        found.count("wrong magnification noticed", set_up.believed != 1 and noticed)
        found.count("right magnification doubted", set_up.believed == 1 and noticed)
        found.count("outside the limits", min(view.seen) < view.limits[0] or max(view.seen) > view.limits[1])
        found.lines.append(f"{seed} {_words(set_up)}: {error:+.1%}, confidence {estimate.confidence:.2f}")
    return found


def in_another_scene(set_up: SetUp, seed: int, folder: Path) -> SetUp:
    """The same before a random scene, 5 to 25 depths of field deep."""
    depth_dofs = float(5 * 5 ** np.random.default_rng([seed, 78]).random())
    return replace(set_up, sensor_px=(900, 600), scene_file=write_scene(seed, folder), depth_dofs=depth_dofs)


def find_ranges(seeds: range, folder: Path | None = None) -> Campaign:
    """`find_range` in random set-ups, with the growth known to some per cent: both ends within half a depth of field.

    `folder`: for random scenes; else the bench's specimen is looked at.
    """
    found = Campaign()
    for seed in seeds:
        set_up = draw(seed) if folder is None else in_another_scene(draw(seed), seed, folder)
        view = look(set_up)
        lens, truth = view.imager.lens, view.imager.truth()
        if truth.near_um is None or truth.far_um is None:
            found.count("without texture")
            continue
        slightly_wrong = float(np.random.default_rng(seed).normal(1, 0.05))
        estimate = find_range(
            view, slightly_wrong * lens.blur_px_per_um / set_up.live_scale, dof=lens.depth_of_field_um
        )
        near = (estimate.near - truth.near_um) / lens.depth_of_field_um
        far = (estimate.far - truth.far_um) / lens.depth_of_field_um
        found.count("set-ups")
        found.count("both ends within half a depth of field", max(abs(near), abs(far)) <= 0.5)
        found.count("both within one", max(abs(near), abs(far)) <= 1.0)
        found.count("outside the limits", min(view.seen) < view.limits[0] or max(view.seen) > view.limits[1])
        found.lines.append(
            f"{seed} {_words(set_up)}: near {near:+.2f}, far {far:+.2f} depths of field, {estimate.frames} frames, "
            f"confidence {estimate.confidence:.2f}"
        )
    return found


def _words(set_up: SetUp) -> str:
    return (
        f"m {set_up.magnification:g} f/{set_up.f_number:g} {set_up.pixel_um:g} um {set_up.sensor_px[0]}x{set_up.sensor_px[1]} "
        f"live 1:{set_up.live_scale:g} ISO {set_up.iso} {set_up.texture}"
    )


class Stills:
    """Frames of a set-up as DNG files, developed and surveyed as in a session; none through a wire."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.set_up = replace(draw(seed), sensor_px=((720, 480), (900, 600))[seed % 2])
        self.imager = self.set_up.imager()
        self.dof = self.imager.lens.depth_of_field_um
        self.near, self.far = self.imager.scene.near_um, self.imager.scene.far_um
        self._path = folder / f"{seed}.dng"
        self._development: Development | None = None
        self._surveyor: Surveyor | None = None

    @property
    def airy_px(self) -> float:
        """Diameter of the Airy disc: what is much smaller cannot be seen."""
        lens = self.imager.lens
        return 2.44 * lens.wavelength_um * lens.f_number_effective / lens.pixel_um

    @property
    def surveyor(self) -> Surveyor:
        assert self._surveyor is not None
        return self._surveyor

    def survey(self, position: float, *, shake: tuple[float, float] | None = None) -> FrameSurvey:
        """`shake`: pixels of the still, and degrees."""
        if shake is not None:
            self.imager.inject("shake", {"px": shake[0], "angle_deg": shake[1]})
        iso = self.set_up.iso
        exposure = self.imager.expose(
            ExposureSettings(iso, 1 / 60 * 100 / iso, self.set_up.f_number),
            at=CarriageSample(position, 1e9, False),
            taken="2026:01:01 00:00:00.000",
            serial=1,
        )
        self._path.write_bytes(exposure.dng())
        source = as_source(self._path)
        self._development = self._development or Development([source])
        gray = self._development.gray_half(source)
        self._surveyor = self._surveyor or Surveyor((gray.shape[0], gray.shape[1]))
        return self._surveyor.survey(gray)

    def stack(self, first: float) -> tuple[F64, list[FrameSurvey]]:
        """A complete one at an overlap of 0.3, from `first` depths of field before the near end."""
        positions = np.arange(self.near - first * self.dof, self.far + 1.2 * self.dof, 0.7 * self.dof)
        return positions, [self.survey(float(position)) for position in positions]


def certify_stacks(seeds: range, folder: Path, *, holes: int = 4) -> Campaign:
    """Complete stacks, and the same with one to three frames taken out; the depth of field told by the frames alone, and as known."""
    found = Campaign()
    for seed in seeds:
        stills = Stills(seed, folder)
        positions, surveys = stills.stack(1.2)
        rng = np.random.default_rng(seed)
        growth = growth_of_stills(positions, surveys, stills.surveyor)
        believed = growth.px_per_unit if growth.confidence >= UNSURE else None
        error = growth.px_per_unit * HALF_PX / stills.imager.lens.blur_px_per_um - 1
        whole = certify(positions, surveys, stills.dof, growth_half_px=believed, overlap=0.3)
        found.count("complete stacks")
        found.count("called incomplete", whole.passed is not True)
        truth = stills.imager.truth()
        missed = 0
        for _ in range(holes):
            count = int(rng.integers(1, 4))
            inside = [
                i
                for i in range(2, len(positions) - count - 2)
                if (truth.near_um or 0) < positions[i] and positions[i + count - 1] < (truth.far_um or 0)
            ]
            if not inside:
                continue
            first = int(rng.choice(inside))
            kept = [i for i in range(len(positions)) if not first <= i < first + count]
            judged = certify(
                positions[kept], [surveys[i] for i in kept], stills.dof, growth_half_px=believed, overlap=0.3
            )
            seen = [gap for gap in judged.gaps if gap.near <= positions[first] <= gap.far]
            closed = frames_for(seen, 0.7 * stills.dof)
            every = np.sort(np.concatenate([positions[kept], closed]))
            around = every[(every >= positions[first - 1] - 1e-6) & (every <= positions[first + count] + 1e-6)]
            found.count("stacks with a gap")
            found.count("gap found and closed", bool(seen) and float(np.diff(around).max()) <= stills.dof)
            missed += not seen
        found.lines.append(
            f"{seed} {_words(stills.set_up)}: {len(positions)} frames, passed {whole.passed}, {missed} gaps missed, "
            f"growth {error:+.1%} (confidence {growth.confidence:.2f})"
        )
    return found


def shake_frames(seeds: range, folder: Path, *, shakes: int = 5) -> Campaign:
    """Shakes of 2 to 12 px: how many are among the most doubtful, and sure by a second exposure; clean frames rejected."""
    found = Campaign()
    for seed in seeds:
        stills = Stills(seed, folder)
        positions, surveys = stills.stack(1.2)
        at, kind = dict(enumerate(positions)), "visible" if stills.airy_px < VISIBLE_AIRY_PX else "within diffraction"
        noise = noise_levels(surveys)
        doubts = shake_doubts(at, dict(enumerate(surveys)), noise)
        found.count("clean frames", False)
        found.counts["clean frames"] += len(surveys)
        patience = patience_for(len(surveys))
        for index in most_doubtful(at, doubts)[:patience]:
            found.count("clean frames given a second exposure")
            again = stills.survey(float(positions[index]) + 0.02)
            found.count("clean frames rejected", bool(shaken_against(surveys[index], again, noise)))
        rng = np.random.default_rng(seed)
        # where the scene has begun, but nothing of it shows, a shake loses nothing
        truth = stills.imager.truth()
        inside = [n for n in at if (truth.near_um or 0) < positions[n] < (truth.far_um or 0)]
        for index in rng.choice(inside, min(shakes, len(inside)), replace=False).tolist():
            shake = float(2 * 6 ** rng.random()), float(rng.uniform(0, 180))
            spoilt = list(surveys)
            spoilt[index] = stills.survey(float(positions[index]), shake=shake)
            again = stills.survey(float(positions[index]) + 0.02)
            order = most_doubtful(at, shake_doubts(at, dict(enumerate(spoilt)), noise))
            rank = order.index(index) if index in order else len(surveys)
            sure = bool(shaken_against(spoilt[index], again, noise))
            found.count(f"shakes {kind}")
            found.count(f"doubtful, {kind}", rank < patience)
            found.count(f"sure by a second exposure, {kind}", sure)
            found.count(f"found, {kind}", rank < patience and sure)
            found.lines.append(
                f"{seed} {_words(stills.set_up)}: {shake[0]:.1f} px, Airy disc {stills.airy_px:.0f} px: "
                f"{rank + 1} of {len(surveys)}, sure {sure}"
            )
    return found
