"""The answering side of Modbus, RTU and TCP: frames and exceptions; registers are somebody else's.

Source: MODBUS Application Protocol V1.1b3, MODBUS over Serial Line V1.02 and MODBUS Messaging on
TCP/IP V1.0b.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Sequence

ILLEGAL_FUNCTION = 1
ILLEGAL_ADDRESS = 2
ILLEGAL_VALUE = 3
DEVICE_FAILURE = 4

_FRAME_GAP_S = 0.1
"""Real seconds after which half a frame is forgotten; far above 3.5 characters, because the
operating system delivers a pseudo-terminal's bytes when it likes."""


class Refused(Exception):
    """A register's owner does not want this; becomes a Modbus exception.

    Attributes:
        code: of the exception.
    """

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(f"Modbus exception {code}")


class Registers:
    """Carries out requests on registers that are somebody else's.

    Args:
        read: value of a register, 0 to 65535; raises Refused.
        write: puts the values of consecutive registers; raises Refused.
    """

    def __init__(
        self, read: Callable[[int], int], write: Callable[[int, Sequence[int]], None]
    ) -> None:
        self.read = read
        self.write = write

    def answer(self, function: int, body: bytes) -> bytes:
        """The reply to a request, both without unit and checksum: its code and data."""
        try:
            return self._perform(function, body)
        except Refused as refusal:
            return bytes([function | 0x80, refusal.code])

    def _perform(self, function: int, body: bytes) -> bytes:
        if function not in (3, 4, 6, 8, 16):
            raise Refused(ILLEGAL_FUNCTION)
        address, number = struct.unpack(">HH", body[:4])
        if function in (3, 4):
            if not 1 <= number <= 125:
                raise Refused(ILLEGAL_VALUE)
            values = [self.read(address + k) for k in range(number)]
            return bytes([function, 2 * number]) + struct.pack(f">{number}H", *values)
        if function == 6:
            self.write(address, [number])
            return bytes([function]) + body[:4]
        if function == 8:
            return bytes([function]) + body
        if not 1 <= number <= 123 or body[4] != 2 * number:
            raise Refused(ILLEGAL_VALUE)
        self.write(address, struct.unpack(f">{number}H", body[5:]))
        return bytes([function]) + body[:4]


class ModbusSlave:
    """Modbus RTU: takes bytes, finds requests for its unit and answers them.

    Args:
        unit: its address; requests to others are not answered, unit 0 (all) is obeyed in silence.
        read: see `Registers`.
        write: see `Registers`.
    """

    def __init__(
        self,
        unit: int,
        read: Callable[[int], int],
        write: Callable[[int, Sequence[int]], None],
    ) -> None:
        self._unit = unit
        self.registers = Registers(read, write)
        self._heard = b""
        self._heard_at = 0.0

    def receive(self, data: bytes) -> bytes:
        """Take bytes; returns the answers to the requests that are complete now."""
        now = time.monotonic()
        if now - self._heard_at > _FRAME_GAP_S:
            self._heard = b""
        self._heard_at = now
        self._heard += data
        answers = b""
        while (size := _request_size(self._heard)) is not None and len(self._heard) >= size:
            if size == 0 or crc16(self._heard[: size - 2]) != self._heard[size - 2 : size]:
                # Not a frame: look for one that begins later.
                self._heard = self._heard[1:]
                continue
            frame, self._heard = self._heard[: size - 2], self._heard[size:]
            answers += self._serve(frame)
        return answers

    def _serve(self, frame: bytes) -> bytes:
        unit, function = frame[0], frame[1]
        if unit not in (0, self._unit):
            return b""
        reply = bytes([unit]) + self.registers.answer(function, frame[2:])
        return b"" if unit == 0 else reply + crc16(reply)


class ModbusTcpSession:
    """Modbus TCP: one connection to a unit.

    Args:
        unit: its address; requests to others are not answered.
        registers: that it shows.
    """

    greeting = b""
    over = False

    def __init__(self, unit: int, registers: Registers) -> None:
        self._unit = unit
        self._registers = registers
        self._heard = b""

    def receive(self, data: bytes) -> bytes:
        """Take bytes; returns the answers to the requests that are complete now."""
        self._heard += data
        answers = b""
        while len(self._heard) >= 8:
            number, protocol, length, unit = struct.unpack_from(">HHHB", self._heard)
            if protocol != 0 or not 2 <= length <= 254:
                # The stream is out of step; it does not find back by itself.
                self._heard = b""
                break
            if len(self._heard) < 6 + length:
                break
            pdu, self._heard = self._heard[7 : 6 + length], self._heard[6 + length :]
            if unit == self._unit:
                answers += self._serve(number, pdu)
        return answers

    def _serve(self, number: int, pdu: bytes) -> bytes:
        size = {3: 5, 4: 5, 6: 5, 8: 5}.get(pdu[0])
        if pdu[0] == 16:
            size = 6 + pdu[5] if len(pdu) > 5 else 6
        if size is not None and len(pdu) != size:
            reply = bytes([pdu[0] | 0x80, ILLEGAL_VALUE])
        else:
            reply = self._registers.answer(pdu[0], pdu[1:])
        return struct.pack(">HHHB", number, 0, len(reply) + 1, self._unit) + reply


def _request_size(heard: bytes) -> int | None:
    """Bytes of the request that begins here; None while unknown, 0 where none can begin."""
    if len(heard) < 2:
        return None
    if heard[1] in (3, 4, 6, 8):
        return 8
    if heard[1] == 16:
        return 9 + heard[6] if len(heard) > 6 else None
    return 0


def crc16(data: bytes) -> bytes:
    """Checksum of a Modbus RTU frame, low byte first."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return struct.pack("<H", crc)
