"""Each limit of a furnace is held by driver and controller alone, and the stricter one wins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matlab_ros.instruments.door import DoorController
from matlab_ros.instruments.guarded_furnace import GuardedFurnace
from matlab_ros.instruments.heat_controller import HeatController, ProgramState
from matlab_ros.instruments.heat_program import HeatSegment
from matlab_ros.instruments.registry import FURNACES, connect
from matlab_ros.instruments.transport import TcpTransport
from matlab_ros.model.faults import DeviceError, FaultCode
from matlab_ros.model.lab_config import FurnaceLimits
from matlab_ros.virtual.emulators import EMULATORS, Plugged, Wire, plug_serial, plug_tcp
from matlab_ros.virtual.instruments.door import FurnaceDoors
from matlab_ros.virtual.instruments.epc3016 import Epc3016
from matlab_ros.virtual.instruments.eurotherm_2416 import Eurotherm2416
from matlab_ros.virtual.instruments.eurotherm_3216 import Eurotherm3216
from matlab_ros.virtual.instruments.furnace_controller import EmulatedController
from matlab_ros.virtual.instruments.wire import LoopbackServer

MODELS: dict[str, type[Any]] = {
    "eurotherm_3216": Eurotherm3216,
    "eurotherm_2416": Eurotherm2416,
    "epc3016": Epc3016,
}
THRESHOLD = 13
LIMITS = FurnaceLimits(max_temperature_c=900, max_ramp_c_per_min=10, cut_alarm=1)
HOUR_S = 3600.0


class Bench:
    """One furnace, emulated, and its driver on a real wire."""

    def __init__(self, model: str, folder: Path, setpoint_limit_c: float) -> None:
        self._model = model
        self._folder = folder
        self._plugs: list[Plugged] = []
        self.device: EmulatedController = MODELS[model](
            np.random.default_rng(1), max_setpoint_c=setpoint_limit_c
        )
        self.device.advance_to(10.0)
        self.now = 10.0

    def driver(self, limits: FurnaceLimits) -> HeatController:
        emulator = EMULATORS[self._model]
        if emulator.wire is Wire.SERIAL:
            path = self._folder / f"wire-{len(self._plugs)}"
            self._plugs.append(plug_serial(self.device, path))  # type: ignore[arg-type]
            url = f"serial://{path}?silence_ms=0"
        else:
            plug = plug_tcp(emulator, self.device, "127.0.0.1", 0)
            self._plugs.append(plug)
            url = plug.url
        driver = FURNACES[self._model]
        made = driver.make(connect(driver, url), limits)
        driver.ask(made)
        return made

    def set_register(self, address: int, value_c: float) -> None:
        """At the controller's front, or by a person's software."""
        self.device._words[address] = round(value_c * 10)

    def register(self, address: int) -> float:
        return self.device._words[address] / 10

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.device.advance_to(self.now)

    def hottest(self) -> float:
        return float(self.device.true_trace(10.0, self.now)[1].max())

    def close(self) -> None:
        for plug in self._plugs:
            plug.close()


MakeBench = Callable[..., Bench]


@pytest.fixture(params=MODELS)
def bench_of(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeBench]:
    made: list[Bench] = []

    def make(setpoint_limit_c: float = 1400.0) -> Bench:
        made.append(Bench(request.param, tmp_path, setpoint_limit_c))
        return made[-1]

    yield make
    for bench in made:
        bench.close()


def fault_of(call: Callable[..., object], *arguments: object) -> FaultCode:
    with pytest.raises(DeviceError) as caught:
        call(*arguments)
    return caught.value.fault.code


def test_the_lower_of_file_and_controller_is_the_highest_set_point(bench_of: MakeBench) -> None:
    strict_file = bench_of(1400.0).driver(LIMITS)
    strict_controller = bench_of(600.0).driver(LIMITS)
    for driver, highest_c in ((strict_file, 900.0), (strict_controller, 600.0)):
        driver.check([HeatSegment(highest_c, 10, 1)])
        above = [HeatSegment(highest_c + 1, 10, 1)]
        assert fault_of(driver.write_program, above) is FaultCode.HEAT_OUT_OF_RANGE
        assert driver.read_state() is ProgramState.RESET


def test_the_slowest_of_file_and_controller_is_the_fastest_ramp(bench_of: MakeBench) -> None:
    driver = bench_of().driver(LIMITS)
    assert fault_of(driver.check, [HeatSegment(500, 10.1, 1)]) is FaultCode.HEAT_OUT_OF_RANGE
    held = driver.write_program([HeatSegment(500, 3.19, 1)])
    # What the controller cannot say exactly is rounded down, never up.
    assert held[0].ramp_c_per_min == pytest.approx(3.1)


def test_the_controller_opens_its_heater_where_nobody_else_looks(bench_of: MakeBench) -> None:
    bench = bench_of()
    driver = bench.driver(LIMITS)
    driver.write_program([HeatSegment(800, 10, 60)])
    assert bench.register(THRESHOLD) == LIMITS.cut_c
    driver.start()
    bench.pass_time(HOUR_S)
    bench.device.heater_stuck = True
    bench.pass_time(10 * HOUR_S)
    # A sample of the controller, at 30 C/min, is what the alarm comes late.
    assert LIMITS.cut_c < bench.hottest() < LIMITS.cut_c + 5
    assert not bench.device.is_heating
    status = driver.read_status()
    assert status.reading.cut
    assert fault_of(driver.guard, status.reading) is FaultCode.HEAT_OVER_TEMPERATURE
    assert fault_of(driver.start) is FaultCode.HEAT_OVER_TEMPERATURE


def test_without_the_alarm_a_stuck_heater_goes_on(bench_of: MakeBench) -> None:
    bench = bench_of()
    driver = bench.driver(LIMITS.model_copy(update={"cut_alarm": None}))
    driver.write_program([HeatSegment(800, 10, 60)])
    driver.start()
    bench.pass_time(HOUR_S)
    bench.device.heater_stuck = True
    bench.pass_time(4 * HOUR_S)
    assert bench.hottest() > LIMITS.cut_c + 100


def test_a_threshold_is_lowered_and_never_raised(bench_of: MakeBench) -> None:
    bench = bench_of()
    bench.set_register(THRESHOLD, 700.0)
    driver = bench.driver(LIMITS)
    driver.write_program([HeatSegment(650, 10, 1)])
    assert bench.register(THRESHOLD) == 700.0
    assert fault_of(driver.write_program, [HeatSegment(700, 10, 1)]) is FaultCode.HEAT_OUT_OF_RANGE
    assert driver.read_range().cut_c == 700.0


def test_a_threshold_that_was_raised_meanwhile_keeps_it_from_heating(bench_of: MakeBench) -> None:
    bench = bench_of()
    driver = bench.driver(LIMITS)
    driver.write_program([HeatSegment(800, 10, 1)])
    bench.set_register(THRESHOLD, 1350.0)
    assert fault_of(driver.start) is FaultCode.HEAT_CONTROLLER_REFUSED
    assert driver.read_state() is ProgramState.RESET


def test_a_threshold_that_is_not_taken_keeps_it_from_heating(bench_of: MakeBench) -> None:
    bench = bench_of()
    driver = bench.driver(LIMITS)
    bench.device.refuse_writes = True
    program = [HeatSegment(800, 10, 1)]
    assert fault_of(driver.write_program, program) is FaultCode.HEAT_CONTROLLER_REFUSED


def test_an_alarm_that_is_for_something_else_is_refused_at_once(bench_of: MakeBench) -> None:
    bench = bench_of()
    other = LIMITS.model_copy(update={"cut_alarm": 2})
    assert fault_of(bench.driver, other) is FaultCode.HEAT_CONTROLLER_REFUSED


def test_a_broken_thermocouple_stops_the_heat_at_every_level(bench_of: MakeBench) -> None:
    bench = bench_of()
    driver = bench.driver(LIMITS)
    driver.write_program([HeatSegment(800, 10, 60)])
    driver.start()
    bench.pass_time(HOUR_S)
    bench.device.sensor_break = True
    hot_c = bench.device.crucible_c
    bench.pass_time(HOUR_S)
    # The controller by itself,
    assert not bench.device.is_heating
    assert bench.device.crucible_c < hot_c
    # the driver while it runs, and before it is started again.
    assert fault_of(driver.guard, driver.read()) is FaultCode.HEAT_SENSOR_BREAK
    driver.reset()
    assert fault_of(driver.start) is FaultCode.HEAT_SENSOR_BREAK


class Doors:
    """Doors, and a furnace that has one of them."""

    def __init__(self, controller: HeatController) -> None:
        self.emulated = FurnaceDoors()
        self.emulated.advance_to(0.0)
        self._server = LoopbackServer(self.emulated.answer)
        self.drivers: list[DoorController] = []
        self.furnace = GuardedFurnace(
            "furnace_1", controller, LIMITS, make_door=self._make, letter="A"
        )

    def _make(self, may_open: Callable[[str], None]) -> DoorController:
        wire = TcpTransport("127.0.0.1", self._server.port)
        wire.open()
        self.drivers.append(DoorController(wire, ("A", "B"), may_open=may_open, deadline_s=2.0))
        return self.drivers[-1]

    def stay_shut(self) -> None:
        """Neither an arm nor the door's own driver gets it open."""
        assert fault_of(self.furnace.admit, "arm") is FaultCode.TRANSFER_INTERLOCKED
        assert fault_of(self.drivers[0].open_door, "A") is FaultCode.TRANSFER_INTERLOCKED
        self.emulated.advance_to(100.0)
        assert not self.emulated.is_open("A")

    def close(self) -> None:
        self.furnace.close()
        self._server.close()


