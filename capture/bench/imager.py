"""The simulated scene, lens and sensor as one imager behind the camera body."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from capture.bench.dng import write_dng
from capture.bench.exif import ShotTags, jpeg_with_exif
from capture.bench.imager_faults import SceneFaults
from capture.bench.interfaces import CarriageSample, ExposureSettings
from capture.bench.optics import Lens
from capture.bench.render import Renderer, View
from capture.bench.ruler import Ruler
from capture.bench.scene import Scene, Texture, build, read_description
from capture.bench.scene_description import DepthDescription, SceneDescription
from capture.bench.scene_vibration import Vibration, line
from capture.bench.sensor import Mosaic, Sensor, develop, develop_half, encode_srgb
from capture.bench.truth import Truth, tell
from capture.errors import ConfigurationError

_STILL, _LIVE = 1, 2
_LIVE_SHUTTER_S = 1.0 / 30.0
_PREVIEW_COLUMNS = 900


@dataclass(frozen=True, slots=True)
class SceneOptions:
    """What the simulated bench is told about scene, lens and sensor; None where scene file or default decides.

    Attributes
    ----------
    scene_file : Path or None
        A TOML description; None for the built-in specimen.
    seed : int
        Of the scene and all noise.
    sensor_px : (int, int)
        Width and height of the still, both even.
    pixel_um, magnification, f_number : float or None
        Defaults 4 um, 2, f/2.8.
    near_um, depth_um : float or None
        Position of the scene's near end, and how deep it is.
    live_scale : float
        Live frames are this many times smaller than the still.
    noise, flicker : float
        Factor on photon and read noise; relative standard deviation of the light from frame to frame.
    texture : {"rich", "sparse", "none"}
    settle_time_s : float
        Device seconds after a move until the shake stays under 0.25 px of the still.
    ruler_um : float or None
        Instead of the scene, a target with lines so far apart that moves across the picture as the carriage goes.
    """

    scene_file: Path | None = None
    seed: int = 1
    sensor_px: tuple[int, int] = (1800, 1200)
    pixel_um: float | None = None
    magnification: float | None = None
    f_number: float | None = None
    near_um: float | None = None
    depth_um: float | None = None
    live_scale: float = 3.0
    noise: float = 1.0
    flicker: float = 0.004
    texture: Texture = "rich"
    settle_time_s: float = 0.3
    ruler_um: float | None = None

    def __post_init__(self) -> None:
        width, height = self.sensor_px
        wrong = None
        if width < 64 or height < 64 or width % 2 or height % 2:
            wrong = f"The sensor must be at least 64x64 pixels and even both ways, not {width}x{height}."
        elif not 1.0 <= self.live_scale <= min(width, height) / 32:
            wrong = f"The live scale must be at least 1 and leave 32 pixels of the sensor, not {self.live_scale:g}."
        elif self.noise < 0 or self.flicker < 0 or self.settle_time_s < 0 or self.seed < 0:
            wrong = "Noise, flicker, settle time and seed cannot be negative."
        elif self.ruler_um is not None and self.ruler_um <= 0:
            wrong = "The ruler's lines must be some way apart."
        elif self.texture not in get_args(Texture):
            wrong = f"The texture must be one of {', '.join(get_args(Texture))}, not {self.texture}."
        if wrong:
            raise ConfigurationError(wrong, remedy="See `focusrail bench-sim --help`.")


def resolve(options: SceneOptions) -> tuple[SceneDescription, Lens]:
    """Scene description and lens that options and scene file give together; options go first.

    Raises
    ------
    ConfigurationError
    """
    description = read_description(options.scene_file)
    chosen = {name: value for name, value in description.optics.model_dump().items() if value is not None}
    for name in ("pixel_um", "magnification", "f_number"):
        if getattr(options, name) is not None:
            chosen[name] = getattr(options, name)
    try:
        lens = Lens(**chosen)
    except ValueError as error:
        raise ConfigurationError(f"Optics that cannot be: {error}.", remedy="Give positive numbers.") from error
    near = description.depth.near_um if options.near_um is None else options.near_um
    depth = description.depth.depth_um if options.depth_um is None else options.depth_um
    if depth is not None and depth <= 0:
        raise ConfigurationError("The scene's depth must be positive.", remedy="Give it in um.")
    return description.model_copy(update={"depth": DepthDescription(near_um=near, depth_um=depth)}), lens


class SceneImager:
    """Renders what the lens sees; an `Imager`, and `Faulty` for `bump`, `shake` and `flash_misfire`.

    Thread-safe: exposures may be rendered by several threads at once.

    Raises
    ------
    ConfigurationError
        From the constructor, for options or a scene file that make no scene.
    """

    def __init__(self, options: SceneOptions) -> None:
        description, lens = resolve(options)
        self.options = options
        self.lens = lens
        self.scene: Scene = build(description, lens, options.sensor_px, seed=options.seed, texture=options.texture)
        self.sensor = Sensor(lens.pixel_um, lens.f_number, options.noise)
        self.vibration = Vibration(options.settle_time_s)
        self._scene_still = Renderer(self.scene)
        self._still: Renderer | Ruler = self._scene_still
        if options.ruler_um is not None:
            self._still = Ruler(options.ruler_um)
        self._live: dict[float, Renderer | Ruler] = {}
        self._faults = SceneFaults()
        self._truth: Truth | None = None
        self._lock = threading.Lock()
        self._truth_lock = threading.Lock()
        self._f_number = lens.f_number
        self._shots = 0
        self._renderer(max(options.live_scale, 1.0))

    @property
    def live_px(self) -> tuple[int, int]:
        """Width and height of a live frame."""
        width, height = self.options.sensor_px
        return int(width / self.options.live_scale), int(height / self.options.live_scale)

    def expose(self, settings: ExposureSettings, *, at: CarriageSample, taken: str, serial: int) -> Exposure:
        """Expose; faults that last for a number of shots are used up here. The picture is drawn when first asked for."""
        del serial  # stays out of the file, which is to be the same for the same shot
        _check(settings)
        with self._lock:
            disturbance = self._faults.next_shot()
            self._f_number = settings.f_number
            self._shots += 1
        path = self.vibration.path(0.0 if at.moving else at.rest_s, settings.shutter_s)
        if disturbance.shake_px > 0.0:
            shake = line(disturbance.shake_px, disturbance.shake_angle_deg)
            path = (path[:, None, :] + shake[None, :, :]).reshape(-1, 2)
        view = View(round(at.position_um, 2), self.lens.at(settings.f_number), path, disturbance.bump_um)
        rng = self._generator(_STILL, settings, at.position_um)
        gain = self._flicker(rng) * disturbance.light

        def expose_sensor() -> Mosaic:
            light = self._still.render(view, self.options.sensor_px)
            return self.sensor.mosaic(light, settings, rng, gain)

        return Exposure(expose_sensor, ShotTags(settings, taken, self.lens.focal_length_mm, self.lens.pixel_um))

    def live_jpeg(self, settings: ExposureSettings, *, at: CarriageSample, frame: int, magnify: int = 1) -> bytes:
        """One live frame of `live_px`; `magnify` shows the middle that many times larger. Raises ValueError for 0 or less."""
        _check(settings)
        if magnify < 1:
            raise ValueError(f"live view cannot be magnified {magnify} times")
        with self._lock:
            self._f_number = settings.f_number
            bump = self._faults.bump_um()
        pitch = self.options.live_scale / magnify
        path = self.vibration.path(0.0 if at.moving else at.rest_s, min(settings.shutter_s, _LIVE_SHUTTER_S))
        view = View(round(at.position_um, 2), self.lens.at(settings.f_number), path, bump)
        size = self.live_px
        if pitch >= 1.0:
            light = self._renderer(pitch).render(view, size)
        else:
            middle = (max(round(size[0] * pitch), 2), max(round(size[1] * pitch), 2))
            light = np.asarray(cv2.resize(self._still.render(view, middle), size, interpolation=cv2.INTER_CUBIC))
        rng = self._generator(_LIVE, settings, at.position_um, frame)
        picture = self.sensor.live(light, settings, rng, self._flicker(rng))
        return _jpeg(np.asarray(encode_srgb(picture, 255), dtype=np.uint8), 85)

    def truth(self) -> Truth:
        """All-in-focus picture, depth and range; drawn once."""
        with self._truth_lock:
            if self._truth is None:
                self._truth = tell(self._scene_still, self.scene, self.lens)
            return self._truth

    def facts(self) -> dict[str, float | int | None]:
        """What the control port tells of scene and lens; the aperture is that of the last shot or live frame."""
        truth = self.truth()
        with self._lock:
            lens, shots = self.lens.at(self._f_number), self._shots
        return {
            "magnification": lens.magnification,
            "f_number": lens.f_number,
            "f_number_effective": lens.f_number_effective,
            "pixel_um": lens.pixel_um,
            "wavelength_um": lens.wavelength_um,
            "pupil_distance_um": lens.pupil_distance_um,
            "blur_px_per_um": lens.blur_px_per_um,
            "live_scale": self.options.live_scale,
            "near_um": truth.near_um,
            "far_um": truth.far_um,
            "middle_um": self.scene.middle_um,
            "settle_s": self.vibration.settle_s,
            "shots": shots,
        }

    def faults(self) -> dict[str, dict[str, str]]:
        """The scene's faults and their parameters."""
        return self._faults.faults()

    def inject(self, name: str, parameters: dict[str, object]) -> None:
        """Switch a fault on; ValueError for a name or parameter it does not know."""
        with self._lock:
            self._faults.inject(name, parameters)

    def clear(self, name: str) -> None:
        """Switch a fault off."""
        with self._lock:
            self._faults.clear(name)

    def _renderer(self, pitch: float) -> Renderer | Ruler:
        if pitch == 1.0:
            return self._still
        with self._lock:
            if pitch not in self._live:
                ruler_um = self.options.ruler_um
                self._live[pitch] = Renderer(self.scene, pitch) if ruler_um is None else Ruler(ruler_um, pitch)
            return self._live[pitch]

    def _generator(
        self, purpose: int, settings: ExposureSettings, position_um: float, frame: int = 0
    ) -> np.random.Generator:
        """Noise that is the same for the same seed, position (to 0.01 um) and exposure."""
        key = [
            self.options.seed,
            purpose,
            round(position_um * 100) + (1 << 40),
            settings.iso,
            round(settings.shutter_s * 1e6),
            round(settings.f_number * 100),
            frame,
        ]
        return np.random.Generator(np.random.SFC64(np.random.SeedSequence(key)))

    def _flicker(self, rng: np.random.Generator) -> float:
        return max(1.0 + self.options.flicker * float(rng.standard_normal()), 0.0)


