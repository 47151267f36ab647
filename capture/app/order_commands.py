"""``control`` and ``report-bug``: a session's folder from outside; light, since an order is wanted at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from capture.app.output import JsonFlag, Reply
from capture.errors import UsageError
from capture.lengths import parse_length
from capture.session.control import Order, send_order
from capture.settings import load_settings
from rail.axis import AxisUnit


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    negative = {"ignore_unknown_options": True}  # a distance may be below zero, to be refused in words
    app.command("control", epilog="Example: focusrail control beetle pause", context_settings=negative)(control)
    app.command("report-bug", epilog="Example: focusrail report-bug beetle")(report_bug)


def control(
    session: Annotated[Path, typer.Argument(help="Folder of a session that is being shot.", metavar="DIR")],
    order: Annotated[Order, typer.Argument(help="What it is to do.")],
    distance: Annotated[str | None, typer.Argument(help="With extend: by how much, for example 200um.")] = None,
    json_output: JsonFlag = False,
) -> Reply:
    """Tell a session that runs to pause, go on, stop after this frame, or extend its far end."""
    length = None if distance is None else parse_length(distance, what="the distance")
    unit = _unit_of(session)
    if length is not None and unit is not None and length.unit is not unit:
        raise UsageError(
            f"this session counts in {unit.value}, not in {length.unit.value}",
            remedy=f"Write the distance in {unit.value}.",
        )
    answer = send_order(session, order, None if length is None else length.value)
    values: dict[str, Any] = {"session": str(session.resolve()), "order": order.value, "obeyed": True}
    if order is not Order.EXTEND:
        return Reply(values, [f"told {session}: {order.value}"])
    in_um = unit is not AxisUnit.STEP
    far = None if answer is None else answer.far
    values |= {
        "obeyed": answer is not None,
        "far_um": far if in_um else None,
        **({} if in_um else {"far_steps": far}),
    }
    said = (
        " (it has not answered yet: it is exposing; what it says to it is in its log.txt)"
        if far is None
        else f"; it lies at {far:g} {'um' if in_um else 'st'} now"
    )
    return Reply(values, [f"told {session}: {order.value}{said}"])


def _unit_of(session: Path) -> AxisUnit | None:
    """What the session counts in; None where there is none, which the order itself says."""
    try:
        plan = json.loads((session / "manifest.json").read_text(encoding="utf-8"))["plan"]
    except (OSError, ValueError, KeyError):
        return None
    if plan is None:  # it is still looked for
        return None
    return AxisUnit.UM if "near_um" in plan else AxisUnit.STEP


def report_bug(
    session: Annotated[Path, typer.Argument(help="Folder of the session that went wrong.", metavar="DIR")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Archive to write (default: DIR-report.zip here).")
    ] = None,
    json_output: JsonFlag = False,
) -> Reply:
    """Pack what a maintainer needs of a session, without its pictures: journal, log, versions, settings."""
    from capture.session.bug_report import pack_bug_report

    archive = Path(f"{session.resolve().name}-report.zip") if output is None else output
    listing = {name: entry.value for name, entry in load_settings(Path.cwd()).listing().items()}
    names = pack_bug_report(session, archive, listing)
    return Reply(
        {"report": str(archive.resolve()), "files": names},
        [f"{archive}: {', '.join(names)}", "look through it, then send it"],
    )
