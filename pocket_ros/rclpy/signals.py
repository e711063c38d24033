"""SIGINT and SIGTERM shut the contexts down.

A handler may interrupt the main thread anywhere, even where it holds a lock that shutdown needs.
So it only writes to a pipe, and a thread does the work.
"""

from __future__ import annotations

import os
import signal
import threading
from enum import IntFlag
from types import FrameType
from typing import Any

from .context import shut_down_all


class SignalHandlerOptions(IntFlag):
    """Which signals are taken."""

    NO = 0
    SIGINT = 1
    SIGTERM = 2
    ALL = 3


_lock = threading.RLock()
_previous: dict[int, Any] = {}
_options: SignalHandlerOptions | None = None
_pipe: tuple[int, int] | None = None


def _watch(descriptor: int) -> None:
    while os.read(descriptor, 1):
        shut_down_all()


def _handle(number: int, frame: FrameType | None) -> None:
    if _pipe is not None:
        os.write(_pipe[1], b"!")
    previous = _previous.get(number)
    if callable(previous):
        previous(number, frame)


def install_signal_handlers(options: SignalHandlerOptions = SignalHandlerOptions.ALL) -> None:
    """Take signals; only possible in the main thread, elsewhere nothing happens."""
    global _options, _pipe
    with _lock:
        if _options is not None or threading.current_thread() is not threading.main_thread():
            return
        if _pipe is None and options:
            _pipe = os.pipe()
            threading.Thread(target=_watch, args=(_pipe[0],), name="signals", daemon=True).start()
        for option, number in (
            (SignalHandlerOptions.SIGINT, signal.SIGINT),
            (SignalHandlerOptions.SIGTERM, signal.SIGTERM),
        ):
            if options & option:
                _previous[number] = signal.signal(number, _handle)
        _options = options


def uninstall_signal_handlers() -> None:
    """Give the signals back."""
    global _options
    with _lock:
        if _options is None or threading.current_thread() is not threading.main_thread():
            return
        for number, previous in _previous.items():
            if signal.getsignal(number) is _handle:
                signal.signal(number, signal.SIG_DFL if previous is None else previous)
        _previous.clear()
        _options = None


def get_current_signal_handlers_options() -> SignalHandlerOptions:
    """Return which signals are taken."""
    return SignalHandlerOptions.NO if _options is None else _options
