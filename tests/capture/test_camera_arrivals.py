"""Judging the files of a shot: which are accepted and named, and which leave nothing behind."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from capture.camera.arrivals import Arrivals
from capture.camera.protocol import FileFormat, Shot
from capture.camera.wire import Collected, FetchedFile, ShotOrder
from capture.errors import ShotIncompleteError, ShotRefusedError
from tests.capture.test_camera_picture_file import TAKEN, jpeg, tiff


def at(contents: bytes, second: int) -> bytes:
    """The same picture, taken `second` seconds past the minute."""
    return contents.replace(TAKEN.encode(), f"{TAKEN[:-2]}{second:02d}".encode())


def raw(second: int = 7, mosaic: bytes = b"mosaic") -> bytes:
    return at(tiff(picture=mosaic), second)


def picture(second: int = 7, padding: int = 0) -> bytes:
    return at(jpeg(padding=padding), second)


class Card:
    """Downloads files into a folder as the driver does, and asks for their judgement."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.arrivals = Arrivals()

    def shot(
        self,
        stem: str,
        files: Sequence[tuple[str, bytes]],
        *,
        known: FileFormat | None = None,
        expected: int | None = None,
        erase: bool = False,
    ) -> Shot:
        fetched = []
        for number, (name, contents) in enumerate(files):
            part = self.folder / f".{stem}.{number}.part"
            part.write_bytes(contents)
            fetched.append(FetchedFile(str(part), f"/store/DCIM/{name}", len(contents)))
        order = ShotOrder(str(self.folder), stem, expected, 0.1, erase)
        return self.arrivals.accept(order, Collected(tuple(fetched)), known, "some format")

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture
def card(tmp_path: Path) -> Card:
    return Card(tmp_path)


def test_files_get_our_name_raw_first(card: Card) -> None:
    shot = card.shot("0001", [("D1.JPG", picture()), ("D1.NEF", raw())], known=FileFormat.RAW_JPEG, expected=2)
    assert [file.path.name for file in shot.files] == ["0001.nef", "0001.jpg"]
    assert card.names() == ["0001.jpg", "0001.nef"]
    assert shot.exposure["iso"] == 400.0
    assert card.arrivals.last_camera_path == "/store/DCIM/D1.NEF"


def test_equal_times_are_fine_and_earlier_ones_stale(card: Card) -> None:
    card.shot("0001", [("D1.NEF", raw(7))])
    card.shot("0002", [("D2.NEF", raw(7, b"other"))])
    with pytest.raises(ShotIncompleteError, match="before the last shot"):
        card.shot("0003", [("D3.NEF", raw(6, b"third"))])
    card.shot("0003", [("D3.NEF", raw(8, b"third"))])
    assert card.names() == ["0001.nef", "0002.nef", "0003.nef", "0003.refused.nef"]


def test_pictures_of_an_earlier_run_are_not_new(tmp_path: Path, card: Card) -> None:
    earlier = tmp_path / "shot-0001.nef"
    earlier.write_bytes(raw(7))
    card.arrivals.know([earlier, tmp_path / "moved-away.nef"])
    with pytest.raises(ShotIncompleteError, match="same as an earlier one"):
        card.shot("0002", [("D1.NEF", raw(7))])
    card.shot("0002", [("D2.NEF", raw(7, b"mosaiC"))])  # as large
    assert card.names() == ["0002.nef", "0002.refused.nef", "shot-0001.nef"]


def fraction(contents: bytes, digits: str) -> bytes:
    """The same picture with another fraction of its second (two digits), or with none."""
    assert contents.count(b"\x0042\x00") == 1
    return contents.replace(b"\x0042\x00", b"\x00" + digits.encode().ljust(3, b"\x00"))


def test_fractions_of_the_second_are_compared_among_files_of_one_kind_that_have_them(card: Card) -> None:
    card.shot("0001", [("D1.NEF", fraction(raw(), "50")), ("D1.JPG", picture())])
    card.shot("0002", [("D2.NEF", fraction(raw(7, b"other"), "60")), ("D2.JPG", fraction(picture(), ""))])
    card.shot("0003", [("D3.JPG", fraction(picture(), "41"))])
    with pytest.raises(ShotIncompleteError, match="before the last shot"):
        card.shot("0004", [("D4.NEF", fraction(raw(7, b"third"), "59"))])
    card.shot("0004", [("D5.NEF", fraction(raw(7, b"third"), "60"))])
    with pytest.raises(ShotIncompleteError, match="before the last shot"):
        card.shot("0005", [("D6.JPG", fraction(picture(), "40"))])


def test_the_files_of_one_exposure_may_lie_to_both_sides_of_the_end_of_a_second(card: Card) -> None:
    card.shot("0001", [("D1.NEF", raw(7)), ("D1.JPG", picture(8))], known=FileFormat.RAW_JPEG)
    with pytest.raises(ShotIncompleteError, match="different shots"):
        card.shot("0002", [("D2.NEF", raw(9, b"other")), ("D2.JPG", picture(11))])
    with pytest.raises(ShotIncompleteError, match="different shots"):
        card.shot("0002", [("D3.NEF", raw(9, b"other")), ("D2.JPG", picture(10))])


