"""The lab's end of a wire: pseudo-terminals and loopback sockets that carry emulated devices."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import selectors
import socket
import termios
import threading
import tty
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from matlab_ros.virtual.instruments.device import WireDevice

_LOG = logging.getLogger(__name__)
_CHUNK = 4096
_MOST_LINE_BYTES = 4096
_BITS, _PACE_S = 10, 0.005
"""Of a byte on a serial line: start, eight, stop; and how much of a paced line comes at once."""
LATE_S = 0.6
"""Of a late answer: after a driver's usual deadline, before it tries again for long."""


@dataclass
class WireFaults:
    """What the wire does wrong; set by tests while it runs. Counts fall to 0 as they are used.

    Attributes:
        mute: nothing comes from the device any more.
        drop_replies: so many answers are lost.
        corrupt_replies: in so many answers one bit is flipped.
        halve_replies: so many answers end in the middle.
        double_replies: in so many answers every byte comes twice.
        late_replies: so many answers come `LATE_S` after they were given.
        garbage_before: bytes in front of every answer.
        garbage_after: bytes behind every answer.
    """

    mute: bool = False
    drop_replies: int = 0
    corrupt_replies: int = 0
    halve_replies: int = 0
    double_replies: int = 0
    late_replies: int = 0
    garbage_before: bytes = b""
    garbage_after: bytes = b""

    def applied(self, reply: bytes) -> bytes:
        """What is left of an answer on its way."""
        if self.mute:
            return b""
        if self.drop_replies > 0:
            self.drop_replies -= 1
            return b""
        if self.corrupt_replies > 0:
            self.corrupt_replies -= 1
            middle = len(reply) // 2
            reply = reply[:middle] + bytes([reply[middle] ^ 0x04]) + reply[middle + 1 :]
        if self.halve_replies > 0:
            self.halve_replies -= 1
            reply = reply[: len(reply) // 2]
        if self.double_replies > 0:
            self.double_replies -= 1
            reply = bytes(byte for byte in reply for _ in range(2))
        return self.garbage_before + reply + self.garbage_after

    def delay_s(self) -> float:
        """Steady seconds by which the next answer is late."""
        if self.late_replies <= 0:
            return 0.0
        self.late_replies -= 1
        return LATE_S


def _pause(seconds: float) -> None:
    """Let steady time pass."""
    if seconds > 0:
        threading.Event().wait(seconds)


class PseudoTerminal:
    """A serial device at a stable path, with an emulated device at its other end.

    Masters may open and close it as often as they like. What nobody reads is kept as far as the
    operating system's buffer goes, then lost, as on a serial line.

    Args:
        path: of the symbolic link that stands for the serial device; its folder is made.
        device: that answers.
        baudrate: at which bytes come and go, ten bits each; 0: at once.
    """

    def __init__(self, path: Path, device: WireDevice, *, baudrate: int = 0) -> None:
        self.path = path
        self._byte_s = _BITS / baudrate if baudrate else 0.0
        self.faults = WireFaults()
        self._device = device
        self._write_lock = threading.Lock()
        self._closed = False
        self._plug()
        device.connect(self.send)

    def _plug(self) -> None:
        self._master, self._slave = os.openpty()
        # Held open here, so that the last driver's leaving is no hang-up of the line.
        tty.setraw(self._slave, termios.TCSANOW)
        os.set_blocking(self._master, False)
        self._target = os.ttyname(self._slave)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        with contextlib.suppress(FileNotFoundError):
            fresh.unlink()
        fresh.symlink_to(self._target)
        os.replace(fresh, self.path)
        self._wake_out, self._wake_in = os.pipe()
        self._unplugged = False
        self._thread = threading.Thread(
            target=self._serve, name=f"wire {self.path.name}", daemon=True
        )
        self._thread.start()

    def _unplug(self) -> None:
        os.write(self._wake_in, b"x")
        self._thread.join(timeout=5.0)
        for descriptor in (self._master, self._slave, self._wake_in, self._wake_out):
            os.close(descriptor)

    def replug(self) -> None:
        """Pull the adapter out and put it in again: whoever holds the old device holds nothing."""
        with self._write_lock:
            if self._closed:
                return
            self._unplugged = True
        self._unplug()
        with self._write_lock:
            self._plug()

    @property
    def url(self) -> str:
        """The path, as a driver's configuration names it."""
        return str(self.path)

    def send(self, data: bytes) -> None:
        """Put bytes on the wire; they are there when this returns, but for late ones."""
        data = self.faults.applied(data) if data else data
        delay_s = self.faults.delay_s() if data else 0.0
        if delay_s:
            timer = threading.Timer(delay_s, self._put, (data,))
            timer.daemon = True
            timer.start()
        else:
            self._put(data)

    def _put(self, data: bytes) -> None:
        pace = max(1, round(_PACE_S / self._byte_s)) if self._byte_s else _CHUNK
        for start in range(0, len(data), pace):
            piece = data[start : start + pace]
            _pause(len(piece) * self._byte_s)
            self._put_piece(piece)

    def _put_piece(self, data: bytes) -> None:
        with self._write_lock:
            if self._unplugged:
                return
            try:
                written = os.write(self._master, data)
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EIO):
                    raise
                written = 0
            if written < len(data):
                _LOG.debug("%s: %d bytes lost, nobody reads", self.path, len(data) - written)

    def close(self) -> None:
        """Take the device off the wire and the link away."""
        with self._write_lock:
            if self._closed:
                return
            self._closed = True
            self._unplugged = True
        with contextlib.suppress(OSError):
            if os.readlink(self.path) == self._target:
                self.path.unlink()
        self._unplug()

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._master, selectors.EVENT_READ)
            selector.register(self._wake_out, selectors.EVENT_READ)
            while not self._unplugged:
                for key, _ in selector.select():
                    if key.fd == self._master:
                        self._take()

    def _take(self) -> None:
        try:
            data = os.read(self._master, _CHUNK)
        except OSError:
            return
        # So long it was on its way.
        _pause(len(data) * self._byte_s)
        reply = self._device.receive(data)
        if reply:
            self.send(reply)


