"""The table of faults: the one in the docs is the one the program follows."""

from __future__ import annotations

from pathlib import Path

import pytest

from capture import errors as capture_errors
from capture.errors import CaptureError
from capture.session.policy import RULES, Repeat, rule_for
from rail import errors as rail_errors
from rail.errors import RailError, RailRefusedError

DOCS = Path(__file__).parents[2] / "docs" / "faults.md"


def documented() -> dict[str, tuple[int, float]]:
    rows = [line.strip("|").split("|") for line in DOCS.read_text().splitlines() if line.startswith("| ")]
    return {row[1].strip(): (int(row[2]), float(row[3])) for row in rows if row[1].strip().endswith("Error")}


def test_the_docs_hold_the_table_of_the_program() -> None:
    assert documented() == {rule.kind.__name__: (rule.tries, rule.pause_s) for rule in RULES}
    assert [*documented()] == [rule.kind.__name__ for rule in RULES]


def leaves(base: type[Exception]) -> list[type[Exception]]:
    return [base] + [leaf for kind in base.__subclasses__() for leaf in leaves(kind)]


@pytest.mark.parametrize("kind", [*leaves(CaptureError), *leaves(RailError)], ids=lambda kind: kind.__name__)
def test_every_error_has_a_rule(kind: type[CaptureError] | type[RailError]) -> None:
    assert kind.__module__ in (capture_errors.__name__, rail_errors.__name__)
    error = kind("what", code=1) if kind is RailRefusedError else kind("what")
    rule = rule_for(error)
    assert isinstance(error, rule.kind)
    # what lost the position is never tried again
    if kind.__name__ in ("RailResetError", "RailAlarmError", "RailPositionUnknownError"):
        assert rule.repeat is Repeat.STOP
