"""Scene descriptions and what is painted from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from capture.bench.optics import Lens
from capture.bench.scene import Scene, Texture, build, depth_range, read_description
from capture.bench.scene_description import DepthDescription
from capture.errors import ConfigurationError

SENSOR = (240, 160)
GROUND = '[[layer]]\nkind = "ground"\ndepth = [0.0, 1.0]\n'


def painted(seed: int = 1, texture: Texture = "rich", text: str = "", folder: Path | None = None) -> Scene:
    path = None
    if folder is not None:
        path = folder / "scene.toml"
        path.write_text(text)
    return build(read_description(path), Lens(), SENSOR, seed=seed, texture=texture)


@pytest.fixture(scope="module")
def specimen() -> Scene:
    return painted()


def test_the_built_in_scene_is_deep_crossed_and_glossy(specimen: Scene) -> None:
    depth_of_field = specimen.lens.depth_of_field_um
    assert 12 <= (specimen.far_um - specimen.near_um) / depth_of_field <= 20
    assert specimen.near_um == 300.0
    covers = [layer.rgba[..., 3] for layer in specimen.layers]
    assert covers[0].min() == pytest.approx(1.0, abs=1e-5)
    crossing = sum((cover > 0.5).astype(int) for cover in covers[1:])
    assert crossing.max() >= 2, "nothing crosses in front of anything"
    assert specimen.layers[0].rgba[..., :3].max() > 1.0, "nothing shines"


def test_layers_are_premultiplied_light(specimen: Scene) -> None:
    for layer in specimen.layers:
        assert layer.rgba.dtype == np.float32
        cover = layer.rgba[..., 3]
        assert cover.min() >= 0.0
        assert cover.max() <= 1.0 + 1e-5
        assert layer.rgba.min() >= 0.0
        assert not layer.rgba[cover == 0.0].any()


def test_visible_depths_stay_inside_the_range(specimen: Scene) -> None:
    reach = specimen.far_um - specimen.near_um
    for layer in specimen.layers:
        cover = layer.rgba[..., 3].reshape(layer.depth_um.shape[0], 4, layer.depth_um.shape[1], 4).max(axis=(1, 3))
        rows, columns = layer.depth_um.shape
        inside = np.zeros_like(cover, dtype=bool)
        inside[rows // 8 : -rows // 8, columns // 8 : -columns // 8] = True
        depths = layer.depth_um[(cover > 0.5) & inside]
        if depths.size:
            assert depths.min() >= specimen.near_um - 0.08 * reach
            assert depths.max() <= specimen.far_um + 0.05 * reach


def test_a_seed_is_a_scene(specimen: Scene) -> None:
    again, other = painted(seed=1), painted(seed=2)
    assert all(np.array_equal(a.rgba, b.rgba) for a, b in zip(specimen.layers, again.layers, strict=True))
    assert not np.array_equal(specimen.layers[0].rgba, other.layers[0].rgba)


def test_texture_is_rich_sparse_or_none(specimen: Scene) -> None:
    def roughness(scene: Scene) -> float:
        grey = np.log(scene.layers[0].rgba[..., 1])
        return float(np.mean(np.abs(np.diff(grey, axis=1)) > 0.05))

    rich, sparse, none = roughness(specimen), roughness(painted(texture="sparse")), painted(texture="none")
    assert rich > 2 * sparse > 0
    assert roughness(none) == 0.0
    assert len(none.layers) == 1


def test_one_more_layer_changes_no_other(tmp_path: Path) -> None:
    hairs = '[[layer]]\nkind = "hairs"\ndepth = [0.2, 0.4]\ncount = 2\n'
    plate = '[[layer]]\nkind = "plate"\ndepth = [0.1, 0.2]\n'
    few = painted(text=GROUND + hairs, folder=tmp_path)
    more = painted(text=GROUND + hairs + plate, folder=tmp_path)
    assert len(more.layers) == 3
    assert all(np.array_equal(a.rgba, b.rgba) for a, b in zip(few.layers, more.layers, strict=False))


def test_the_described_depth_goes_before_the_lens() -> None:
    assert depth_range(Lens(), DepthDescription(near_um=-50.0, depth_um=700.0)) == (-50.0, 650.0)
    deep = depth_range(Lens(magnification=0.5, f_number=16.0), DepthDescription(near_um=None, depth_um=None))
    assert deep == (300.0, 12_300.0), "a scene has to fit into the travel"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("layer = 3 =", "not TOML"),
        ("", "layer"),
        ('[[layer]]\nkind = "hairs"\ndepth = [0, 1]\n', "ground"),
        (GROUND + GROUND, "ground"),
        (GROUND + "colour = 3\n", "colour"),
        (GROUND + '[[layer]]\nkind = "cube"\ndepth = [0, 1]\n', "kind"),
        ("[optics]\nmagnification = -2\n" + GROUND, "magnification"),
        (GROUND + '[[layer]]\nkind = "hairs"\ndepth = [0, 1]\nwidth_px = [4, 2]\n', "width_px"),
    ],
)
def test_a_file_that_describes_no_scene_is_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as caught:
        painted(text=text, folder=tmp_path)
    assert "scene.toml" in caught.value.message
    assert caught.value.remedy


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="absent"):
        read_description(tmp_path / "absent.toml")
