"""What firmware and host say of error, alarm and setting codes, from the tables beside this file.

``generate.py FILE.h`` makes the firmware's header, ``generate.py FILE.py`` the host's words for what GRBL does not have.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

HERE = Path(__file__).parent


def rows(name: str) -> list[dict[str, str]]:
    """One table's rows, by column."""
    with (HERE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def enumeration(table: str, prefix: str) -> Iterator[str]:
    """An enum with one constant a row."""
    yield f"enum {prefix.lower()}_code {{"
    yield f"\t{prefix}_NONE = 0,"
    for row in rows(table):
        yield f"\t{prefix}_{row['name']} = {row['code']}, /* {row['meaning']} */"
    yield "};"


def scaled(text: str, decimals: int) -> int:
    """A decimal as the whole number of its last place."""
    value = Decimal(text).scaleb(decimals)
    if value != int(value) or abs(value) >= 2**31:
        raise SystemExit(f"settings.csv: {text} does not fit {decimals} decimals in 32 bits")
    return int(value)


def setting_lines() -> Iterator[str]:
    """The settings' indices, and their table as an X-macro."""
    table = rows("settings.csv")
    yield "enum setting_index {"
    for row in table:
        yield f"\tSETTING_{row['name']}, /* ${row['number']}{', ' + row['unit'] if row['unit'] else ''}: {row['meaning']} */"
    yield "\tSETTING_COUNT"
    yield "};"
    yield "/* SETTING(number, decimals, default, lowest, highest), values in units of the last decimal */"
    yield "#define SETTING_TABLE(SETTING) \\"
    for row in table:
        decimals = int(row["decimals"])
        values = ", ".join(str(scaled(row[key], decimals)) for key in ("default", "low", "high"))
        yield f"\tSETTING({row['number']}, {decimals}, {values}) \\"
    yield ""


BEYOND_GRBL = {"errors.csv": 100, "settings.csv": 270}
"""From these numbers on GRBL 1.1 has no codes of its own."""


def host_lines() -> Iterator[str]:
    """A module with the codes that are this firmware's own."""
    yield '"""Codes of focusrail\'s own firmware, beyond GRBL\'s. Made by firmware/codes/generate.py: change its tables instead."""'
    yield ""
    yield "from __future__ import annotations"
    yield ""
    yield "ERRORS: dict[int, tuple[str, str]] = {"
    for row in rows("errors.csv"):
        if int(row["code"]) >= BEYOND_GRBL["errors.csv"]:
            meaning = row["meaning"][0].lower() + row["meaning"][1:]
            yield f"    {row['code']}: ("
            yield f"        {text(meaning)},"
            yield f"        {text(row['remedy'])},"
            yield "    ),"
    yield "}"
    yield '"""Number -> meaning, remedy."""'
    yield ""
    yield "SETTINGS: dict[int, str] = {"
    for row in rows("settings.csv"):
        if int(row["number"]) >= BEYOND_GRBL["settings.csv"]:
            unit = f", {row['unit']}" if row["unit"] else ""
            yield f"    {row['number']}: {text(row['meaning'] + unit)},"
    yield "}"
    yield '"""Number -> meaning with unit."""'
    yield ""


def text(words: str) -> str:
    """A string literal in double quotes."""
    return json.dumps(words)


def header_lines() -> list[str]:
    """The firmware's header."""
    return [
        "/* Made by codes/generate.py from the tables in codes/. */",
        "#ifndef CODES_H",
        "#define CODES_H",
        "",
        *enumeration("errors.csv", "ERROR"),
        *enumeration("alarms.csv", "ALARM"),
        *setting_lines(),
        "#endif",
        "",
    ]


def main() -> None:
    """Write what the file's name asks for."""
    path = Path(sys.argv[1])
    lines = host_lines() if path.suffix == ".py" else header_lines()
    path.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
