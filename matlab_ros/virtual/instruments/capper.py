"""Emulated crucible capper: HTTP GET with JSON, and a servo that moves at once.

Source: A-Lab's published firmware (capper): its answers carry no length and end with the
connection.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable


class CrucibleCapper:
    """The capper in virtual time. `answer` goes into a `LoopbackServer`.

    Args:
        on_moved: told whether the gripper is closed now. Called with the device locked.
    """

    def __init__(self, on_moved: Callable[[bool], None] = lambda closed: None) -> None:
        self._on_moved = on_moved
        self._lock = threading.RLock()
        self.closed = False

    def advance_to(self, t: float) -> None:
        """Nothing here takes time."""

    def next_moment(self) -> float | None:
        """It never moves by itself."""
        return None

    def answer(self, heard: bytes) -> bytes | None:
        """The reply to a request; None while the request is not complete."""
        if b"\r\n\r\n" not in heard:
            return None
        words = heard.split(b" ", 2)
        path = words[1] if words[0] == b"GET" and len(words) == 3 else b""
        with self._lock:
            if path == b"/state":
                state = "close" if self.closed else "open"
                return _reply("200 OK", {"status": "success", "state": state})
            if path not in (b"/open", b"/close"):
                content = {"status": "error", "reason": "Requested endpoint not found."}
                return _reply("404 Not Found", content)
            wanted = path == b"/close"
            if wanted is self.closed:
                word = "closed" if wanted else "open"
                return _reply(
                    "200 OK", {"status": "success", "reason": f"The capper is already {word}."}
                )
            self.closed = wanted
            self._on_moved(wanted)
            return _reply("200 OK", {"status": "success"})


def _reply(status: str, content: dict[str, str]) -> bytes:
    head = f"HTTP/1.0 {status}\r\nContent-Type: application/json\r\n\r\n"
    return head.encode() + json.dumps(content, separators=(",", ":")).encode()
