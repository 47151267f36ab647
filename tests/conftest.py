"""What every test needs: settings of the user who runs them must not reach them."""

from __future__ import annotations

import os
import signal

import hypothesis
import pytest

from capture.settings_model import SettingsModel

# A busy machine is no failure: what hypothesis tries has no deadline of its own.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


@pytest.fixture(scope="session", autouse=True)
def no_settings_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> None:
    os.environ["XDG_CONFIG_HOME"] = str(tmp_path_factory.mktemp("config"))
    for name in SettingsModel.model_fields:
        os.environ.pop(f"FOCUSRAIL_{name.upper()}", None)


@pytest.fixture(scope="session", autouse=True)
def signals_as_a_user_has_them() -> None:
    """Started in the background, the tests and all their children would be deaf to Ctrl-C and to a closed terminal."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)
