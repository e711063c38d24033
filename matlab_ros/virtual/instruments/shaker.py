"""Emulated crucible shaker: HTTP GET with JSON, a motor, and a powder that gets mixed."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

from matlab_ros.virtual.instruments.device import EmulatedDevice


class CrucibleShaker(EmulatedDevice):
    """The shaker in virtual time. `answer` goes into a `LoopbackServer`.

    Fault switch: `stuck` (the motor does not turn, and the firmware says so).

    Args:
        on_shaken: told the minutes for which the motor ran, when it stops. Called with the device
            locked.
    """

    def __init__(self, on_shaken: Callable[[float], None]) -> None:
        self._on_shaken = on_shaken
        self._lock = threading.RLock()
        self._now = 0.0
        self._since: float | None = None
        self.stuck = False

    def advance_to(self, t: float) -> None:
        """Shake on up to virtual second `t`."""
        with self._lock:
            self._now = max(self._now, t)

    def next_moment(self) -> float | None:
        """It never stops by itself."""
        return None

    def answer(self, heard: bytes) -> bytes | None:
        """The reply to a request; None while the request is not complete."""
        if b"\r\n\r\n" not in heard:
            return None
        path = heard.split(b" ", 2)[1] if heard.startswith(b"GET ") else b""
        with self._lock:
            if path == b"/start":
                ok = self._since is None and not self.stuck
                if ok:
                    self._since = self._now
            elif path == b"/stop":
                ok = self._since is not None
                if self._since is not None:
                    self._on_shaken((self._now - self._since) / 60.0)
                    self._since = None
            elif path == b"/state":
                ok = True
            else:
                return _reply(404, {"status": "error", "reason": "not found"})
            state = "STOPPED" if self._since is None else "RUNNING"
        return _reply(200, {"status": "success" if ok else "error", "state": state})


def _reply(code: int, content: dict[str, str]) -> bytes:
    body = json.dumps(content).encode()
    head = f"HTTP/1.1 {code} {'OK' if code == 200 else 'Not Found'}\r\n"
    return (
        f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    ).encode() + body
