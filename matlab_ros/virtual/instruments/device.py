"""What every emulated device offers: a place in virtual time, and an answer to its wire."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

Send = Callable[[bytes], None]

MOMENT_TOLERANCE_S = 1e-6
"""A moment this close counts as reached: it travels as whole nanoseconds of ROS time, and a float
of seconds since 1970 is no finer than 0.2 microseconds."""


class EmulatedDevice(Protocol):
    """A device in virtual time. Thread-safe: the wire asks at any real moment, and is answered as
    of the last moment the device was advanced to."""

    def advance_to(self, t: float) -> None:
        """Act up to virtual second `t`: move, heat, finish, and say so on the wire. Earlier
        moments than the present are ignored."""

    def next_moment(self) -> float | None:
        """Virtual second of the next change that comes by itself; None when none will."""


class WireDevice(EmulatedDevice, Protocol):
    """A device at the end of a byte stream."""

    def receive(self, data: bytes) -> bytes:
        """Take bytes from the wire, in pieces as they come; returns what to answer at once."""

    def connect(self, send: Send) -> None:
        """Be given the way to say something unasked."""
