"""TCP ports on which emulated devices talk for as long as somebody stays connected."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Callable
from typing import Protocol

from matlab_ros.virtual.instruments.device import WireDevice
from matlab_ros.virtual.instruments.wire import WireFaults

_LOG = logging.getLogger(__name__)
_CHUNK = 4096
_MOST_LINE_BYTES = 4096


class Session(Protocol):
    """One connection to a device."""

    @property
    def greeting(self) -> bytes:
        """What the device says first."""

    def receive(self, data: bytes) -> bytes:
        """Take bytes, in pieces as they come; returns what to answer at once."""


class LineSession:
    """A connection where each line of text is answered with one.

    Args:
        answer: the answer to a line, both without their end; None says nothing.
        greeting: line that the device says first; empty: none.
        end: of the lines it sends.
    """

    def __init__(
        self, answer: Callable[[str], str | None], *, greeting: str = "", end: str = "\n"
    ) -> None:
        self._answer = answer
        self._end = end
        self.greeting = f"{greeting}{end}".encode("ascii") if greeting else b""
        self._heard = b""

    def receive(self, data: bytes) -> bytes:
        *lines, self._heard = (self._heard + data).split(b"\n")
        self._heard = self._heard[-_MOST_LINE_BYTES:]
        answers = [self._answer(line.decode("latin-1").strip("\r")) for line in lines]
        said = "".join(f"{answer}{self._end}" for answer in answers if answer is not None)
        return said.encode("latin-1", "replace")


class SerialSession:
    """A serial device behind a device server: bytes pass as they are.

    Args:
        device: at the serial line.
    """

    greeting = b""

    def __init__(self, device: WireDevice) -> None:
        self.receive = device.receive


class StreamServer:
    """A TCP port; each connection is a session of its own.

    Args:
        open_session: gives the device's side of a new connection.
        host: to listen on.
        port: 0 lets the operating system choose.
    """

    def __init__(
        self,
        open_session: Callable[[], Session],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.faults = WireFaults()
        self._open_session = open_session
        self._listener = socket.create_server((host, port))
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name=f"tcp {self.port}", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Its number."""
        number: int = self._listener.getsockname()[1]
        return number

    @property
    def url(self) -> str:
        """As a driver's configuration names it."""
        return f"tcp://{self._listener.getsockname()[0]}:{self.port}"

    def send(self, data: bytes) -> None:
        """Say something unasked to everybody who is connected."""
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.sendall(self.faults.applied(data))

    def disconnect(self) -> None:
        """Hang up on everybody; they may come again."""
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Stop listening and hang up."""
        if self._closed:
            return
        self._closed = True
        host, port = self._listener.getsockname()[:2]
        # A blocked accept() does not notice that its socket is closed: knock once.
        with contextlib.suppress(OSError):
            socket.create_connection((host, port), timeout=1.0).close()
        self._thread.join(timeout=5.0)
        self._listener.close()
        self.disconnect()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            if self._closed:
                connection.close()
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.add(connection)
        try:
            with connection, contextlib.suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                session = self._open_session()
                if session.greeting:
                    connection.sendall(session.greeting)
                while data := connection.recv(_CHUNK):
                    reply = session.receive(data)
                    if reply:
                        threading.Event().wait(self.faults.delay_s())
                        connection.sendall(self.faults.applied(reply))
        finally:
            with self._lock:
                self._connections.discard(connection)
