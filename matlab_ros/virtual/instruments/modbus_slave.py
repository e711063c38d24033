"""The answering side of Modbus RTU: frames, checksum, exceptions; registers are somebody else's.

Source: MODBUS Application Protocol V1.1b3 and MODBUS over Serial Line V1.02.
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


class ModbusSlave:
    """Takes bytes, finds requests for its unit and answers them from two functions.

    Args:
        unit: its address; requests to others are not answered, unit 0 (all) is obeyed in silence.
        read: value of a register, 0 to 65535; raises Refused.
        write: puts the values of consecutive registers; raises Refused.
    """

    def __init__(
        self,
        unit: int,
        read: Callable[[int], int],
        write: Callable[[int, Sequence[int]], None],
    ) -> None:
        self._unit = unit
        self._read = read
        self._write = write
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
        try:
            body = self._perform(function, frame[2:])
        except Refused as refusal:
            body = bytes([function | 0x80, refusal.code])
        if unit == 0:
            return b""
        reply = bytes([unit]) + body
        return reply + crc16(reply)

    def _perform(self, function: int, body: bytes) -> bytes:
        address, number = struct.unpack(">HH", body[:4])
        if function in (3, 4):
            if not 1 <= number <= 125:
                raise Refused(ILLEGAL_VALUE)
            values = [self._read(address + k) for k in range(number)]
            return bytes([function, 2 * number]) + struct.pack(f">{number}H", *values)
        if function == 6:
            self._write(address, [number])
            return bytes([function]) + body
        if function == 8:
            return bytes([function]) + body
        if not 1 <= number <= 123 or body[4] != 2 * number:
            raise Refused(ILLEGAL_VALUE)
        self._write(address, struct.unpack(f">{number}H", body[5:]))
        return bytes([function]) + body[:4]


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
