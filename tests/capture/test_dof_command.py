"""`dof`: tables over apertures, tube lenses, and what is refused before anything is opened; values by hand from the formulas."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from capture.app.main import run

KEYS = {"geometric_um", "wave_um", "total_um", "step_um", "effective_f_number", "numerical_aperture"}


@pytest.fixture
def told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., dict[str, Any]]:
    """The JSON of a command that is done, or the error of one that is refused."""
    monkeypatch.chdir(tmp_path)

    def ask(words: str, code: int = 0) -> dict[str, Any]:
        assert run([*words.split(), "--json"]) == code
        found = json.loads(capsys.readouterr().out)
        return found["error"] if code else found

    return ask


def by_hand(magnification: float, f_number: float, coc_um: float) -> tuple[float, float]:
    n_eff = f_number * (1 + magnification)
    return 2 * n_eff * coc_um / magnification**2, 0.55 * (2 * n_eff / magnification) ** 2


@pytest.mark.parametrize(
    ("words", "first", "stops"),
    [
        ("-f 2.8,4,5.6", 2.8, [2.8, 4, 5.6]),
        ("-f f/5.6,F/4", 5.6, [5.6, 4]),
        ("-f 4 -f 8", 4, [4, 8]),
        ("-f 4,4.0,8", 4, [4, 8]),
        ("-f 5.6", 5.6, [5.6]),
        ("--table -f 6.3", 6.3, [1.4, 2, 2.8, 4, 5.6, 6.3, 8, 11, 16, 22, 32]),
        ("--table -f 8,4", 8, [1.4, 2, 2.8, 4, 5.6, 8, 11, 16, 22, 32]),
        ("--table", None, [1.4, 2, 2.8, 4, 5.6, 8, 11, 16, 22, 32]),
    ],
)
def test_a_table_over_apertures(
    told: Callable[..., dict[str, Any]], words: str, first: float | None, stops: list[float]
) -> None:
    found = told(f"dof -m 2 --pixel 4um --overlap 0.25 {words}")
    assert found["f_number"] == first
    rows = found["apertures"]
    assert [row["f_number"] for row in rows] == stops
    for row in rows:
        geometric_um, wave_um = by_hand(2, row["f_number"], 8)
        assert row["geometric_um"] == pytest.approx(geometric_um)
        assert row["wave_um"] == pytest.approx(wave_um)
        assert row["total_um"] == pytest.approx(geometric_um + wave_um)
        assert row["step_um"] == pytest.approx(0.75 * (geometric_um + wave_um))
    chosen = next((row for row in rows if row["f_number"] == first), dict.fromkeys(KEYS))
    assert {key: found[key] for key in KEYS} == {key: chosen[key] for key in KEYS}


def test_a_set_f_number_is_the_one_that_is_chosen(
    told: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOCUSRAIL_F_NUMBER", "4")
    assert told("dof -m 5 --coc 30um --table")["geometric_um"] == pytest.approx(57.6)
    assert told("dof -m 10 --na 0.25 --coc 4um")["geometric_um"] == pytest.approx(1.6)


def test_stops_that_no_lens_of_this_pupil_has_are_left_out(told: Callable[..., dict[str, Any]]) -> None:
    # f/1.4 at 20:1 with a pupil ratio of 4: NA = 20 / (2 x 1.4 x 6) = 1.19; f/2: 0.83
    stops = [row["f_number"] for row in told("dof -m 20 --pupil 4 --table")["apertures"]]
    assert stops == [2, 2.8, 4, 5.6, 8, 11, 16, 22, 32]
    assert told("dof -m 20 --pupil 4 -f 1.4 --table", 2)["remedy"]


def test_the_table_is_aligned_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["dof", "-m", "2", "--pixel", "4um", "-f", "2.8,11"]) == 0
    _, header, first, second, note = capsys.readouterr().err.splitlines()
    assert len(header) == len(first) == len(second)
    assert header.split() == ["aperture", "N_eff", "NA", "geometric", "wave", "total", "step"]
    # N_eff = 3 N; 2 N_eff 8 / 4; 0.55 N_eff^2
    assert first.split() == ["f/2.8", "8.4", "0.119", "33.60", "38.81", "72.41", "50.69"]
    assert second.split() == ["f/11", "33", "0.0303", "132.00", "598.95", "730.95", "511.66"]
    assert note.startswith("note: from f/2.8 on the wave part is the larger one")


def test_where_diffraction_is_wider_than_the_circle_of_confusion_is_said(
    told: Callable[..., dict[str, Any]],
) -> None:
    # above c = 30 um at 1:1 from 2 x 0.55 x 2 N > 30, N > 13.6
    assert "from f/16 on" in told("dof -m 1 --coc 30um --table")["notes"][0]
    assert told("dof -m 1 --coc 30um -f 4,8")["notes"] == []


@pytest.mark.parametrize(
    ("words", "magnification", "made_for_mm", "default_said"),
    [
        ("-m 10 --tube-lens 135mm", 6.75, 200, True),
        ("-m 10 --tube-lens 135mm --made-for 180mm", 7.5, 180, False),
        ("-m 20 --tube-lens 0.1m --made-for 20cm", 10, 200, False),
        ("-m 10 --tube-lens 200mm", 10, 200, True),
    ],
)
def test_a_tube_lens_changes_the_magnification_alone(
    told: Callable[..., dict[str, Any]], words: str, magnification: float, made_for_mm: float, default_said: bool
) -> None:
    found = told(f"dof --na 0.28 --pixel 4um {words}")
    assert found["magnification"] == pytest.approx(magnification)
    assert found["made_for_mm"] == pytest.approx(made_for_mm)
    assert found["geometric_um"] == pytest.approx(8 / (magnification * 0.28))
    assert found["wave_um"] == pytest.approx(0.55 / 0.28**2)
    assert ("the default" in found["notes"][0]) is default_said


def test_without_a_tube_lens_the_magnification_is_as_given(told: Callable[..., dict[str, Any]]) -> None:
    found = told("dof -m 10 --na 0.25 --coc 4um")
    assert [found[name] for name in ("magnification", "marked_magnification", "tube_lens_mm", "made_for_mm")] == [
        10,
        None,
        None,
        None,
    ]
    assert found["geometric_um"] == pytest.approx(1.6)


def test_a_pixel_that_is_given_goes_before_a_circle_of_confusion_that_was_set(
    told: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOCUSRAIL_COC_UM", "30")
    assert told("dof -m 2 -f 4")["coc_um"] == 30
    assert told("dof -m 2 -f 4 --pixel 4um")["coc_um"] == 8


REFUSED = [
    ("dof -m -2 -f 4", "--magnification"),
    ("dof -m nan -f 4", "--magnification"),
    ("dof -m 2 -f 0", "--f-number"),
    ("dof -m 2 -f nan", "--f-number"),
    ("dof -m 2 -f 4,,8", "--f-number"),
    ("dof -m 2 -f wide", "--f-number"),
    ("dof -m 2 -f 4,-8", "--f-number"),
    ("dof -m 2 -f 0.2", "f-number"),
    ("dof -m 2", "--na"),
    ("dof -m 2 -f 4 --pupil 0", "pupil"),
    ("dof -m 2 -f 4 --coc 30um --pixel 4um", "one of them"),
    ("dof -m 2 -f 4 --coc 30mm", "--coc 30um"),
    ("dof -m 2 -f 4 --coc 0", "--coc 30um"),
    ("dof -m 2 -f 4 --pixel 4mm", "--pixel 4um"),
    ("dof -m 2 -f 4 --pixel 0.004", "--pixel 4um"),
    ("dof -m 2 -f 4 --pixel -4um", "--pixel 4um"),
    ("dof -m 2 -f 4 --pixel 4st", "um or mm"),
    ("dof -m 2 -f 4 --index 0.5", "--index 1"),
    ("dof -m 2 -f 4 --index nan", "--index 1"),
    ("dof -m 2 -f 4 --wavelength 0.55", "nm"),
    ("dof -m 2 -f 4 --wavelength -5", "nm"),
    ("dof -m 2 -f 4 --wavelength 5500", "nm"),
    ("dof -m 2 -f 4 --overlap 1", "0.3"),
    ("dof -m 10 --na 0.28 -f 5", "--f-number"),
    ("dof -m 10 --na 0.28 --table", "--table"),
    ("dof -m 10 --na 0.28 --pupil 1", "--pupil"),
    ("dof -m 10 --na 0", "--na 0.28"),
    ("dof -m 10 --na 1.25", "--index"),
    ("dof -m 10 --na 0.28 --made-for 180mm", "--tube-lens"),
    ("dof -m 10 -f 4 --tube-lens 135mm", "--na"),
    ("dof --na 0.28 --tube-lens 135mm", "-m 10"),
    ("dof -m 10 --na 0.28 --tube-lens 135", "--tube-lens 200mm"),
    ("dof -m 10 --na 0.28 --tube-lens 0mm", "--tube-lens 200mm"),
    ("dof -m 10 --na 0.28 --tube-lens 135mm --made-for 200", "--made-for 200mm"),
]


@pytest.mark.parametrize(("words", "remedy"), REFUSED, ids=[words for words, _ in REFUSED])
def test_what_cannot_be_is_refused_with_what_to_do(
    told: Callable[..., dict[str, Any]], words: str, remedy: str
) -> None:
    error = told(words, 2)
    assert error["kind"] == "usage"
    assert error["message"]
    assert remedy in error["remedy"]


@pytest.mark.parametrize(("name", "value"), [("WAVELENGTH_NM", "0.55"), ("PIXEL_UM", "4000"), ("COC_UM", "30mm")])
def test_settings_that_cannot_be_are_refused_likewise(
    told: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"FOCUSRAIL_{name}", value)
    assert told("dof -m 2 -f 4", 2)["remedy"]
