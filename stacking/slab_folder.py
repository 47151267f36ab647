"""Where slabs are written: a folder beside the result, taken only when all else is written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import tifffile
from numpy.typing import NDArray

from stacking.errors import OutputError
from stacking.writers import check_folder

SlabTarget = tuple[Path, Callable[[Path, NDArray[np.uint16]], None]]

_OURS = re.compile(r"slabs?-\d+(-\d+)?\.tif")


@dataclass(frozen=True, slots=True)
class SlabsBeside:
    """Slabs beside the place where they are to be.

    Attributes
    ----------
    folder : Path
        That place.
    beside : Path
        Where they are written; gone with its context.
    """

    folder: Path
    beside: Path

    def keep(self) -> None:
        """Put the slabs in their place, for those of an earlier run; a folder is made only where there are any.

        Raises
        ------
        OutputError
        """
        try:
            new = sorted(self.beside.iterdir())
            if new:
                self.folder.mkdir(exist_ok=True)
            for old in self.folder.iterdir() if self.folder.is_dir() else ():
                if _OURS.fullmatch(old.name):
                    old.unlink()
            for path in new:
                path.replace(self.folder / path.name)
        except OSError as error:
            raise _unwritable(self.folder, error) from error


def check_slab_folder(folder: Path, *, force: bool) -> None:
    """Refuse a folder that slabs cannot be put in, before any work is done.

    Raises
    ------
    OutputError
        Where it holds something already and `force` is not given, or cannot be made or written.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file", remedy="Name another folder with --slab-folder.")
    check_folder(folder.absolute().parent, folder.name)
    if folder.is_dir():
        check_folder(folder, "a slab")
        if any(folder.iterdir()) and not force:
            raise OutputError(
                f"{folder} holds files", remedy="Name another folder with --slab-folder, or give --force."
            )


@contextmanager
def slabs_beside(folder: Path, *, force: bool) -> Iterator[SlabsBeside]:
    """A folder beside `folder` to write slabs into; they take their place when they are kept.

    Raises
    ------
    OutputError
        As `check_slab_folder`.
    """
    check_slab_folder(folder, force=force)
    try:
        beside = TemporaryDirectory(dir=folder.absolute().parent, prefix=f".{folder.name}.")
    except OSError as error:
        raise _unwritable(folder, error) from error
    with beside as place:
        yield SlabsBeside(folder, Path(place))


def _unwritable(folder: Path, error: OSError) -> OutputError:
    return OutputError(f"{folder} cannot be written: {error.strerror or error}", remedy="Check the folder.")


@contextmanager
def slab_target(wanted: SlabTarget | None) -> Iterator[SlabTarget]:
    """Where slabs go: as wanted, or a folder that does not outlive the run."""
    if wanted is not None:
        yield wanted
        return
    with TemporaryDirectory(prefix="focusrail-slabs-") as folder:
        yield Path(folder), lambda path, image: tifffile.imwrite(path, image, photometric="rgb")
