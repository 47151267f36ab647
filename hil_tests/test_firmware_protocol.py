"""The firmware's side of the wire, byte by byte: GRBL 1.1's forms, one answer a line, nothing lost unnoticed."""

from __future__ import annotations

import csv
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hil_tests.firmware_sim import ELF, FIRMWARE, LOCKSTEP, FirmwareBench, Terminal
from rail.grbl import codes
from rail.grbl.encode import summed
from rail.grbl.protocol import Banner, Message, Ok, Reply, Setting, Status, Unrecognised, classify
from rail.grbl.settings import meaning

pytestmark = pytest.mark.timeout(120)

SCALE = ("$100=250", "$110=600", "$120=200", "$270=10000")


@pytest.fixture(scope="module")
def bench() -> Iterator[FirmwareBench]:
    with FirmwareBench("--um-per-step", "4", speed=LOCKSTEP) as bench:
        yield bench


@pytest.fixture
def terminal(bench: FirmwareBench) -> Iterator[Terminal]:
    bench.command("reset", power=True)
    terminal = Terminal(bench)
    terminal.lines(0.2)
    terminal.do("$X", *SCALE, "$10=1", "$13=0", "$20=0", "$22=0")
    yield terminal
    terminal.close()


def read(lines: list[str]) -> list[Reply]:
    return [reply for line in lines for reply in classify(line.encode())]


def table(name: str) -> list[dict[str, str]]:
    with (FIRMWARE / "codes" / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_everything_said_is_understood(terminal: Terminal) -> None:
    said = [terminal.ask(line) for line in ("$", "$$", "$#", "$G", "$I", "$N", "")]
    replies = [read(answer) for answer in said]
    assert not [reply for answer in replies for reply in answer if isinstance(reply, Unrecognised)]
    assert all(answer[-1] == Ok() for answer in replies)
    settings = {reply.number: reply.value for reply in replies[1] if isinstance(reply, Setting)}
    assert sorted(settings) == sorted(int(row["number"]) for row in table("settings.csv"))
    places = {reply.tag: reply.numbers() for reply in replies[2] if isinstance(reply, Message)}
    assert list(places) == ["G54", "G55", "G56", "G57", "G58", "G59", "G28", "G30", "G92", "TLO", "PRB"]
    assert places["G92"] == (0.0, 0.0, 0.0)
    assert said[3][0] == "[GC:G0 G54 G17 G21 G90 G94 M5 M9 T0 F0 S0]"
    version = next(reply.body for reply in replies[4] if isinstance(reply, Message) and reply.tag == "VER")
    assert version.startswith("1.1h.")
    assert version.endswith(":focusrail")


def test_banner_and_reports(bench: FirmwareBench, terminal: Terminal) -> None:
    terminal.write("\x18")
    banner = next(reply for reply in read(terminal.until("Grbl")) if isinstance(reply, Banner))
    assert banner.version == "1.1h"
    for mask in ("$10=0", "$10=1", "$10=2", "$10=3"):
        terminal.do(mask)
        for unit in ("$13=0", "$13=1"):
            terminal.do(unit, "G92X1.5Z-3")
            status = read([terminal.report()])[0]
            assert isinstance(status, Status)
            assert status.state == "Idle"
            place = status.in_millimetres(inches=unit == "$13=1").machine_position(None)
            assert place == pytest.approx((0, 0, 0), abs=0.006)
            assert status.wco is not None
            assert ("Bf" in status.fields) == (mask in {"$10=2", "$10=3"})
    terminal.do("G92.1")


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("1X", 1), ("G1X", 2), ("$foo", 3), ("$999=1", 3), ("$100=", 2), ("$100=-1", 4), ("$0=2", 6), ("$H", 5),
        ("$20=1", 10), ("$110=30000", 12), ("$271=12", 102), ("$100=0", 102), ("$N0=G0X1", 14),
        ("G1 G10 L2 P1 X1 F1", 24), ("G1X1X2F1", 25), ("F-1", 4), ("G4", 28), ("G4P-1", 4), ("G2X1F10", 20),
        ("G1X1F10N99999999", 27), ("T300", 38), ("M99", 20), ("G20G21", 21), ("G10L2P9X0", 29), ("G43.1X1", 20),
        ("G1F100Q1", 20), ("G1X1", 22), ("G80X1", 31), ("G92", 26), ("G0Y1", 101), ("G0Z-1", 101), ("G0X30000", 33),
        ("$J=X1", 22), ("$J=G0X1F100", 16), ("$J=X1F100M8", 16), ("$J=F100", 26), ("G1.05X1F1", 23),
        ("G1X" + "0" * 90, 11), ("%", 1), ("$PARK", 103), ("G4P0P0", 25), ("G0X1P3", 36), ("$RST=x", 3), ("$J=G2X1F1", 20),
        ("G0 X0 (comment)", 0), ("; only a comment", 0), ("G4P0" + " " * 200, 0), ("(" + "c" * 200 + ")g4p0", 0),
        ("M3S500", 0), ("M5", 0), ("G28.1", 0), ("G21G90G94G17G40G49G54G80", 0), ("M30", 0), ("$N0=", 0), ("G0Y0Z0", 0),
    ],
)  # fmt: skip
def test_answers(bench: FirmwareBench, terminal: Terminal, line: str, answer: int) -> None:
    before = bench.steps
    assert terminal.ask(line)[-1] == (f"error:{answer}" if answer else "ok")
    assert terminal.state() == "Idle"
    assert bench.steps == before


