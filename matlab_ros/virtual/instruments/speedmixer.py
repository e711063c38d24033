"""An emulated Hauschild SpeedMixer DAC 400: a motor with ramps behind frames of decimal digits.

Frames and codes as in A-Lab's published driver. Assumed: it is ready after it has found its zero,
which takes 12 s; setting while it runs is refused as "still running"; a value out of range as "no
valid code".
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable

from matlab_ros.virtual.instruments.device import MOMENT_TOLERANCE_S, Send

_COMMAND = re.compile(rb"\x04([\x20\x21])\x02(\d{2})(\d{5})\x03\x05", re.DOTALL)
_HOME, _START, _STOP, _UP, _DOWN, _SPEED = 9, 11, 12, 14, 15, 16
_READY, _RUNNING, _ERROR = 18, 19, 20
_LIMITS = {_UP: (5, 30), _DOWN: (5, 30), _SPEED: (0, 2500)}
_NO_CODE, _STILL_RUNNING = 2, 3
_WRITE = b"\x21"
HOME_S = 12.0


class SpeedMixer:
    """The mixer in virtual time.

    Fault switch: `fail` (the motor stops at once with an error).

    Args:
        on_mixed: told minutes and revolutions per minute when the motor has come to rest. Called
            with the device locked.
    """

    def __init__(self, on_mixed: Callable[[float, int], None] = lambda minutes, rpm: None) -> None:
        self._on_mixed = on_mixed
        self._lock = threading.RLock()
        self._now = 0.0
        self._heard = b""
        self._settings = {_UP: 10, _DOWN: 10, _SPEED: 0}
        self._ready = False
        self._homing_ends: float | None = None
        self._since: float | None = None
        self._rests: float | None = None
        self._error = 0

    def connect(self, send: Send) -> None:
        """It never speaks first."""

    def advance_to(self, t: float) -> None:
        """Turn on up to virtual second `t`."""
        with self._lock:
            self._now = max(self._now, t)
            if self._homing_ends is not None and self._reached(self._homing_ends):
                self._homing_ends, self._ready = None, True
            if self._rests is not None and self._reached(self._rests):
                self._come_to_rest(self._rests)

    def next_moment(self) -> float | None:
        """When it has found its zero, or comes to rest."""
        with self._lock:
            moments = [t for t in (self._homing_ends, self._rests) if t is not None]
            return min(moments, default=None)

    def fail(self, error: int = 7) -> None:
        """The motor stops at once; nothing goes until the error is cleared."""
        with self._lock:
            self._error = error
            if self._since is not None:
                self._come_to_rest(self._now)
            self._homing_ends, self._ready = None, False

    @property
    def is_running(self) -> bool:
        """Whether the motor turns."""
        with self._lock:
            return self._since is not None

    def receive(self, data: bytes) -> bytes:
        """Answer whole commands as of the present moment."""
        with self._lock:
            self._heard += data
            answers = b""
            while found := _COMMAND.search(self._heard):
                self._heard = self._heard[found.end() :]
                code, value = int(found[2]), int(found[3])
                answers += self._write(code, value) if found[1] == _WRITE else self._read(code)
            self._heard = self._heard[-32:]
            return answers

    def _reached(self, moment: float) -> bool:
        return self._now >= moment - MOMENT_TOLERANCE_S

    def _come_to_rest(self, t: float) -> None:
        assert self._since is not None
        self._on_mixed((t - self._since) / 60.0, self._settings[_SPEED])
        self._since = self._rests = None

    def _read(self, code: int) -> bytes:
        busy = self._since is not None or self._homing_ends is not None
        values = {
            **self._settings,
            _READY: int(self._ready and not busy),
            _RUNNING: int(busy),
            _ERROR: self._error,
        }
        if code not in values:
            return _answer(0, _NO_CODE)
        return _answer(code, values[code])

    def _write(self, code: int, value: int) -> bytes:
        busy = self._since is not None or self._homing_ends is not None
        if code == _ERROR and value == 1:
            self._error = 0
            return _answer(code, 1)
        if code == _STOP and value == 1:
            if self._since is not None and self._rests is None:
                self._rests = self._now + self._settings[_DOWN]
            return _answer(code, 1)
        if code in (_HOME, _START) and value == 1:
            if busy:
                return _answer(0, _STILL_RUNNING)
            if self._error or (code == _START and not self._ready):
                return _answer(code, 0)
            if code == _HOME:
                self._ready, self._homing_ends = False, self._now + HOME_S
            else:
                self._since = self._now
            return _answer(code, 1)
        low, high = _LIMITS.get(code, (1, 0))
        if not low <= value <= high:
            return _answer(0, _NO_CODE)
        if busy:
            return _answer(0, _STILL_RUNNING)
        self._settings[code] = value
        return _answer(code, value)


def _answer(code: int, value: int) -> bytes:
    return b"\x02" + f"{code:02d}{value:08d}".encode() + b"\x03"
