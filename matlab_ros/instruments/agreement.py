"""Readings over wires that do not notice damage: what is said several times alike counts.

Protocols without a checksum carry a damaged digit as if it were sound. A reading is therefore asked
for until several are equal. One damaged byte in a hundred leaves two readings wrong in the same way
once in some thousand commands, three once in some million; on a sound wire it costs two more short
exchanges. Words far apart from each other (``RUNNING``, ``STOPPED``) need none of this.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from matlab_ros.instruments.transport import Deadline
from matlab_ros.model.faults import DeviceError, Fault, FaultCode

AGREEING = 3
"""How many readings must be equal."""
MOST_READINGS = 9
_FORGIVEN_IN_A_ROW = 1
_MAY_BE_DAMAGE = (
    FaultCode.DEVICE_UNREACHABLE,
    FaultCode.PROTOCOL_ERROR,
    FaultCode.DEADLINE_EXCEEDED,
)

T = TypeVar("T")


def agreed(
    read: Callable[[], T], *, who: str, what: str, within_s: float, times: int = AGREEING
) -> T:
    """What a reading says several times.

    Args:
        read: asks once. Errors that damage may have caused are forgiven once; others go through.
        who: the instrument, for people.
        what: is read, for people.
        within_s: steady seconds after which no further reading is begun.
        times: how many have to be equal.

    Raises:
        DeviceError: PROTOCOL_ERROR, they do not agree.
    """
    readings: list[T] = []
    failures_in_a_row = 0
    limit = Deadline(within_s)
    while len(readings) < MOST_READINGS and not (limit.over and readings):
        try:
            reading = read()
        except DeviceError as error:
            failures_in_a_row += 1
            gives_up = limit.over or failures_in_a_row > _FORGIVEN_IN_A_ROW
            if gives_up or error.fault.code not in _MAY_BE_DAMAGE:
                raise
            continue
        failures_in_a_row = 0
        readings.append(reading)
        if readings.count(reading) >= times:
            return reading
    raise DeviceError(
        Fault.of(
            FaultCode.PROTOCOL_ERROR,
            f"{who}: {len(readings)} readings of {what}, of which no {times} agree; check the "
            "line.",
        )
    )
