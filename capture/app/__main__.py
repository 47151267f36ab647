"""``python -m capture.app`` is the same as ``focusrail``."""

from capture.app.main import main

main()
