"""How Modbus requests and replies look on a wire: RTU with a checksum, TCP with a number.

Source: MODBUS over Serial Line V1.02 and MODBUS Messaging on TCP/IP V1.0b.
"""

from __future__ import annotations

import struct
from typing import Protocol

from pymodbus.framer import FramerRTU

EXCEPTION_BIT = 0x80
_EXCEPTION_PDU = 2


class Framing(Protocol):
    """Puts protocol data units (function code and data) into frames, and finds replies."""

    @property
    def checked(self) -> bool:
        """Whether a damaged frame is noticed by itself."""

    @property
    def numbered(self) -> bool:
        """Whether a late reply is told from the awaited one."""

    def frame(self, unit: int, pdu: bytes) -> bytes:
        """The frame of a request to `unit`; the reply to it is what `find` looks for next."""

    def find(self, heard: bytes, unit: int, function: int, size: int) -> bytes | None:
        """The first valid reply among bytes that may hold garbage before and after it.

        Args:
            heard: everything since the request was sent.
            unit: that must have sent it.
            function: code of the request.
            size: of the reply's protocol data unit if it is no exception, bytes.

        Returns:
            The reply's protocol data unit; None while there is none.
        """


class RtuFraming:
    """Frames of a serial line: unit, data, checksum."""

    checked = True
    numbered = False

    def frame(self, unit: int, pdu: bytes) -> bytes:
        body = bytes([unit]) + pdu
        return body + FramerRTU.compute_CRC(body).to_bytes(2, "big")

    def find(self, heard: bytes, unit: int, function: int, size: int) -> bytes | None:
        for start in range(len(heard) - _EXCEPTION_PDU - 2):
            if heard[start] != unit:
                continue
            body = _body_size(heard[start + 1], function, size)
            end = start + 1 + body
            if body == 0 or end + 2 > len(heard):
                continue
            checksum = int.from_bytes(heard[end : end + 2], "big")
            if FramerRTU.compute_CRC(heard[start:end]) == checksum:
                return heard[start + 1 : end]
        return None


class TcpFraming:
    """Frames of Modbus TCP: transaction number, length, unit, data; what is between two devices
    that convert to a serial line is not protected."""

    checked = False
    numbered = True

    def __init__(self) -> None:
        self._number = 0

    def frame(self, unit: int, pdu: bytes) -> bytes:
        self._number = (self._number + 1) & 0xFFFF
        return struct.pack(">HHHB", self._number, 0, len(pdu) + 1, unit) + pdu

    def find(self, heard: bytes, unit: int, function: int, size: int) -> bytes | None:
        for start in range(len(heard) - 7):
            number, protocol, length, sender = struct.unpack_from(">HHHB", heard, start)
            body = _body_size(heard[start + 7], function, size)
            if (number, protocol, length, sender) != (self._number, 0, body + 1, unit):
                continue
            end = start + 7 + body
            if body and end <= len(heard):
                return heard[start + 7 : end]
        return None


def _body_size(seen: int, function: int, size: int) -> int:
    """Bytes of the data unit that begins with the code `seen`; 0 where it is no reply to it."""
    if seen == function:
        return size
    return _EXCEPTION_PDU if seen == function | EXCEPTION_BIT else 0
