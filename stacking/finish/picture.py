"""``finish``: a picture file in, a corrected one out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stacking.crop import Rectangle
from stacking.develop import Development, as_source
from stacking.errors import SourceError, StackingUsageError
from stacking.finish.apply import apply_recipe, crop_rectangle, result_profile
from stacking.finish.recipe import Recipe
from stacking.writers import TIFF_SUFFIXES, check_target, write_picture


def finish_picture(file: Path, output: Path, recipe: Recipe, *, force: bool = False) -> Rectangle:
    """Apply a recipe to a picture file. EXIF and XMP go along.

    Parameters
    ----------
    file : Path
        JPEG, PNG, TIFF or RAW.
    output : Path
        ``.tif`` (16 bit), ``.png`` (as deep as the input) or ``.jpg``, in the recipe's colour space or that of `file`.

    Returns
    -------
    Rectangle
        The part of `file` that it shows.

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
    if recipe.areas:
        raise StackingUsageError(
            "the recipe has areas, and a single picture has no frames to make them of",
            remedy="Use it with focusrail stack --recipe, or leave the areas out.",
        )
    if not file.is_file():
        raise SourceError(f"{file} is no file", remedy="Name the picture to correct.")
    source = as_source(file)
    development = Development([source], wide_gamut=recipe.wants_wide_gamut)
    dtype = np.dtype(np.uint16) if output.suffix.lower() in TIFF_SUFFIXES else development.dtype
    icc = development.icc
    image = development.frame(source).image
    corrected = apply_recipe(image, recipe, dtype=dtype, icc=icc)
    write_picture(output, corrected, icc=result_profile(recipe, icc), exif_from=file, force=force)
    return crop_rectangle(recipe.crop, image.shape[1], image.shape[0])
