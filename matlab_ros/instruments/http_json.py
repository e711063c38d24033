"""HTTP GET with a JSON object as the answer, over any transport: what small web servers speak.

One connection for each request. The servers are microcontrollers: they may say no length and just
close, or say nothing of what the standard asks for beyond the status line.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping
from enum import Enum
from typing import TypeVar

from matlab_ros.instruments.transport import Deadline, Transport
from matlab_ros.model.faults import DeviceError, Fault, FaultCode

E = TypeVar("E", bound=Enum)

MAX_REPLY_BYTES = 4096
_TRIES = 2
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})(?: [^\r\n]*)?\r?\n")
_LENGTH = re.compile(rb"(?i)\r?\ncontent-length:[ \t]*(\d{1,6})[ \t]*\r?\n")
_OK = 200


class HttpJson:
    """Asks one server. Thread-safe.

    Args:
        transport: a TCP transport to it.
        who: what it is, for people.
        deadline_s: steady seconds for one request and its reply.
    """

    def __init__(self, transport: Transport, who: str, *, deadline_s: float = 2.0) -> None:
        self._transport = transport
        self._who = who
        self._deadline_s = deadline_s
        self._lock = threading.RLock()
        transport.close()

    @property
    def name(self) -> str:
        """What it is and its address, for people."""
        return f"{self._who} at {self._transport.name}"

    def close(self) -> None:
        """Give the wire back."""
        with self._lock:
            self._transport.close()

    def get(self, path: str) -> Mapping[str, object]:
        """The object that a path answers with.

        Raises:
            DeviceError: DEVICE_UNREACHABLE (no whole reply), or PROTOCOL_ERROR (it says no, or
                something that makes no sense).
        """
        request = f"GET {path} HTTP/1.1\r\nHost: instrument\r\nConnection: close\r\n\r\n"
        with self._lock:
            try:
                self._transport.open()
                self._transport.write(request.encode("ascii"))
                status, body = self._reply(path)
            except DeviceError as error:
                if error.fault.code is not FaultCode.DEVICE_UNREACHABLE:
                    raise
                raise self.error(
                    FaultCode.DEVICE_UNREACHABLE, f"does not answer ({error.fault.message})"
                ) from error
            finally:
                self._transport.close()
        if status != _OK:
            raise self.error(FaultCode.PROTOCOL_ERROR, f"answered {status} to {path}")
        content = parse_object(body)
        if content is None:
            raise self.error(FaultCode.PROTOCOL_ERROR, f"answered {body[:80]!r} to {path}")
        return content

    def order(self, path: str, wanted: E, read_state: Callable[[], E]) -> None:
        """Give an order that may be given twice, and see that the state is what it asks for.

        Raises:
            DeviceError: no contact, or the state is another one.
        """
        failure: DeviceError | None = None
        for _ in range(_TRIES):
            try:
                self.get(path)
                state = read_state()
            except DeviceError as error:
                failure = error
                continue
            if state is wanted:
                return
            failure = self.error(
                FaultCode.PROTOCOL_ERROR, f"was told {wanted.name} and is {state.name}"
            )
        assert failure is not None
        raise failure

    def state(self, states: type[E]) -> E:
        """What ``/state`` says; asked again where that makes no sense.

        Raises:
            DeviceError: no contact, or an answer that makes no sense.
        """
        failure: DeviceError | None = None
        for _ in range(_TRIES):
            try:
                state = self.get("/state").get("state")
            except DeviceError as error:
                failure = error
                continue
            try:
                return states(state)
            except ValueError:
                failure = self.error(FaultCode.PROTOCOL_ERROR, f"says its state is {state!r}")
        assert failure is not None
        raise failure

    def error(self, code: FaultCode, problem: str) -> DeviceError:
        """An error of this server."""
        return DeviceError(Fault.of(code, f"{self.name} {problem}."))

    def _reply(self, path: str) -> tuple[int, bytes]:
        deadline = Deadline(self._deadline_s)
        heard = b""
        while True:
            heard += self._transport.read(deadline.remaining_s)
            reply = parse_reply(heard, ended=self._transport.ended)
            if reply is not None:
                return reply
            if self._transport.ended or deadline.over or len(heard) > MAX_REPLY_BYTES:
                raise self.error(
                    FaultCode.DEVICE_UNREACHABLE,
                    f"gave no whole reply to {path} within {self._deadline_s:g} s",
                )


def parse_reply(heard: bytes, *, ended: bool) -> tuple[int, bytes] | None:
    """Status code and body of a reply; None while it is not whole.

    Args:
        heard: everything so far.
        ended: whether the server has closed the connection.
    """
    status = _STATUS_LINE.match(heard)
    head = re.search(rb"\r?\n\r?\n", heard)
    if status is None or head is None:
        return None
    body = heard[head.end() :]
    length = _LENGTH.search(heard, 0, head.end())
    if length is not None:
        whole = len(body) >= int(length[1])
        return (int(status[1]), body[: int(length[1])]) if whole else None
    if ended or parse_object(body) is not None:
        return (int(status[1]), body)
    return None


def parse_object(body: bytes) -> Mapping[str, object] | None:
    """The JSON object that a body is; None where it is none."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
