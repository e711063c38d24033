"""Cuts what comes from a transport into lines of text."""

from __future__ import annotations

import re

from matlab_ros.instruments.transport import Transport
from matlab_ros.model.faults import DeviceError, Fault, FaultCode

MAX_LINE_BYTES = 65536
"""A longer line is noise; a dosing head's data are a few kilobytes."""


class LineReader:
    """Whole lines, one after the other.

    Bytes that are no text are kept as replacement characters, so they spoil their own line only.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._rest = b""
        self._lines: list[str] = []

    def clear(self) -> None:
        """Forget unread lines and a half line."""
        self._rest = b""
        self._lines.clear()

    def next_line(self, wait_s: float) -> str | None:
        """The next whole line without its end, waiting at most `wait_s` for bytes.

        One call waits once: None means no whole line yet.

        Raises:
            DeviceError: DEVICE_UNREACHABLE, or PROTOCOL_ERROR for a line without an end.
        """
        if self._lines:
            return self._lines.pop(0)
        data = self._transport.read(wait_s)
        if not data:
            if self._transport.ended:
                self._transport.close()
                raise DeviceError(
                    Fault.of(
                        FaultCode.DEVICE_UNREACHABLE,
                        f"{self._transport.name}: the other side closed the connection.",
                    )
                )
            return None
        *whole, self._rest = re.split(rb"\r\n|\n|\r(?=[^\n])", self._rest + data)
        self._lines += [
            line.decode("latin-1").strip("\x00\r") for line in whole if line.strip(b"\x00\r ")
        ]
        if len(self._rest) > MAX_LINE_BYTES:
            self._rest = b""
            raise DeviceError(
                Fault.of(
                    FaultCode.PROTOCOL_ERROR,
                    f"{self._transport.name}: more than {MAX_LINE_BYTES} bytes without a line end; "
                    "check that the right instrument is at the other end.",
                )
            )
        return self._lines.pop(0) if self._lines else None
