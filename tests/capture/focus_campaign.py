"""Random set-ups of lens, sensor, light and subject, looked at by the estimators without a wire in between, against the bench's truth."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from capture.bench.imager import SceneImager, SceneOptions
from capture.bench.interfaces import CarriageSample, ExposureSettings
from capture.depth_of_field import PIXELS_PER_COC, Optics
from capture.focus.bands import linear_gray

F32 = NDArray[np.float32]

TRAVEL_UM = 20_000.0
MOTOR_STEP_UM = 0.5
WRONG = 1.3


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

    def imager(self) -> SceneImager:
        return SceneImager(
            SceneOptions(
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
