"""What every test can rely on."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    # Started in a shell's background, as `pytest &` in a script, this process and those it starts would ignore Ctrl-C.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
