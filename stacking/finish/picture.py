"""``finish``: a picture file in, a corrected one out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stacking.develop import Development, as_source
from stacking.errors import SourceError
from stacking.finish.apply import apply_recipe
from stacking.finish.recipe import Recipe
from stacking.writers import TIFF_SUFFIXES, check_target, write_picture


def finish_picture(file: Path, output: Path, recipe: Recipe, *, force: bool = False) -> None:
    """Apply a recipe to a picture file. Profile, EXIF and XMP go along.

    Parameters
    ----------
    file : Path
        JPEG, PNG, TIFF or RAW.
    output : Path
        ``.tif`` (16 bit), ``.png`` (as deep as the input) or ``.jpg``.

    Raises
    ------
    SourceError
        Where `file` cannot be read.
    OutputError
        Where `output` cannot be written; nothing is left then.
    StackingUsageError
        Where the recipe does not fit the picture.
    """
    check_target(output, force=force)
    if not file.is_file():
        raise SourceError(f"{file} is no file", remedy="Name the picture to correct.")
    source = as_source(file)
    development = Development([source])
    dtype = np.dtype(np.uint16) if output.suffix.lower() in TIFF_SUFFIXES else development.dtype
    corrected = apply_recipe(development.frame(source).image, recipe, dtype=dtype)
    write_picture(output, corrected, icc=development.icc, exif_from=file, force=force)
