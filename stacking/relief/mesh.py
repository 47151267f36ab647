"""A relief as a mesh of triangles, and the files it goes into: GLB with the picture as texture, PLY, STL.

Sources: glTF 2.0 (Khronos, 2021), the PLY format (Turk, Stanford), the StL format (3D Systems, 1989).
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from stacking.relief.surface import Relief
from stacking.writers_blocks import eight_bit, jpeg_bytes

F32 = NDArray[np.float32]
U32 = NDArray[np.uint32]

MOST_VERTICES = 300_000
_TEXTURE_PX = 4096
_MEDIAN = 5
_GLB, _JSON_CHUNK, _BINARY_CHUNK = 0x46546C67, 0x4E4F534A, 0x004E4942
_FLOAT, _UNSIGNED_INT = 5126, 5125
_VERTICES, _INDICES = 34962, 34963


@dataclass(frozen=True, slots=True)
class Mesh:
    """Triangles over the picture, counter-clockwise as the lens sees them.

    Attributes
    ----------
    vertices : ndarray (n, 3), float32
        x to the right, y up, z towards the lens; mm where the scale is `true`, else pixels.
    normals : ndarray (n, 3), float32
    places : ndarray (n, 2), float32
        Column and row as shares of the picture, 0 to 1 (texture coordinates with the origin at the top left).
    colours : ndarray (n, 3), uint8
    confidence : ndarray (n,), float32
        0 where a hole was filled.
    faces : ndarray (m, 3), uint32
    true : bool
        Whether the mesh is to scale.
    """

    vertices: F32
    normals: F32
    places: F32
    colours: NDArray[np.uint8]
    confidence: F32
    faces: U32
    true: bool


def mesh_of(relief: Relief, picture: NDArray[Any], *, most_vertices: int = MOST_VERTICES) -> Mesh:
    """Lay a mesh over a relief.

    Parameters
    ----------
    picture : ndarray (rows, columns, 3), uint8 or uint16
        Of the relief's size.
    most_vertices : int
        The grid is as fine as that allows.
    """
    height = relief.height_px()
    rows, columns = height.shape
    step = max(1, int(np.ceil(np.sqrt(rows * columns / most_vertices))))
    # one sample stands for its surroundings
    y, x = np.arange(0, rows, step), np.arange(0, columns, step)
    if step > 1:
        cv2.blur(height, (step, step), dst=height)
    grid = np.asarray(cv2.medianBlur(np.ascontiguousarray(height[::step, ::step]), _MEDIAN), np.float32)
    del height
    pixel = relief.scale.pixel_um / 1000.0 if relief.scale.true and relief.scale.pixel_um is not None else 1.0
    across, down = np.meshgrid(x.astype(np.float32), y.astype(np.float32))
    vertices = np.stack([across, (rows - 1) - down, grid], axis=-1).reshape(-1, 3) * np.float32(pixel)
    places = np.stack([(across + 0.5) / columns, (down + 0.5) / rows], axis=-1).reshape(-1, 2)
    slope_y, slope_x = np.gradient(grid, float(step)) if min(grid.shape) > 1 else (np.zeros_like(grid),) * 2
    normals = np.stack([-slope_x, slope_y, np.ones_like(grid)], axis=-1).reshape(-1, 3)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    colours = picture[::step, ::step]
    if colours.dtype != np.uint8:
        colours = (colours >> 8).astype(np.uint8)
    return Mesh(
        np.ascontiguousarray(vertices, np.float32),
        normals.astype(np.float32),
        places.astype(np.float32),
        np.ascontiguousarray(colours.reshape(-1, 3)),
        np.where(np.isnan(relief.depth[::step, ::step]), np.float32(0.0), relief.confidence[::step, ::step]).reshape(
            -1
        ),
        _faces(len(y), len(x)),
        relief.scale.true,
    )


def _faces(rows: int, columns: int) -> U32:
    index = np.arange(rows * columns, dtype=np.uint32).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
    first, second = np.stack([a, c, b], axis=-1), np.stack([b, c, d], axis=-1)
    return np.ascontiguousarray(np.stack([first, second], axis=2).reshape(-1, 3))


def write_glb(file: BinaryIO, mesh: Mesh, picture: NDArray[Any]) -> None:
    """Write binary glTF 2.0 with the picture as a JPEG texture (at most 4096 pixels); metres where the mesh is to scale.

    The confidence of each vertex is the attribute ``_CONFIDENCE``; 0 marks filled holes.
    """
    scale = np.float32(1e-3)  # mm to m; pixels are taken as mm
    positions = np.ascontiguousarray(mesh.vertices * scale)
    parts: list[tuple[NDArray[Any] | bytes, int | None]] = [
        (positions, _VERTICES),
        (mesh.normals, _VERTICES),
        (mesh.places, _VERTICES),
        (mesh.confidence, _VERTICES),
        (np.ascontiguousarray(mesh.faces), _INDICES),
        (jpeg_bytes(_texture(picture), None, None, quality=92), None),
    ]
    views, chunks, place = [], [], 0
    for content, target in parts:
        data = content if isinstance(content, bytes) else content.astype(content.dtype.newbyteorder("<")).tobytes()
        view: dict[str, int] = {"buffer": 0, "byteOffset": place, "byteLength": len(data)}
        if target is not None:
            view["target"] = target
        views.append(view)
        data += bytes(-len(data) % 4)
        chunks.append(data)
        place += len(data)
    count = len(mesh.vertices)
    document = {
        "asset": {"version": "2.0", "generator": "focusrail", "extras": {"to_scale": mesh.true}},
        "extensionsUsed": ["KHR_materials_unlit"],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": "relief"}],
        "meshes": [
            {
                "primitives": [
                    {
                        "attributes": {"POSITION": 0, "NORMAL": 1, "TEXCOORD_0": 2, "_CONFIDENCE": 3},
                        "indices": 4,
                        "material": 0,
                    }
                ]
            }
        ],
        "materials": [
            {
                "pbrMetallicRoughness": {
                    "baseColorTexture": {"index": 0},
                    "metallicFactor": 0.0,
                    "roughnessFactor": 1.0,
                },
                "extensions": {"KHR_materials_unlit": {}},
                "doubleSided": True,
            }
        ],
        "textures": [{"source": 0, "sampler": 0}],
        "samplers": [{"magFilter": 9729, "minFilter": 9987, "wrapS": 33071, "wrapT": 33071}],
        "images": [{"bufferView": 5, "mimeType": "image/jpeg"}],
        "accessors": [
            {
                **_accessor(0, _FLOAT, count, "VEC3"),
                "min": positions.min(axis=0).tolist(),
                "max": positions.max(axis=0).tolist(),
            },
            _accessor(1, _FLOAT, count, "VEC3"),
            _accessor(2, _FLOAT, count, "VEC2"),
            _accessor(3, _FLOAT, count, "SCALAR"),
            _accessor(4, _UNSIGNED_INT, mesh.faces.size, "SCALAR"),
        ],
        "bufferViews": views,
        "buffers": [{"byteLength": place}],
    }
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    file.write(struct.pack("<III", _GLB, 2, 12 + 8 + len(text) + 8 + place))
    file.write(struct.pack("<II", len(text), _JSON_CHUNK) + text)
    file.write(struct.pack("<II", place, _BINARY_CHUNK))
    file.writelines(chunks)


def write_ply(file: BinaryIO, mesh: Mesh) -> None:
    """Write binary PLY: position (mm where to scale, else pixels), normal, colour, and confidence (0: a filled hole)."""
    names = ("x", "y", "z", "nx", "ny", "nz")
    header = ["ply", "format binary_little_endian 1.0", "comment focusrail"]
    header.append(f"comment {'mm, to scale' if mesh.true else 'pixels, depth not to scale'}")
    header.append(f"element vertex {len(mesh.vertices)}")
    header += [f"property float {name}" for name in names]
    header += [f"property uchar {name}" for name in ("red", "green", "blue")]
    header += ["property float confidence", f"element face {len(mesh.faces)}"]
    header += ["property list uchar uint vertex_indices", "end_header", ""]
    fields: list[tuple[str, str]] = [(name, "<f4") for name in names]
    fields += [(name, "u1") for name in ("red", "green", "blue")] + [("confidence", "<f4")]
    vertices = np.empty(len(mesh.vertices), np.dtype(fields))
    for k, name in enumerate(names):
        vertices[name] = mesh.vertices[:, k] if k < 3 else mesh.normals[:, k - 3]
    for k, name in enumerate(("red", "green", "blue")):
        vertices[name] = mesh.colours[:, k]
    vertices["confidence"] = mesh.confidence
    faces = np.empty(len(mesh.faces), np.dtype([("count", "u1"), ("corners", "<u4", 3)]))
    faces["count"], faces["corners"] = 3, mesh.faces
    file.write("\n".join(header).encode("ascii"))
    file.write(vertices.tobytes())
    file.write(faces.tobytes())


def write_stl(file: BinaryIO, mesh: Mesh) -> None:
    """Write binary STL: positions in mm where to scale, else pixels. It holds neither colour nor confidence."""
    corners = mesh.vertices[mesh.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-20)
    triangles = np.zeros(len(corners), np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("bytes", "<u2")]))
    triangles["normal"], triangles["corners"] = normals, corners
    file.write(b"focusrail, binary STL".ljust(80, b" ") + struct.pack("<I", len(triangles)))
    file.write(triangles.tobytes())


def _accessor(view: int, kind: int, count: int, shape: str) -> dict[str, Any]:
    return {"bufferView": view, "componentType": kind, "count": count, "type": shape}


def _texture(picture: NDArray[Any]) -> NDArray[np.uint8]:
    picture = eight_bit(picture)
    rows, columns = picture.shape[:2]
    scale = min(1.0, _TEXTURE_PX / max(rows, columns))
    if scale == 1.0:
        return picture
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
