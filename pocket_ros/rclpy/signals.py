"""SIGINT and SIGTERM shut the contexts down.

A handler may interrupt the main thread anywhere, even where it holds a lock that shutdown needs.
So a thread does the work, which reads a pipe. The interpreter itself writes the signal's number
there: a handler in Python would never run where the signal comes just before the main thread
begins to wait for a lock.
"""

from __future__ import annotations

import os
import signal
import sys
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
_previous_wakeup = -1

# No signal has this number.
_SHUT_DOWN = 0


def _watch(descriptor: int) -> None:
    while read := os.read(descriptor, 1):
        number = read[0]
        # The interpreter writes all signals here, also those that others have taken since.
        if number == _SHUT_DOWN or signal.getsignal(number) is _handle:
            shut_down_all()


def _take_wakeup(descriptor: int) -> int:
    """Let the interpreter write signals to ``descriptor``; return where it did before."""
    return signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)


def _was_written(number: int, descriptor: int) -> bool:
    """Return whether the thread knows of a signal already; asyncio's loops take the pipe away."""
    if sys.platform == "win32" or signal.getsignal(number) is not _handle:
        return False
    current = _take_wakeup(descriptor)
    if current != descriptor:
        _take_wakeup(current)
    return current == descriptor


def _handle(number: int, frame: FrameType | None) -> None:
    if _pipe is not None and not _was_written(number, _pipe[1]):
        os.write(_pipe[1], bytes([_SHUT_DOWN]))
    previous = _previous.get(number)
    if callable(previous):
        previous(number, frame)


def install_signal_handlers(options: SignalHandlerOptions = SignalHandlerOptions.ALL) -> None:
    """Take signals; only possible in the main thread, elsewhere nothing happens."""
    global _options, _pipe, _previous_wakeup
    with _lock:
        if _options is not None or threading.current_thread() is not threading.main_thread():
            return
        if _pipe is None and options:
            _pipe = os.pipe()
            if sys.platform != "win32":
                os.set_blocking(_pipe[1], False)
            threading.Thread(target=_watch, args=(_pipe[0],), name="signals", daemon=True).start()
        for option, number in (
            (SignalHandlerOptions.SIGINT, signal.SIGINT),
            (SignalHandlerOptions.SIGTERM, signal.SIGTERM),
        ):
            if options & option:
                _previous[number] = signal.signal(number, _handle)
        if _pipe is not None and _previous and sys.platform != "win32":
            _previous_wakeup = _take_wakeup(_pipe[1])
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
        if _pipe is not None and _previous and sys.platform != "win32":
            current = _take_wakeup(_previous_wakeup)
            if current != _pipe[1]:
                _take_wakeup(current)
        _previous.clear()
        _options = None


def get_current_signal_handlers_options() -> SignalHandlerOptions:
    """Return which signals are taken."""
    return SignalHandlerOptions.NO if _options is None else _options