@pytest.fixture
def doors_of() -> Iterator[Callable[[HeatController], Doors]]:
    made: list[Doors] = []

    def make(controller: HeatController) -> Doors:
        made.append(Doors(controller))
        return made[-1]

    yield make
    for doors in made:
        doors.close()


MakeDoors = Callable[[HeatController], Doors]


def test_a_hot_door_stays_shut_by_furnace_and_by_door_driver(
    bench_of: MakeBench, doors_of: MakeDoors
) -> None:
    bench = bench_of()
    doors = doors_of(bench.driver(LIMITS))
    doors.furnace.controller.write_program([HeatSegment(800, 10, 60)])
    doors.furnace.start()
    bench.pass_time(HOUR_S)
    doors.furnace.controller.reset()
    doors.stay_shut()


def test_a_door_stays_shut_while_the_controller_s_last_output_lasts(
    bench_of: MakeBench, doors_of: MakeDoors
) -> None:
    """A programmer that was reset goes on with its output until its next sample."""
    bench = bench_of()
    doors = doors_of(bench.driver(LIMITS))
    doors.furnace.controller.write_program([HeatSegment(100, 1, 60)])
    doors.furnace.start()
    bench.pass_time(HOUR_S / 2)
    doors.furnace.controller.reset()
    assert bench.device.is_heating
    doors.stay_shut()
    bench.pass_time(10.0)
    assert not doors.furnace.admit("arm")
    assert doors.emulated.is_open("A")


def test_a_door_stays_shut_where_somebody_set_a_temperature_at_the_front(
    bench_of: MakeBench, doors_of: MakeDoors
) -> None:
    bench = bench_of()
    doors = doors_of(bench.driver(LIMITS))
    bench.set_register(24, 400.0)
    # Nothing is warm yet, and no current flows.
    assert not bench.device.is_heating
    doors.stay_shut()


@pytest.mark.parametrize(
    "segment", [HeatSegment(901, 10, 1), HeatSegment(500, 10.1, 1), HeatSegment(10, 10, 1)]
)
def test_the_furnace_as_a_whole_refuses_without_asking_its_controller(segment: HeatSegment) -> None:
    furnace = GuardedFurnace("furnace_1", None, LIMITS)  # type: ignore[arg-type]
    assert fault_of(furnace.check, [segment]) is FaultCode.HEAT_OUT_OF_RANGE
    furnace.check([HeatSegment(900, 10, 1)])
