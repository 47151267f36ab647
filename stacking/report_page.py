"""The report as one HTML page that needs nothing else: the picture to zoom into, maps, plots, and what was left out and why."""

from __future__ import annotations

import base64
from dataclasses import asdict
from html import escape
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from stacking.coverage import COVERAGE_LEGEND, coverage_classes, coverage_colours
from stacking.frames import Pixels
from stacking.plots import Plot, Series, number_text
from stacking.report import StackReport
from stacking.report_style import SCRIPT, STYLE
from stacking.trajectory_outliers import outliers, pose_of
from stacking.writers_blocks import eight_bit, png_bytes

if TYPE_CHECKING:
    from stacking.relief.surface import Relief
    from stacking.stacked import Stacked

_PICTURE_PX, _MAP_PX = 3000, 900


def report_page(stacked: Stacked, report: StackReport, image: Pixels, relief: Relief | None) -> str:
    """The page.

    Parameters
    ----------
    image : ndarray (rows, columns, 3), uint8 or uint16
        The result.
    relief : Relief or None
    """
    title = report.result.name
    shape = f"aspect-ratio:{report.width}/{report.height}"
    picture = f'<img alt="{escape(title)}" src="{_jpeg(image, _PICTURE_PX)}">'
    parts = [
        _head(title, report),
        f'<div class="view" tabindex="0" style="{shape}">{picture}</div>'
        '<p class="hint">Wheel or + and - zoom, dragging moves, a double click shows all.</p>',
        _left_out(report),
        _coverage(stacked),
        _sharpness(stacked),
        _transforms(stacked, report),
        _brightness(stacked),
        _depth(relief),
        _slabs(report),
        _settings(stacked, report),
    ]
    body = "\n".join(part for part in parts if part)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>'
        f"<body>{body}<script>{SCRIPT}</script></body></html>\n"
    )


def _head(title: str, report: StackReport) -> str:
    left = len(report.frames_left_out)
    facts = f"{report.width} x {report.height} pixels from {report.frames_used} frames"
    facts += f", {left} left out" if left else ", none left out"
    notes = "".join(f"<li>{escape(note)}</li>" for note in report.notes)
    return f"<h1>{escape(title)}</h1><p>{facts}; {report.seconds:.1f} s.</p>" + (f"<ul>{notes}</ul>" if notes else "")


def _left_out(report: StackReport) -> str:
    if not report.frames_left_out:
        return ""
    rows = [(str(out.path.name), out.reason) for out in report.frames_left_out]
    return "<section><h2>Frames left out</h2>" + _table(("frame", "why"), rows) + "</section>"


def _coverage(stacked: Stacked) -> str:
    found = stacked.result.sharpness
    if found is None or len(found.frames) < 3:
        return ""
    classes = coverage_classes(found, _positions(stacked, found.frames))
    rows, columns = stacked.development.size
    canvas = stacked.result.canvas
    scale = _MAP_PX / max(canvas.width, canvas.height)
    full = cv2.resize(
        coverage_colours(classes),
        (max(1, round(columns * scale)), max(1, round(rows * scale))),
        interpolation=cv2.INTER_NEAREST,
    )
    x, y = round(canvas.x * scale), round(canvas.y * scale)
    cut = full[y : y + max(1, round(canvas.height * scale)), x : x + max(1, round(canvas.width * scale))]
    counted = [(word, float((classes == k).mean())) for k, (word, _) in enumerate(COVERAGE_LEGEND)]
    legend = "".join(
        f'<li><span style="background:rgb{colour}"></span>{escape(word)}: {share:.0%}</li>'
        for (word, colour), (_, share) in zip(COVERAGE_LEGEND, counted, strict=True)
    )
    return (
        "<section><h2>Coverage</h2><p>Was every part of the subject sharp in some frame, and were the frames close enough?</p>"
        f'<img class="map" alt="coverage" src="{_png(np.ascontiguousarray(cut))}"><ul class="legend">{legend}</ul></section>'
    )


