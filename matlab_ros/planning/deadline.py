"""When a search gives what it has: a backstop, or somebody who no longer wants the answer."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Deadline:
    """When a search gives what it has.

    What is found before it depends on the speed of the computer, so it stands far above the time
    that a suggestion usually takes: a suggestion that was not cut short is the same on all.

    Attributes:
        at: steady time, in seconds; None: never.
        unwanted: set when nobody wants the answer any more; None: always wanted.
    """

    at: float | None = None
    unwanted: threading.Event | None = None

    @classmethod
    def after(cls, seconds: float | None, unwanted: threading.Event | None = None) -> Deadline:
        """So many seconds from now; None: never."""
        return cls(None if seconds is None else time.monotonic() + seconds, unwanted)

    @property
    def is_over(self) -> bool:
        """Whether it is time."""
        if self.unwanted is not None and self.unwanted.is_set():
            return True
        return self.at is not None and time.monotonic() >= self.at


NEVER = Deadline()
