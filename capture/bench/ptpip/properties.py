"""Device properties: how a setting of the body stands on the wire."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from capture.bench.ptpip.body import CameraBody
from capture.bench.ptpip.codes import DataType, Property
from capture.bench.ptpip.datasets import PropertyDescription, Range, Value
from capture.bench.ptpip.settings import BodySettings


class WireProperty(Protocol):
    """One device property."""

    @property
    def kind(self) -> DataType:
        """Type of its value."""

    @property
    def writable(self) -> bool:
        """Whether it can be set."""

    def read(self, body: CameraBody) -> Value:
        """Its value now."""

    def write(self, body: CameraBody, value: Value) -> bool:
        """Set it; False where the value is not offered. `RefusedError` where the body refuses."""

    def describe(self, body: CameraBody) -> PropertyDescription:
        """Its dataset."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A setting with a number on the wire for each of its values."""

    code: int
    kind: DataType
    key: str
    numbers: Mapping[Any, int]
    """Value of the body's setting -> number on the wire, in the order they are offered."""
    writable: bool = True
    as_range: bool = False
    """Described as a range (the numbers must be consecutive) instead of an enumeration."""

    def read(self, body: CameraBody) -> Value:
        """Its value now."""
        return self.numbers[getattr(body.settings, self.key)]

    def write(self, body: CameraBody, value: Value) -> bool:
        """Set it."""
        for meaning, number in self.numbers.items():
            if number == value:
                body.change(self.key, meaning)
                return True
        return False

    def describe(self, body: CameraBody) -> PropertyDescription:
        """Its dataset."""
        offered = tuple(dict.fromkeys(self.numbers.values()))
        factory = self.numbers.get(getattr(BodySettings(), self.key), offered[0])
        form = Range(min(offered), max(offered)) if self.as_range else offered
        return PropertyDescription(self.code, self.kind, self.writable, factory, self.read(body), form)


@dataclass(frozen=True, slots=True)
class Reading:
    """A property that is only read."""

    code: int
    kind: DataType
    source: Callable[[CameraBody], Value]
    form: Range | tuple[int, ...] | None = None
    writable: bool = False

    def read(self, body: CameraBody) -> Value:
        """Its value now."""
        return self.source(body)

    def write(self, _body: CameraBody, _value: Value) -> bool:
        """Refused."""
        return False

    def describe(self, body: CameraBody) -> PropertyDescription:
        """Its dataset."""
        now = self.read(body)
        return PropertyDescription(self.code, self.kind, False, now, now, self.form)


CLOCK = Reading(Property.DATE_TIME, DataType.STRING, lambda _body: time.strftime("%Y%m%dT%H%M%S"))
"""The body's clock, in the local time that its files tell, too."""


@dataclass(slots=True)
class Register:
    """A number that is kept and has no effect here."""

    code: int
    kind: DataType
    value: int
    form: Range | tuple[int, ...] | None = None
    writable: bool = True

    def read(self, _body: CameraBody) -> Value:
        """Its value now."""
        return self.value

    def write(self, _body: CameraBody, value: Value) -> bool:
        """Keep it."""
        if not isinstance(value, int) or (self.form is not None and value not in self.form):
            return False
        self.value = value
        return True

    def describe(self, _body: CameraBody) -> PropertyDescription:
        """Its dataset."""
        return PropertyDescription(self.code, self.kind, self.writable, self.value, self.value, self.form)
