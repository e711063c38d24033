"""Traffic of a wire as a text file: recorded in a running lab, replayed as a test.

One event a line, made to be read and compared: what happened (``>`` to the instrument, ``<`` from
it, ``o`` opened, ``c`` closed, ``x`` ended by the other side, ``!`` failed), steady seconds since
the recording began, the bytes in hexadecimal and as ASCII. More than 16 bytes go on in lines
with ``.`` instead of the time::

    # matlab-ros traffic 1
    # eurotherm_2416 on /dev/ttyUSB0
    o    0.000000
    >    0.000312  01 03 00 01 00 05 d4 09                          |........|
    <    0.012044  01 03 0a 00 fa 00 00 00 00 00 00 00 00 de 50     |..............P|
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from matlab_ros.instruments.transport import PassThrough, Transport
from matlab_ros.model.errors import ConfigError, LabError
from matlab_ros.model.faults import DeviceError

_FIRST_LINE = "# matlab-ros traffic 1"
_WIDTH = 16
_TO, _FROM, _OPENED, _CLOSED, _ENDED, _FAILED = ">", "<", "o", "c", "x", "!"
_LINE = re.compile(r"([><ocx!]) +(\d+\.\d+|\.)(?:  ((?:[0-9a-f]{2} )*[0-9a-f]{2})(?: +\|.*\|)?)?")
_REMARK = re.compile(r"! +\d+\.\d+  .*")


class TrafficMismatch(LabError):
    """A driver wrote other bytes than when the traffic was recorded.

    Attributes:
        line: of the file.
        offset: of the first byte that differs, from 0, in what was written.
    """

    def __init__(self, message: str, line: int, offset: int) -> None:
        self.line = line
        self.offset = offset
        super().__init__(message)


@dataclass(frozen=True)
class Event:
    """One event of a recording.

    Attributes:
        line: of the file where it begins.
        mark: what happened; see the module.
        data: bytes that went over the wire.
    """

    line: int
    mark: str
    data: bytes


class RecordingTransport(PassThrough):
    """A transport that writes what passes to a file; it is otherwise the one it wraps.

    Args:
        inner: the wire.
        path: of the file; what was there is lost, its folder is made.
        title: of the recording, for people.

    Raises:
        ConfigError: the file cannot be written.
    """

    def __init__(self, inner: Transport, path: Path, *, title: str = "") -> None:
        super().__init__(inner)
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._ended = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: TextIO = path.open("w", encoding="ascii", errors="backslashreplace")
        except OSError as error:
            raise ConfigError(
                path, "record", f"cannot be written ({error.strerror})", "a file name"
            ) from error
        self._write(_FIRST_LINE)
        self._write(f"# {title or 'instrument'} on {inner.name}")
        if inner.is_open:
            self._note(_OPENED)

    def open(self) -> None:
        was_open = self._inner.is_open
        try:
            self._inner.open()
        except DeviceError as error:
            self._note(_FAILED, remark=str(error))
            raise
        if not was_open:
            self._ended = False
            self._note(_OPENED)

    def close(self) -> None:
        was_open = self._inner.is_open
        self._inner.close()
        if was_open:
            self._note(_CLOSED)

    def write(self, data: bytes) -> None:
        # Before, so that a recording of a crash ends with what was sent.
        self._note(_TO, data)
        try:
            self._inner.write(data)
        except DeviceError as error:
            self._note(_FAILED, remark=str(error))
            raise

    def read(self, wait_s: float) -> bytes:
        try:
            data = self._inner.read(wait_s)
        except DeviceError as error:
            self._note(_FAILED, remark=str(error))
            raise
        if data:
            self._note(_FROM, data)
        elif self._inner.ended and not self._ended:
            self._ended = True
            self._note(_ENDED)
        return data

    def _note(self, mark: str, data: bytes = b"", *, remark: str = "") -> None:
        clock = f"{time.monotonic() - self._began:11.6f}"
        if not data:
            self._write(f"{mark} {clock}" + (f"  {remark}" if remark else ""))
        for start in range(0, len(data), _WIDTH):
            piece = data[start : start + _WIDTH]
            text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in piece)
            stamp = clock if start == 0 else f"{'.':>11}"
            self._write(f"{mark} {stamp}  {piece.hex(' '):{3 * _WIDTH - 1}} |{text}|")

    def _write(self, line: str) -> None:
        with self._lock:
            self._file.write(line + "\n")
            self._file.flush()


def read_traffic(path: Path) -> tuple[Event, ...]:
    """The events of a recording.

    Raises:
        ConfigError: it is no recording, or a line is none of its kind.
    """
    try:
        text = path.read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise ConfigError(path, "", f"cannot be read ({error.strerror})", "a recording") from error
    lines = text.splitlines()
    if not lines or lines[0] != _FIRST_LINE:
        raise ConfigError(path, "1", "is no recording", f"the first line {_FIRST_LINE!r}")
    return tuple(_events(path, lines))


def _events(path: Path, lines: list[str]) -> Iterator[Event]:
    pending: Event | None = None
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            if _REMARK.fullmatch(line):
                continue
            raise ConfigError(path, str(number), f"{line[:60]!r}", "an event of a recording")
        mark, stamp, data = found[1], found[2], bytes.fromhex(found[3] or "")
        if (mark in (_TO, _FROM)) != bool(data):
            raise ConfigError(path, str(number), f"{line[:60]!r}", "bytes with > and < only")
        if stamp == ".":
            if pending is None or pending.mark != mark:
                raise ConfigError(path, str(number), "goes on with nothing", "a time")
            pending = Event(pending.line, mark, pending.data + data)
            continue
        if pending is not None:
            yield pending
        pending = Event(number, mark, data)
    if pending is not None:
        yield pending


class ReplayTransport:
    """A recording in place of a wire: answers as the instrument did, and checks what is written.

    Time does not count: what came from the instrument is there as soon as all that was written
    before it has been written again.

    Args:
        path: of the recording.

    Raises:
        ConfigError: it is no recording.
    """

    silence_s = 0.0

    def __init__(self, path: Path) -> None:
        self._path = path
        self._events = [event for event in read_traffic(path) if event.mark in "<>x"]
        self._next = 0
        self._written = b""
        self._open = True
        self._ended = False

    @property
    def name(self) -> str:
        return self._path.name

    @property
    def is_open(self) -> bool:
        return self._open

    @property
    def ended(self) -> bool:
        return self._ended

    @property
    def finished(self) -> bool:
        """Whether everything was replayed."""
        return self._next == len(self._events)

    def open(self) -> None:
        if not self._open:
            self._ended = False
        self._open = True

    def close(self) -> None:
        self._open = False
        if self._peek() == _ENDED:
            self._next += 1

    def write(self, data: bytes) -> None:
        """Compare with what was written then.

        Raises:
            TrafficMismatch: it is something else.
        """
        while data:
            if self._peek() == _ENDED:
                self._next += 1
                continue
            if self._peek() != _TO:
                line = self._events[self._next].line if not self.finished else 0
                where = f"line {line}, where the instrument speaks" if line else "its end"
                raise TrafficMismatch(
                    f"{self._path.name}: {_shown(data)} was written at {where}", line, 0
                )
            event = self._events[self._next]
            expected = event.data[len(self._written) :]
            count = min(len(expected), len(data))
            for index in range(count):
                if expected[index] != data[index]:
                    offset = len(self._written) + index
                    raise TrafficMismatch(
                        f"{self._path.name}: line {event.line}: byte {offset} of "
                        f"{_shown(self._written + data)} is 0x{data[index]:02x}; recorded was "
                        f"0x{expected[index]:02x} in {_shown(event.data)}",
                        event.line,
                        offset,
                    )
            self._written += data[:count]
            data = data[count:]
            if len(self._written) == len(event.data):
                self._next += 1
                self._written = b""

    def read(self, wait_s: float) -> bytes:
        mark = self._peek()
        if mark == _FROM:
            event = self._events[self._next]
            self._next += 1
            return event.data
        if mark == _ENDED:
            self._next += 1
            self._ended = True
            return b""
        # Nothing came then, so nothing comes now; whoever waits, waits.
        time.sleep(wait_s)
        return b""

    def discard_input(self) -> None:
        """What was discarded then is not in the recording."""

    def _peek(self) -> str:
        return "" if self.finished else self._events[self._next].mark


def _shown(data: bytes) -> str:
    """Bytes for people: both ways, not too many."""
    text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in data[:40])
    return f"{data[:40].hex(' ')} |{text}|"