class Session(Protocol):
    """One connection to a device."""

    @property
    def greeting(self) -> bytes:
        """What the device says first."""

    @property
    def over(self) -> bool:
        """Whether the device hangs up after its answer."""

    def receive(self, data: bytes) -> bytes:
        """Take bytes, in pieces as they come; returns what to answer at once."""


class MessageSession:
    """A connection that carries one message and its reply.

    Args:
        answer: gives the reply to all bytes received so far, or None while the message is not
            complete.
    """

    greeting = b""

    def __init__(self, answer: Callable[[bytes], bytes | None]) -> None:
        self._answer = answer
        self._heard = b""
        self.over = False

    def receive(self, data: bytes) -> bytes:
        self._heard += data
        reply = self._answer(self._heard)
        self.over = reply is not None or len(self._heard) >= _CHUNK
        return reply or b""


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
        self.over = False
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
    over = False

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
                        _pause(self.faults.delay_s())
                        connection.sendall(self.faults.applied(reply))
                    if session.over:
                        return
        finally:
            with self._lock:
                self._connections.discard(connection)


class LoopbackServer(StreamServer):
    """A TCP port where each connection carries one message and its reply.

    Args:
        answer: see `MessageSession`.
        port: 0 lets the operating system choose.
        host: to listen on.
    """

    def __init__(
        self,
        answer: Callable[[bytes], bytes | None],
        *,
        port: int = 0,
        host: str = "127.0.0.1",
    ) -> None:
        self._answer = answer
        super().__init__(
            lambda: MessageSession(lambda heard: self._answer(heard)), host=host, port=port
        )
