"""The gripper: it holds what is between its fingers, tells when that is gone, keeps to its ends."""

from __future__ import annotations

import pytest

from matlab_ros.instruments.dh_gripper import DhGripper, GripState, InitState
from matlab_ros.instruments.modbus import ModbusMaster
from matlab_ros.model.faults import DeviceError, FaultCode
from matlab_ros.virtual.instruments.dh_gripper import DhGripper as Emulated


class Bench:
    """A gripper and what is between its fingers."""

    def __init__(self) -> None:
        self.between: float | None = None
        self.device = Emulated(lambda: self.between)

    def finish(self) -> float:
        moment = self.device.next_moment()
        assert moment is not None
        self.device.advance_to(moment)
        return moment


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def gripper(bench, plug, transport_to) -> DhGripper:
    url = f"serial://{plug(bench.device).url}?silence_ms=0"
    return DhGripper(ModbusMaster(transport_to(url)))


def fault_of(call, *arguments) -> FaultCode:
    with pytest.raises(DeviceError) as caught:
        call(*arguments)
    return caught.value.fault.code


def test_it_is_initialised_before_it_moves(gripper, bench) -> None:
    assert fault_of(gripper.grasp) is FaultCode.DEVICE_NOT_ACTIVE
    gripper.initialise()
    assert gripper.read_status().init is InitState.INITIALISING
    bench.finish()
    status = gripper.read_status()
    assert (status.init, status.opening) == (InitState.INITIALISED, 1.0)


def test_it_holds_what_is_there_and_tells_when_it_is_lost(gripper, bench) -> None:
    gripper.initialise()
    began = bench.finish()
    bench.between = 420.0
    gripper.grasp()
    assert gripper.read_status().grip is GripState.MOVING
    assert bench.finish() - began == pytest.approx(0.58 * 0.7 * 2)
    status = gripper.read_status()
    assert status.holds
    assert status.opening == 0.42
    assert fault_of(gripper.initialise) is FaultCode.DEVICE_NOT_ACTIVE
    bench.device.lose()
    status = gripper.read_status()
    assert not status.holds
    assert status.grip is GripState.DROPPED


def test_an_empty_grasp_holds_nothing(gripper, bench) -> None:
    gripper.initialise()
    bench.finish()
    gripper.grasp()
    bench.finish()
    status = gripper.read_status()
    assert (status.grip, status.opening) == (GripState.ARRIVED, 0.0)
    gripper.release()
    bench.finish()
    assert gripper.read_status().opening == 1.0


@pytest.mark.parametrize("opening", [-0.01, 1.01, float("nan")])
def test_beyond_the_ends_is_refused(gripper, opening: float) -> None:
    assert fault_of(gripper.move_to, opening) is FaultCode.INVALID_GOAL


def test_speaks_with_pymodbus_server(pymodbus_peer, transport_to) -> None:
    registers = {0x100: 0, 0x101: 0, 0x103: 0, 0x104: 0, 0x200: 1, 0x201: 2, 0x202: 417}
    path = pymodbus_peer(registers)
    master = ModbusMaster(transport_to(f"serial://{path}?baudrate=115200"), deadline_s=5.0)
    gripper = DhGripper(master, force_percent=40, speed_percent=60)
    assert gripper.read_status().holds
    gripper.move_to(0.25)
    assert master.read(0x101) == (40,)
    assert master.read(0x103, 2) == (250, 60)
