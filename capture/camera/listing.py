"""Recorded configuration listings (`gphoto2 --list-all-config`): model and roles of a camera that is not at hand.

Users record them with session logs around them, in their own language, indented, from versions of gphoto2 that end an entry with ``END``
or do not, tell ``Readonly`` or do not, and sometimes several in one file. What is read is only what is certain: a path line
``/main/SECTION/NAME`` starts an entry, its ``Key: value`` lines follow; every other line is talk.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from capture.camera.protocol import CameraInfo
from capture.camera.roles import Setting, find_roles
from capture.errors import UsageError

_PATH = re.compile(r"(/main/[a-z]+/\S(?:.*\S)?)")
_FIELD = re.compile(r"(Label|Readonly|Type|Current|Choice|Bottom|Top|Step):(?: (.*)|$)")
_CHOICE = re.compile(r"\d+(?: (.*)|$)")
_MODEL = re.compile(r"(?:Model|Modell|Modèle|Modelo|Modello|Модель|モデル|型号)\s*:\s*(\S.*)", re.IGNORECASE)
_DETECTED = re.compile(r"(\S.*?)\s{2,}(?:usb|ptpip):\S+")
_NAMES_SHOWN = 6
# As many paths one below the other are a list of names, which the description after it need not belong to.
_RUN_OF_PATHS = 3
_GENERIC = {"usb ptp class camera", "ptp/ip camera", "mass storage camera"}


@dataclass(frozen=True, slots=True)
class Listing:
    """One recorded listing.

    Attributes
    ----------
    model : str
        The camera's; empty where the record does not say.
    settings : tuple of Setting
        Its entries in order.
    damage : tuple of str
        What is missing in the record, in words: entries whose description is not there, or cannot be told from another's.
    """

    model: str
    settings: tuple[Setting, ...]
    damage: tuple[str, ...] = ()

    def info(self) -> CameraInfo:
        """Model and roles."""
        return CameraInfo(self.model, find_roles(self.settings))


class _Entry:
    """One entry while its lines are being read."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.fields: dict[str, str] = {}
        self.choices: list[str] = []
        # under paths one below the other, or twice under one: whose description it is cannot be told
        self.mixed = False

    def take(self, key: str, text: str) -> None:
        self.mixed |= key == "Label" and key in self.fields
        if key == "Choice":
            found = _CHOICE.fullmatch(text)
            self.choices.append((found[1] or "").strip() if found else text)
        else:
            self.fields.setdefault(key, text)

    def setting(self) -> Setting | None:
        """The finished entry; None for a bare path (a listing of names only), and where its description may be another's."""
        if self.mixed or ("Label" not in self.fields and "Type" not in self.fields):
            return None
        current = self.fields.get("Current", "")
        return Setting(
            path=self.path,
            label=self.fields.get("Label", ""),
            kind=self.fields.get("Type", "").casefold(),
            value="" if current == "(null)" else current,
            choices=tuple(self.choices),
            read_only=self.fields.get("Readonly", "0") == "1",
            bounds=self._bounds(),
        )

    def _bounds(self) -> tuple[float, float, float] | None:
        try:
            bottom, top, step = (float(self.fields[key].replace(",", ".")) for key in ("Bottom", "Top", "Step"))
        except (KeyError, ValueError):
            return None
        return bottom, top, step


def _model(settings: list[Setting], talk: list[str], detected: list[str]) -> str:
    """The camera's own words first (`cameramodel`), then the summary's, then older ways to say it."""
    said = [setting.value for setting in settings if setting.name == "cameramodel"] + talk
    said += [setting.value for setting in settings if setting.path == "/main/other/d402"]
    said += [setting.value for setting in settings if setting.name == "model" and setting.section == "status"]
    said += [name for name in detected if name.casefold() not in _GENERIC]
    return next((word for word in said if word and not word.isdigit()), "")


def parse_listing(text: str) -> Listing:
    """Entries and model of a recorded listing; of several in one text, all entries in order. Never fails on what surrounds them."""
    entries: list[_Entry] = []
    talk: list[str] = []
    detected: list[str] = []
    entry: _Entry | None = None
    ends = False
    run = 0  # path lines one below the other
    for line in text.splitlines():
        plain = line.lstrip(" \t>﻿").rstrip()
        found = _PATH.fullmatch(plain)
        run = run + 1 if found else 0
        if plain == "END":
            entry, ends = None, True
        elif found:
            entry = _Entry(found[1])
            entry.mixed = run >= _RUN_OF_PATHS
            entries.append(entry)
        elif entry is not None and (found := _FIELD.fullmatch(plain)):
            entry.take(found[1], (found[2] or "").strip())
        elif found := _MODEL.fullmatch(plain):
            talk.append(found[1].strip(" '\""))
        elif found := _DETECTED.fullmatch(plain):
            detected.append(found[1])
    settings = [setting for entry in entries if (setting := entry.setting()) is not None]
    broken: tuple[str, ...] = ()
    last = text.rpartition("\n")[2].strip(" \t>")
    cut_path = bool(last) and not _PATH.fullmatch(last) and (last.startswith("/main/") or "/main/".startswith(last))
    if cut_path or (ends and entry is not None):  # its END is missing, where the dialect has one
        name = last if cut_path or entry is None else entry.path.rpartition("/")[2]
        broken = (f"damaged: the record breaks off in {name}; roles that it would have told of later are missing",)
    return Listing(_model(settings, talk, detected), tuple(settings), broken + _damage(entries, settings))


def _damage(entries: list[_Entry], settings: list[Setting]) -> tuple[str, ...]:
    described = {setting.path for setting in settings}
    lost = {
        entry.path: entry.mixed and bool(entry.fields or entry.choices)
        for entry in entries
        if entry.path not in described
    }
    words = {
        False: "have no description in the record (it broke off, or the camera failed there)",
        True: "are left out: the description under them may be another's",
    }
    found = []
    for mixed, what in words.items():
        names = [path.rpartition("/")[2] for path, was in lost.items() if was is mixed]
        if names:
            shown = ", ".join(names[:_NAMES_SHOWN]) + (" ..." if len(names) > _NAMES_SHOWN else "")
            found.append(f"damaged: {len(names)} entries {what}: {shown}")
    return tuple(found)


def read_listing(path: Path) -> Listing:
    """A recorded listing; `UsageError` where it cannot be read or holds no configuration."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"The listing {path} cannot be read: {error.strerror or error}.",
            remedy="Name a file that is there and readable.",
        ) from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    listing = parse_listing(text)
    if not listing.settings:
        raise UsageError(
            f"{path} holds no camera configuration.",
            remedy="Record one with the camera connected: gphoto2 --list-all-config > listing.txt",
        )
    return listing
