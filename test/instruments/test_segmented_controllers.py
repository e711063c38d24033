"""Eurotherm 2416 and EPC3016: programs of typed segments, on emulators and on pymodbus's server."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from matlab_ros.instruments.epc3016 import Epc3016
from matlab_ros.instruments.eurotherm_2416 import Eurotherm2416
from matlab_ros.instruments.heat_controller import HeatController, ProgramState
from matlab_ros.instruments.heat_program import HeatSegment
from matlab_ros.instruments.modbus import ModbusMaster
from matlab_ros.instruments.modbus_framing import TcpFraming
from matlab_ros.instruments.transport import TcpTransport
from matlab_ros.model.faults import DeviceError, FaultCode
from matlab_ros.model.lab_config import FurnaceLimits
from matlab_ros.virtual.instruments.epc3016 import Epc3016 as EmulatedEpc
from matlab_ros.virtual.instruments.eurotherm_2416 import Eurotherm2416 as Emulated2416
from matlab_ros.virtual.instruments.eurotherm_segments import SegmentedController
from matlab_ros.virtual.instruments.wire import StreamServer

LIMITS = FurnaceLimits(max_temperature_c=1200, max_ramp_c_per_min=10)
PROGRAM = (HeatSegment(600, 10, 30), HeatSegment(900, 5, 120), HeatSegment(400, 7.5, 0))
MINUTE = 60.0
START = 1000.0
NO_NOISE = {"noise_c": 0.0}


@dataclass
class Bench:
    """A driver and what it drives."""

    furnace: HeatController
    device: SegmentedController
    wire: object

    def after(self, minutes: float) -> None:
        self.device.advance_to(START + minutes * MINUTE)


@pytest.fixture(params=["eurotherm_2416", "epc3016"])
def bench(request, plug, transport_to) -> Iterator[Bench]:
    rng = np.random.default_rng(1)
    if request.param == "eurotherm_2416":
        device: SegmentedController = Emulated2416(rng, max_setpoint_c=1300)
        wire = plug(device, "furnace")
        transport = transport_to(f"serial://{wire.url}?silence_ms=0")
        furnace: HeatController = Eurotherm2416(ModbusMaster(transport), LIMITS)
        device.advance_to(START)
        yield Bench(furnace, device, wire)
        return
    device = EmulatedEpc(rng, max_setpoint_c=1300)
    device.advance_to(START)
    server = StreamServer(device.session)
    transport = TcpTransport("127.0.0.1", server.port)
    yield Bench(Epc3016(ModbusMaster(transport, framing=TcpFraming()), LIMITS), device, server)
    transport.close()
    server.close()


def fault_of(call: Callable[..., object], *arguments: object) -> FaultCode:
    with pytest.raises(DeviceError) as caught:
        call(*arguments)
    return caught.value.fault.code


def test_program_runs_to_its_end_and_the_furnace_cools_alone(bench: Bench) -> None:
    furnace = bench.furnace
    assert furnace.write_program(PROGRAM) == PROGRAM
    assert furnace.read_program() == PROGRAM
    furnace.start()
    bench.after(575 / 10 + 15)
    status = furnace.read_status()
    assert status.state is ProgramState.RUN
    assert status.segment == 2
    assert status.reading.setpoint_c == 600
    assert status.reading.measured_c == pytest.approx(600, abs=6)
    bench.after(575 / 10 + 30 + 60 + 100)
    status = furnace.read_status()
    assert (status.segment, status.reading.setpoint_c) == (4, 900)
    if not math.isnan(status.left_min):
        assert status.left_min == pytest.approx(20 + 500 / 7.5, abs=1)
    bench.after(575 / 10 + 30 + 60 + 120 + 500 / 7.5 + 1)
    assert furnace.read_state() is ProgramState.RESET
    assert furnace.read().setpoint_c == 0
    bench.after(24 * 60)
    assert furnace.read().measured_c < 60
    assert furnace.read_status().segment == 0


def test_contact_lost_while_heating_leaves_the_program_to_the_controller(bench: Bench) -> None:
    bench.furnace.write_program([HeatSegment(900, 10, 60)])
    bench.furnace.start()
    bench.wire.faults.mute = True  # type: ignore[attr-defined]
    assert fault_of(bench.furnace.read_status) is FaultCode.DEVICE_UNREACHABLE
    bench.after(20 * 60)
    _, temperature = bench.device.true_trace(START, START + 20 * 60 * MINUTE)
    assert temperature.max() == pytest.approx(900, abs=6)
    assert temperature[-1] < 60


def test_hold_resume_reset(bench: Bench) -> None:
    furnace = bench.furnace
    assert fault_of(furnace.hold) is FaultCode.DEVICE_NOT_ACTIVE
    furnace.write_program([HeatSegment(900, 10, 60)])
    furnace.start()
    assert fault_of(furnace.start) is FaultCode.DEVICE_BUSY
    assert fault_of(furnace.write_program, PROGRAM) is FaultCode.DEVICE_BUSY
    bench.after(30)
    furnace.hold()
    held = furnace.read().setpoint_c
    bench.after(90)
    assert furnace.read_state() is ProgramState.HOLD
    assert furnace.read().setpoint_c == held
    furnace.resume()
    bench.after(91)
    assert furnace.read().setpoint_c == pytest.approx(held + 10, abs=0.2)
    furnace.reset()
    bench.after(92)
    assert (furnace.read().setpoint_c, furnace.read().output_percent) == (0, 0)


def test_memory_is_written_only_where_something_changes(bench: Bench) -> None:
    for _ in range(4):
        bench.furnace.write_program(PROGRAM)
        bench.furnace.start()
        bench.furnace.read_status()
        bench.furnace.reset()
    assert max(bench.device.eeprom_writes.values()) == 1
    assert 2 not in bench.device.eeprom_writes, "the target set point is never written"


def test_a_long_dwell_is_several_segments(bench: Bench) -> None:
    program = (HeatSegment(900, 10, 3000.0), HeatSegment(200, 5, 12.0))
    assert bench.furnace.write_program(program) == program
    assert bench.furnace.read_program() == program
    bench.furnace.start()
    bench.after(87.5 + 2999)
    assert bench.furnace.read().setpoint_c == 900
    bench.after(87.5 + 3010)
    assert bench.furnace.read().setpoint_c < 900


def test_what_does_not_fit_is_refused_and_nothing_written(bench: Bench) -> None:
    for program in (
        [HeatSegment(1201, 10, 0)],
        [HeatSegment(900, 10.5, 0)],
        [HeatSegment(900, 0.05, 0)],
        [HeatSegment(900, 10, 1e6)],
        [HeatSegment(500 + n, 5, 1) for n in range(13)],
    ):
        assert fault_of(bench.furnace.write_program, program) is FaultCode.HEAT_OUT_OF_RANGE
    assert not bench.device.eeprom_writes


def test_broken_sensor_is_told_and_nothing_starts(bench: Bench) -> None:
    bench.furnace.write_program(PROGRAM)
    bench.device.sensor_break = True
    reading = bench.furnace.read()
    assert reading.sensor_break
    assert math.isnan(reading.measured_c)
    assert fault_of(bench.furnace.guard, reading) is FaultCode.HEAT_SENSOR_BREAK
    assert fault_of(bench.furnace.start) is FaultCode.HEAT_SENSOR_BREAK
    assert bench.furnace.read_state() is ProgramState.RESET


def test_a_program_that_would_not_end_cold_is_not_started(bench: Bench) -> None:
    bench.furnace.write_program(PROGRAM)
    words = bench.device._words
    end = 8334 if 1173 in words else 8336 + 8 * 5 + 3
    assert words[end] == 1
    words[end] = 0
    assert fault_of(bench.furnace.start) is FaultCode.HEAT_CONTROLLER_REFUSED


def test_another_set_point_at_rest_is_refused(bench: Bench) -> None:
    words = bench.device._words
    live = bench.device._live
    words[25] = 8000

    def at_rest(address: int) -> int | None:
        return words[25] if address == 2 else live(address)

    bench.device._live = at_rest  # type: ignore[method-assign]
    with pytest.raises(DeviceError, match="aims at 800 C without a program"):
        bench.furnace.write_program(PROGRAM)


def test_a_lost_connection_is_made_anew(bench: Bench) -> None:
    before = bench.furnace.read()
    if isinstance(bench.wire, StreamServer):
        bench.wire.disconnect()
    else:
        bench.wire.replug()  # type: ignore[attr-defined]
    assert bench.furnace.read() == before


def test_integer_resolution_is_refused(plug, transport_to) -> None:
    device = Emulated2416(np.random.default_rng(1))
    device._words[12550] = 1
    furnace = Eurotherm2416(ModbusMaster(transport_to(plug(device).url)), LIMITS)
    with pytest.raises(DeviceError, match="resolution to full"):
        furnace.read()


def test_an_unwired_programmer_is_refused() -> None:
    device = EmulatedEpc(np.random.default_rng(1))
    device.unwired = True
    server = StreamServer(device.session)
    transport = TcpTransport("127.0.0.1", server.port)
    furnace = Epc3016(ModbusMaster(transport, framing=TcpFraming()), LIMITS)
    with pytest.raises(DeviceError, match="wire the programmer's PV input"):
        furnace.write_program(PROGRAM)
    transport.close()
    server.close()


def registers_of(device: SegmentedController) -> dict[int, int]:
    """What an emulated controller shows, for a server that knows nothing of controllers."""
    live = {address: device._live(address) for address in (2, 23, 56, 58, 163, 258, 1931, 1932)}
    live |= {10578: device._live(10578), 1: 250, 4: 0, 5: 0}
    return {**device._words, **{a: word for a, word in live.items() if word is not None}}


def test_2416_speaks_with_pymodbus_server(pymodbus_peer, transport_to) -> None:
    registers = registers_of(Emulated2416(np.random.default_rng(1)))
    path = pymodbus_peer(registers)
    master = ModbusMaster(transport_to(f"serial://{path}?baudrate=115200"), deadline_s=5.0)
    furnace = Eurotherm2416(master, LIMITS)
    assert furnace.read().measured_c == 25
    assert furnace.write_program(PROGRAM) == PROGRAM
    assert master.read(8330, 3) == (1, 1, 1)
    assert master.read(8336, 3) == (1, 6000, 100)
    assert master.read(8344, 3) == (3, 6000, 300)
    assert master.read(8376, 4) == (0, 0, 0, 1)
    furnace.start()
    assert master.read(23) == (2,)
    furnace.hold()
    assert master.read(23) == (4,)
    furnace.reset()
    assert master.read(23) == (1,)


def test_epc3016_speaks_with_pymodbus_server(pymodbus_tcp_peer) -> None:
    registers = registers_of(EmulatedEpc(np.random.default_rng(1)))
    registers[10578] = 250
    transport = TcpTransport("127.0.0.1", pymodbus_tcp_peer(registers))
    master = ModbusMaster(transport, deadline_s=5.0, framing=TcpFraming())
    furnace = Epc3016(master, LIMITS)
    assert furnace.read().measured_c == 25
    assert furnace.write_program(PROGRAM) == PROGRAM
    assert (master.read(1173), master.read(8334)) == ((2,), (1,))
    assert master.read(8336, 3) == (1, 6000, 100)
    assert master.read(8344, 3) == (3, 6000, 30)
    assert master.read(8376, 3) == (0, 0, 0)
    furnace.start()
    assert master.read(23) == (2,)
    furnace.reset()
    assert master.read(23) == (1,)
    transport.close()
