"""The rail and the head magazine: moves that end where they should, or in a fault."""

from __future__ import annotations

import pytest

from matlab_ros.instruments.dh_rail import HeadMagazine, LinearRail
from matlab_ros.instruments.modbus import ModbusMaster
from matlab_ros.model.faults import DeviceError, FaultCode
from matlab_ros.virtual.instruments.dh_rail import ALARM_BLOCKED, DhRail

PITCH_MM, SLOTS, FIRST_MM = 30.0, 16, 12.5


class Station:
    """A rail whose carriage can be held by a locked head."""

    def __init__(self) -> None:
        self.locked = False
        self.rail = DhRail(travel_mm=500.0, blocked=lambda: self.locked, start_mm=200.0)
        self.now = 0.0

    def finish(self) -> float:
        began = self.now
        while (moment := self.rail.next_moment()) is not None:
            self.now = moment
            self.rail.advance_to(moment)
        return self.now - began

    def slot(self) -> int | None:
        return self.rail.slot_at_unit(pitch_mm=PITCH_MM, slots=SLOTS, first_mm=FIRST_MM)


@pytest.fixture
def station() -> Station:
    return Station()


@pytest.fixture
def terminal(plug, station):
    return plug(station.rail, "rail")


@pytest.fixture
def rail(terminal, transport_to) -> LinearRail:
    url = f"serial://{terminal.url}?baudrate=115200"
    return LinearRail(ModbusMaster(transport_to(url), deadline_s=0.5), travel_mm=500.0)


@pytest.fixture
def magazine(rail) -> HeadMagazine:
    return HeadMagazine(rail, pitch_mm=PITCH_MM, slots=SLOTS, first_mm=FIRST_MM)


def fault_of(call, *arguments) -> FaultCode:
    with pytest.raises(DeviceError) as caught:
        call(*arguments)
    return caught.value.fault.code


def test_it_is_homed_before_it_moves(rail, station) -> None:
    assert fault_of(rail.move_to, 100.0) is FaultCode.DEVICE_NOT_ACTIVE
    rail.home()
    status = rail.read_status()
    assert status.moving
    assert not status.homed
    assert station.finish() == pytest.approx(200 / 50 + 0.2)
    status = rail.read_status()
    assert status.homed
    assert not status.moving
    assert station.rail.position_mm == 0


def test_a_slot_is_brought_and_takes_its_time(magazine, station) -> None:
    magazine.rail.home()
    station.finish()
    magazine.bring(5)
    assert not magazine.has_brought(5)
    assert station.slot() is None
    assert fault_of(magazine.bring, 6) is FaultCode.DEVICE_BUSY
    station.rail.advance_to(station.now + 0.5)
    assert 0 < station.rail.position_mm < 132.5
    assert station.finish() == pytest.approx(132.5 / 100 + 0.2)
    assert magazine.has_brought(5)
    assert not magazine.has_brought(4)
    assert station.slot() == 5


@pytest.mark.parametrize("slot", [0, 17, -1])
def test_no_such_slot(magazine, slot: int) -> None:
    assert fault_of(magazine.bring, slot) is FaultCode.INVALID_GOAL


@pytest.mark.parametrize("position_mm", [-0.1, 500.1, float("nan")])
def test_off_the_rail_is_refused(rail, position_mm: float) -> None:
    assert fault_of(rail.move_to, position_mm) is FaultCode.INVALID_GOAL


def test_a_locked_head_blocks_the_rail_until_the_alarm_is_cleared(magazine, station) -> None:
    magazine.rail.home()
    station.finish()
    station.locked = True
    magazine.bring(2)
    assert magazine.rail.read_status().alarm == ALARM_BLOCKED
    assert fault_of(magazine.has_brought, 2) is FaultCode.DEVICE_NOT_ACTIVE
    station.locked = False
    assert fault_of(magazine.bring, 2) is FaultCode.DEVICE_NOT_ACTIVE
    magazine.rail.clear_alarm()
    magazine.bring(2)
    station.finish()
    assert magazine.has_brought(2)


def test_a_carriage_stopped_on_its_way_has_not_arrived(magazine, station) -> None:
    magazine.rail.home()
    station.finish()
    magazine.bring(9)
    station.rail.advance_to(station.now + 1.0)
    station.rail.block()
    assert fault_of(magazine.has_brought, 9) is FaultCode.DEVICE_NOT_ACTIVE
    assert station.rail.next_moment() is None


def test_a_lost_reply_moves_it_once_to_the_same_place(rail, station, terminal) -> None:
    rail.home()
    station.finish()
    terminal.faults.drop_replies = 1
    rail.move_to(100.0)
    station.finish()
    assert rail.read_status().arrived(100.0)


def test_speaks_with_pymodbus_server(pymodbus_peer, transport_to) -> None:
    path = pymodbus_peer({0x1600: 0, 0x1602: 0, 0x1605: 0, 0x160F: 0, 0x1611: 0x8040})
    master = ModbusMaster(transport_to(f"serial://{path}?baudrate=115200"), deadline_s=5.0)
    rail = LinearRail(master, travel_mm=300.0, speed_mm_per_s=80.0)
    rail.move_to(123.45)
    assert master.read(0x1600) == (12345,)
    assert master.read(0x1602) == (800,)
    assert master.read(0x1605) == (0x21,)
    assert rail.read_status().arrived(123.45)
    rail.home()
    assert master.read(0x1605) == (0x22,)
    rail.clear_alarm()
    assert master.read(0x1605) == (0x30,)


def test_travel_beyond_the_register_is_a_mistake_of_the_program(rail) -> None:
    with pytest.raises(ValueError, match="travel"):
        LinearRail(rail._modbus, travel_mm=700.0)
