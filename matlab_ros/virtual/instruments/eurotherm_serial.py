"""What the emulated Eurotherm 2416 and 3216P share: a serial line, and some registers."""

from __future__ import annotations

from typing import Any

from matlab_ros.virtual.instruments.device import Send
from matlab_ros.virtual.instruments.furnace_controller import EmulatedController
from matlab_ros.virtual.instruments.modbus_slave import ModbusSlave

_STATUS, _SENSOR_BREAK = 75, 258
_BROKEN_BIT = 0x20


class SerialController(EmulatedController):
    """A controller at the end of a serial line. See `EmulatedController` for its arguments."""

    def __init__(self, *arguments: Any, unit: int = 1, **options: Any) -> None:
        super().__init__(*arguments, unit=unit, **options)
        self._slave = ModbusSlave(unit, self._read, self._write)

    def connect(self, send: Send) -> None:
        """A Modbus slave never speaks first."""

    def receive(self, data: bytes) -> bytes:
        """Answer Modbus requests as of the present moment."""
        with self._lock:
            return self._slave.receive(data)

    def _live(self, address: int) -> int | None:
        if address == _STATUS:
            return self._alarms() | (_BROKEN_BIT if self.sensor_break else 0)
        if address == _SENSOR_BREAK:
            return int(self.sensor_break)
        return None
