"""The same footing as the tests have."""

from __future__ import annotations

from tests.conftest import no_settings_of_the_user, signals_as_a_user_has_them

__all__ = ["no_settings_of_the_user", "signals_as_a_user_has_them"]
