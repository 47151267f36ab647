"""The stacker's options as the command line takes them, shared by ``stack``, ``run`` and ``demo``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from capture.app.relief_options import ReliefFlags, ScaleFlags
from capture.errors import UsageError
from capture.lengths import parse_size_bytes
from capture.settings import Settings
from stacking.layer_options import parse_layer_frames
from stacking.options import Align, Crop, Method, Prefer, StackOptions
from stacking.relief.options import relief_options_of
from stacking.slab_options import SlabOptions, parse_slab, slab_options_of

if TYPE_CHECKING:
    from stacking.areas_options import Area

MethodOption = Annotated[
    Method | None,
    typer.Option(
        "--method",
        help="How frames are merged: auto (the default: the pyramid; of two clean frames that lie on each other their own "
        "pixels), pyramid, depthmap (each pixel from the frames next to its depth) or average.",
    ),
]
AlignOption = Annotated[
    Align, typer.Option("--align", help="auto: register the frames; none: they lie on each other already.")
]
CropOption = Annotated[
    str,
    typer.Option(
        "--crop",
        help="auto: the largest area valid in all frames; focus: only where anything is in focus; 3:2 or focus,3:2: of that "
        "aspect ratio; x,y,width,height in a frame's pixels; none: keep the full frame.",
    ),
]
DepthOption = Annotated[
    Path | None, typer.Option("--depth", help="Write the depth map here (.tif float, .png 16 bit).")
]
ReportOption = Annotated[
    Path | None, typer.Option("--report", help="Write what was done here: .html a page with plots, else JSON.")
]
RecipeOption = Annotated[
    Path | None,
    typer.Option(
        "--recipe", help="Colour correction to apply: a recipe's TOML file, or the name of one that comes along."
    ),
]
LayersOption = Annotated[
    Path | None,
    typer.Option("--layers", help="Write fused picture, slabs and aligned frames as layers: .psd, .psb or .tif pages."),
]
LayerFramesOption = Annotated[
    str | None,
    typer.Option(
        "--layer-frames",
        help="Source frames among the layers: how many at most, evenly spread, which (3,7-9), none, or auto.",
    ),
]
SlabOption = Annotated[
    str | None,
    typer.Option(
        "--slab", help="Fuse slabs of so many frames, too; auto: by the depth of field; 5,4: slabs of 4 slabs."
    ),
]
SlabOverlapOption = Annotated[
    int | None, typer.Option("--slab-overlap", min=0, help="Frames that neighbouring slabs share (default a quarter).")
]
SlabMethodOption = Annotated[
    Method | None,
    typer.Option(
        "--slab-method",
        help="How slabs' pictures are merged (default, and where it is how they are made: from the frames, as without slabs).",
    ),
]
SlabFolderOption = Annotated[
    Path | None,
    typer.Option("--slab-folder", help="Where slabs are written (default: RESULT.slabs beside the result)."),
]
PreferOption = Annotated[
    Prefer,
    typer.Option(
        "--prefer",
        help="near: an opaque foreground hides what is sharp behind it; far: the other way; sharpest: neither.",
    ),
]
PreferInOption = Annotated[
    Path | None,
    typer.Option("--prefer-in", help="A painted mask (white, or opaque) of where --prefer holds; default everywhere."),
]
MemoryOption = Annotated[str | None, typer.Option("--memory", help="Memory the stacker may use, for example 4G.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class StackFlags(ReliefFlags):
    """How frames are merged, and what is written besides the picture."""

    method: MethodOption = None
    align: AlignOption = Align.AUTO
    crop: CropOption = Crop.AUTO.value
    depth: DepthOption = None
    report: ReportOption = None
    recipe: RecipeOption = None
    memory: MemoryOption = None
    layers: LayersOption = None
    layer_frames: LayerFramesOption = None
    slab: SlabOption = None
    slab_overlap: SlabOverlapOption = None
    slab_method: SlabMethodOption = None
    slab_folder: SlabFolderOption = None
    prefer: PreferOption = Prefer.SHARPEST
    prefer_in: PreferInOption = None

    def options(self, settings: Settings, *, force: bool = False, optics: ScaleFlags | None = None) -> StackOptions:
        """Flags and settings as one frozen value.

        Raises
        ------
        UsageError
            For a method or a size in the settings that does not exist.
        """
        named = settings.choose("method", self.method, Method.AUTO)
        try:
            chosen = Method(named)
        except ValueError:
            raise UsageError(f"'{named}' is no fusion method", remedy=f"Choose one of {', '.join(Method)}.") from None
        if self.prefer_in is not None and self.prefer is Prefer.SHARPEST:
            raise UsageError("a mask was given, but not what is preferred in it", remedy="Add --prefer near.")
        size = settings.choose("memory", self.memory)
        from stacking.crop import parse_crop

        crop, aspect, rectangle = parse_crop(self.crop)
        return StackOptions(
            method=chosen,
            align=self.align,
            crop=crop,
            crop_aspect=aspect,
            crop_rectangle=rectangle,
            depth=self.depth,
            report=self.report,
            recipe=self.recipe,
            memory_bytes=None if size is None else parse_size_bytes(str(size), what="--memory"),
            force=force,
            layers=self.layers,
            layer_frames=parse_layer_frames(self.layer_frames),
            areas=self._areas(),
            slabs=self._slabs(),
            relief=self.relief_options(settings, optics or ScaleFlags()),
        )

    def _areas(self) -> tuple[Area, ...]:
        if self.prefer is Prefer.SHARPEST:
            return ()
        from stacking.areas_options import preferring

        return preferring(self.prefer, self.prefer_in)

    def _slabs(self) -> SlabOptions:
        if self.slab is None:
            if any(given is not None for given in (self.slab_overlap, self.slab_method, self.slab_folder)):
                raise UsageError("how slabs are made was given, but no slabs", remedy="Add --slab auto, or a number.")
            return SlabOptions()
        return SlabOptions(parse_slab(self.slab), self.slab_overlap, self.slab_method, self.slab_folder)


def options_to_record(options: StackOptions) -> dict[str, Any]:
    """The options as a session's journal keeps them; paths absolute."""
    plain: dict[str, Any] = _plain(asdict(options))
    return plain


def _plain(value: Any) -> Any:
    from stacking.areas_options import Area

    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, Area):
        return value.model_dump(mode="json")
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value.resolve()) if isinstance(value, Path) else value


def options_from_record(record: Mapping[str, Any]) -> StackOptions:
    """The options that `options_to_record` kept; names of a newer version are left out."""
    known = {field.name for field in fields(StackOptions)}
    values = {name: value for name, value in record.items() if name in known}
    for name in ("depth", "report", "recipe", "layers"):
        if values.get(name) is not None:
            values[name] = Path(values[name])
    for name, kind in (("method", Method), ("align", Align), ("crop", Crop)):
        if name in values:
            values[name] = kind(values[name])
    for name in ("layer_frames", "crop_rectangle"):
        if isinstance(values.get(name), list):
            values[name] = tuple(values[name])
    if "relief" in values:
        values["relief"] = relief_options_of(values["relief"])
    if "areas" in values:
        from stacking.areas_options import areas_of

        values["areas"] = areas_of(values["areas"])
    if "slabs" in values:
        values["slabs"] = slab_options_of(values["slabs"])
    return StackOptions(**values)
