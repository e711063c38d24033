"""The Eurotherm driver, against the emulated controller and against pymodbus's server."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matlab_ros.instruments.eurotherm_3216 import (
    Eurotherm3216,
)
from matlab_ros.instruments.heat_controller import ProgramState
from matlab_ros.instruments.heat_program import HeatSegment, check_program, program_duration_min
from matlab_ros.instruments.modbus import ModbusMaster
from matlab_ros.model.faults import DeviceError, FaultCode, Severity
from matlab_ros.model.lab_config import FurnaceLimits
from matlab_ros.virtual.instruments.eurotherm_3216 import Eurotherm3216 as Controller

LIMITS = FurnaceLimits(max_temperature_c=1200, max_ramp_c_per_min=10)
PROGRAM = (HeatSegment(600, 10, 30), HeatSegment(900, 5, 120), HeatSegment(400, 7.5, 0))
MINUTE = 60.0


@pytest.fixture
def controller() -> Controller:
    device = Controller(np.random.default_rng(1), max_setpoint_c=1300)
    device.advance_to(1000.0)
    return device


@pytest.fixture
def terminal(plug, controller):
    return plug(controller, "furnace_1")


@pytest.fixture
def furnace(terminal, transport_to) -> Eurotherm3216:
    url = f"serial://{terminal.url}?baudrate=19200"
    return Eurotherm3216(ModbusMaster(transport_to(url), deadline_s=0.5), LIMITS)


def fault_of(call, *arguments) -> FaultCode:
    with pytest.raises(DeviceError) as caught:
        call(*arguments)
    return caught.value.fault.code


def test_cold_furnace_is_read_as_it_is(furnace) -> None:
    status = furnace.read_status()
    assert status.state is ProgramState.RESET
    assert status.reading.measured_c == pytest.approx(25, abs=2)
    assert status.reading.output_percent == 0
    assert not status.reading.sensor_break
    assert furnace.read_range().high_c == 1300


def test_program_runs_to_its_end_and_the_furnace_cools_alone(furnace, controller) -> None:
    assert furnace.write_program(PROGRAM) == PROGRAM
    assert furnace.read_program() == PROGRAM
    furnace.start()
    start = 1000.0
    duration_s = program_duration_min(PROGRAM, 25.0) * MINUTE
    controller.advance_to(start + (575 / 10 + 15) * MINUTE)
    status = furnace.read_status()
    assert status.state is ProgramState.RUN
    assert status.segment == 1
    assert status.elapsed_min == 72
    assert status.reading.setpoint_c == 600
    assert status.reading.measured_c == pytest.approx(600, abs=6)
    controller.advance_to(start + (575 / 10 + 30 + 60 + 100) * MINUTE)
    status = furnace.read_status()
    assert (status.segment, status.reading.setpoint_c) == (2, 900)
    assert status.reading.measured_c == pytest.approx(900, abs=2)
    controller.advance_to(start + duration_s + 1)
    assert furnace.read_state() is ProgramState.RESET
    assert furnace.read().setpoint_c == 0
    controller.advance_to(start + duration_s + 12 * 60 * MINUTE)
    assert furnace.read().measured_c < 60


def test_contact_lost_while_heating_leaves_the_program_to_the_controller(
    furnace, controller, terminal
) -> None:
    furnace.write_program([HeatSegment(900, 10, 60)])
    furnace.start()
    terminal.faults.mute = True
    assert fault_of(furnace.read_status) is FaultCode.DEVICE_UNREACHABLE
    controller.advance_to(1000 + 20 * 60 * MINUTE)
    times, temperature = controller.true_trace(1000, 1000 + 20 * 60 * MINUTE)
    assert temperature.max() == pytest.approx(900, abs=6)
    assert temperature[-1] < 60
    assert times[-1] == 1000 + 20 * 60 * MINUTE


def test_hold_keeps_the_set_point_and_resume_goes_on(furnace, controller) -> None:
    furnace.write_program([HeatSegment(900, 10, 60)])
    furnace.start()
    controller.advance_to(1000 + 30 * MINUTE)
    furnace.hold()
    held = furnace.read().setpoint_c
    assert held == pytest.approx(325, abs=0.2)
    controller.advance_to(1000 + 90 * MINUTE)
    status = furnace.read_status()
    assert (status.state, status.reading.setpoint_c) == (ProgramState.HOLD, held)
    assert status.elapsed_min == 30
    furnace.resume()
    controller.advance_to(1000 + 91 * MINUTE)
    assert furnace.read().setpoint_c == pytest.approx(held + 10, abs=0.2)


def test_reset_cools(furnace, controller) -> None:
    furnace.write_program([HeatSegment(900, 10, 60)])
    furnace.start()
    controller.advance_to(1000 + 60 * MINUTE)
    furnace.reset()
    controller.advance_to(1000 + 61 * MINUTE)
    reading = furnace.read()
    assert (reading.setpoint_c, reading.output_percent) == (0, 0)
    assert furnace.read_state() is ProgramState.RESET
    furnace.reset()


@pytest.mark.parametrize(
    "segment",
    [
        HeatSegment(1201, 10, 0),
        HeatSegment(10, 10, 0),
        HeatSegment(900, 10.5, 0),
        HeatSegment(900, 0, 0),
        HeatSegment(900, 0.05, 0),
        HeatSegment(900, 10, -1),
        HeatSegment(900, 10, 6000),
        HeatSegment(math.nan, 10, 0),
        HeatSegment(900, math.nan, 0),
        HeatSegment(900, 10, math.nan),
        HeatSegment(900, 10, math.inf),
    ],
)
def test_program_outside_the_limits_is_refused_and_nothing_written(
    furnace, controller, segment
) -> None:
    assert fault_of(furnace.write_program, [PROGRAM[0], segment]) is FaultCode.HEAT_OUT_OF_RANGE
    assert not controller.eeprom_writes


def test_too_many_or_no_segments_are_refused(furnace) -> None:
    many = [HeatSegment(500, 5, 1)] * (Eurotherm3216.segments + 1)
    assert fault_of(furnace.write_program, many) is FaultCode.HEAT_OUT_OF_RANGE
    assert fault_of(furnace.write_program, []) is FaultCode.HEAT_OUT_OF_RANGE
    furnace.write_program(many[: Eurotherm3216.segments])


def test_the_controllers_own_limit_counts_where_it_is_stricter(plug, transport_to) -> None:
    strict = Controller(np.random.default_rng(1), max_setpoint_c=800)
    terminal = plug(strict, "strict")
    furnace = Eurotherm3216(ModbusMaster(transport_to(terminal.url)), LIMITS)
    with pytest.raises(DeviceError, match="controller is set to 0 to 800 C"):
        furnace.write_program([HeatSegment(900, 10, 10)])
    assert not strict.eeprom_writes


def test_eeprom_is_written_only_where_something_changes(furnace, controller) -> None:
    for _ in range(5):
        furnace.write_program(PROGRAM)
        furnace.start()
        furnace.read_status()
        furnace.reset()
    assert max(controller.eeprom_writes.values()) == 1
    assert 2 not in controller.eeprom_writes, "the target set point is never written"


def test_running_program_is_not_overwritten_or_started_again(furnace) -> None:
    furnace.write_program(PROGRAM)
    furnace.start()
    assert fault_of(furnace.write_program, PROGRAM) is FaultCode.DEVICE_BUSY
    assert fault_of(furnace.start) is FaultCode.DEVICE_BUSY


def test_hold_and_resume_need_a_program(furnace) -> None:
    assert fault_of(furnace.hold) is FaultCode.DEVICE_NOT_ACTIVE
    assert fault_of(furnace.resume) is FaultCode.DEVICE_NOT_ACTIVE


def test_start_without_its_reply_is_seen_to_have_started(furnace, controller, terminal) -> None:
    furnace.write_program([HeatSegment(900, 10, 60)])
    receive = controller.receive

    def lose_the_reply_to_the_start(data: bytes) -> bytes:
        reply = receive(data)
        return b"" if data[1:4] == b"\x06\x00\x17" else reply

    controller.receive = lose_the_reply_to_the_start
    furnace.start()
    assert furnace.read_state() is ProgramState.RUN


def test_start_that_never_arrived_is_a_fault(furnace, controller) -> None:
    furnace.write_program([HeatSegment(900, 10, 60)])
    receive = controller.receive
    controller.receive = lambda data: b"" if data[1:4] == b"\x06\x00\x17" else receive(data)
    assert fault_of(furnace.start) is FaultCode.DEVICE_UNREACHABLE
    assert furnace.read_state() is ProgramState.RESET


def test_start_refuses_a_program_that_would_not_cool(furnace, controller) -> None:
    assert fault_of(furnace.start) is FaultCode.HEAT_CONTROLLER_REFUSED
    assert furnace.read_state() is ProgramState.RESET


def test_sensor_break_is_not_a_temperature(furnace, controller) -> None:
    furnace.write_program(PROGRAM)
    controller.sensor_break = True
    reading = furnace.read()
    assert reading.sensor_break
    assert math.isnan(reading.measured_c)
    assert fault_of(furnace.guard, reading) is FaultCode.HEAT_SENSOR_BREAK
    assert fault_of(furnace.start) is FaultCode.HEAT_SENSOR_BREAK


def test_over_temperature_is_a_fault_of_the_device(furnace) -> None:
    furnace.guard(furnace.read())
    hot = furnace.read()
    hot = type(hot)(1230.0, 900.0, 10.0, False)
    with pytest.raises(DeviceError) as caught:
        furnace.guard(hot)
    assert caught.value.fault.code is FaultCode.HEAT_OVER_TEMPERATURE
    assert caught.value.fault.severity is Severity.DEVICE


def test_locked_controller_is_a_refusal(furnace, controller) -> None:
    controller.refuse_writes = True
    assert fault_of(furnace.write_program, PROGRAM) is FaultCode.HEAT_CONTROLLER_REFUSED
    assert fault_of(furnace.reset) is FaultCode.HEAT_CONTROLLER_REFUSED


def test_controller_that_forgets_is_noticed(furnace, controller) -> None:
    write = controller._slave.registers.write
    controller._slave.registers.write = lambda address, values: (
        None if address == 1280 else write(address, values)
    )
    with pytest.raises(DeviceError, match="another program"):
        furnace.write_program(PROGRAM)


def test_program_is_rounded_to_what_the_controller_can_hold(furnace) -> None:
    held = furnace.write_program([HeatSegment(812.345, 7.77, 12.4)])
    assert held == (HeatSegment(812.3, 7.7, 12.0),)


@pytest.mark.parametrize("decimals", [0, 1])
def test_decimal_places_are_the_controllers(plug, transport_to, decimals: int) -> None:
    device = Controller(np.random.default_rng(1), decimals=decimals, noise_c=0.0)
    terminal = plug(device, f"decimals_{decimals}")
    furnace = Eurotherm3216(ModbusMaster(transport_to(terminal.url)), LIMITS)
    assert furnace.read().measured_c == 25
    assert furnace.write_program([HeatSegment(850, 10, 5)]) == (HeatSegment(850, 10, 5),)
    furnace.start()
    device.advance_to(30 * MINUTE)
    assert furnace.read().setpoint_c == pytest.approx(325, abs=10**-decimals)


def test_speaks_with_pymodbus_server(pymodbus_peer, transport_to) -> None:
    registers = dict.fromkeys((2, 3, 11, 15, 23, 24, 112, 258, 273, 276), 0)
    registers |= {321: 1, 325: 17, 328: 1, 330: 2, 531: 1, 525: 1}
    registers |= {1: 8503, 4: 425, 5: 8500, 12: 14000, 111: 13000}
    registers |= dict.fromkeys(range(1280, 1304), 0)
    path = pymodbus_peer(registers)
    master = ModbusMaster(transport_to(f"serial://{path}?baudrate=19200"), deadline_s=5.0)
    furnace = Eurotherm3216(master, LIMITS)
    status = furnace.read_status()
    assert (status.reading.measured_c, status.reading.setpoint_c) == (850.3, 850.0)
    assert (status.reading.output_percent, status.elapsed_min, status.segment) == (42.5, 17, 0)
    assert furnace.write_program(PROGRAM) == PROGRAM
    assert master.read(1280, 6) == (30, 6000, 100, 120, 9000, 50)
    assert (master.read(321), master.read(328), master.read(531)) == ((0,), (3,), (0,))
    furnace.start()
    assert master.read(23) == (1,)
    furnace.hold()
    assert master.read(23) == (2,)
    furnace.reset()
    assert master.read(23) == (0,)


def test_an_answer_that_makes_no_sense_is_a_protocol_error(pymodbus_peer, transport_to) -> None:
    path = pymodbus_peer({23: 77, 525: 9})
    furnace = Eurotherm3216(ModbusMaster(transport_to(path), deadline_s=5.0), LIMITS)
    assert fault_of(furnace.read_state) is FaultCode.PROTOCOL_ERROR
    assert fault_of(furnace.read_range) is FaultCode.PROTOCOL_ERROR


segments = st.builds(HeatSegment, st.floats(), st.floats(), st.floats())


@given(st.lists(segments, max_size=9))
def test_whatever_passes_the_check_is_within_the_limits(program) -> None:
    try:
        check_program(program, LIMITS, max_segments=8, who="furnace")
    except DeviceError as error:
        refusal = error.fault.code
    else:
        refusal = None
    if refusal is not None:
        assert refusal is FaultCode.HEAT_OUT_OF_RANGE
        return
    assert 1 <= len(program) <= 8
    assert all(20 <= s.target_c <= 1200 and 0 < s.ramp_c_per_min <= 10 for s in program)
    assert math.isfinite(program_duration_min(program, 25.0)) or any(
        s.ramp_c_per_min < 1e-200 for s in program
    )