def test_codes_are_published(tmp_path: Path) -> None:
    """The firmware's header and the host's words are made from the same tables, and are those of today."""
    errors = {int(row["code"]) for row in table("errors.csv")}
    assert {code for code in errors if code < 100} <= set(codes.ERRORS)
    assert {code for code in errors if code >= 100} == set(codes.FOCUSRAIL_ERRORS)
    assert all(words.remedy for words in codes.FOCUSRAIL_ERRORS.values())
    assert all(meaning(int(row["number"])) for row in table("settings.csv"))
    made = tmp_path / "firmware_codes.py"
    subprocess.run([sys.executable, FIRMWARE / "codes" / "generate.py", made], check=True)
    assert made.read_text() == (FIRMWARE.parent / "rail" / "grbl" / "firmware_codes.py").read_text(), "make firmware"
    assert {int(row["code"]) for row in table("alarms.csv")} <= set(codes.ALARMS)
    for row in table("settings.csv"):
        assert float(row["low"]) <= float(row["default"]) <= float(row["high"])
        assert row["meaning"]


def test_positions_are_exact(bench: FirmwareBench, terminal: Terminal) -> None:
    zero = bench.steps
    terminal.do("$100=333.333")
    for line, steps in (
        ("G53G0X1.00001", 333),
        ("G91X0.0015", 334),
        ("X0.0015", 334),
        ("X-0.003", 333),
        ("G90G20X0.1", 847),
        ("G21G92X5", 847),
        ("X4", 513),
        ("G54G10L20P1X0", 513),
        ("G0X1", 847),
        ("G28", 0),
    ):
        terminal.do(line)
        terminal.rest()
        assert bench.steps - zero == steps, line
    assert terminal.ask("$RST=#")[-1] == "ok"
    terminal.until("Grbl")


def test_lost_bytes_spoil_their_line_only(bench: FirmwareBench, terminal: Terminal) -> None:
    before = bench.steps
    terminal.write("G4P0.5\n" + "".join(f"G92X{number}\n" for number in range(100, 160)))
    heard = terminal.lines(1.0)
    terminal.write("\n")
    heard += terminal.until("error:")
    assert heard[-1] == "error:100"
    oks = heard.count("ok")
    assert 10 <= oks < 60
    # What was answered was done: the last whole line's number stands.
    shift = next(line for line in terminal.ask("$#") if line.startswith("[G92"))
    assert shift.startswith(f"[G92:-{100 + oks - 2}.000")
    assert bench.steps == before
    terminal.do("G92.1")


def damaged(line: str) -> Iterator[bytes]:
    """Every way to lose a byte, to change one bit, and to lose a part; without those that make a real-time byte."""
    data = line.encode()
    yield from (data[:at] + data[at + 1 :] for at in range(len(data)))
    yield from (data[:at] + data[at + count :] for count in (2, 3) for at in range(len(data) - count + 1))
    for at, byte in enumerate(data):
        for bit in range(8):
            changed = byte ^ 1 << bit
            if changed not in b"!?~\x18\x84\x85":
                yield data[:at] + bytes([changed]) + data[at + 1 :]


