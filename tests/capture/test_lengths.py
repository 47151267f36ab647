from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.errors import UsageError
from capture.lengths import Length, parse_length, parse_size_bytes, parse_um
from rail.axis import AxisUnit


@pytest.mark.parametrize(
    ("text", "um"),
    [
        ("12um", 12),
        ("0.4mm", 400),
        ("-7000um", -7000),
        ("7", 7),
        (" 3 µm ", 3),
        ("1e2", 100),
        (".5mm", 500),
        ("800nm", 0.8),
        ("2cm", 20000),
    ],
)
def test_lengths_in_micrometres(text: str, um: float) -> None:
    length = parse_length(text)
    assert length.unit is AxisUnit.UM
    assert length.value == pytest.approx(um)


@pytest.mark.parametrize("text", ["12st", "12 steps", "12 step", "12ST"])
def test_lens_steps(text: str) -> None:
    assert parse_length(text) == Length(12, AxisUnit.STEP)


@pytest.mark.parametrize("text", ["", "um", "1,5mm", "nan", "inf", "1e999", "12 parsec", "--3", "3um4"])
def test_what_is_no_length_is_refused_with_a_remedy(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_length(text, what="--near")
    assert "--near" in caught.value.message
    assert caught.value.remedy


def test_steps_are_no_micrometres() -> None:
    with pytest.raises(UsageError):
        parse_um("3st")


@given(st.text(max_size=12))
def test_any_text_is_a_length_or_a_usage_error(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert isinstance(parse_length(text), Length)


@given(st.floats(-1e7, 1e7))
def test_a_length_survives_being_written_and_read(value: float) -> None:
    assert parse_length(f"{value!r}um").value == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "size"), [("4G", 4 << 30), ("800M", 800 << 20), ("1.5GiB", 3 << 29), ("100", 100), ("2 kb", 2048)]
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size_bytes(text) == size


@pytest.mark.parametrize("text", ["", "G", "-4G", "4X", "lots"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_size_bytes(text)