def _sharpness(stacked: Stacked) -> str:
    found = stacked.result.sharpness
    if found is None or len(found.frames) < 2:
        return ""
    at = _positions(stacked, found.frames)
    whole = found.whole / max(float(found.whole.max()), 1e-9)
    strongest = np.where(found.textured, 1.0, 0.0)
    best = found.blocks.argmax(axis=0)
    shares = np.array([(strongest * (best == k)).sum() for k in range(len(at))]) / max(strongest.sum(), 1.0)
    plot = Plot(
        "Sharpness",
        _axis(stacked),
        "share",
        (
            Series("whole frame", at, whole),
            Series("sharpest here", at, shares / max(float(shares.max()), 1e-9), dashed=True),
        ),
        marks=[(float(at[k]), "left out") for k, i in enumerate(found.frames) if i not in stacked.result.registrations],
    )
    return f"<section><h2>Sharpness over position</h2>{plot.svg()}</section>"


def _transforms(stacked: Stacked, report: StackReport) -> str:
    frames = list(stacked.result.used)
    if len(frames) < 2:
        return ""
    rows, columns = stacked.development.size
    poses = np.array([pose_of(stacked.result.registrations[k].matrix, (columns, rows)) for k in frames])
    at = _positions(stacked, frames)
    odd = outliers(at, poses, max(rows, columns))
    plots = []
    for (title, unit, select), bad in zip(
        (
            ("Shift", "pixels", (("across", 0), ("down", 1))),
            ("Scale", "percent", (("", 2),)),
            ("Rotation", "degrees", (("", 3),)),
        ),
        (odd[:, :2], odd[:, 2:3], odd[:, 3:4]),
        strict=True,
    ):
        series = [Series(name, at, poses[:, k]) for name, k in select]
        hit = bad.any(axis=1)
        if hit.any():
            everywhere = np.concatenate([poses[bad[:, j], k] for j, (_, k) in enumerate(select)])
            where = np.concatenate([at[bad[:, j]] for j in range(len(select))])
            series.append(Series("outlier", where, everywhere, points=True))
        plots.append(Plot(title, _axis(stacked), unit, series).svg())
    residual = np.array([stacked.result.registrations[k].residual_px for k in frames])
    plots.append(Plot("Residual", _axis(stacked), "pixels", (Series("", at, residual),)).svg())
    named = [report.order[int(k)] for k in np.flatnonzero(odd.any(axis=1))]
    words = (
        f"Outliers from the smooth path (a bump, a shifted subject): {escape(', '.join(named))}."
        if named
        else "No frame stands out of the smooth path."
    )
    return f'<section><h2>Registration</h2><p>{words}</p><div class="plots">{"".join(plots)}</div></section>'


def _brightness(stacked: Stacked) -> str:
    frames = list(stacked.result.used)
    if len(frames) < 2:
        return ""
    gains = np.array([stacked.result.registrations[k].gain for k in frames])
    at = _positions(stacked, frames)
    percent = (gains - 1.0) * 100.0
    plot = Plot(
        "Brightness correction",
        _axis(stacked),
        "percent",
        tuple(Series(name, at, percent[:, k]) for k, name in enumerate(("red", "green", "blue"))),
    )
    return f"<section><h2>Brightness</h2>{plot.svg()}</section>"


def _depth(relief: Relief | None) -> str:
    if relief is None:
        return ""
    from stacking.relief.maps import depth_picture

    low, high = relief.span
    small = depth_picture(_reduced(relief))
    digits = 2 - int(np.floor(np.log10(max(high - low, 1e-9))))
    ends = " to ".join(number_text(round(value, digits)) for value in (low, high))
    words = f"From {ends} {relief.scale.unit.value}; {relief.holes.mean():.1%} unknown and filled (hatched)."
    return f'<section><h2>Depth</h2><p>{words}</p><img class="map" alt="depth" src="{_png(small)}"></section>'


