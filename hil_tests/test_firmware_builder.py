"""The way of firmware/README.md from a bare board to a rail that works, on the simulated board, by the commands it names."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator

import pytest

from hil_tests.firmware_sim import ELF, FIRMWARE, FirmwareBench, Terminal
from tests.journeys.program import focusrail

pytestmark = pytest.mark.timeout(120)

README = (FIRMWARE / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def bench() -> Iterator[FirmwareBench]:
    """T8 screw of lead 2 mm at 1/16, as the firmware comes; a switch at the negative end."""
    ends = ("--switch-um", "-3000", "--low-stop-um", "-4200")
    with FirmwareBench("--um-per-step", "0.625", *ends, elf=ELF, speed=6) as bench:
        yield bench


def test_from_bare_board_to_a_rail_that_works(bench: FirmwareBench) -> None:
    rail = ("--rail", bench.url, "--json")
    status = focusrail("rail", "status", *rail).done()  # 1
    assert (status["state"], status["position_known"]) == ("idle", False)
    examined = focusrail("rail", "doctor", *rail, "--profile", "t8-lead2").done()  # 2
    assert (examined["findings"], examined["healthy"]) == ([], True)
    assert focusrail("rail", "jog", "0.5mm", *rail).done()["state"] == "idle"  # 4
    assert bench.truth()["carriage_um"] == 500.0

    def typed(*lines: str) -> None:
        terminal = Terminal(bench)
        terminal.do(*lines)
        terminal.close()

    bench.command("switch", **{"is": "pressed"})  # 5
    terminal = Terminal(bench)
    terminal.lines(0.05)
    assert "Pn:X" in terminal.report()
    bench.command("switch", **{"is": "free"})
    terminal.lines(0.05)
    assert "Pn:" not in terminal.report()
    terminal.close()
    typed("$22=1", "$23=1", "$130=20")  # 6
    home = focusrail("rail", "home", *rail).done()
    assert (home["position_um"], home["homed"]) == (0.0, True)
    assert bench.truth()["carriage_um"] == pytest.approx(-2000, abs=1)
    typed("$20=1", "$21=1")
    bench.command("events")  # 7
    typed("M8", "G4P0.2", "M9")
    assert [e["level"] for e in bench.command("events")["events"] if e["pin"] == "release"] == [1, 0]
    for _ in range(2):  # 8
        typed("G53G1X-8F300", "G53G1X-18F300", "G4P0.01")
    again = focusrail("rail", "home", *rail)
    assert again.done()["homed"]
    assert "Switch met" not in again.stderr
    examined = focusrail("rail", "doctor", *rail, "--profile", "t8-lead2").done()
    assert examined["healthy"]
    assert [f for f in examined["findings"] if f["severity"] != "note"] == []


def numbers(table: str, column: str) -> set[str]:
    with (FIRMWARE / "codes" / table).open(encoding="utf-8", newline="") as file:
        return {row[column] for row in csv.DictReader(file)}


def test_the_readme_names_what_is_there() -> None:
    ours = README.split("## If you stay with stock GRBL", maxsplit=1)[0]
    assert set(re.findall(r"\$(\d+)", ours)) <= numbers("settings.csv", "number")
    assert set(re.findall(r"error:(\d+)", ours)) <= numbers("errors.csv", "code")
    assert set(re.findall(r"ALARM:(\d+)", ours)) <= numbers("alarms.csv", "code")
    said = " ".join(path.read_text(encoding="utf-8") for path in (FIRMWARE / "src").glob("*.c"))
    for message in re.findall(r"\[MSG:([A-Za-z ]+)", ours):
        assert message.strip() in said, message
    for folder in re.findall(r"`((?:codes|boards|src)/[a-z0-9.-]*)`", ours):
        assert (FIRMWARE / folder).exists(), folder
