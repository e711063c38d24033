"""Points in time of one clock, in nanoseconds."""

from __future__ import annotations

from typing import Any

from ..idl import load
from .clock_type import ClockType
from .constants import S_TO_NS
from .duration import Duration

_INT64_MAX = 2**63 - 1


class Time:
    """A point in time of one kind of clock; points of different kinds do not compare."""

    __slots__ = ("_clock_type", "_nanoseconds")

    def __init__(
        self,
        *,
        seconds: float = 0,
        nanoseconds: int = 0,
        clock_type: ClockType = ClockType.SYSTEM_TIME,
    ) -> None:
        if not isinstance(clock_type, ClockType):
            raise TypeError("Clock type must be a ClockType enum")
        if seconds < 0:
            raise ValueError("Seconds value must not be negative")
        if nanoseconds < 0:
            raise ValueError("Nanoseconds value must not be negative")
        total = int(seconds * S_TO_NS) + int(nanoseconds)
        if total > _INT64_MAX:
            raise OverflowError("Total nanoseconds value is too large to store in C time point.")
        self._nanoseconds = total
        self._clock_type = clock_type

    @property
    def nanoseconds(self) -> int:
        """Nanoseconds since the clock's zero."""
        return self._nanoseconds

    @property
    def clock_type(self) -> ClockType:
        """The clock it was read from."""
        return self._clock_type

    def seconds_nanoseconds(self) -> tuple[int, int]:
        """Return whole seconds and the nanoseconds beyond."""
        return divmod(self._nanoseconds, S_TO_NS)

    def to_msg(self) -> Any:
        """Return it as ``builtin_interfaces/msg/Time``."""
        seconds, nanoseconds = divmod(self._nanoseconds, S_TO_NS)
        return load("builtin_interfaces/msg/Time")(sec=seconds, nanosec=nanoseconds)

    @classmethod
    def from_msg(cls, msg: Any, clock_type: ClockType = ClockType.ROS_TIME) -> Time:
        """Read a ``builtin_interfaces/msg/Time``."""
        return cls(seconds=msg.sec, nanoseconds=msg.nanosec, clock_type=clock_type)

    def __repr__(self) -> str:
        return f"Time(nanoseconds={self._nanoseconds}, clock_type={self._clock_type.name})"

    def __add__(self, other: Duration) -> Time:
        if not isinstance(other, Duration):
            return NotImplemented
        try:
            return Time(
                nanoseconds=self._nanoseconds + other.nanoseconds, clock_type=self._clock_type
            )
        except OverflowError as error:
            raise OverflowError("Addition leads to overflow in C storage.") from error

    __radd__ = __add__

    def __sub__(self, other: Time | Duration) -> Any:
        if isinstance(other, Time):
            self._same_clock(other, "subtract times")
            return Duration(nanoseconds=self._nanoseconds - other._nanoseconds)
        if isinstance(other, Duration):
            try:
                return Time(
                    nanoseconds=self._nanoseconds - other.nanoseconds,
                    clock_type=self._clock_type,
                )
            except ValueError as error:
                raise ValueError("Subtraction leads to negative time") from error
        return NotImplemented

    def _same_clock(self, other: Time, what: str) -> None:
        if self._clock_type != other._clock_type:
            raise TypeError(f"Can't {what} with different clock types")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Time):
            return NotImplemented
        self._same_clock(other, "compare times")
        return self._nanoseconds == other._nanoseconds

    def __hash__(self) -> int:
        return hash((self._nanoseconds, self._clock_type))

    def __lt__(self, other: Time) -> bool:
        if not isinstance(other, Time):
            return NotImplemented
        self._same_clock(other, "compare times")
        return self._nanoseconds < other._nanoseconds

    def __le__(self, other: Time) -> bool:
        if not isinstance(other, Time):
            return NotImplemented
        self._same_clock(other, "compare times")
        return self._nanoseconds <= other._nanoseconds

    def __gt__(self, other: Time) -> bool:
        if not isinstance(other, Time):
            return NotImplemented
        self._same_clock(other, "compare times")
        return self._nanoseconds > other._nanoseconds

    def __ge__(self, other: Time) -> bool:
        if not isinstance(other, Time):
            return NotImplemented
        self._same_clock(other, "compare times")
        return self._nanoseconds >= other._nanoseconds
