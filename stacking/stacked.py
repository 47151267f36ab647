"""A finished stack with all that is known of it, as it is handed to whatever writes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stacking.frames import LeftOut, Pixels, Source
from stacking.options import StackOptions
from stacking.slab_folder import SlabsBeside

if TYPE_CHECKING:
    from stacking.develop import Development
    from stacking.finish import Recipe
    from stacking.stack_result import StackResult


@dataclass(frozen=True, slots=True)
class Stacked:
    """A finished stack, ready to be written.

    Attributes
    ----------
    output : Path
    options : StackOptions
    recipe : Recipe or None
    development : Development
    sources : sequence of Source
    positions_known : bool
    decode : callable
        Index to the frame as it was fused, or the reason why there is none.
    result : StackResult
    left_out_before : sequence of LeftOut
        Pictures that were no part of the stack from the start.
    notes_before : sequence of str
    slabs : SlabsBeside or None
        Written already, not yet in their place.
    times : sequence of (str, float)
        Stages so far and their seconds.
    """

    output: Path
    options: StackOptions
    recipe: Recipe | None
    development: Development
    sources: Sequence[Source]
    positions_known: bool
    decode: Callable[[int], Pixels | str]
    result: StackResult
    left_out_before: Sequence[LeftOut]
    notes_before: Sequence[str]
    slabs: SlabsBeside | None
    times: Sequence[tuple[str, float]]
