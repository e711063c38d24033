"""A Modbus RTU master over any transport: short exchanges with steady-time deadlines."""

from __future__ import annotations

import logging
import struct
import threading
import time
from collections.abc import Sequence

from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU, ModbusPDU
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    WriteMultipleRegistersRequest,
    WriteSingleRegisterRequest,
)

from matlab_ros.instruments.transport import Deadline, Transport
from matlab_ros.model.faults import DeviceError, Fault, FaultCode

_LOG = logging.getLogger(__name__)

_EXCEPTION_BIT = 0x80
_EXCEPTION_FRAME = 5
_LATE_REPLY_S = 0.05
"""How long the line must be silent after a failed exchange: Modbus RTU replies carry no number,
so a late one would pass for the answer to the next request."""

EXCEPTION_WORDS = {
    1: "illegal function",
    2: "illegal register address",
    3: "illegal value",
    4: "device failure",
    5: "accepted, still working on it",
    6: "device busy",
}
"""Modbus Application Protocol V1.1b3, section 7."""


class ModbusRefusal(DeviceError):
    """The device answered with an exception: it understood and did not do it.

    Attributes:
        exception_code: of Modbus; see `EXCEPTION_WORDS`.
    """

    def __init__(self, fault: Fault, exception_code: int) -> None:
        self.exception_code = exception_code
        super().__init__(fault)


