"""``python -m capture.app`` is the same as ``focusrail``."""

from capture.app.entry import main

main()
