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
from pymodbus.server import ModbusBaseServer, ModbusSerialServer, ModbusTcpServer
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


class Peer:
    """pymodbus's own server with a table of registers, in a thread of its own."""

    def __init__(self, make: Callable[[SimDevice], ModbusBaseServer], device: SimDevice) -> None:
        self._loop = asyncio.new_event_loop()
        self._listening = threading.Event()
        self.address: tuple[str, int] | None = None

        async def run() -> None:
            server = make(device)
            await server.serve_forever(background=True)
            sockets = getattr(server.transport, "sockets", ())
            if sockets:
                self.address = sockets[0].getsockname()
            self._listening.set()
            with contextlib.suppress(asyncio.CancelledError):
                await server.serving
            await server.shutdown()

        self._thread = threading.Thread(
            target=self._loop.run_until_complete, args=(run(),), daemon=True
        )
        self._thread.start()
        assert self._listening.wait(PATIENCE_S)

    def close(self) -> None:
        def cancel() -> None:
            for task in asyncio.all_tasks(self._loop):
                task.cancel()

        self._loop.call_soon_threadsafe(cancel)
        self._thread.join(PATIENCE_S)


def table(registers: dict[int, int], unit: int) -> SimDevice:
    """A device that holds these registers and no others."""
    return SimDevice(
        id=unit,
        simdata=[
            SimData(address, values=value, datatype=DataType.REGISTERS)
            for address, value in sorted(registers.items())
        ],
    )


@pytest.fixture
def pymodbus_peer() -> Iterator[Callable[..., str]]:
    """Serves registers by pymodbus's own server; gives the path of the serial device to it."""
    closers: list[Callable[[], None]] = []

    def serve(registers: dict[int, int], unit: int = 1) -> str:
        bridge = Bridge()
        peer = Peer(
            lambda device: ModbusSerialServer(device, port=bridge.ends[1], baudrate=115200),
            table(registers, unit),
        )
        closers.extend((peer.close, bridge.close))
        return bridge.ends[0]

    yield serve
    for close in closers:
        close()


@pytest.fixture
def pymodbus_tcp_peer() -> Iterator[Callable[..., int]]:
    """Serves registers by pymodbus's own server; gives the TCP port to it."""
    peers: list[Peer] = []

    def serve(registers: dict[int, int], unit: int = 1) -> int:
        peer = Peer(
            lambda device: ModbusTcpServer(device, address=("127.0.0.1", 0)),
            table(registers, unit),
        )
        peers.append(peer)
        assert peer.address is not None
        return peer.address[1]

    yield serve
    for peer in peers:
        peer.close()
