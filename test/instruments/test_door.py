"""Furnace doors: they open when they may, one at a time, and a stuck one is a fault."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matlab_ros.instruments.door import DoorController, DoorMotion, DoorPosition, parse_status
from matlab_ros.instruments.transport import TcpTransport
from matlab_ros.model.faults import DeviceError, Fault, FaultCode
from matlab_ros.virtual.instruments.door import CLOSE_S, GIVE_UP_S, OPEN_S, FurnaceDoors
from matlab_ros.virtual.instruments.wire import LoopbackServer


class Bench:
    """Doors, and who may forbid to open one."""

    def __init__(self) -> None:
        self.forbidden: set[str] = set()
        self.device = FurnaceDoors()
        self.server = LoopbackServer(self.device.answer)
        transport = TcpTransport("127.0.0.1", self.server.port)
        self.doors = DoorController(transport, "AB", may_open=self.may_open, deadline_s=1.0)

    def may_open(self, name: str) -> None:
        if name in self.forbidden:
            raise DeviceError(Fault.of(FaultCode.DEVICE_NOT_ACTIVE, f"furnace {name} is hot."))


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.server.close()


def fault_of(call, *arguments) -> FaultCode:
    with pytest.raises(DeviceError) as caught:
        call(*arguments)
    return caught.value.fault.code


def test_a_door_opens_and_closes_in_its_time(bench: Bench) -> None:
    doors, device = bench.doors, bench.device
    assert doors.read_status().is_closed("A")
    doors.open_door("A")
    status = doors.read_status()
    assert status.motion is DoorMotion.MOVING
    assert not status.is_closed("A")
    assert fault_of(doors.open_door, "B") is FaultCode.DEVICE_BUSY
    assert device.next_moment() == OPEN_S
    device.advance_to(OPEN_S)
    status = doors.read_status()
    assert status.is_open("A")
    assert status.is_closed("B")
    doors.open_door("A")
    doors.close_door("A")
    device.advance_to(OPEN_S + CLOSE_S)
    assert doors.read_status().is_closed("A")


def test_a_forbidden_door_gets_no_order(bench: Bench) -> None:
    bench.forbidden.add("B")
    assert fault_of(bench.doors.open_door, "B") is FaultCode.DEVICE_NOT_ACTIVE
    assert bench.device.next_moment() is None
    bench.doors.open_door("A")


def test_a_stuck_door_is_closed_again_and_needs_somebody(bench: Bench) -> None:
    bench.device.stuck.add("A")
    bench.doors.open_door("A")
    bench.device.advance_to(GIVE_UP_S)
    assert bench.doors.read_status().motion is DoorMotion.FAILED
    bench.device.advance_to(GIVE_UP_S + CLOSE_S)
    status = bench.doors.read_status()
    assert status.doors["A"] is DoorPosition.UNKNOWN
    assert not status.is_closed("A")
    assert fault_of(bench.doors.open_door, "B") is FaultCode.DEVICE_NOT_ACTIVE
    bench.device.restart()
    bench.doors.open_door("B")


def test_an_order_whose_answer_is_lost_is_seen_to_have_begun(bench: Bench) -> None:
    bench.doors.read_status()
    answer = bench.device.answer

    def lose_the_answer(heard: bytes) -> bytes | None:
        reply = answer(heard)
        return b"" if heard.startswith(b"Open") else reply

    bench.server._answer = lose_the_answer
    bench.doors.open_door("A")
    assert bench.doors.read_status().motion is DoorMotion.MOVING


def test_no_such_door(bench: Bench) -> None:
    assert fault_of(bench.doors.open_door, "C") is FaultCode.INVALID_GOAL


SOUND = "State: STOP; Furnace A: Closed; Furnace B: Open;"


@given(st.integers(0, len(SOUND) - 1), st.integers(1, 255))
def test_a_changed_byte_never_moves_a_door(where: int, change: int) -> None:
    sound = parse_status(SOUND, "AB")
    assert sound is not None
    text = SOUND[:where] + chr(ord(SOUND[where]) ^ change) + SOUND[where + 1 :]
    heard = parse_status(text, "AB")
    assert heard is None or heard == sound