def test_a_clock_that_was_set_back_costs_one_shot(card: Card) -> None:
    card.shot("0001", [("D1.NEF", raw(40)), ("D1.JPG", picture(40))])
    with pytest.raises(ShotIncompleteError, match="before the last shot"):
        card.shot("0002", [("D2.NEF", raw(5, b"second")), ("D2.JPG", picture(5))])
    # the same old picture once more, and one that is older still, are no sign of it
    for stale in (raw(5, b"second"), raw(4, b"another")):
        with pytest.raises(ShotIncompleteError, match="before the last shot"):
            card.shot("0002", [("D2.NEF", stale)])
    again = card.shot("0002", [("D3.NEF", raw(6, b"third")), ("D3.JPG", picture(6))])
    assert any("clock was set back" in note for note in again.notes)
    assert not card.shot("0003", [("D4.NEF", raw(7, b"fourth"))]).notes
    with pytest.raises(ShotIncompleteError, match="before the last shot"):
        card.shot("0004", [("D5.NEF", raw(6, b"fifth"))])


@pytest.mark.parametrize(
    ("files", "known", "expected", "words"),
    [
        ([("D2.NEF", raw())], None, None, "same as an earlier one"),
        ([("D2.NEF", raw(8)[:-2])], None, None, "not whole"),
        ([("D2.NEF", b"")], None, None, "empty"),
        ([], None, None, "no file came"),
        ([("D2.NEF", raw(8))], FileFormat.RAW_JPEG, 2, "The JPEG file"),
        ([("D2.JPG", picture(8))], FileFormat.RAW_JPEG, 2, "The RAW file"),
        ([("D2.JPG", picture(8))], FileFormat.RAW, 1, "The RAW file"),
        ([("D2.NEF", raw(8))], FileFormat.JPEG, 1, "The JPEG file"),
        ([("D2.NEF", raw(8)), ("D1.JPG", picture(9))], FileFormat.RAW_JPEG, 2, "different shots"),
    ],
)
def test_of_a_bad_shot_nothing_has_its_name_and_what_came_is_kept(
    card: Card, files: list[tuple[str, bytes]], known: FileFormat | None, expected: int | None, words: str
) -> None:
    card.shot("0001", [("D1.NEF", raw())])
    with pytest.raises(ShotIncompleteError, match=words) as refusal:
        card.shot("0002", files, known=known, expected=expected)
    assert refusal.value.remedy
    assert refusal.value.state
    came = sorted(f"0002.refused.{name[-3:].lower()}" for name, contents in files if contents)
    assert card.names() == ["0001.nef", *came]


def test_of_two_pictures_the_later_is_kept(card: Card) -> None:
    shot = card.shot("0001", [("D9.JPG", picture(9)), ("D8.JPG", picture(8, padding=3))])
    assert [file.path.name for file in shot.files] == ["0001.jpg"]
    assert shot.exposure["time"] == f"{TAKEN[:-2]}09.42"
    assert shot.notes
    assert card.names() == ["0001.jpg"]


def test_what_a_format_makes_is_learned_from_its_first_shot(card: Card) -> None:
    assert card.arrivals.learned("some format") is None
    card.shot("0001", [("D1.JPG", picture()), ("D1.NEF", raw())])
    assert card.arrivals.learned("some format") == 2


def test_a_picture_out_of_memory_has_no_place_on_the_card(card: Card) -> None:
    card.shot("0001", [("capt0000.jpg", picture())], erase=True)
    assert card.arrivals.last_camera_path is None


def test_a_name_taken_meanwhile_is_not_overwritten(card: Card) -> None:
    kept = card.folder / "0001.nef"
    kept.write_bytes(b"mine")
    with pytest.raises(ShotIncompleteError, match="could not be stored"):
        card.shot("0001", [("D1.JPG", picture()), ("D1.NEF", raw())])
    assert card.names() == ["0001.nef"]
    assert kept.read_bytes() == b"mine"


def test_a_taken_stem_is_refused_before_the_shot(card: Card) -> None:
    (card.folder / "0001.xmp").touch()
    with pytest.raises(ShotRefusedError, match=r"0001\.xmp"):
        card.arrivals.check_free(card.folder, "0001")
    card.arrivals.check_free(card.folder, "0002")


def test_only_parts_of_the_shot_are_discarded(card: Card) -> None:
    for name in (".0001.0.part", ".0001.12.part", ".0001.part", ".00010.0.part", "0001.0.part"):
        (card.folder / name).touch()
    card.arrivals.discard_parts(card.folder, "0001")
    assert card.names() == [".0001.part", ".00010.0.part", "0001.0.part"]


def test_a_disk_without_links_still_never_overwrites(card: Card, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_paths: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    card.shot("0001", [("D1.NEF", raw())])
    assert card.names() == ["0001.nef"]
    (card.folder / "0002.nef").write_bytes(b"mine")
    with pytest.raises(ShotIncompleteError):
        card.shot("0002", [("D2.NEF", raw(8))])
    assert (card.folder / "0002.nef").read_bytes() == b"mine"
