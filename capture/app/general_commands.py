"""``devices`` and ``config``."""

from __future__ import annotations

from pathlib import Path

import typer

from capture.app.output import JsonFlag, Reply
from capture.settings import load_settings, settings_paths


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    app.command("devices", epilog="Example: focusrail devices")(devices)
    app.command("config", epilog="Example: FOCUSRAIL_RAIL=/dev/ttyUSB0 focusrail config")(config)


def config(json_output: JsonFlag = False) -> Reply:
    """Every setting, its value, and where it came from."""
    listing = load_settings(Path.cwd()).listing()
    width = max(map(len, listing))
    lines = [
        f"{name:{width}}  {'-' if entry.value is None else entry.value}  ({entry.source})"
        for name, entry in listing.items()
    ]
    here, users = settings_paths(Path.cwd())
    lines.append(f"files looked at: {here}, {users}")
    values = {name: {"value": entry.value, "source": entry.source} for name, entry in listing.items()}
    return Reply({"settings": values, "files": [str(here), str(users)]}, lines)


def devices(json_output: JsonFlag = False) -> Reply:
    """Serial ports and cameras, who holds a busy one, and what permission is missing."""
    from capture.devices import find_devices

    return Reply(*find_devices())
