"""The parts of the simulated camera: storage, faults, focus motor, settings on the wire, what it says of its files."""

from __future__ import annotations

import math
from fractions import Fraction

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.bench.interfaces import ExposureSettings
from capture.bench.ptpip.codes import ANY, ObjectFormat, Property
from capture.bench.ptpip.faults import CATALOGUE, Faults, catalogue
from capture.bench.ptpip.lens import FocusMotor
from capture.bench.ptpip.nikon import nikon_properties, zoom_numbers
from capture.bench.ptpip.pattern import PatternImager, StillCarriage
from capture.bench.ptpip.pictures import Look, inspect, thumbnail
from capture.bench.ptpip.properties import Choice
from capture.bench.ptpip.settings import BULB, SHUTTER_SPEEDS, BodySettings, Quality
from capture.bench.ptpip.storage import CARD, Spool, Storage, StorageFullError

JPEG, DNG = ObjectFormat.EXIF_JPEG, ObjectFormat.DNG


@pytest.fixture
def picture() -> tuple[bytes, bytes]:
    settings = ExposureSettings(100, 0.01, 4.0)
    negative = PatternImager(120, 80).expose(
        settings, at=StillCarriage().sample(), taken="2024:05:06 07:08:09.123", serial=1
    )
    return negative.dng(), negative.jpeg()


# -- storage ----------------------------------------------------------------------------------------------------------
@given(st.lists(st.tuples(st.binary(min_size=1, max_size=40), st.booleans()), max_size=40))
def test_a_spool_gives_back_what_it_was_given(entries: list[tuple[bytes, bool]]) -> None:
    spool, kept = Spool(200), {}
    try:
        for data, dropped in entries:
            offset = spool.put(data)
            if offset is None:
                assert sum(map(len, kept.values())) + len(data) > 0
                continue
            assert offset + len(data) <= 200
            kept[offset] = data
            if dropped:
                gone = next(iter(kept))
                spool.drop(gone)
                del kept[gone]
            for place, expected in kept.items():
                assert spool.get(place, 0, 1000) == expected
                assert spool.get(place, 1, 2) == expected[1:3]
    finally:
        spool.close()


def test_a_full_card_drops_what_was_fetched_and_never_what_was_not() -> None:
    storage = Storage(card_bytes=1000, spool_bytes=300)
    first, second, third = (storage.put_on_card(f"{n}.JPG", JPEG, bytes([n]) * 100, "") for n in range(3))
    with pytest.raises(StorageFullError):
        storage.put_on_card("3.JPG", JPEG, b"x" * 100, "")
    storage.was_fetched(second)
    fourth = storage.put_on_card("4.JPG", JPEG, b"y" * 100, "")
    assert storage.handles(CARD, 0, 0)[2:] == [first, third, fourth]
    assert storage.read(second) is None
    assert storage.read(first) == bytes(100)
    assert storage.read(fourth, 40, 1000) == b"y" * 60
    storage.close()


def test_the_card_says_how_much_room_is_left() -> None:
    storage = Storage(card_bytes=1000)
    handle = storage.put_on_card("1.JPG", JPEG, b"x" * 300, "")
    assert storage.storage_info(CARD).free_bytes == 700
    storage.was_fetched(handle)
    assert storage.storage_info(CARD).free_bytes == 1000
    with pytest.raises(StorageFullError):
        storage.put_on_card("2.JPG", JPEG, b"x" * 1001, "")
    assert storage.storage_info(7) is None
    storage.close()


def test_memory_keeps_what_is_not_fetched_up_to_a_bound() -> None:
    storage = Storage(memory_objects=3)
    handles = [storage.put_in_memory(f"{n}.JPG", JPEG, bytes([n]), "") for n in range(5)]
    assert [storage.read(handle) for handle in handles] == [None, None, b"\2", b"\3", b"\4"]
    assert storage.was_fetched(handles[2])
    assert storage.read(handles[2]) is None
    assert storage.delete(handles[2]), "deleting what was fetched is no error"
    assert not storage.delete(0x1234)
    assert storage.info(handles[3]).parent == 0, "what lies in memory has no folder"
    storage.empty_memory()
    assert storage.info(handles[4]) is None


