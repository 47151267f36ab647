"""The certificate as a picture: what is covered where, and how the frames lie among the planes of the subject."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from capture.focus.certificate import Certificate, Fate

U8 = NDArray[np.uint8]

_WIDTH_PX = 960
_GRAPH_PX = 250
_MARGIN_PX = 40
_BINS = 160
_INK, _PALE = (60, 60, 60), (215, 215, 215)  # BGR
_COLOURS = {
    Fate.COVERED: (90, 170, 60),
    Fate.IN_GAP: (50, 50, 220),
    Fate.BEYOND_NEAR: (20, 165, 255),
    Fate.BEYOND_FAR: (200, 60, 150),
    Fate.UNTOLD: (210, 200, 120),
}
_WORDS = {
    Fate.COVERED: "covered",
    Fate.IN_GAP: "between zones",
    Fate.BEYOND_NEAR: "before the first",
    Fate.BEYOND_FAR: "behind the last",
    Fate.UNTOLD: "not told",
}
_BEYOND = (Fate.BEYOND_NEAR, Fate.BEYOND_FAR)
_ALPHA = 0.42
# Sharpness is compared over so many pixels of a thumbnail.
_SHARP_PX = 2.5


def draw_coverage(path: Path, certificate: Certificate, positions: Sequence[float], thumbs: Sequence[U8]) -> None:
    """Write `certificate` as PNG.

    Above, what of each frame is sharpest in it, with covered blocks green, those between the zones of two frames red, those before the
    first frame's zone amber, those behind the last one's violet, and those of which it is not told pale blue; blocks without texture
    stay gray. Below, how many blocks are in focus at each position, with the frames as ticks and gaps as red bands, and the shares of
    the textured blocks.

    Parameters
    ----------
    path : Path
    certificate : Certificate
    positions : sequence of float
        Of the frames, in the axis's unit.
    thumbs : sequence of ndarray, uint8
        The frames, all of one shape, some hundred pixels wide; one at least.

    Raises
    ------
    OSError
        Where it cannot be written.
    """
    rows, columns = thumbs[0].shape
    height = round(_WIDTH_PX * rows / columns)
    base = cv2.resize(_sharpest(thumbs), (_WIDTH_PX, height), interpolation=cv2.INTER_CUBIC)
    # on black no colour is seen
    picture = cv2.cvtColor(np.asarray(0.8 * base + 45, np.uint8), cv2.COLOR_GRAY2BGR)
    colours = np.zeros((*certificate.fates.shape, 3), np.float32)
    for fate, colour in _COLOURS.items():
        colours[certificate.fates == fate] = colour
    shown = np.where(certificate.fates == Fate.NO_TEXTURE, 0, _ALPHA).astype(np.float32)
    wide = cv2.resize(colours, (_WIDTH_PX, height), interpolation=cv2.INTER_NEAREST)
    alpha = cv2.resize(shown, (_WIDTH_PX, height), interpolation=cv2.INTER_NEAREST)[..., None]
    picture = (picture * (1 - alpha) + wide * alpha).astype(np.uint8)
    whole = np.vstack([picture, _graph(certificate, positions)])
    done, encoded = cv2.imencode(".png", whole)
    if not done:
        raise ValueError("the picture could not be encoded")
    beside = path.with_name(f".{path.name}.part")
    beside.write_bytes(encoded.tobytes())
    beside.replace(path)


def _sharpest(thumbs: Iterable[U8]) -> U8:
    """Each pixel from the frame in which its surroundings are sharpest; holds three frames, however many there are."""
    best: NDArray[np.float32] | None = None
    found = np.empty(0, np.uint8)
    for thumb in thumbs:
        edges = cv2.Laplacian(thumb, cv2.CV_32F, borderType=cv2.BORDER_REFLECT)
        sharpness = np.asarray(cv2.GaussianBlur(edges * edges, (0, 0), _SHARP_PX), np.float32)
        if best is None:
            best, found = sharpness, thumb.copy()
            continue
        better = sharpness > best
        best[better] = sharpness[better]
        found[better] = thumb[better]
    return found


def _graph(certificate: Certificate, positions: Sequence[float]) -> U8:
    graph = np.full((_GRAPH_PX, _WIDTH_PX, 3), 255, np.uint8)
    first, last = min(positions), max(positions)
    low, high = min(first, *certificate.reach, last), max(last, *certificate.reach, first)
    span = max(high - low, 1e-9)

    def across(position: float) -> int:
        return round(_MARGIN_PX + (position - low) / span * (_WIDTH_PX - 2 * _MARGIN_PX))

    floor = _GRAPH_PX - 70
    for one in certificate.gaps:
        cv2.rectangle(graph, (across(one.near), 10), (across(one.far), floor), (225, 225, 255), -1)
    edges = np.linspace(low, low + span, _BINS + 1)
    colours = {fate: _COLOURS[fate] if fate in _BEYOND else _PALE for fate in (Fate.COVERED, Fate.IN_GAP, *_BEYOND)}
    counts = {fate: np.histogram(certificate.peaks[certificate.fates == fate], edges)[0] for fate in colours}
    most = max(int(np.sum(list(counts.values()), axis=0).max()), 1)
    for number, (left, right) in enumerate(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)):
        bottom = floor
        for fate, colour in colours.items():
            top = bottom - round(int(counts[fate][number]) / most * (floor - 15))
            if top < bottom:
                cv2.rectangle(graph, (across(left), top), (across(right), bottom), colour, -1)
            bottom = top
    for position in positions:
        cv2.line(graph, (across(position), floor), (across(position), floor + 8), _INK, 1)
    verdict = {True: "covered", False: "NOT covered", None: "not judged"}[certificate.passed]
    text = f"{len(positions)} frames, {first:.0f} to {last:.0f}: {verdict}"
    if certificate.dof is not None:
        text += f", depth of field {certificate.dof:.3g}"
    _write(graph, text, _MARGIN_PX, _GRAPH_PX - 38)
    _write_shares(graph, certificate)
    return graph


def _write_shares(graph: U8, certificate: Certificate) -> None:
    """A sample of each colour that is in the picture, with the share of the textured blocks that has it."""
    at, base = _MARGIN_PX, _GRAPH_PX - 14
    for fate, colour in _COLOURS.items():
        count = int((certificate.fates == fate).sum())
        if not count:
            continue
        cv2.rectangle(graph, (at, base - 11), (at + 12, base + 1), colour, -1)
        text = f"{_WORDS[fate]} {percent(count / max(certificate.textured, 1))}"
        at = _write(graph, text, at + 18, base) + 18


def percent(share: float) -> str:
    """A share in two digits that count, or as whole per cent."""
    return f"{100 * share:.0f} %" if share >= 0.0995 else f"{100 * share:.2g} %"


def _write(graph: U8, text: str, x: int, y: int) -> int:
    """Returns where the text ends."""
    cv2.putText(graph, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.5, _INK, 1, cv2.LINE_AA)
    return x + int(cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1)[0][0])