def test_a_damaged_line_with_a_sum_is_not_carried_out(bench: FirmwareBench, terminal: Terminal) -> None:
    def place() -> str:
        return next(line for line in terminal.ask("$#") if line.startswith("[G92"))

    assert terminal.ask(summed("G92X1.25"))[-1] == "ok"
    assert place().startswith("[G92:-1.250")
    assert terminal.ask(summed("$G"))[0].startswith("[GC:")
    whole = summed("G92X8.39")
    for line in damaged(whole):
        terminal.write(line + b"\n")
        assert terminal.lines(0.005), line  # once, or twice where it was cut in two
    assert place().startswith("[G92:-1.250")
    assert terminal.ask(whole)[-1] == "ok"
    assert place().startswith("[G92:-8.390")
    for strange in (
        "*G92X2",
        "G92X2*1234",
        "*G92X2*12",
        "*G92X2(*ABCD)*1234",
        "*G92(a)X2*0000",
        "**",
        "*",
        "**G92X2*0000",
    ):
        assert terminal.ask(strange)[-1] == "error:100", strange
    assert terminal.ask("$RST=*")[-1] == "ok"  # a star at a line's end is none of a sum
    terminal.until("Grbl")


def test_check_mode_moves_nothing(bench: FirmwareBench, terminal: Terminal) -> None:
    before = bench.steps
    assert terminal.ask("$C") == ["[MSG:Enabled]", "ok"]
    terminal.do("G91G1X1F100", "M8", "G4P10", "G92X3")
    assert terminal.state() == "Check"
    assert terminal.ask("$C")[-2:] == ["[MSG:Disabled]", "ok"]
    terminal.until("Grbl")
    assert bench.steps == before
    assert not bench.truth()["release"]


def fuzz(rounds: int, seed: int) -> dict[str, int]:
    """Random bytes and mutated lines: an answer is still to be had, and the limits hold. What was sent, and survived."""
    sent = {"lines": 0, "bytes": 0, "answers_asked": 0}
    chance = random.Random(seed)
    seeds = [
        "G21G90G94G53G1X-3.5F600", "$J=G91X-1.25F500", "G4P0.02", "G92X1Z340.05", "M8", "M9", "$#", "$G", "$I", "?", "!", "~",
        "G0X-9", "G91G1X2F600", "G90X-1", "G10L20P1X0", "G28", "$H", "$X", "\x85", "\x18", "G20G0X-0.1", "M30", "$C", "(x", "F1e9",
        summed("G1X-2F600"),
    ]  # fmt: skip
    with FirmwareBench(
        *("--um-per-step", "4", "--switch-um", "-10000", "--low-stop-um", "-10600", "--high-stop-um", "600"),
        elf=ELF,
        speed=LOCKSTEP,
    ) as bench:
        terminal = Terminal(bench)
        terminal.until("Grbl")
        terminal.do(*SCALE, "$130=10", "$23=1", "$27=0.5", "$25=600", "$24=200", "$22=1", "$20=1", "$X", "$H")
        for number in range(rounds):
            line = bytearray(chance.choice(seeds).encode("latin-1"))
            for _ in range(chance.choice((0, 0, 1, 1, 2, 5))):
                where = chance.randrange(len(line) + 1)
                if chance.random() < 0.5 or where == len(line):
                    line.insert(where, chance.randrange(256))
                else:
                    line[where] = chance.randrange(256)
            text = bytes(line)
            if b"=" in text and not text.startswith(b"$J="):
                continue  # a setting may well change the limits
            terminal.write(text + b"\n")
            sent["lines"] += 1
            sent["bytes"] += len(text) + 1
            if number % 50 == 49:
                terminal.write(chance.randbytes(400).replace(b"=", b"."))
                terminal.write("\n~\x18")
                sent["bytes"] += 403
                sent["answers_asked"] += 2
                terminal.until("Grbl", within_s=20)
                terminal.ask("$X")
                truth = bench.truth()
                # A reset in motion, then unlocked, takes up the count where it was: nothing was lost, so the limits are true.
                assert truth["running"]
                assert truth["lost"] == 0
                assert -10_500 <= truth["carriage_um"] <= 50
                assert truth["boots"] == 1, "the watchdog bit"
        terminal.close()
    return sent


def test_fuzz() -> None:
    fuzz(400, 1)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_fuzz_long() -> None:
    sent = fuzz(int(os.environ.get("FOCUSRAIL_FUZZ_LINES", "70000")), 2)
    print(json.dumps({"fuzz": sent}))  # noqa: T201
    assert sent["bytes"] > 1_000_000
