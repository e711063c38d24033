"""Crucible capper of the A-Lab: a gripper for caps behind an Arduino that answers HTTP GET.

Paths ``/open``, ``/close`` and ``/state``, as in A-Lab's published firmware (alab_control, capper),
whose state words are ``open`` and ``close``.
"""

from __future__ import annotations

from enum import Enum

from matlab_ros.instruments.http_json import HttpJson
from matlab_ros.instruments.transport import Transport


class CapperState(Enum):
    """What the gripper does; the words of the firmware."""

    OPEN = "open"
    CLOSED = "close"


class Capper:
    """Driver of the capper. The servo moves within a second and nothing measures where it is.

    Args:
        transport: a TCP transport to the Arduino's web server.
        deadline_s: steady seconds for one exchange.
    """

    def __init__(self, transport: Transport, *, deadline_s: float = 2.0) -> None:
        self._server = HttpJson(transport, "capper", deadline_s=deadline_s)

    @property
    def name(self) -> str:
        """Its address, for people."""
        return self._server.name

    def close(self) -> None:
        """Give the wire back. The gripper stays as it is."""
        self._server.close()

    def read_state(self) -> CapperState:
        """What the gripper was last told.

        Raises:
            DeviceError: no contact, or an answer that makes no sense.
        """
        return self._server.state(CapperState)

    def release(self) -> None:
        """Open the gripper: a cap that it holds is let go. Safe to repeat.

        Raises:
            DeviceError: no contact, or it did not take the order.
        """
        self._server.order("/open", CapperState.OPEN, self.read_state)

    def grip(self) -> None:
        """Close the gripper around a cap. Safe to repeat.

        Raises:
            DeviceError: no contact, or it did not take the order.
        """
        self._server.order("/close", CapperState.CLOSED, self.read_state)