class Exposure:
    """One exposure of the simulated sensor; a `Negative`."""

    def __init__(self, expose: Callable[[], Mosaic], tags: ShotTags) -> None:
        self._expose = expose
        self._tags = tags
        self._mosaic: Mosaic | None = None
        self._lock = threading.Lock()

    def mosaic(self) -> Mosaic:
        """The sensor's numbers, shape (rows, columns), uint16, RGGB; drawn when first asked for."""
        with self._lock:
            if self._mosaic is None:
                self._mosaic = self._expose()
            return self._mosaic

    def dng(self) -> bytes:
        """A whole DNG file."""
        mosaic = self.mosaic()
        preview = develop_half(mosaic)
        if preview.shape[1] > _PREVIEW_COLUMNS:
            rows = round(preview.shape[0] * _PREVIEW_COLUMNS / preview.shape[1])
            preview = np.asarray(cv2.resize(preview, (_PREVIEW_COLUMNS, rows), interpolation=cv2.INTER_AREA))
        return write_dng(mosaic, self._tags, _jpeg(preview, 85), (preview.shape[1], preview.shape[0]))

    def jpeg(self) -> bytes:
        """The camera's own JPEG: sRGB, quality 95, 4:2:2, with Exif."""
        mosaic = self.mosaic()
        return jpeg_with_exif(_jpeg(develop(mosaic), 95), self._tags, (mosaic.shape[1], mosaic.shape[0]))


def _check(settings: ExposureSettings) -> None:
    for value in (settings.iso, settings.shutter_s, settings.f_number):
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"an exposure that cannot be: {settings}")


def _jpeg(rgb: NDArray[np.uint8], quality: int) -> bytes:
    """Encode RGB as JPEG with 4:2:2 colour."""
    options = [
        cv2.IMWRITE_JPEG_QUALITY,
        quality,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422,
    ]
    done, encoded = cv2.imencode(".jpg", np.ascontiguousarray(rgb[..., ::-1]), options)
    if not done:
        raise ValueError("the picture could not be encoded as JPEG")
    return encoded.tobytes()
