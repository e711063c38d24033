"""Hauschild SpeedMixer DAC 400 over a serial line (19200 8N1): a planetary mixer for powders.

Frames as in A-Lab's published driver (alab_control, speedmixer_hauschild_smart_dac400): a command
is ``04 address 02 code value 03 05`` in bytes, the address 0x20 to read and 0x21 to write, the code
two and the value five decimal digits; the answer is ``02 code value 03``, code 00 for a refusal.
There is no checksum: readings count when several agree, and what was set is read back.

Codes: 9 find the zero position, 11 start, 12 stop, 14 and 15 ramps up and down in seconds, 16 speed
in revolutions per minute, 18 ready, 19 running, 20 error.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass

from matlab_ros.instruments.agreement import agreed
from matlab_ros.instruments.mixing import MixerState
from matlab_ros.instruments.transport import Deadline, Transport
from matlab_ros.model.faults import DeviceError, Fault, FaultCode

MAX_SPEED_RPM = 2500
MIN_RAMP_S, MAX_RAMP_S = 5, 30

_READ, _WRITE = 0x20, 0x21
_HOME, _START, _STOP, _RAMP_UP, _RAMP_DOWN, _SPEED = 9, 11, 12, 14, 15, 16
_READY, _RUNNING, _ERROR = 18, 19, 20
_ANSWER = re.compile(rb"\x02(\d{2})(\d{5,8})\x03")
_LATE_ANSWER_S = 0.05
_TRIES = 3

REFUSALS = {
    1: "it is not in remote program 0",
    2: "it does not know the code",
    3: "it is still running",
}
"""Values of an answer with code 00."""


@dataclass(frozen=True)
class Answer:
    """An answer of the mixer.

    Attributes:
        code: that it answers; 0 for a refusal.
        value: of the code, or why it refused.
    """

    code: int
    value: int


@dataclass(frozen=True)
class MixerStatus:
    """What the mixer says of itself.

    Attributes:
        ready: it knows its zero and its lid is closed.
        running: the motor turns.
        error: its own number, 0 for none.
    """

    ready: bool
    running: bool
    error: int


def build_command(address: int, code: int, value: int) -> bytes:
    """The frame of a command."""
    return b"\x04" + bytes([address]) + b"\x02" + f"{code:02d}{value:05d}".encode() + b"\x03\x05"


def parse_answer(heard: bytes) -> Answer | None:
    """The first answer among bytes that may hold noise; None while there is none."""
    found = _ANSWER.search(heard)
    return None if found is None else Answer(int(found[1]), int(found[2]))


class SpeedMixer:
    """Driver of the mixer: a `Mixer`. It turns until it is stopped.

    Args:
        transport: the line to it.
        speed_rpm: of mixing, up to 2500.
        ramp_s: to speed up and to slow down, 5 to 30 s.
        deadline_s: steady seconds for one command and its answer.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        speed_rpm: int = 1000,
        ramp_s: int = 10,
        deadline_s: float = 0.5,
    ) -> None:
        if not 0 < speed_rpm <= MAX_SPEED_RPM:
            raise ValueError(f"speed of {speed_rpm} rpm; expected up to {MAX_SPEED_RPM} rpm")
        if not MIN_RAMP_S <= ramp_s <= MAX_RAMP_S:
            raise ValueError(f"ramp of {ramp_s} s; expected {MIN_RAMP_S} to {MAX_RAMP_S} s")
        self._transport = transport
        self._speed_rpm = speed_rpm
        self._ramp_s = ramp_s
        self._deadline_s = deadline_s
        self._lock = threading.RLock()
        self._late_answer_possible = False

    @property
    def name(self) -> str:
        """Its wire, for people."""
        return f"mixer at {self._transport.name}"

    def close(self) -> None:
        """Give the wire back. The motor goes on with what it does."""
        with self._lock:
            self._transport.close()

    def read_status(self) -> MixerStatus:
        """Ask the mixer how it is.

        Raises:
            DeviceError: no contact, or answers that do not agree.
        """
        return MixerStatus(
            ready=self._read(_READY) == 1,
            running=self._read(_RUNNING) == 1,
            error=self._read(_ERROR),
        )

    def read_state(self) -> MixerState:
        """What the motor does.

        Raises:
            DeviceError: DEVICE_NOT_ACTIVE (the mixer is in error), no contact, or answers that do
                not agree.
        """
        status = self.read_status()
        self._require_no_error(status)
        return MixerState.RUNNING if status.running else MixerState.STOPPED

    def home(self) -> None:
        """Begin to find the zero position, where the basket can be loaded; `read_status` tells
        when it is ready.

        Raises:
            DeviceError: DEVICE_BUSY (it runs), DEVICE_NOT_ACTIVE (it is in error), or no contact.
        """
        self._require_standing()
        self._order(_HOME, "finding its zero")

    def start(self) -> None:
        """Begin to mix, and see that it does.

        Raises:
            DeviceError: DEVICE_BUSY (it runs), DEVICE_NOT_ACTIVE (in error, not ready, or it
                refuses), PROTOCOL_ERROR (it does not run, or does not keep a setting), or no
                contact.
        """
        status = self._require_standing()
        if not status.ready:
            raise self._error(
                FaultCode.DEVICE_NOT_ACTIVE, "is not ready; close its lid and find its zero"
            )
        self._set(_SPEED, self._speed_rpm, "its speed")
        self._set(_RAMP_UP, self._ramp_s, "its ramp up")
        self._set(_RAMP_DOWN, self._ramp_s, "its ramp down")
        self._order(_START, "starting")
        if self.read_state() is not MixerState.RUNNING:
            raise self._error(FaultCode.PROTOCOL_ERROR, "was started and does not run")

    def stop(self) -> None:
        """Stop mixing: it slows down along its ramp. Safe to repeat.

        Raises:
            DeviceError: no contact, or it refuses.
        """
        self._order(_STOP, "stopping")

    def clear_error(self) -> None:
        """Clear an error, after somebody looked at it. Moves nothing.

        Raises:
            DeviceError: no contact, or it refuses.
        """
        self._order(_ERROR, "clearing the error")

    def _require_standing(self) -> MixerStatus:
        status = self.read_status()
        self._require_no_error(status)
        if status.running:
            raise self._error(FaultCode.DEVICE_BUSY, "is running")
        return status

    def _require_no_error(self, status: MixerStatus) -> None:
        if status.error:
            raise self._error(
                FaultCode.DEVICE_NOT_ACTIVE,
                f"is in error {status.error}; look at it, then clear the error",
            )

    def _read(self, code: int) -> int:
        with self._lock:
            return agreed(
                lambda: self._repeat(_READ, code, 0, f"reading code {code}"),
                who=self.name,
                what=f"code {code}",
                within_s=_TRIES * self._deadline_s,
            )

    def _set(self, code: int, value: int, what: str) -> None:
        """Set what may be set twice, until it is read back."""
        held = -1
        with self._lock:
            for _ in range(_TRIES):
                self._repeat(_WRITE, code, value, f"setting {what}")
                held = self._read(code)
                if held == value:
                    return
        raise self._error(FaultCode.PROTOCOL_ERROR, f"was given {value} as {what}, has {held}")

    def _order(self, code: int, what: str) -> None:
        if self._repeat(_WRITE, code, 1, what) != 1:
            raise self._error(FaultCode.DEVICE_NOT_ACTIVE, f"does not confirm {what}")

    def _repeat(self, address: int, code: int, value: int, what: str) -> int:
        """The value of the answer to a command that may be sent again.

        Raises:
            DeviceError: no contact, or a refusal that is repeated.
        """
        failure: DeviceError | None = None
        for _ in range(_TRIES):
            try:
                answer = self._exchange(address, code, value, what)
            except DeviceError as error:
                failure = error
                continue
            if answer.code == code:
                return answer.value
            failure = self._refusal(answer, what)
        assert failure is not None
        raise failure

    def _exchange(self, address: int, code: int, value: int, what: str) -> Answer:
        with self._lock:
            self._transport.open()
            if self._late_answer_possible:
                limit = Deadline(self._deadline_s)
                while self._transport.read(_LATE_ANSWER_S) and not limit.over:
                    pass
                self._late_answer_possible = False
            self._transport.discard_input()
            self._transport.write(build_command(address, code, value))
            deadline = Deadline(self._deadline_s)
            heard = b""
            while True:
                heard += self._transport.read(deadline.remaining_s)
                answer = parse_answer(heard)
                if answer is not None:
                    # One that belongs to another command: its own may still come.
                    self._late_answer_possible = answer.code != code
                    return answer
                if self._transport.ended:
                    self._transport.close()
                    raise self._error(FaultCode.DEVICE_UNREACHABLE, "closed the connection")
                if deadline.over:
                    self._late_answer_possible = True
                    raise self._error(
                        FaultCode.PROTOCOL_ERROR if heard else FaultCode.DEVICE_UNREACHABLE,
                        f"gave no whole answer ({what}) within {self._deadline_s:g} s; check "
                        "power, cable and that it is in remote operation",
                    )

    def _refusal(self, answer: Answer, what: str) -> DeviceError:
        if answer.code:
            return self._error(FaultCode.PROTOCOL_ERROR, f"answered code {answer.code} ({what})")
        code = FaultCode.DEVICE_BUSY if answer.value == 3 else FaultCode.DEVICE_NOT_ACTIVE
        words = REFUSALS.get(answer.value, f"reason {answer.value}")
        return self._error(code, f"refuses ({what}): {words}")

    def _error(self, code: FaultCode, problem: str) -> DeviceError:
        return DeviceError(Fault.of(code, f"{self.name} {problem}."))