class ModbusMaster:
    """Reads and writes holding registers of one unit.

    Reads, and writes of values that may be written twice, are tried again when no valid reply
    came; `once` says that a write must not be. Thread-safe.

    Args:
        transport: the wire; it is opened when needed.
        unit: address of the device, 1 to 247.
        deadline_s: steady seconds for one request and its reply.
        tries: how often a repeatable request is sent before it counts as failed.
    """

    def __init__(
        self, transport: Transport, *, unit: int = 1, deadline_s: float = 0.5, tries: int = 2
    ) -> None:
        self._transport = transport
        self._unit = unit
        self._deadline_s = deadline_s
        self._tries = tries
        self._framer = FramerRTU(DecodePDU(False))
        self._lock = threading.RLock()
        self._quiet_since = 0.0
        self._late_reply_possible = False

    @property
    def name(self) -> str:
        """The wire and the unit, for people."""
        return f"{self._transport.name}, Modbus unit {self._unit}"

    def close(self) -> None:
        """Give the wire back."""
        with self._lock:
            self._transport.close()

    def read(self, address: int, count: int = 1) -> tuple[int, ...]:
        """Holding registers (function 3) as unsigned 16-bit numbers.

        Raises:
            DeviceError: DEVICE_UNREACHABLE (nothing came), PROTOCOL_ERROR (no valid frame came)
                or a `ModbusRefusal`.
        """
        request = ReadHoldingRegistersRequest(address=address, count=count, dev_id=self._unit)
        body = self._exchange(request, 2 + 1 + 2 * count + 2, f"reading register {address}")
        if body[0] != 2 * count:
            raise self._error(
                FaultCode.PROTOCOL_ERROR,
                f"answered {body[0]} bytes to a request for {count} registers at {address}",
            )
        return struct.unpack(f">{count}H", body[1:])

    def write(self, address: int, value: int, *, once: bool = False) -> None:
        """Write one register (function 6).

        Args:
            address: of the register.
            value: 0 to 65535.
            once: send it a single time, even if no reply comes.

        Raises:
            DeviceError: see `read`. Without a reply nobody knows whether it was written.
        """
        request = WriteSingleRegisterRequest(address=address, registers=[value], dev_id=self._unit)
        body = self._exchange(request, 8, f"writing register {address}", once=once)
        if body != struct.pack(">HH", address, value):
            raise self._error(
                FaultCode.PROTOCOL_ERROR, f"confirmed another write than that of {address}"
            )

    def write_block(self, address: int, values: Sequence[int]) -> None:
        """Write registers that follow each other (function 16).

        Raises:
            DeviceError: see `write`.
        """
        request = WriteMultipleRegistersRequest(
            address=address, registers=list(values), dev_id=self._unit
        )
        body = self._exchange(request, 8, f"writing registers from {address}")
        if body != struct.pack(">HH", address, len(values)):
            raise self._error(
                FaultCode.PROTOCOL_ERROR, f"confirmed another write than that from {address}"
            )

    def _exchange(
        self, request: ModbusPDU, reply_size: int, what: str, *, once: bool = False
    ) -> bytes:
        """Send a request and return its reply without unit, function and checksum."""
        frame = self._framer.buildFrame(request)
        with self._lock:
            failure: DeviceError | None = None
            for _ in range(1 if once else self._tries):
                try:
                    return self._try(frame, request.function_code, reply_size, what)
                except ModbusRefusal:
                    raise
                except DeviceError as error:
                    _LOG.debug("%s", error)
                    failure = error
            assert failure is not None
            raise failure

    def _try(self, frame: bytes, function: int, reply_size: int, what: str) -> bytes:
        self._transport.open()
        self._wait_for_silence()
        self._transport.write(frame)
        deadline = Deadline(self._deadline_s)
        heard = b""
        try:
            while True:
                heard += self._transport.read(deadline.remaining_s)
                reply = find_reply(heard, self._unit, function, reply_size)
                if reply is not None:
                    break
                if self._transport.ended:
                    self._transport.close()
                    raise self._error(FaultCode.DEVICE_UNREACHABLE, "closed the connection")
                if deadline.over:
                    self._late_reply_possible = True
                    if heard:
                        raise self._error(
                            FaultCode.PROTOCOL_ERROR,
                            f"{what}: {len(heard)} bytes came within {self._deadline_s:g} s, "
                            "and no valid reply among them; check baud rate, parity and wiring",
                        )
                    raise self._error(
                        FaultCode.DEVICE_UNREACHABLE,
                        f"{what}: no reply within {self._deadline_s:g} s; check power, wiring "
                        "and the device's address",
                    )
        finally:
            self._quiet_since = time.monotonic()
        if reply[0] & _EXCEPTION_BIT:
            raise self._refusal(reply[1], what)
        return reply[1:]

    def _wait_for_silence(self) -> None:
        """Let the line rest as Modbus RTU asks, and let no old byte meet the new request."""
        if self._late_reply_possible:
            limit = Deadline(self._deadline_s)
            while self._transport.read(_LATE_REPLY_S) and not limit.over:
                pass
            self._late_reply_possible = False
        rest_s = self._quiet_since + self._transport.silence_s - time.monotonic()
        if rest_s > 0:
            time.sleep(rest_s)
        self._transport.discard_input()

    def _error(self, code: FaultCode, problem: str) -> DeviceError:
        return DeviceError(Fault.of(code, f"{self.name}: {problem}."))

    def _refusal(self, exception_code: int, what: str) -> ModbusRefusal:
        words = EXCEPTION_WORDS.get(exception_code, "an unknown exception")
        code = FaultCode.DEVICE_BUSY if exception_code in (5, 6) else FaultCode.PROTOCOL_ERROR
        message = f"{self.name}: {what} was refused: {words} (exception {exception_code})."
        return ModbusRefusal(Fault.of(code, message), exception_code)


def find_reply(heard: bytes, unit: int, function: int, size: int) -> bytes | None:
    """The first valid reply among bytes that may hold garbage before and after it.

    Args:
        heard: everything since the request was sent.
        unit: that must have sent it.
        function: code of the request.
        size: of the whole frame if it is no exception, bytes.

    Returns:
        Function code and data, without unit and checksum; None while there is none.
    """
    for start in range(len(heard) - _EXCEPTION_FRAME + 1):
        if heard[start] != unit:
            continue
        if heard[start + 1] == function:
            end = start + size
        elif heard[start + 1] == function | _EXCEPTION_BIT:
            end = start + _EXCEPTION_FRAME
        else:
            continue
        if end > len(heard):
            continue
        checksum = int.from_bytes(heard[end - 2 : end], "big")
        if FramerRTU.compute_CRC(heard[start : end - 2]) == checksum:
            return heard[start + 1 : end - 2]
    return None
