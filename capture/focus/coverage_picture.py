"""The certificate as a picture: what is covered where, and how the frames lie among the planes of the subject."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from capture.focus.certificate import Certificate

U8 = NDArray[np.uint8]

_WIDTH_PX = 960
_GRAPH_PX = 220
_MARGIN_PX = 40
_BINS = 160
_GREEN, _RED, _AMBER, _INK, _PALE = (90, 170, 60), (50, 50, 220), (40, 160, 240), (60, 60, 60), (215, 215, 215)  # BGR


def draw_coverage(path: Path, certificate: Certificate, positions: Sequence[float], thumbs: Sequence[U8]) -> None:
    """Write `certificate` as PNG: above, the sharpest of all frames with covered blocks green, those in gaps red and those beyond the
    ends amber; below, how many blocks are in focus at each position, with the frames as ticks and gaps as red bands.

    Raises
    ------
    OSError
        Where it cannot be written.
    """
    rows, columns = thumbs[0].shape
    height = round(_WIDTH_PX * rows / columns)
    base = cv2.resize(
        np.median(np.stack(thumbs[:: max(1, len(thumbs) // 15)]), axis=0).astype(np.uint8), (_WIDTH_PX, height)
    )
    picture = cv2.cvtColor(np.asarray(base // 2 + 60, np.uint8), cv2.COLOR_GRAY2BGR)
    colours = np.zeros((*certificate.peaks.shape, 3), np.float32)
    shown = np.zeros(certificate.peaks.shape, np.float32)
    for chosen, colour in _classes(certificate, positions):
        colours[chosen] = colour
        shown[chosen] = 0.45
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


def _classes(
    certificate: Certificate, positions: Sequence[float]
) -> list[tuple[NDArray[np.bool_], tuple[int, int, int]]]:
    peaks = certificate.peaks
    known = np.isfinite(peaks)
    gap = np.zeros_like(known)
    reach = 0.0 if certificate.dof is None else certificate.dof / 2
    for one in certificate.gaps:
        # what lies within the zone of a frame beside the gap is sharp there
        gap |= known & (peaks > one.near + reach) & (peaks < one.far - reach)
    beyond = known & ((peaks < min(positions) - reach) | (peaks > max(positions) + reach))
    return [(known, _GREEN), (beyond, _AMBER), (gap, _RED)]


def _graph(certificate: Certificate, positions: Sequence[float]) -> U8:
    graph = np.full((_GRAPH_PX, _WIDTH_PX, 3), 255, np.uint8)
    first, last = min(positions), max(positions)
    span = max(last - first, 1e-9)

    def across(position: float) -> int:
        return round(_MARGIN_PX + (position - first) / span * (_WIDTH_PX - 2 * _MARGIN_PX))

    floor = _GRAPH_PX - 45
    known = certificate.peaks[np.isfinite(certificate.peaks)]
    counts, edges = np.histogram(known, bins=_BINS, range=(first, last))
    for one in certificate.gaps:
        cv2.rectangle(graph, (across(one.near), 10), (across(one.far), floor), (225, 225, 255), -1)
    for count, left, right in zip(counts, edges[:-1], edges[1:], strict=True):
        top = floor - round(count / max(counts.max(), 1) * (floor - 15))
        cv2.rectangle(graph, (across(float(left)), top), (across(float(right)), floor), _PALE, -1)
    for position in positions:
        cv2.line(graph, (across(position), floor), (across(position), floor + 8), _INK, 1)
    verdict = {True: "covered", False: "NOT covered", None: "not judged"}[certificate.passed]
    text = f"{len(positions)} frames, {first:.0f} to {last:.0f}: {verdict}"
    if certificate.dof is not None:
        text += f", depth of field {certificate.dof:.3g}"
    cv2.putText(graph, text, (_MARGIN_PX, _GRAPH_PX - 14), cv2.FONT_HERSHEY_SIMPLEX, 0.5, _INK, 1, cv2.LINE_AA)
    return graph
