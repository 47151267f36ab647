"""Which files of the relief are wanted, as one frozen value, and how they are named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from stacking.errors import StackingUsageError

Line = tuple[float, float, float, float]
TIFF_SUFFIXES = (".tif", ".tiff")
MESH_SUFFIXES = (".glb", ".ply", ".stl")
VIDEO_SUFFIXES = (".mp4", ".avi", ".gif")
_PICTURES = (".tif", ".tiff", ".png", ".jpg", ".jpeg")
_SUFFIXES = {
    "depth_16bit": TIFF_SUFFIXES,
    "depth_confidence": TIFF_SUFFIXES,
    "depth_filled": TIFF_SUFFIXES,
    "depth_picture": _PICTURES,
    "mesh": MESH_SUFFIXES,
    "stereo": _PICTURES,
    "anaglyph": _PICTURES,
    "rocking": VIDEO_SUFFIXES,
    "profile": (".csv",),
}


@dataclass(frozen=True, slots=True)
class ReliefOptions:
    """Which files are wanted; None: not this one.

    Attributes
    ----------
    depth_16bit : Path or None
        16-bit TIFF; 0 where unknown, else ``offset + step * value``, both told in its description.
    depth_confidence : Path or None
        float32 TIFF, 0 to 1; 0 where the depth is unknown, and so filled in what is filled.
    depth_filled : Path or None
        float32 TIFF without holes.
    depth_picture : Path or None
        Depth in colours with a scale; filled holes are hatched.
    mesh : Path or None
        ``.glb`` (with the picture), ``.ply`` or ``.stl``.
    stereo, anaglyph : Path or None
        A pair side by side; red and cyan.
    rocking : Path or None
        A video of the picture rocking: ``.mp4``, ``.avi`` or ``.gif``.
    profile : Path or None
        Depth along `line`: a table ``.csv``, and its plot beside it as ``.svg``.
    line : (x0, y0, x1, y1) or None
        Pixels of the result; None: across its middle.
    pixel_um : float or None
        Side of a pixel on the subject.
    """

    depth_16bit: Path | None = None
    depth_confidence: Path | None = None
    depth_filled: Path | None = None
    depth_picture: Path | None = None
    mesh: Path | None = None
    stereo: Path | None = None
    anaglyph: Path | None = None
    rocking: Path | None = None
    profile: Path | None = None
    line: Line | None = None
    pixel_um: float | None = None

    def targets(self) -> dict[str, Path]:
        """The files that will be written, by what they are."""
        wanted = {name: path for name in _SUFFIXES if (path := getattr(self, name)) is not None}
        if self.profile is not None:
            wanted["profile_plot"] = self.profile.with_suffix(".svg")
        return wanted

    def check(self, *, force: bool) -> None:
        """Refuse what cannot be written, before any work is done.

        Raises
        ------
        OutputError
        StackingUsageError
            Where a line is given and no profile, or two files have one name.
        """
        if self.line is not None and self.profile is None:
            raise StackingUsageError(
                "a line was given, but no profile", remedy="Name the table with --depth-profile FILE.csv."
            )
        from stacking.writers import check_target

        wanted = self.targets()
        different(wanted.values())
        for name, path in wanted.items():
            check_target(path, force=force, suffixes=_SUFFIXES.get(name))


def different(paths: Iterable[Path]) -> None:
    """Refuse one name for two files.

    Raises
    ------
    StackingUsageError
    """
    seen: set[Path] = set()
    for path in paths:
        if path.absolute() in seen:
            raise StackingUsageError(f"{path} was named for two outputs", remedy="Give each output its own name.")
        seen.add(path.absolute())


def parse_line(text: str) -> Line:
    """``x0,y0,x1,y1`` in pixels.

    Raises
    ------
    StackingUsageError
    """
    try:
        x0, y0, x1, y1 = (float(part) for part in text.split(","))
    except ValueError:
        raise StackingUsageError(
            f"'{text}' is no line", remedy="Give four numbers x0,y0,x1,y1 in pixels, for example 0,500,900,500."
        ) from None
    return x0, y0, x1, y1


def relief_options_of(record: Mapping[str, Any]) -> ReliefOptions:
    """Options from plain values, as a record keeps them; unknown names are left out."""
    known: dict[str, Any] = {}
    for field in fields(ReliefOptions):
        value = record.get(field.name)
        if value is not None:
            known[field.name] = (
                Path(value) if field.name in _SUFFIXES else tuple(value) if field.name == "line" else value
            )
    return ReliefOptions(**known)
