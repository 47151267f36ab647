"""A whole run of the stacker: what is asked for is checked, frames are found and fused, and everything wanted is written."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stacking.checks import check_result, with_recipe
from stacking.engine import Engine, Progress
from stacking.options import StackOptions
from stacking.order import Order
from stacking.outputs import check_targets, slab_folder, write_stack
from stacking.prepared import Prepared
from stacking.report import StackReport
from stacking.selection import Note, alike
from stacking.slab_folder import slabs_beside
from stacking.sources import find_sources
from stacking.stacked import Stacked
from stacking.writers import write_picture


def check_wishes(options: StackOptions) -> None:
    """Refuse what no frames could change: before they are shot, say.

    Raises
    ------
    StackingUsageError
    OutputError
        Where something that is wanted besides the picture cannot be written.
    """
    check_targets(None, options)
    with_recipe(options)


def stack_pictures(
    paths: Iterable[Path | str],
    output: Path,
    options: StackOptions | None = None,
    progress: Progress | None = None,
    prepared: Prepared | None = None,
) -> StackReport:
    """Stack pictures of a folder, of files or of a session into one picture file.

    Parameters
    ----------
    paths : iterable of path
    output : Path
        ``.tif`` (16 bit), ``.png`` or ``.jpg``.
    options : StackOptions, optional
    progress : callable, optional
        Called with (stage, done, total).
    prepared : Prepared, optional
        What is known of the frames already; the result is the same without it.

    Raises
    ------
    StackingError
        Nothing half-written is left.
    """
    options = StackOptions() if options is None else options
    started = time.monotonic()
    output = Path(output)
    outputs = check_targets(output, options)
    recipe, options = with_recipe(options)
    found = find_sources(paths, exclude=outputs)
    selection = alike(found.sources, mixed_depths=found.order is Order.GIVEN)
    engine = Engine(options, progress, prepared)
    engine.check(selection.sources, recipe)
    engine.extend(selection.sources, like=selection.like)
    registered = time.monotonic()

    def write_slab(path: Path, slab: NDArray[np.uint16]) -> None:
        write_picture(path, slab, icc=engine.development.icc, exif_from=selection.sources[0].path)

    with ExitStack() as opened:
        slabs = None
        if options.slabs.sizes:
            slabs = opened.enter_context(slabs_beside(slab_folder(output, options), force=options.force))
        target = None if slabs is None else (slabs.beside, write_slab)
        result = engine.finish(target, partial(check_result, options, recipe))
        return write_stack(
            Stacked(
                output=output,
                options=options,
                recipe=recipe,
                development=engine.development,
                sources=engine.sources,
                positions_known=engine.positions_known,
                decode=engine.decode,
                result=result,
                left_out_before=(*found.left_out, *selection.left_out),
                notes_before=_told_once(selection.notes),
                slabs=slabs,
                times=(("registering", registered - started), ("fusing", time.monotonic() - registered)),
            )
        )


def _told_once(notes: Sequence[Note]) -> tuple[str, ...]:
    """What is said of frames, once where it is the same of several."""
    names: dict[str, list[str]] = {}
    for note in notes:
        names.setdefault(note.text, []).append(note.path.name)
    return tuple(
        f"{of[0]}: {text}" if len(of) == 1 else f"{of[0]} and {len(of) - 1} more: {text}" for text, of in names.items()
    )
