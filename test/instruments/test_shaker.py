"""The shaker's driver against its emulator, through a real socket."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from matlab_ros.instruments.mixing import MixerState
from matlab_ros.instruments.shaker import Shaker
from matlab_ros.instruments.transport import TcpTransport
from matlab_ros.model.faults import DeviceError, FaultCode
from matlab_ros.virtual.instruments.shaker import CrucibleShaker
from matlab_ros.virtual.instruments.wire import LoopbackServer


@pytest.fixture
def bench() -> Iterator[tuple[Shaker, CrucibleShaker, list[float]]]:
    shaken: list[float] = []
    device = CrucibleShaker(shaken.append)
    server = LoopbackServer(device.answer)
    yield Shaker(TcpTransport("127.0.0.1", server.port)), device, shaken
    server.close()


def test_a_powder_is_shaken_for_as_long_as_the_motor_ran(
    bench: tuple[Shaker, CrucibleShaker, list[float]],
) -> None:
    shaker, device, shaken = bench
    device.advance_to(100.0)
    shaker.start()
    assert shaker.read_state() is MixerState.RUNNING
    device.advance_to(700.0)
    shaker.stop()
    assert shaken == [10.0]


def test_a_second_stop_shakes_nothing(bench: tuple[Shaker, CrucibleShaker, list[float]]) -> None:
    shaker, device, shaken = bench
    shaker.start()
    device.advance_to(60.0)
    shaker.stop()
    shaker.stop()
    assert shaken == [1.0]


def test_a_motor_that_does_not_turn_is_a_fault(
    bench: tuple[Shaker, CrucibleShaker, list[float]],
) -> None:
    shaker, device, _ = bench
    device.stuck = True
    with pytest.raises(DeviceError, match="was told RUNNING") as caught:
        shaker.start()
    assert caught.value.fault.code is FaultCode.PROTOCOL_ERROR


def test_a_shaker_that_is_not_there_is_named() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(DeviceError, match=f"127.0.0.1:{port} does not answer") as caught:
        Shaker(TcpTransport("127.0.0.1", port)).read_state()
    assert caught.value.fault.code is FaultCode.DEVICE_UNREACHABLE
