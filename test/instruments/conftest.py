"""Shared by the instruments' tests: emulators on real wires, and pymodbus's own server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import selectors
import threading
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pymodbus.server import ModbusSerialServer
from pymodbus.simulator import DataType, SimData, SimDevice

from matlab_ros.instruments.transport import open_transport
from matlab_ros.virtual.instruments.wire import PseudoTerminal

PATIENCE_S = 20.0


@pytest.fixture
def plug(tmp_path: Path) -> Iterator[Callable[..., PseudoTerminal]]:
    """Puts an emulated device on a pseudo-terminal."""
    plugged: list[PseudoTerminal] = []

    def put(device: object, name: str = "device") -> PseudoTerminal:
        terminal = PseudoTerminal(tmp_path / "wires" / name, device)  # type: ignore[arg-type]
        plugged.append(terminal)
        return terminal

    yield put
    for terminal in plugged:
        terminal.close()


@pytest.fixture
def transport_to() -> Iterator[Callable[[str], object]]:
    """Opens transports and closes them at the end."""
    opened = []

    def connect(url: str) -> object:
        transport = open_transport(url)
        opened.append(transport)
        return transport

    yield connect
    for transport in opened:
        transport.close()


class Bridge:
    """Two serial devices wired to each other."""

    def __init__(self) -> None:
        self._pairs = [os.openpty(), os.openpty()]
        for _, slave in self._pairs:
            tty.setraw(slave)
        self.ends = [os.ttyname(slave) for _, slave in self._pairs]
        self._wake_out, self._wake_in = os.pipe()
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def _carry(self) -> None:
        (one, _), (other, _) = self._pairs
        with selectors.DefaultSelector() as selector:
            for descriptor in (one, other, self._wake_out):
                selector.register(descriptor, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fd == self._wake_out:
                        return
                    os.write(other if key.fd == one else one, os.read(key.fd, 4096))

    def close(self) -> None:
        os.write(self._wake_in, b"x")
        self._thread.join(PATIENCE_S)
        for descriptor in (*self._pairs[0], *self._pairs[1], self._wake_in, self._wake_out):
            os.close(descriptor)


@pytest.fixture
def pymodbus_peer() -> Iterator[Callable[..., str]]:
    """Serves registers by pymodbus's own server; gives the path of the serial device to it."""
    closers: list[Callable[[], None]] = []

    def serve(registers: dict[int, int], unit: int = 1, on_write: object = None) -> str:
        bridge = Bridge()
        loop = asyncio.new_event_loop()
        listening = threading.Event()
        device = SimDevice(
            id=unit,
            simdata=[
                SimData(address, values=value, datatype=DataType.REGISTERS)
                for address, value in sorted(registers.items())
            ],
            action=on_write,  # type: ignore[arg-type]
        )

        async def run() -> None:
            server = ModbusSerialServer(device, port=bridge.ends[1], baudrate=115200)
            await server.serve_forever(background=True)
            listening.set()
            with contextlib.suppress(asyncio.CancelledError):
                await server.serving
            await server.shutdown()

        thread = threading.Thread(target=loop.run_until_complete, args=(run(),), daemon=True)
        thread.start()
        assert listening.wait(PATIENCE_S)

        def close() -> None:
            def cancel() -> None:
                for task in asyncio.all_tasks(loop):
                    task.cancel()

            loop.call_soon_threadsafe(cancel)
            thread.join(PATIENCE_S)
            bridge.close()

        closers.append(close)
        return bridge.ends[0]

    yield serve
    for close in closers:
        close()
