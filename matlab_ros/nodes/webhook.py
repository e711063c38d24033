"""Telling a web server of alerts: in a thread of its own, so that no server can disturb the lab."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlparse

from matlab_ros.model.errors import ConfigError

TRIES = 3
"""For each alert."""
TIMEOUT_S = 5.0
"""Steady seconds that a server has for each step of one try."""
WAIT_S = 1.0
"""Before the second try; twice as long before each further one."""
KEPT = 100
"""Alerts that wait at most; older ones are dropped for newer ones."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A POST that is redirected arrives as something else: it counts as a failure."""

    def redirect_request(self, *_: Any) -> None:
        """See `urllib.request.HTTPRedirectHandler`."""
        return


@dataclass(frozen=True)
class WebhookSettings:
    """Bounds of what the webhook does."""

    tries: int = TRIES
    timeout_s: float = TIMEOUT_S
    wait_s: float = WAIT_S
    kept: int = KEPT


class Webhook:
    """Posts JSON objects to a URL, one after the other.

    Args:
        url: http or https.
        complain: told of failures, once for each outage.
        settings: bounds.

    Raises:
        ConfigError: the URL is of another kind.
    """

    def __init__(
        self,
        url: str,
        complain: Callable[[str], None],
        settings: WebhookSettings | None = None,
    ) -> None:
        parts = urlparse(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(
                "parameters", "alert_webhook", f"is {url!r}", "an http:// or https:// address"
            )
        self._url = url
        self._where = parts.hostname
        self._complain = complain
        self._settings = settings or WebhookSettings()
        self._opener = urllib.request.build_opener(_NoRedirect())
        self._waiting: deque[bytes] = deque(maxlen=self._settings.kept)
        self._condition = threading.Condition()
        self._is_closed = False
        self._is_failing = False
        self.delivered = 0
        self.dropped = 0
        """Alerts that no try could deliver, or that newer ones pushed out."""
        self._thread = threading.Thread(target=self._run, name="webhook", daemon=True)
        self._thread.start()

    def post(self, fields: Mapping[str, Any]) -> None:
        """Have an object delivered; returns at once."""
        body = json.dumps(dict(fields)).encode()
        with self._condition:
            if len(self._waiting) == self._settings.kept:
                self.dropped += 1
            self._waiting.append(body)
            self._condition.notify_all()

    def _run(self) -> None:
        while True:
            with self._condition:
                while not self._waiting and not self._is_closed:
                    self._condition.wait()
                if not self._waiting:
                    return
                body = self._waiting.popleft()
            self._deliver(body)

    def _deliver(self, body: bytes) -> None:
        problem, wait_s = "", self._settings.wait_s
        for number in range(self._settings.tries):
            if number:
                with self._condition:
                    if self._condition.wait_for(lambda: self._is_closed, wait_s):
                        break
                wait_s *= 2
            problem = self._try(body)
            if not problem:
                self.delivered += 1
                self._is_failing = False
                return
        self.dropped += 1
        if not self._is_failing:
            self._is_failing = True
            self._complain(f"An alert could not be sent to {self._where}: {problem}")

    def _try(self, body: bytes) -> str:
        """One try; why it failed, empty on success."""
        request = urllib.request.Request(
            self._url, data=body, headers={"Content-Type": "application/json"}, method="POST"
        )
        try:
            with self._opener.open(request, timeout=self._settings.timeout_s):
                return ""
        except urllib.error.HTTPError as error:
            with error:
                return f"it answered {error.code}"
        except Exception as error:
            # Whatever a server does, it must not end this thread.
            return str(error) or type(error).__name__

    def close(self, patience_s: float = 1.0) -> None:
        """Deliver what waits if that is quick, then end; a server that hangs is left alone."""
        until = time.monotonic() + patience_s
        with self._condition:
            self._is_closed = True
            self._condition.notify_all()
        self._thread.join(max(0.0, until - time.monotonic()))