def _reduced(relief: Relief) -> Relief:
    from stacking.relief.surface import Relief as Value

    step = max(1, -(-max(relief.depth.shape) // _MAP_PX))
    depth, confidence, filled = (
        np.ascontiguousarray(plane[::step, ::step]) for plane in (relief.depth, relief.confidence, relief.filled)
    )
    return Value(depth, confidence, filled, relief.scale)


def _slabs(report: StackReport) -> str:
    if not report.slabs:
        return ""
    rows = [
        (path.name, str(len(frames)), f"{frames[0]} to {frames[-1]}" if frames else "")
        for path, frames, _ in report.slabs
    ]
    return "<section><h2>Slabs</h2>" + _table(("slab", "frames", "which"), rows) + "</section>"


def _settings(stacked: Stacked, report: StackReport) -> str:
    plain = {name: value for name, value in asdict(stacked.options).items() if name not in ("relief", "slabs")}
    plain |= {f"depth {name}": value for name, value in asdict(stacked.options.relief).items()}
    plain |= {f"slab {name}": value for name, value in asdict(stacked.options.slabs).items()}
    plain["areas"] = tuple(area.name or area.label for area in stacked.options.areas)
    plain["slab sizes"] = tuple(size or "auto" for size in stacked.options.slabs.sizes)
    rows = [(name.replace("_", " "), _words(value)) for name, value in plain.items() if value not in (None, (), False)]
    rows += [("reference frame", report.reference), ("x, y, width, height of the crop", _words(report.crop))]
    times = [(stage, f"{seconds:.2f} s") for stage, seconds in report.times]
    times.append(("most memory", f"{report.peak_rss_bytes / 2**20:.0f} MiB"))
    recipe = ""
    if stacked.recipe is not None:
        recipe = f"<section><h2>Recipe</h2><pre>{escape(stacked.recipe.to_toml())}</pre></section>"
    order = _table(
        ("frame", "position, um"), [(report.order[n], _position(stacked, k)) for n, k in enumerate(stacked.result.used)]
    )
    return (
        f"<section><h2>Settings</h2>{_table(('setting', 'value'), rows)}</section>{recipe}"
        f"<section><h2>Times</h2>{_table(('stage', 'seconds'), times)}</section>"
        f"<section><h2>Frames</h2><details><summary>{report.frames_used} frames, in order</summary>{order}</details></section>"
    )


def _words(value: object) -> str:
    """A setting as people write it."""
    if value is True:
        return "yes"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _position(stacked: Stacked, index: int) -> str:
    position = stacked.sources[index].position_um
    return "" if position is None else f"{position:g}"


def _positions(stacked: Stacked, frames: Any) -> NDArray[np.float64]:
    if stacked.positions_known:
        return np.array([stacked.sources[k].position_um for k in frames], np.float64)
    return np.array(frames, np.float64) + 1.0


def _axis(stacked: Stacked) -> str:
    return "position, µm" if stacked.positions_known else "frame"


def _table(head: tuple[str, ...], rows: list[Any]) -> str:
    cells = "".join("<tr>" + "".join(f"<td>{escape(str(c))}</td>" for c in row) + "</tr>" for row in rows)
    return "<table><tr>" + "".join(f"<th>{escape(word)}</th>" for word in head) + f"</tr>{cells}</table>"


def _jpeg(image: Pixels, longest: int) -> str:
    rows, columns = image.shape[:2]
    scale = min(1.0, longest / max(rows, columns))
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    small = eight_bit(image if scale == 1.0 else np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA)))
    coded = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])[1]
    return "data:image/jpeg;base64," + base64.b64encode(coded.tobytes()).decode()


def _png(image: NDArray[np.uint8]) -> str:
    return "data:image/png;base64," + base64.b64encode(png_bytes(image, None, None)).decode()
