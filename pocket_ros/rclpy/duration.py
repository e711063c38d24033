"""Lengths of time, in nanoseconds."""

from __future__ import annotations

from typing import Any

from ..idl import load
from .constants import S_TO_NS

_INT64_MAX = 2**63 - 1
_INT64_MIN = -(2**63)


class Duration:
    """A length of time; positive, zero or negative, within 64 bits of nanoseconds."""

    __slots__ = ("_nanoseconds",)

    def __init__(self, *, seconds: float = 0, nanoseconds: int = 0) -> None:
        total = int(seconds * S_TO_NS) + int(nanoseconds)
        if not _INT64_MIN <= total <= _INT64_MAX:
            raise OverflowError("Total nanoseconds value is too large to store in C duration.")
        self._nanoseconds = total

    @property
    def nanoseconds(self) -> int:
        """The whole length in nanoseconds."""
        return self._nanoseconds

    def to_msg(self) -> Any:
        """Return it as ``builtin_interfaces/msg/Duration``."""
        seconds, nanoseconds = divmod(self._nanoseconds, S_TO_NS)
        return load("builtin_interfaces/msg/Duration")(sec=seconds, nanosec=nanoseconds)

    @classmethod
    def from_msg(cls, msg: Any) -> Duration:
        """Read a ``builtin_interfaces/msg/Duration``."""
        return cls(nanoseconds=msg.sec * S_TO_NS + msg.nanosec)

    def __repr__(self) -> str:
        return f"Duration(nanoseconds={self._nanoseconds})"

    def __str__(self) -> str:
        return "Infinite" if self == Infinite else f"{self._nanoseconds} nanoseconds"

    def __hash__(self) -> int:
        return hash(self._nanoseconds)

    def __eq__(self, other: object) -> bool:
        return (
            self._nanoseconds == other._nanoseconds
            if isinstance(other, Duration)
            else NotImplemented
        )

    def __lt__(self, other: Duration) -> bool:
        return (
            self._nanoseconds < other._nanoseconds
            if isinstance(other, Duration)
            else NotImplemented
        )

    def __le__(self, other: Duration) -> bool:
        return (
            self._nanoseconds <= other._nanoseconds
            if isinstance(other, Duration)
            else NotImplemented
        )

    def __gt__(self, other: Duration) -> bool:
        return (
            self._nanoseconds > other._nanoseconds
            if isinstance(other, Duration)
            else NotImplemented
        )

    def __ge__(self, other: Duration) -> bool:
        return (
            self._nanoseconds >= other._nanoseconds
            if isinstance(other, Duration)
            else NotImplemented
        )


Infinite = Duration(seconds=9223372036, nanoseconds=854775807)
"""What DDS and ROS take for "never"."""
