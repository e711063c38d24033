"""A Modbus master over any transport: short exchanges with steady-time deadlines."""

from __future__ import annotations

import contextlib
import logging
import struct
import threading
import time
from collections.abc import Sequence

from matlab_ros.instruments.agreement import agreed
from matlab_ros.instruments.modbus_framing import EXCEPTION_BIT, Framing, RtuFraming
from matlab_ros.instruments.transport import Deadline, Transport
from matlab_ros.model.faults import DeviceError, Fault, FaultCode

_LOG = logging.getLogger(__name__)

_READ, _WRITE_ONE, _WRITE_BLOCK = 3, 6, 16
_MOST_REGISTERS = 125
_LATE_REPLY_S = 0.05
"""How long the line must be silent after a failed exchange, before the next request."""
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
    came; `once` says that a write must not be. Where frames carry no checksum, a reading counts
    when several agree. Thread-safe.

    Args:
        transport: the wire; it is opened when needed.
        unit: address of the device, 1 to 247.
        deadline_s: steady seconds for one request and its reply.
        tries: how often a repeatable request is sent before it counts as failed.
        framing: how frames look on this wire; None: Modbus RTU.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        unit: int = 1,
        deadline_s: float = 0.5,
        tries: int = 2,
        framing: Framing | None = None,
    ) -> None:
        self._transport = transport
        self._unit = unit
        self._deadline_s = deadline_s
        self._tries = tries
        self._framing = framing if framing is not None else RtuFraming()
        self._lock = threading.RLock()
        self._quiet_since = 0.0
        self._line_is_unquiet = False
        self._unheard_counts: set[int] = set()

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
            DeviceError: DEVICE_UNREACHABLE (nothing came), PROTOCOL_ERROR (no valid frame came, or
                readings that do not agree) or a `ModbusRefusal`.
        """
        if self._framing.checked:
            return self._read(address, count)
        with self._lock:
            return agreed(
                lambda: self._read(address, count),
                who=self.name,
                what=f"register {address}",
                within_s=2 * self._deadline_s * self._tries,
            )

    def write(self, address: int, value: int, *, once: bool = False) -> None:
        """Write one register (function 6).

        Args:
            address: of the register.
            value: 0 to 65535.
            once: send it a single time, even if no reply comes.

        Raises:
            DeviceError: see `read`. Without a reply nobody knows whether it was written.
        """
        pdu = struct.pack(">BHH", _WRITE_ONE, address, value)
        with self._lock:
            body = self._exchange(pdu, 5, f"writing register {address}", once=once)
        if body != pdu[1:]:
            raise self._error(
                FaultCode.PROTOCOL_ERROR, f"confirmed another write than that of {address}"
            )

    def write_block(self, address: int, values: Sequence[int]) -> None:
        """Write registers that follow each other (function 16).

        Raises:
            DeviceError: see `write`.
        """
        number = len(values)
        pdu = struct.pack(f">BHHB{number}H", _WRITE_BLOCK, address, number, 2 * number, *values)
        with self._lock:
            body = self._exchange(pdu, 5, f"writing registers from {address}")
        if body != struct.pack(">HH", address, number):
            raise self._error(
                FaultCode.PROTOCOL_ERROR, f"confirmed another write than that from {address}"
            )

    def _read(self, address: int, count: int) -> tuple[int, ...]:
        pdu = struct.pack(">BHH", _READ, address, count)
        with self._lock:
            body = self._exchange(pdu, 2 + 2 * count, f"reading register {address}")
        if body[0] != 2 * count:
            raise self._error(
                FaultCode.PROTOCOL_ERROR,
                f"answered {body[0]} bytes to a request for {count} registers at {address}",
            )
        return struct.unpack(f">{count}H", body[1:])

    def _exchange(self, pdu: bytes, reply_size: int, what: str, *, once: bool = False) -> bytes:
        """Send a request and return its reply without the function's code."""
        failure: DeviceError | None = None
        for _ in range(1 if once else self._tries):
            try:
                self._let_late_replies_pass(pdu)
                return self._try(pdu, reply_size, what)
            except ModbusRefusal:
                raise
            except DeviceError as error:
                _LOG.debug("%s", error)
                failure = error
        assert failure is not None
        raise failure

    def _let_late_replies_pass(self, pdu: bytes) -> None:
        """See that no late reply to an older reading can pass for the answer to this one.

        Frames of a serial line carry no number, and replies to readings of as many registers look
        alike. A device answers in order: once it has answered a reading of another size, nothing
        older is to come.
        """
        if self._framing.numbered or pdu[0] != _READ:
            return
        address, count = struct.unpack(">HH", pdu[1:])
        if count not in self._unheard_counts:
            return
        other = next(n for n in range(1, _MOST_REGISTERS + 1) if n not in self._unheard_counts)
        request = struct.pack(">BHH", _READ, address, other)
        # A refusal is also an answer, and as good.
        with contextlib.suppress(ModbusRefusal):
            self._try(request, 2 + 2 * other, f"reading register {address}")
        self._unheard_counts.clear()

    def _try(self, pdu: bytes, reply_size: int, what: str) -> bytes:
        self._transport.open()
        self._wait_for_silence()
        self._transport.write(self._framing.frame(self._unit, pdu))
        deadline = Deadline(self._deadline_s)
        heard = b""
        try:
            while True:
                heard += self._transport.read(deadline.remaining_s)
                reply = self._framing.find(heard, self._unit, pdu[0], reply_size)
                if reply is not None:
                    break
                if self._transport.ended:
                    self._transport.close()
                    raise self._error(FaultCode.DEVICE_UNREACHABLE, "closed the connection")
                if deadline.over:
                    self._note_silence(pdu, whole=len(heard) >= reply_size + 3)
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
        if reply[0] & EXCEPTION_BIT:
            raise self._refusal(reply[1], what)
        return reply[1:]

    def _note_silence(self, pdu: bytes, *, whole: bool) -> None:
        """Remember what may still come of an exchange that failed."""
        if self._framing.numbered:
            # A damaged length leaves nobody knowing where the next frame begins.
            self._transport.close()
            return
        self._line_is_unquiet = True
        if pdu[0] == _READ and not whole:
            self._unheard_counts.add(struct.unpack_from(">H", pdu, 3)[0])

    def _wait_for_silence(self) -> None:
        """Let the line rest as Modbus RTU asks, and let no old byte meet the new request."""
        if self._line_is_unquiet:
            limit = Deadline(self._deadline_s)
            while self._transport.read(_LATE_REPLY_S) and not limit.over:
                pass
            self._line_is_unquiet = False
        rest_s = self._quiet_since + self._transport.silence_s - time.monotonic()
        if rest_s > 0:
            time.sleep(rest_s)
        self._transport.discard_input()
        if self._transport.ended:
            self._transport.close()
            self._transport.open()

    def _error(self, code: FaultCode, problem: str) -> DeviceError:
        return DeviceError(Fault.of(code, f"{self.name}: {problem}."))

    def _refusal(self, exception_code: int, what: str) -> ModbusRefusal:
        words = EXCEPTION_WORDS.get(exception_code, "an unknown exception")
        code = FaultCode.DEVICE_BUSY if exception_code in (5, 6) else FaultCode.PROTOCOL_ERROR
        message = f"{self.name}: {what} was refused: {words} (exception {exception_code})."
        return ModbusRefusal(Fault.of(code, message), exception_code)
