"""Measured values, written into a rail's profile: in place, by lines, so that comments and order stay as they are.

A built-in profile is copied to the user's own ones first, which go before it from then on.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path

from rail.errors import RailUsageError
from rail.profiles import DEFAULT_PROFILE, Calibration, parse_profile, profile_text, user_profile_path

_TABLE = re.compile(r"^\s*\[", re.MULTILINE)


def measured_now(value: float, uncertainty: float, unit: str, note: str = "") -> Calibration:
    """A value measured at this moment."""
    date = datetime.now(UTC).isoformat(timespec="seconds")
    return Calibration(value=value, uncertainty=uncertainty, unit=unit, date=date, note=note)


def record(name_or_path: str | None, name: str, measured: Calibration, *, key: str | None = None) -> Path:
    """Write ``[calibration.NAME]`` into a profile, and the value under `key`; the file that holds it now.

    Parameters
    ----------
    name_or_path : str or None
        As `rail.profiles.load_profile`; a profile that is not the user's yet is copied to their own ones.
    name : str
        Of the calibration: letters, digits, ``-`` and ``_``.
    measured : Calibration
    key : str or None
        The key of `rail.profiles.RailProfile` that the value belongs to; None for none.

    Raises
    ------
    RailUsageError
        No such profile; it cannot be written; the value is not allowed there. The file is as it was.
    """
    source = name_or_path or DEFAULT_PROFILE
    text = profile_text(source)
    is_path = source.endswith(".toml") or "/" in source
    path = Path(source).expanduser() if is_path else user_profile_path(source)
    if key is not None:
        text = with_value(text, key, measured.value)
    text = with_table(text, f"calibration.{name}", measured.model_dump())
    profile = parse_profile(text, source=source)
    if profile.calibration.get(name) != measured or (key is not None and getattr(profile, key) != measured.value):
        raise RailUsageError(
            f"The profile {source} is written in a way that cannot be changed line by line.",
            remedy=f"Write {key or name} = {measured.value:g} there by hand.",
        )
    _write(path, text)
    return path


def with_value(text: str, key: str, value: float) -> str:
    """TOML `text` with the top-level `key` set to `value`; a comment behind it stays."""
    first = _TABLE.search(text)
    end = first.start() if first else len(text)
    head, rest = text[:end], text[end:]
    line = re.compile(rf"^([ \t]*{re.escape(key)}[ \t]*=[ \t]*)([^#\n]*?)([ \t]*(?:#[^\n]*)?)$", re.MULTILINE)
    changed, count = line.subn(lambda match: f"{match[1]}{value!r}{match[3]}", head)
    if not count:
        head = head.rstrip("\n")
        changed = f"{head}\n{key} = {value!r}\n" + ("\n" if rest else "")
    return changed + rest


def with_table(text: str, name: str, values: dict[str, object]) -> str:
    """TOML `text` with the table `name` replaced, or put at the end."""
    header = re.compile(rf"^[ \t]*\[[ \t]*{re.escape(name)}[ \t]*\][^\n]*\n?", re.MULTILINE)
    if found := header.search(text):
        following = _TABLE.search(text, found.end())
        text = text[: found.start()] + (text[following.start() :] if following else "")
    lines = [f"{key} = {_toml(value)}" for key, value in values.items() if value != ""]
    return "\n".join([text.rstrip("\n"), "", f"[{name}]", *lines]) + "\n"


def _toml(value: object) -> str:
    # JSON's strings are TOML's basic strings but for DEL, which none of ours holds
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _write(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            beside.chmod(path.stat().st_mode & 0o777)
        beside.replace(path.resolve())
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise RailUsageError(
            f"The profile {path} cannot be written: {error.strerror}.",
            remedy="Make its folder writable, or copy the profile elsewhere and give its path with --profile.",
        ) from error
