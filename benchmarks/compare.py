"""Pictures of one stack by several programs, beside each other at full size: where they differ most, and at the usual trouble spots.

There is no figure here: the sheets are to be looked at. Each row is a place, each column a program, ours first, then the truth of a stack
that has one (the places are then those where ours errs most). Nothing is resampled: a place is found in each picture by registration, and
whole pixels are shown, enlarged by repetition.

    python -m benchmarks.compare FRAMES --out sheets --peers-venv peers [--at 700,500]
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.peers import Program, installed_peers, ours
from benchmarks.run import run_program, slug
from benchmarks.score import Floats, read_picture, register_truth

_SUFFIXES = {".jpg", ".jpeg", ".png", ".tif", ".tiff"}
_ROWS_A_SHEET = 4
_LABEL_PX = 18


def usual_places(first: Floats, others: Sequence[Floats], side_px: int) -> dict[str, tuple[int, int]]:
    """Places (x, y: centre) worth a look: where others differ most from the first, the smoothest, the brightest, and two corners.

    All pictures (rows, columns, BGR; 0 to 255) lie on each other and are at least three sides high and wide.
    """
    luma = np.asarray(cv2.cvtColor(first, cv2.COLOR_BGR2GRAY), np.float32)
    window = (side_px, side_px)
    mean = cv2.blur(luma, window)
    spread = cv2.blur(luma * luma, window) - mean * mean
    difference = np.zeros_like(luma)
    for other in others:
        # a gain is a matter of the reference frame
        apart = first - other
        apart -= np.asarray(cv2.GaussianBlur(apart, (0, 0), side_px / 4))
        difference = np.maximum(difference, cv2.blur(np.abs(apart).max(2), window))
    rows, columns = luma.shape
    inner = (slice(side_px // 2 + 8, -side_px // 2 - 8), slice(side_px // 2 + 8, -side_px // 2 - 8))
    places: dict[str, tuple[int, int]] = {}
    for number in range(4):
        places[f"difference {number + 1}"] = x, y = _largest(difference, inner)
        difference[max(0, y - side_px) : y + side_px, max(0, x - side_px) : x + side_px] = -1
    places["smoothest"] = _largest(-spread, inner)
    places["brightest"] = _largest(np.asarray(cv2.blur(luma, (9, 9)), np.float32), inner)
    places["first corner"] = (side_px // 2, side_px // 2)
    places["last corner"] = (columns - side_px // 2, rows - side_px // 2)
    return places


def sheet(
    pictures: Mapping[str, Floats],
    matrices: Mapping[str, NDArray[np.float64]],
    places: Mapping[str, tuple[int, int]],
    side_px: int,
    zoom: int,
) -> NDArray[np.uint8]:
    """Rows of crops, one a place, one column a program; `matrices` take a place in the first picture to the others' pixels."""
    lines = []
    for label, (x, y) in places.items():
        crops: list[NDArray[np.uint8]] = []
        for name, picture in pictures.items():
            at = np.rint(matrices[name] @ (x, y, 1)).astype(int) - side_px // 2
            # beyond the border of a picture there is nothing to show
            framed = cv2.copyMakeBorder(
                picture, side_px, side_px, side_px, side_px, cv2.BORDER_CONSTANT, value=(255, 0, 255)
            )
            left, top = np.clip(at + side_px, 0, [picture.shape[1] + side_px, picture.shape[0] + side_px])
            crop = np.clip(framed[top : top + side_px, left : left + side_px] + 0.5, 0, 255).astype(np.uint8)
            crop = crop.repeat(zoom, 0).repeat(zoom, 1)
            head = np.full((_LABEL_PX, crop.shape[1], 3), 255, np.uint8)
            text = f"{name}: {label} ({x}, {y})" if not crops else name
            cv2.putText(head, text, (3, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
            bordered = np.pad(np.vstack([head, crop]), ((0, 0), (0, 4), (0, 0)), constant_values=255)
            crops.append(np.asarray(bordered, np.uint8))
        lines.append(np.hstack(crops))
    return np.asarray(np.vstack(lines), np.uint8)


def stacked(program: Program, frames: Sequence[Path], output: Path, limit_s: float) -> Path | None:
    """The program's picture in `output`, made where it is not there; None where the program fails (its log tells why)."""
    known = [path for path in output.glob(f"{slug(program)}.*") if path.suffix != ".log"]
    if known:
        return known[0]
    with tempfile.TemporaryDirectory(dir=output, prefix="run-") as scratch:
        log = output / f"{slug(program)}.log"
        _, result, _ = run_program(program, frames, Path(scratch), log, limit_s)
        return None if result is None else Path(shutil.move(result, output / f"{slug(program)}{result.suffix}"))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("frames", type=Path, help="folder with the frames")
    parser.add_argument("--out", type=Path, default=Path("benchmark-sheets"), help="default %(default)s")
    parser.add_argument("--peers-venv", type=Path, help="virtual environment with focusweave and shinestacker")
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="NAME",
        default=["focusweave, tuned", "shinestacker, tuned"],
        help="peers whose names begin so",
    )
    parser.add_argument("--at", action="append", default=[], metavar="X,Y", help="this place too, in our picture's px")
    parser.add_argument("--side", type=int, default=240, help="side of a crop, px (default %(default)s)")
    parser.add_argument("--zoom", type=int, default=2, help="each pixel is repeated so often (default %(default)s)")
    parser.add_argument("--limit", type=float, default=1800.0, help="seconds for one run (default %(default)s)")
    given = parser.parse_args(arguments)
    truth = given.frames / "truth.tif"
    frames = sorted(
        path
        for path in given.frames.glob("frame_*" if truth.exists() else "*")
        if path.suffix.lower() in _SUFFIXES and path.is_file()
    )
    peers = [p for p in installed_peers(given.peers_venv) if p.name.startswith(tuple(given.only))]
    given.out.mkdir(parents=True, exist_ok=True)
    pictures: dict[str, Floats] = {}
    for program in (ours(), *peers):
        result = stacked(program, frames, given.out, given.limit)
        if result is None:
            print(f"{program.name} made no picture: see its log in {given.out}", file=sys.stderr)
        else:
            pictures[program.name] = read_picture(result)[0]
        if program.name == ours().name and truth.exists():
            pictures["truth"] = read_picture(truth)[0]
    if ours().name not in pictures:
        raise SystemExit(1)
    (_, first), *others = pictures.items()
    size = (first.shape[1], first.shape[0])
    matrices = {ours().name: np.eye(2, 3), **{name: register_truth(first, other)[0] for name, other in others}}
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    judged = others[:1] if truth.exists() else others
    placed = [cv2.warpAffine(other, matrices[name], size, flags=flags) for name, other in judged]
    places = usual_places(first, [np.asarray(p, np.float32) for p in placed], given.side)
    for place in given.at:
        x, y = (int(part) for part in place.split(","))
        places[f"asked {place}"] = (x, y)
    names = list(places)
    for number, start in enumerate(range(0, len(names), _ROWS_A_SHEET)):
        rows = {name: places[name] for name in names[start : start + _ROWS_A_SHEET]}
        path = given.out / f"sheet-{number + 1}.png"
        cv2.imwrite(str(path), sheet(pictures, matrices, rows, given.side, given.zoom))
        print(path)


def _largest(values: Floats, inner: tuple[slice, slice]) -> tuple[int, int]:
    """x and y of the largest value within `inner`."""
    cut = values[inner]
    row, column = np.unravel_index(int(cut.argmax()), cut.shape)
    return int(column) + inner[1].start, int(row) + inner[0].start


if __name__ == "__main__":
    main()
