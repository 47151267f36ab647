"""What stands before the simulated lens: layers with depth, described by TOML and painted once.

A description has the tables ``[optics]`` (magnification, f_number, pixel_um, focal_length_mm, wavelength_um, pupil_ratio),
``[depth]`` (near_um, depth_um) and any number of ``[[layer]]``, back to front. Depths of a layer are shares of the depth range, 0
nearest; lengths are shares of the sensor's size, so that a scene looks alike on every sensor.
"""

from __future__ import annotations

import math
import tomllib
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from capture.bench.optics import Lens
from capture.bench.scene_description import DepthDescription, SceneDescription
from capture.bench.scene_subjects import Canvas, Painted, paint_ground, paint_plate, paint_strands
from capture.errors import ConfigurationError

Texture = Literal["rich", "sparse", "none"]

DEFAULT_NEAR_UM = 300.0
DEPTHS_OF_FIELD = 14.0
MAX_DEPTH_UM = 12_000.0
# Layers are kept at this pitch and below, each half as fine as the one before.
PYRAMID_STEP = 32
DEPTH_PITCH = 4
_MARGIN = 0.03
_AMOUNT = {"rich": 1.0, "sparse": 0.3, "none": 0.0}
_BUILT_IN = Path(__file__).with_name("scenes") / "specimen.toml"


@dataclass(frozen=True, slots=True)
class Layer:
    """One painted layer on the canvas.

    Attributes
    ----------
    rgba : ndarray, shape (rows, columns, 4), float32
        Premultiplied linear light, at one canvas pixel per pixel of the still.
    depth_um : ndarray, shape (rows / 4, columns / 4), float32
        Carriage position at which each part is in focus; block means.
    opaque : bool
        True for the ground.
    """

    rgba: NDArray[np.float32]
    depth_um: NDArray[np.float32]
    opaque: bool


@dataclass(frozen=True, slots=True)
class Scene:
    """Layers back to front with the lens they are meant for.

    Attributes
    ----------
    layers : tuple of Layer
    lens : Lens
    canvas : Canvas
    near_um, far_um : float
        The described depth range (what is visible of it is measured from the truth).
    """

    layers: tuple[Layer, ...]
    lens: Lens
    canvas: Canvas
    near_um: float
    far_um: float

    @property
    def middle_um(self) -> float:
        """Position in the middle of the depth range: that of the truth's geometry."""
        return 0.5 * (self.near_um + self.far_um)


def read_description(path: Path | None) -> SceneDescription:
    """Read a scene file; the built-in specimen where `path` is None.

    Raises
    ------
    ConfigurationError
        The file cannot be read, is not TOML, or describes no scene.
    """
    source = _BUILT_IN if path is None else path
    try:
        return SceneDescription.model_validate(tomllib.loads(source.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigurationError(
            f"The scene file {source} cannot be read: {error.strerror or error}.", remedy="Check the path."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The scene file {source} is not TOML: {error}.", remedy="Mend the line.") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the scene"
        raise ConfigurationError(
            f"The scene file {source} describes no scene: {where}: {first['msg']}.",
            remedy=f"Compare with {_BUILT_IN}.",
        ) from error


def depth_range(lens: Lens, described: DepthDescription) -> tuple[float, float]:
    """Near and far end of a scene in um; 14 depths of field (12 mm at most) from 300 um where nothing is described."""
    near = DEFAULT_NEAR_UM if described.near_um is None else described.near_um
    depth = described.depth_um
    if depth is None:
        depth = min(DEPTHS_OF_FIELD * lens.depth_of_field_um, MAX_DEPTH_UM)
    return near, near + depth


def build(
    description: SceneDescription,
    lens: Lens,
    sensor_px: tuple[int, int],
    *,
    seed: int,
    texture: Texture = "rich",
) -> Scene:
    """Paint a scene.

    Parameters
    ----------
    sensor_px : (int, int)
        Width and height of the sensor.
    seed : int
        Every layer draws from it and its own place in the list, so that one more layer changes no other.
    texture : {"rich", "sparse", "none"}
        "sparse" leaves patches of texture and fewer strands; "none" a smooth ground alone.
    """
    width, height = sensor_px
    canvas = Canvas(_padded(height), _padded(width), height, width)
    near, far = depth_range(lens, description.depth)
    relief_px = (far - near) / lens.object_um_per_px
    painters = {"ground": paint_ground, "plate": paint_plate, "hairs": paint_strands, "bristles": paint_strands}
    layers = []
    for index, layer in enumerate(description.layer):
        if texture == "none" and layer.kind != "ground":
            continue
        rng = np.random.default_rng([seed, index, zlib.crc32(layer.kind.encode())])
        amount = _AMOUNT[texture] if layer.textured else 0.0
        painted = painters[layer.kind](canvas, layer, rng, amount, relief_px)
        layers.append(_placed(painted, near, far, opaque=layer.kind == "ground"))
    return Scene(tuple(layers), lens, canvas, near, far)


def _padded(length: int) -> int:
    """Canvas length for a sensor length: a margin each side, whole at every level of the pyramid, same parity of middle."""
    return PYRAMID_STEP * math.ceil(length * (1.0 + 2.0 * _MARGIN) / PYRAMID_STEP)


def _placed(painted: Painted, near_um: float, far_um: float, *, opaque: bool) -> Layer:
    rows, columns = painted.depth.shape
    blocks = painted.depth.reshape(rows // DEPTH_PITCH, DEPTH_PITCH, columns // DEPTH_PITCH, DEPTH_PITCH)
    depth = near_um + (far_um - near_um) * blocks.mean(axis=(1, 3))
    return Layer(np.ascontiguousarray(painted.rgba), np.ascontiguousarray(depth, dtype=np.float32), opaque)