def test_the_card_is_a_tree() -> None:
    storage = Storage()
    raw = storage.put_on_card("DSC_0001.DNG", DNG, b"raw", "20240506T070809")
    jpeg = storage.put_on_card("DSC_0001.JPG", JPEG, b"jpeg", "20240506T070809")
    (top,) = storage.handles(CARD, 0, ANY)
    (folder,) = storage.handles(CARD, 0, top)
    assert storage.handles(CARD, 0, folder) == [raw, jpeg]
    assert storage.handles(ANY, DNG, 0) == [raw]
    assert storage.handles(9, 0, 0) is None
    assert storage.handles(CARD, 0, raw) == []
    assert storage.info(raw).parent == folder
    assert storage.info(folder).parent == top
    assert len({raw, jpeg, top, folder, CARD}) == 5, "a handle that is a store's number is taken for the root"
    assert storage.delete(ANY)
    assert storage.handles(CARD, 0, folder) == []
    storage.close()


# -- what it says of its files ----------------------------------------------------------------------------------------
def test_size_and_thumbnail_of_a_jpeg(picture: tuple[bytes, bytes]) -> None:
    _, jpeg = picture
    assert inspect(jpeg).size == (120, 80)
    small = cv2.imdecode(np.frombuffer(thumbnail(jpeg, (160, 120)), np.uint8), cv2.IMREAD_COLOR)
    assert small.shape == (120, 160, 3)
    assert small[60].max() > 100
    assert small[2].max() < 30, "letterboxed, not stretched"


def test_size_of_a_mosaic_that_has_no_preview(picture: tuple[bytes, bytes]) -> None:
    raw, _ = picture
    assert inspect(raw) == Look((120, 80), 16)
    assert thumbnail(raw, (160, 120)) is None


@given(st.binary(max_size=200), st.sampled_from([b"", b"\xff\xd8", b"\xff\xd8\xff\xc0", b"II*\0\x08\0\0\0", b"MM\0*"]))
def test_no_bytes_at_all_break_the_look_at_a_file(rest: bytes, start: bytes) -> None:
    assert isinstance(inspect(start + rest), Look)
    assert isinstance(thumbnail(start + rest, (16, 12)), bytes | None)


