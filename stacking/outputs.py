"""Everything a finished stack is written to: the picture, depth and what is made of it, the report."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stacking.checks import check_options
from stacking.errors import StackingUsageError
from stacking.frames import LeftOut, Pixels, Source
from stacking.fuse.deformation import straight
from stacking.layer_options import LAYER_SUFFIXES
from stacking.memory import peak_rss_bytes
from stacking.options import Method, StackOptions
from stacking.relief.maps import depth_meaning
from stacking.relief.options import different
from stacking.report import StackReport
from stacking.slab_folder import check_slab_folder
from stacking.stacked import Stacked
from stacking.writers import DEPTH_SUFFIXES, check_target, replacing, write_depth, write_picture

if TYPE_CHECKING:
    from stacking.relief.surface import Relief


def slab_folder(output: Path, options: StackOptions) -> Path:
    """Where slabs are put: as wanted, else beside the picture."""
    return options.slabs.folder or output.with_name(f"{output.stem}.slabs")


def check_targets(output: Path | None, options: StackOptions) -> list[Path]:
    """Refuse what cannot be written, before any work is done; the files that will be.

    Parameters
    ----------
    output : Path or None
        The picture; None where its folder is still to be made.

    Raises
    ------
    OutputError
    StackingUsageError
    """
    check_options(options)
    if output is not None:
        check_target(output, force=options.force)
    folders = []
    if options.slabs.sizes and (output is not None or options.slabs.folder is not None):
        folders.append(slab_folder(output or Path(), options))
        check_slab_folder(folders[0], force=options.force)
    if options.wants_depth and options.method is Method.AVERAGE:
        raise StackingUsageError("a plain average has no depth", remedy="Choose another method, or leave the depth.")
    if options.depth is not None:
        check_target(options.depth, force=options.force, suffixes=DEPTH_SUFFIXES)
    if options.report is not None:
        check_target(options.report, force=options.force, suffixes=None)
    if options.layers is not None:
        check_target(options.layers, force=options.force, suffixes=LAYER_SUFFIXES)
    options.relief.check(force=options.force)
    single = (output, options.depth, options.report, options.layers)
    outputs = [p for p in (*single, *options.relief.targets().values()) if p is not None]
    different([*outputs, *folders])
    return outputs


def write_stack(stacked: Stacked) -> StackReport:
    """Write the picture and all that is wanted besides.

    Raises
    ------
    StackingError
        Nothing that this run wrote is left then.
    """
    targets = {path: path.exists() for path in check_targets(stacked.output, stacked.options)}
    try:
        report = _written(stacked)
        if stacked.slabs is not None:
            stacked.slabs.keep()
        return report
    except BaseException:
        for path, was_there in targets.items():
            if not was_there:
                with suppress(OSError):
                    path.unlink(missing_ok=True)
        raise


def _written(stacked: Stacked) -> StackReport:
    options, result, development = stacked.options, stacked.result, stacked.development
    started = time.monotonic()
    image, icc = _corrected(stacked)
    shown = _on_screen(stacked, image) if options.relief.targets() or options.wants_page else image
    seen_icc = development.icc if shown is image else None
    relief = _relief(stacked)
    outputs: dict[str, Path] = {}
    if relief is not None and options.relief.targets():
        from stacking.relief.outputs import write_relief

        outputs |= write_relief(options.relief, relief, shown, icc=seen_icc, force=options.force)
    if options.layers is not None:
        _write_layers(stacked, options.layers)
        outputs["layers"] = options.layers
    if relief is not None and options.depth is not None:
        write_depth(options.depth, relief.depth, force=options.force, description=depth_meaning(relief))
    write_picture(
        stacked.output,
        image,
        icc=icc,
        exif_from=stacked.sources[result.reference].path,
        force=options.force,
        quality=options.quality,
    )
    report = _report(stacked, image, outputs, [*stacked.times, ("writing", time.monotonic() - started)])
    if options.report is not None:
        if options.wants_page:
            from stacking.report_page import report_page

            content = report_page(stacked, report, shown, relief).encode()
        else:
            content = json.dumps(report.values(), indent=2).encode()
        with replacing(options.report, force=options.force) as file:
            file.write(content)
    return report


def _write_layers(stacked: Stacked, path: Path) -> None:
    from stacking.layers import LayerSources, write_layers

    result, development, sources = stacked.result, stacked.development, stacked.sources
    slabs = [(s.path.stem, s.path) for s in result.slabs if s.stage == 1]
    write_layers(
        path,
        LayerSources(
            fused=result.image,
            canvas=result.canvas,
            registrations=result.registrations,
            decode=stacked.decode,
            names=_names(sources),
            slabs=slabs,
            icc=development.icc,
        ),
        frames=stacked.options.layer_frames,
        force=stacked.options.force,
    )


def _corrected(stacked: Stacked) -> tuple[Pixels, bytes | None]:
    """The picture as it is written, and its profile."""
    image, icc = stacked.result.image, stacked.development.icc
    eight_bit = stacked.development.dtype == np.uint8 and stacked.output.suffix.lower() == ".png"
    if stacked.recipe is not None:
        from stacking.finish import apply_recipe, result_profile

        dtype = np.dtype(np.uint8 if eight_bit else np.uint16)
        return apply_recipe(image, stacked.recipe, dtype=dtype, icc=icc), result_profile(stacked.recipe, icc)
    return ((image.astype(np.uint32) + 128) // 257).astype(np.uint8) if eight_bit else image, icc


def _on_screen(stacked: Stacked, image: Pixels) -> Pixels:
    """The picture for pages and meshes, which know sRGB alone: `image` itself unless the recipe wants another space."""
    recipe = stacked.recipe
    if recipe is None or recipe.output is None:
        return image
    from stacking.finish import apply_recipe
    from stacking.finish.recipe import OutputStep
    from stacking.finish.spaces import Profile

    if recipe.output.profile is Profile.SRGB:
        return image
    as_srgb = recipe.model_copy(update={"output": OutputStep(profile=Profile.SRGB)})
    return apply_recipe(stacked.result.image, as_srgb, icc=stacked.development.icc)


def _relief(stacked: Stacked) -> Relief | None:
    """The depth of what the corrected picture shows."""
    from stacking.relief.surface import DepthUnit, Scale, relief_of

    depth, confidence, surface = stacked.result.depth, stacked.result.confidence, stacked.result.surface
    if depth is None:
        return None
    if stacked.recipe is not None:  # what is cut off the picture is cut off its depth
        from stacking.finish.apply import crop_rectangle

        cut = crop_rectangle(stacked.recipe.crop, depth.shape[1], depth.shape[0])
        depth, confidence = _cut(cut.of(depth)), None if confidence is None else _cut(cut.of(confidence))
        surface = None if surface is None else _cut(cut.of(surface))
    unit = DepthUnit.UM if stacked.positions_known else DepthUnit.FRAMES
    return relief_of(depth, confidence, Scale(unit, stacked.options.relief.pixel_um), surface)


def _cut(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.ascontiguousarray(plane, np.float32)


def _report(
    stacked: Stacked, image: Pixels, outputs: dict[str, Path], times: Sequence[tuple[str, float]]
) -> StackReport:
    result, sources = stacked.result, stacked.sources
    names = _names(sources)
    height, width = image.shape[:2]
    canvas, frame_size = result.canvas, stacked.development.size[::-1]
    place = Path() if stacked.slabs is None else stacked.slabs.folder
    return StackReport(
        result=stacked.output,
        width=width,
        height=height,
        frames_used=len(result.used),
        frames_left_out=[
            *stacked.left_out_before,
            *(LeftOut(sources[k].path, reason) for k, reason in result.left_out.items()),
        ],
        order=[names[k] for k in result.used],
        transforms={names[k]: straight(r, frame_size)[0] for k, r in result.registrations.items()},
        crop=(canvas.x, canvas.y, canvas.width, canvas.height),
        reference=names[result.reference],
        notes=(*stacked.notes_before, *result.notes),
        seconds=sum(seconds for _, seconds in times),
        peak_rss_bytes=peak_rss_bytes(),
        depth=stacked.options.depth,
        outputs=outputs,
        slabs=[(place / s.path.name, tuple(names[k] for k in s.frames), s.stage) for s in result.slabs],
        times=times,
        distortion=next(iter(result.registrations.values())).deformation.radial,
    )


def _names(sources: Sequence[Source]) -> list[str]:
    """File names, or whole paths where two files of different folders have one name."""
    names = [s.path.name for s in sources]
    return names if len(set(names)) == len(names) else [str(s.path) for s in sources]
