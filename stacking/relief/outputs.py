"""The relief's files, written from one relief and its picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from stacking.relief.maps import confidence_map, depth_meaning, depth_picture, sixteen_bit_depth
from stacking.relief.mesh import mesh_of, write_glb, write_ply, write_stl
from stacking.relief.options import ReliefOptions
from stacking.relief.profile import profile_along
from stacking.relief.surface import Relief
from stacking.relief.video import write_rocking
from stacking.relief.views import SideViews
from stacking.writers import replacing, write_picture
from stacking.writers_tiff import write_tiff

_VIEW_PX, _VIDEO_PX = 2400, 1280
_VIDEO_FRAMES = 48


def write_relief(
    options: ReliefOptions, relief: Relief, picture: NDArray[Any], *, icc: bytes | None = None, force: bool = False
) -> dict[str, Path]:
    """Write the files that are wanted.

    Parameters
    ----------
    picture : ndarray (rows, columns, 3), uint8 or uint16
        Of the relief's size.
    icc : bytes or None
        Profile of the picture; None means sRGB.

    Returns
    -------
    dict of str to Path
        What was written, by field of `ReliefOptions` (and ``profile_plot``).

    Raises
    ------
    OutputError
    StackingUsageError
        Where the line lies outside the picture; nothing is written then.
    """
    wanted = options.targets()
    if options.profile is not None:
        rows, columns = relief.depth.shape
        line = options.line or (0.0, rows // 2, columns - 1.0, rows // 2)
        profile = profile_along(relief, line)
        _write(options.profile, profile.csv(), force=force)
        _write(wanted["profile_plot"], profile.svg().encode(), force=force)
    _write_maps(options, relief, force=force)
    if options.mesh is not None:
        mesh = mesh_of(relief, picture)
        with replacing(options.mesh, force=force) as file:
            match options.mesh.suffix.lower():
                case ".glb":
                    write_glb(file, mesh, picture)
                case ".ply":
                    write_ply(file, mesh)
                case _:
                    write_stl(file, mesh)
    if options.stereo is not None or options.anaglyph is not None:
        views = SideViews(picture, relief, longest_px=_VIEW_PX)
        if options.stereo is not None:
            write_picture(options.stereo, views.pair(), icc=icc, force=force)
        if options.anaglyph is not None:
            write_picture(options.anaglyph, views.anaglyph(), icc=icc, force=force)
    if options.rocking is not None:
        views = SideViews(picture, relief, longest_px=_VIDEO_PX)
        write_rocking(options.rocking, views.rocking(_VIDEO_FRAMES), force=force)
    return wanted


def _write_maps(options: ReliefOptions, relief: Relief, *, force: bool) -> None:
    if options.depth_16bit is not None:
        values, meaning = sixteen_bit_depth(relief)
        with replacing(options.depth_16bit, force=force) as file:
            write_tiff(file, values, None, None, description=json.dumps(meaning))
    if options.depth_confidence is not None:
        with replacing(options.depth_confidence, force=force) as file:
            write_tiff(file, confidence_map(relief), None, None)
    if options.depth_filled is not None:
        with replacing(options.depth_filled, force=force) as file:
            write_tiff(file, relief.filled, None, None, description=depth_meaning(relief))
    if options.depth_picture is not None:
        write_picture(options.depth_picture, depth_picture(relief), force=force)


def _write(path: Path, content: bytes, *, force: bool) -> None:
    with replacing(path, force=force) as file:
        file.write(content)
