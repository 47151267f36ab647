"""Every error the stacking package raises.

::

    StackingError
    ├── StackingUsageError     options that make no sense together, or a recipe that cannot be read
    ├── SourceError            pictures that cannot be used at all (none found, none readable, none of one size)
    │   └── FrameError         one picture that cannot be used; the run goes on without it
    ├── RegistrationError      no two frames could be registered
    ├── MemoryBudgetError      the memory allowed is too small for these frames
    └── OutputError            the result cannot be written (exists, no room, not allowed); nothing half-written is left

A message says what happened, ``remedy`` what to do next.
"""

from __future__ import annotations


class StackingError(Exception):
    """Base of all errors of this package: what happened, and what to do next."""

    kind = "stacking"

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.state = ""


class StackingUsageError(StackingError):
    """Options that make no sense together, or a recipe that cannot be read."""

    kind = "stacking-usage"


class SourceError(StackingError):
    """Pictures that cannot be used at all."""

    kind = "source"


class FrameError(SourceError):
    """One picture that cannot be used; the run goes on without it."""

    kind = "frame"


class RegistrationError(StackingError):
    """No two frames could be registered."""

    kind = "registration"


class MemoryBudgetError(StackingError):
    """The memory allowed is too small for these frames.

    Attributes
    ----------
    least_bytes : int
        What is needed at least.
    """

    kind = "memory"

    def __init__(self, message: str, *, remedy: str = "", least_bytes: int = 0) -> None:
        super().__init__(message, remedy=remedy)
        self.least_bytes = least_bytes


class OutputError(StackingError):
    """The result cannot be written; nothing half-written is left."""

    kind = "output"