# -- faults -----------------------------------------------------------------------------------------------------------
class Hand:
    """A clock moved by hand."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time


@pytest.mark.parametrize("name", CATALOGUE)
def test_each_fault_says_what_its_parameters_mean(name: str) -> None:
    described = catalogue()[name]
    assert set(described) == set(CATALOGUE[name])
    for parameter, text in described.items():
        assert "default" in text, parameter


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("earthquake", {}),
        ("hang", {"shots": 1}),
        ("hang", {"on": "sundays"}),
        ("hang", {"seconds": -1}),
        ("hang", {"seconds": "1"}),
        ("hang", {"seconds": True}),
        ("stale_frame", {"shots": 1.5}),
        ("slow", {"bytes_per_s": math.nan}),
        ("plug", {"seconds": 1}),
    ],
)
def test_what_a_fault_does_not_know_is_refused(name: str, parameters: dict[str, object]) -> None:
    faults = Faults(Hand().now)
    with pytest.raises(ValueError, match=r"\w"):
        faults.inject(name, parameters)
    if name in CATALOGUE:
        assert faults.look(name) is None


def test_a_fault_is_over_after_its_shots() -> None:
    faults = Faults(Hand().now)
    faults.inject("stale_frame", {"shots": 2})
    assert [faults.strike("stale_frame") is not None for _ in range(3)] == [True, True, False]
    faults.inject("stale_frame", {"shots": 0})
    assert all(faults.strike("stale_frame") for _ in range(5))
    faults.clear("stale_frame")
    assert faults.strike("stale_frame") is None


def test_a_fault_is_over_after_its_time() -> None:
    clock = Hand()
    faults = Faults(clock.now)
    faults.inject("busy", {"seconds": 3})
    clock.time = 2.9
    assert faults.look("busy")
    assert faults.remaining_s("busy") == pytest.approx(0.1)
    clock.time = 3.0
    assert faults.look("busy") is None


def test_a_fault_strikes_only_what_it_is_for() -> None:
    faults = Faults(Hand().now)
    faults.inject("access_denied", {"on": "settings", "shots": 1})
    assert faults.strike("access_denied", on=("capture",)) is None
    assert faults.strike("access_denied", on=("settings",))
    assert faults.look("access_denied") is None


def test_who_holds_the_faults_hears_of_them() -> None:
    heard: list[tuple[str, bool]] = []
    faults = Faults(Hand().now, lambda name, on: heard.append((name, on)))
    faults.inject("unplug", {})
    faults.clear("unplug")
    assert heard == [("unplug", True), ("unplug", False)]


# -- focus motor ------------------------------------------------------------------------------------------------------
@given(st.lists(st.integers(-500, 500).filter(bool), max_size=20))
def test_a_focus_motor_moves_in_time_and_loses_its_play_at_each_turn(moves: list[int]) -> None:
    motor, now, expected, last = FocusMotor(um_per_step=0.5, steps_per_s=1000, play_steps=10), 0.0, 0, 0
    for move in moves:
        lost = min(10, abs(move)) if move * last < 0 else 0
        expected += move - int(math.copysign(lost, move))
        last = move
        assert motor.move(move, now)
        assert motor.moving(now)
        assert motor.rest_s(now) == 0
        now += abs(move) / 1000
        assert not motor.moving(now)
        assert motor.offset_um(now) == expected * 0.5
    assert motor.rest_s(now + 2) == (pytest.approx(2) if moves else math.inf)


def test_a_focus_motor_is_between_while_it_moves_and_stops_at_its_end() -> None:
    motor = FocusMotor(um_per_step=1, steps_per_s=100, half_travel_steps=150)
    assert motor.move(100, 0.0)
    assert motor.offset_um(0.5) == pytest.approx(50)
    assert not motor.move(100, 1.0)
    assert motor.offset_um(9.0) == 150


# -- settings on the wire ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("scale", [1.0, 2.0, 3.0, 4.0, 6.0, 8.0])
def test_every_value_has_a_number_of_its_own(scale: float) -> None:
    for code, item in nikon_properties(scale, BodySettings()).items():
        assert item.code == code
        if isinstance(item, Choice):
            assert getattr(BodySettings(), item.key) in item.numbers
            if code != Property.EXPOSURE_TIME:  # counts in tenths of a millisecond: the shortest share a number
                assert len(set(item.numbers.values())) == len(item.numbers)


def test_shutter_speeds_are_ratios_and_bulb() -> None:
    numbers = nikon_properties(1, BodySettings())[Property.NIKON_EXPOSURE_TIME].numbers
    assert numbers[Fraction(1, 60)] == 0x0001003C
    assert numbers[Fraction(30)] == 0x001E0001
    assert numbers[BULB] == 0xFFFFFFFF
    assert list(SHUTTER_SPEEDS[:-1]) == sorted(SHUTTER_SPEEDS[:-1])


def test_a_body_is_offered_what_it_is_set_to() -> None:
    odd = BodySettings(iso=64, shutter_s=Fraction(1, 90), f_number=3.7)
    properties = nikon_properties(1, odd)
    assert 370 in properties[Property.F_NUMBER].numbers.values()
    assert 64 in properties[Property.EXPOSURE_INDEX].numbers.values()
    assert 0x0001005A in properties[Property.NIKON_EXPOSURE_TIME].numbers.values()


@pytest.mark.parametrize(
    ("scale", "expected"),
    [(1.0, {1: 0}), (2.0, {1: 0, 2: 5}), (3.0, {1: 0, 2: 4, 3: 5}), (4.0, {1: 0, 2: 3, 4: 5})],
)
def test_live_view_offers_the_magnifications_that_come_out_whole(scale: float, expected: dict[int, int]) -> None:
    assert zoom_numbers(scale) == expected


def test_a_shot_makes_at_least_one_file() -> None:
    with pytest.raises(ValueError, match="RAW"):
        Quality(raw=False)
