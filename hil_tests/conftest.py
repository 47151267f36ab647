"""The same footing as the tests have, and a word before anything real moves."""

from __future__ import annotations

import os
from collections.abc import Mapping

from tests.conftest import no_settings_of_the_user, signals_as_a_user_has_them

__all__ = ["no_settings_of_the_user", "pytest_report_header", "signals_as_a_user_has_them"]


def rail_warning(environment: Mapping[str, str]) -> list[str]:
    """What is going to happen to a real rail, in words; empty where none is named."""
    port = environment.get("FOCUSRAIL_RAIL_PORT", "")
    if not port:
        return []
    if environment.get("FOCUSRAIL_RAIL_MOVE", "") != "yes":
        return [
            f"rail at {port}: NOT moved; set FOCUSRAIL_RAIL_MOVE=yes to let it move (hil_tests/README.md says how far)"
        ]
    return [
        f"rail at {port}: WILL MOVE, up to 1.5 mm to either side of where it stands, many times; it is soft-reset now and then, "
        "its work offsets are cleared, and where $22=1 it is homed over its whole travel"
    ]


def pytest_report_header() -> list[str]:
    return rail_warning(os.environ)
