"""Several exposures at each position: which, in which order, and which of them make the picture."""

from __future__ import annotations

import pytest

from capture.errors import UsageError
from capture.session.exposures import Exposures, bracket_times, of_the_picture


def test_one_exposure_is_called_as_its_frame() -> None:
    one = Exposures()
    assert one.count == 1
    assert one.stem("0007", 1) == "0007"
    assert [member.shutter for member in one.members] == [None]
    assert one.chosen("1/60") == one


def test_several_shots_are_counted_behind_the_frames_number() -> None:
    several = Exposures(shots=12)
    assert [several.stem("0007", member.number) for member in several.members][:2] == ["0007-01", "0007-02"]
    assert all(member.metered for member in several.members)


@pytest.mark.parametrize(
    ("stands_at", "metered"), [("0.0666s", "1/15"), ("1/60", "1/60"), ("1/500", "1/15"), ("bulb:2", "1/15")]
)
def test_the_picture_is_made_of_the_exposure_at_which_the_camera_stood_else_of_the_middle_one(
    stands_at: str, metered: str
) -> None:
    chosen = Exposures(2, ("1/4", "1/60", "1/15")).chosen(stands_at)
    assert chosen.metered == metered
    assert chosen.count == 6
    assert [member.metered for member in chosen.members] == [False] * 4 + [True] * 2, (
        "metered last: the camera stays there"
    )
    assert sorted(member.number for member in chosen.members) == [1, 2, 3, 4, 5, 6]
    assert Exposures.recorded(chosen.record()) == chosen


def test_a_bracket_has_different_times() -> None:
    assert bracket_times(" 1/60, 1/15 ") == ("1/60", "1/15")
    assert bracket_times(None) == ()
    for wrong in ("1/60", "1/60,1/60", ","):
        with pytest.raises(UsageError):
            bracket_times(wrong)


def test_the_picture_is_the_average_of_the_metered_raw_files() -> None:
    def of(file: str, exposure: int, *, metered: bool = True) -> dict[str, object]:
        return {"file": file, "raw": file.endswith("dng"), "exposure": exposure, "metered": metered}

    pairs = [of("2.dng", 2), of("2.jpg", 2), of("3.dng", 3), of("3.jpg", 3), of("1.dng", 1, metered=False)]
    assert of_the_picture(pairs) == ("2.dng", "3.dng")
    assert of_the_picture([{"file": "1.dng", "raw": True}, {"file": "1.jpg", "raw": False}]) == ("1.dng",)
    assert of_the_picture([{"file": "1.jpg", "raw": False}]) == ("1.jpg",)
    assert of_the_picture([]) == ()
