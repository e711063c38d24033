"""Byte streams to instruments: a serial device or a TCP connection behind one small interface."""

from __future__ import annotations

import logging
import os
import select
import socket
import time
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

import serial

from matlab_ros.model.errors import ConfigError
from matlab_ros.model.faults import DeviceError, Fault, FaultCode

_LOG = logging.getLogger(__name__)

_WINDOWS_POLL_S = 0.005


class Deadline:
    """A moment of steady time, so that a step of the wall clock or of `/clock` moves nothing."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def remaining_s(self) -> float:
        """Steady seconds left, never negative."""
        return max(0.0, self._end - time.monotonic())

    @property
    def over(self) -> bool:
        """Whether the moment has passed."""
        return self.remaining_s == 0.0


class Transport(Protocol):
    """What a driver needs of a wire. Every failure is a DeviceError(DEVICE_UNREACHABLE)."""

    @property
    def name(self) -> str:
        """The wire as a person knows it: a device path or ``host:port``."""

    @property
    def is_open(self) -> bool:
        """Whether it is connected as far as anybody knows."""

    @property
    def ended(self) -> bool:
        """Whether the other side has closed the connection and all it sent was read."""

    @property
    def silence_s(self) -> float:
        """Silence a Modbus RTU frame needs before it; 0 where the wire has frames of its own."""

    def open(self) -> None:
        """Connect anew; does nothing when connected."""

    def close(self) -> None:
        """Disconnect; does nothing when disconnected."""

    def write(self, data: bytes) -> None:
        """Send all of `data`."""

    def read(self, wait_s: float) -> bytes:
        """What has arrived, waiting at most `wait_s` for the first byte; empty when nothing did."""

    def discard_input(self) -> None:
        """Forget what has arrived and was not read."""


class PassThrough:
    """A transport around another one, which it is in everything; a base for those that look at, or
    change, what passes.

    Args:
        inner: the other one.
    """

    def __init__(self, inner: Transport) -> None:
        self._inner = inner

    @property
    def name(self) -> str:
        return self._inner.name

    @property
    def is_open(self) -> bool:
        return self._inner.is_open

    @property
    def ended(self) -> bool:
        return self._inner.ended

    @property
    def silence_s(self) -> float:
        return self._inner.silence_s

    def open(self) -> None:
        self._inner.open()

    def close(self) -> None:
        self._inner.close()

    def write(self, data: bytes) -> None:
        self._inner.write(data)

    def read(self, wait_s: float) -> bytes:
        return self._inner.read(wait_s)

    def discard_input(self) -> None:
        self._inner.discard_input()


def unreachable(name: str, problem: str) -> DeviceError:
    """The error of a wire that does not carry."""
    return DeviceError(Fault.of(FaultCode.DEVICE_UNREACHABLE, f"{name}: {problem}."))


class SerialTransport:
    """A serial device, or a pseudo-terminal that stands for one.

    Args:
        path: of the device, for example ``/dev/ttyUSB0``.
        baudrate: bits per second.
        parity: ``"N"``, ``"E"`` or ``"O"``.
        stopbits: 1 or 2.
        silence_s: pause before a Modbus RTU frame. None: what the standard asks for, 3.5
            characters and never less than 1.75 ms above 19200 baud (MODBUS over Serial Line
            V1.02, 2.5.1.1). A pseudo-terminal has no line to share and may say 0.
        write_timeout_s: how long the operating system may take to accept what is written.
    """

    def __init__(
        self,
        path: str,
        *,
        baudrate: int = 9600,
        parity: str = "N",
        stopbits: int = 1,
        silence_s: float | None = None,
        write_timeout_s: float = 0.5,
    ) -> None:
        self._path = path
        self._baudrate = baudrate
        self._parity = parity
        self._stopbits = stopbits
        self._write_timeout_s = write_timeout_s
        character_s = (1 + 8 + (parity != "N") + stopbits) / baudrate
        standard_s = 3.5 * character_s if baudrate <= 19200 else 0.00175
        self._silence_s = standard_s if silence_s is None else silence_s
        self._port: serial.Serial | None = None

    @property
    def name(self) -> str:
        return self._path

    @property
    def is_open(self) -> bool:
        return self._port is not None

    @property
    def ended(self) -> bool:
        return False

    @property
    def silence_s(self) -> float:
        return self._silence_s

    def open(self) -> None:
        if self._port is not None:
            return
        try:
            port = serial.Serial(
                self._path,
                baudrate=self._baudrate,
                parity=self._parity,
                stopbits=self._stopbits,
                timeout=0,
                write_timeout=self._write_timeout_s,
                exclusive=True,
            )
            port.reset_input_buffer()
        # pyserial lets the operating system's and termios' errors through (termios.error is a
        # plain Exception).
        except Exception as error:
            raise unreachable(
                self._path,
                f"the serial device cannot be opened ({_reason(error)}); check cable, power, "
                "rights, and that no other program holds it",
            ) from error
        self._port = port

    def close(self) -> None:
        port, self._port = self._port, None
        if port is not None:
            try:
                port.close()
            except Exception as error:
                _LOG.debug("closing %s: %s", self._path, error)

    def write(self, data: bytes) -> None:
        try:
            self._opened().write(data)
        except DeviceError:
            raise
        except Exception as error:
            self.close()
            raise unreachable(self._path, f"writing failed ({_reason(error)})") from error

    def read(self, wait_s: float) -> bytes:
        try:
            port = self._opened()
            if not _readable(port, wait_s):
                return b""
            return bytes(port.read(max(1, port.in_waiting)))
        except DeviceError:
            raise
        except Exception as error:
            self.close()
            raise unreachable(self._path, f"reading failed ({_reason(error)})") from error

    def discard_input(self) -> None:
        try:
            self._opened().reset_input_buffer()
        except DeviceError:
            raise
        except Exception as error:
            self.close()
            raise unreachable(self._path, f"reading failed ({_reason(error)})") from error

    def _opened(self) -> serial.Serial:
        if self._port is None:
            raise unreachable(self._path, "the serial device is not open")
        return self._port


class TcpTransport:
    """A TCP connection.

    Args:
        host: name or address.
        port: number.
        connect_timeout_s: how long connecting may take.
    """

    def __init__(self, host: str, port: int, *, connect_timeout_s: float = 2.0) -> None:
        self._host = host
        self._port = port
        self._connect_timeout_s = connect_timeout_s
        self._socket: socket.socket | None = None
        self._ended = False

    @property
    def name(self) -> str:
        return f"{self._host}:{self._port}"

    @property
    def is_open(self) -> bool:
        return self._socket is not None

    @property
    def ended(self) -> bool:
        return self._ended

    @property
    def silence_s(self) -> float:
        return 0.0

    def open(self) -> None:
        if self._socket is not None:
            return
        try:
            connection = socket.create_connection(
                (self._host, self._port), timeout=self._connect_timeout_s
            )
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            raise unreachable(
                self.name,
                f"no connection ({_reason(error)}); check power, network, and that nobody else "
                "is connected",
            ) from error
        self._socket = connection
        self._ended = False

    def close(self) -> None:
        connection, self._socket = self._socket, None
        if connection is not None:
            connection.close()

    def write(self, data: bytes) -> None:
        connection = self._opened()
        try:
            connection.settimeout(self._connect_timeout_s)
            connection.sendall(data)
        except OSError as error:
            self.close()
            raise unreachable(self.name, f"writing failed ({_reason(error)})") from error

    def read(self, wait_s: float) -> bytes:
        connection = self._opened()
        try:
            connection.settimeout(wait_s)
            data = connection.recv(65536)
        except (socket.timeout, BlockingIOError):  # noqa: UP041 (an alias only since 3.10)
            return b""
        except OSError as error:
            self.close()
            raise unreachable(self.name, f"reading failed ({_reason(error)})") from error
        if not data:
            self._ended = True
        return data

    def discard_input(self) -> None:
        while self.read(0.0):
            pass

    def _opened(self) -> socket.socket:
        if self._socket is None:
            raise unreachable(self.name, "there is no connection")
        return self._socket


def open_transport(url: str, *, default_baudrate: int = 9600) -> SerialTransport | TcpTransport:
    """Connect to an instrument.

    Args:
        url: ``tcp://host:port``, ``serial:///dev/ttyUSB0?baudrate=19200`` or a plain device path.
            A serial URL knows baudrate, parity (N, E, O), stopbits, and silence_ms, see
            `SerialTransport`.
        default_baudrate: where the URL names none.

    Returns:
        The open transport.

    Raises:
        ConfigError: the URL is none of these.
        DeviceError: DEVICE_UNREACHABLE, the device is missing or refuses.
    """
    transport = _parse(url, default_baudrate)
    transport.open()
    return transport


def _readable(port: serial.Serial, wait_s: float) -> bool:
    """Whether a byte is there, waiting at most `wait_s` for it.

    Only `select` sees at once what was just written to a pseudo-terminal; the count of waiting
    bytes lags behind it. Windows has no `select` for serial ports.
    """
    if os.name == "posix":
        return bool(select.select([port.fileno()], [], [], wait_s)[0])
    deadline = Deadline(wait_s)
    while not port.in_waiting:
        if deadline.over:
            return False
        time.sleep(min(_WINDOWS_POLL_S, deadline.remaining_s))
    return True


def _parse(url: str, default_baudrate: int) -> SerialTransport | TcpTransport:
    if "://" not in url:
        if not url:
            raise ConfigError(url, "", "is empty", "serial:///dev/..., a path, or tcp://host:port")
        return SerialTransport(url, baudrate=default_baudrate)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(url, "", f"is no address ({error})", "tcp://host:port") from error
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if parts.scheme == "tcp":
        if not host or port is None or parts.path not in ("", "/") or options:
            raise ConfigError(url, "", "is no TCP address", "tcp://host:port and nothing else")
        return TcpTransport(host, port)
    if parts.scheme != "serial":
        raise ConfigError(url, "", f"unknown scheme {parts.scheme!r}", "serial:// or tcp://")
    known = {"baudrate", "parity", "stopbits", "silence_ms"}
    unknown = sorted(set(options) - known)
    if unknown:
        raise ConfigError(url, unknown[0], "unknown option", f"one of {', '.join(sorted(known))}")
    path = (parts.netloc + parts.path) if parts.netloc else parts.path
    if not path:
        raise ConfigError(url, "", "names no device", "serial:///dev/ttyUSB0")
    parity = options.get("parity", "N")
    stopbits = options.get("stopbits", "1")
    if parity not in ("N", "E", "O"):
        raise ConfigError(url, "parity", f"has the value {parity!r}", "N, E or O")
    if stopbits not in ("1", "2"):
        raise ConfigError(url, "stopbits", f"has the value {stopbits!r}", "1 or 2")
    baudrate = _number(url, "baudrate", options.get("baudrate", str(default_baudrate)), 50)
    silence_s = (
        _number(url, "silence_ms", options["silence_ms"], 0) / 1000
        if "silence_ms" in options
        else None
    )
    return SerialTransport(
        path,
        baudrate=int(baudrate),
        parity=parity,
        stopbits=int(stopbits),
        silence_s=silence_s,
    )


def _number(url: str, key: str, text: str, low: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= 10_000_000:
        raise ConfigError(url, key, f"has the value {text!r}", f"a number of at least {low:g}")
    return value


def _reason(error: Exception) -> str:
    """The shortest true description of an operating system's error."""
    strerror = getattr(error, "strerror", None)
    return str(strerror or error or type(error).__name__)
