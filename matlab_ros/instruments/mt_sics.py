"""MT-SICS, the command language of Mettler Toledo balances: its lines and the weights in them.

Source: MT-SICS reference manual, levels 0 and 1. One line is one answer, ended by CR LF; weights
come with their unit, which is gram unless somebody changed the balance's host unit.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import Enum

from matlab_ros.instruments.transport import Transport
from matlab_ros.model.faults import DeviceError, Fault, FaultCode

MAX_LINE_BYTES = 65536
"""A longer line is noise; a dosing head's data are a few kilobytes."""

_MG_PER_UNIT = {"g": 1e3, "mg": 1.0, "kg": 1e6, "ug": 1e-3}
_NUMBER = re.compile(r"[+-]?\d{1,12}(\.\d{0,9})?")


class WeightState(Enum):
    """What the balance says about a weight."""

    STABLE = "S"
    DYNAMIC = "D"
    BUSY = "I"
    """Understood, not executable at the moment: another command, or no stability in time."""
    OVERLOAD = "+"
    UNDERLOAD = "-"


@dataclass(frozen=True)
class Weight:
    """One answer of the balance.

    Attributes:
        state: what it is worth.
        mass_mg: net of the tare; NaN unless stable or dynamic.
    """

    state: WeightState
    mass_mg: float

    @property
    def stable(self) -> bool:
        """Whether the mass is to be believed."""
        return self.state is WeightState.STABLE


def parse_weight(line: str, command: str) -> Weight | None:
    """A weight in the answer to `command` (``S``, ``SI``, ``T``, ``TI``).

    Returns:
        The weight; None where the line is not a well-formed answer to that command.
    """
    words = line.split()
    if len(words) < 2 or words[0] != command:
        return None
    try:
        state = WeightState(words[1])
    except ValueError:
        return None
    if state not in (WeightState.STABLE, WeightState.DYNAMIC):
        return Weight(state, math.nan) if len(words) == 2 else None
    if len(words) != 4 or words[3] not in _MG_PER_UNIT or not _NUMBER.fullmatch(words[2]):
        return None
    return Weight(state, float(words[2]) * _MG_PER_UNIT[words[3]])


class LineReader:
    """Cuts what comes from a transport into lines.

    Bytes that are no text are kept as replacement characters, so they spoil their own line only.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._rest = b""
        self._lines: list[str] = []

    def clear(self) -> None:
        """Forget unread lines and a half line."""
        self._rest = b""
        self._lines.clear()

    def next_line(self, wait_s: float) -> str | None:
        """The next whole line without its end, waiting at most `wait_s` for bytes.

        One call waits once: None means no whole line yet.

        Raises:
            DeviceError: DEVICE_UNREACHABLE, or PROTOCOL_ERROR for a line without an end.
        """
        if self._lines:
            return self._lines.pop(0)
        data = self._transport.read(wait_s)
        if not data:
            if self._transport.ended:
                self._transport.close()
                raise DeviceError(
                    Fault.of(
                        FaultCode.DEVICE_UNREACHABLE,
                        f"{self._transport.name}: the other side closed the connection.",
                    )
                )
            return None
        *whole, self._rest = re.split(rb"\r\n|\n|\r(?=[^\n])", self._rest + data)
        self._lines += [
            line.decode("latin-1").strip("\x00\r") for line in whole if line.strip(b"\x00\r ")
        ]
        if len(self._rest) > MAX_LINE_BYTES:
            self._rest = b""
            raise DeviceError(
                Fault.of(
                    FaultCode.PROTOCOL_ERROR,
                    f"{self._transport.name}: more than {MAX_LINE_BYTES} bytes without a line end; "
                    "check that a balance is at the other end.",
                )
            )
        return self._lines.pop(0) if self._lines else None
