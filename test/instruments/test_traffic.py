"""Recorded traffic: what was recorded replays, and the first byte that differs is shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matlab_ros.instruments.door import DoorController
from matlab_ros.instruments.epc3016 import Epc3016
from matlab_ros.instruments.eurotherm_2416 import Eurotherm2416
from matlab_ros.instruments.heat_controller import ProgramState
from matlab_ros.instruments.heat_program import HeatSegment
from matlab_ros.instruments.mixing import MixerState
from matlab_ros.instruments.modbus import ModbusMaster
from matlab_ros.instruments.modbus_framing import TcpFraming
from matlab_ros.instruments.quantos import DoseRequest, Job, JobState, QuantosBalance
from matlab_ros.instruments.registry import record_of, recorded
from matlab_ros.instruments.shaker import Shaker
from matlab_ros.instruments.speedmixer import SpeedMixer
from matlab_ros.instruments.traffic import (
    RecordingTransport,
    ReplayTransport,
    TrafficMismatch,
    read_traffic,
)
from matlab_ros.instruments.transport import Transport, open_transport
from matlab_ros.instruments.ur_dashboard import RobotMode, UrDashboard
from matlab_ros.model.errors import ConfigError
from matlab_ros.model.faults import DeviceError
from matlab_ros.model.lab_config import FurnaceLimits
from matlab_ros.virtual.emulators import EMULATORS, Place, Wire, plug_serial, plug_tcp

DATA = Path(__file__).parent / "data"
PATIENCE_S = 10.0
LIMITS = FurnaceLimits(max_temperature_c=1200, max_ramp_c_per_min=10)
Advance = Callable[[float], None]


def heat_2416(wire: Transport, advance: Advance) -> None:
    furnace = Eurotherm2416(ModbusMaster(wire, deadline_s=PATIENCE_S), LIMITS)
    program = (HeatSegment(850, 8, 1200.5), HeatSegment(100, 5, 0))
    assert furnace.write_program(program) == program
    furnace.start()
    advance(3600.0)
    status = furnace.read_status()
    assert status.state is ProgramState.RUN
    assert status.reading.setpoint_c == 505.0
    assert status.reading.measured_c == pytest.approx(505, abs=10)
    furnace.reset()
    assert furnace.read_state() is ProgramState.RESET


def heat_epc(wire: Transport, advance: Advance) -> None:
    furnace = Epc3016(ModbusMaster(wire, deadline_s=PATIENCE_S, framing=TcpFraming()), LIMITS)
    furnace.write_program([HeatSegment(600, 10, 30)])
    furnace.start()
    advance(60.0)
    assert furnace.read_status().left_min == pytest.approx(86.5, abs=0.6)
    furnace.hold()
    assert furnace.read_state() is ProgramState.HOLD
    furnace.reset()


def dose(wire: Transport, advance: Advance) -> None:
    balance = QuantosBalance(wire, deadline_s=PATIENCE_S)
    assert balance.identify() == "B428123456"
    balance.lock_head()
    advance(5.0)
    assert balance.poll(Job.HEAD_PIN).state is JobState.DONE
    assert balance.head_data().substance == "MgO"
    advance(10.0)
    balance.tare()
    balance.prepare_dose(DoseRequest(20.0, 0.2, "s-1"))
    balance.start_dosing()
    advance(60.0)
    assert balance.poll().state is JobState.DONE
    assert balance.stable_mass_mg() == pytest.approx(20.0, abs=0.3)


def mix(wire: Transport, advance: Advance) -> None:
    mixer = SpeedMixer(wire, speed_rpm=1800, ramp_s=15, deadline_s=PATIENCE_S)
    with pytest.raises(DeviceError, match="not ready"):
        mixer.start()
    mixer.home()
    advance(20.0)
    mixer.start()
    mixer.stop()
    advance(60.0)
    assert mixer.read_state() is MixerState.STOPPED


def shake(wire: Transport, advance: Advance) -> None:
    shaker = Shaker(wire, deadline_s=PATIENCE_S)
    shaker.start()
    advance(60.0)
    shaker.stop()
    assert shaker.read_state() is MixerState.STOPPED


def open_door(wire: Transport, advance: Advance) -> None:
    doors = DoorController(wire, "AB", deadline_s=PATIENCE_S)
    doors.open_door("A")
    with pytest.raises(DeviceError, match="moving"):
        doors.open_door("B")
    advance(30.0)
    assert doors.read_status().is_open("A")


def play(wire: Transport, advance: Advance) -> None:
    arm = UrDashboard(wire, deadline_s=PATIENCE_S)
    arm.power_on()
    advance(5.0)
    arm.release_brakes()
    advance(10.0)
    assert arm.robot_mode() is RobotMode.RUNNING
    arm.load("pick.urp")
    arm.play("pick.urp")
    arm.stop()
    arm.power_off()


SESSIONS: Mapping[str, Callable[[Transport, Advance], None]] = {
    "eurotherm_2416": heat_2416,
    "epc3016": heat_epc,
    "quantos": dose,
    "speedmixer_dac400": mix,
    "crucible_shaker": shake,
    "a_lab_doors": open_door,
    "ur_dashboard": play,
}


def record(name: str, path: Path, folder: Path) -> None:
    """Let a driver talk to the emulator of its instrument, and write the traffic down."""
    emulator = EMULATORS[name]
    device = emulator.make(Place(np.random.default_rng(5), 5, folder))
    if emulator.wire is Wire.SERIAL:
        plugged = plug_serial(device, folder / name)
        url = f"serial://{plugged.url}?silence_ms=0"
    else:
        plugged = plug_tcp(emulator, device, "127.0.0.1", 0)
        url = plugged.url
    transport = RecordingTransport(open_transport(url), path, title=name)
    try:
        SESSIONS[name](transport, device.advance_to)
    finally:
        transport.close()
        plugged.close()


def stay(_seconds: float) -> None:
    """Time does not count in a recording."""


@pytest.mark.parametrize("name", SESSIONS)
def test_a_committed_session_replays(name: str) -> None:
    replay = ReplayTransport(DATA / f"{name}.traffic")
    SESSIONS[name](replay, stay)
    replay.close()
    assert replay.finished


@pytest.mark.parametrize("name", ["eurotherm_2416", "crucible_shaker"])
def test_a_fresh_recording_replays(name: str, tmp_path: Path) -> None:
    path = tmp_path / "records" / "x.traffic"
    record(name, path, tmp_path)
    replay = ReplayTransport(path)
    SESSIONS[name](replay, stay)
    replay.close()
    assert replay.finished


def test_the_first_byte_that_differs_is_shown() -> None:
    replay = ReplayTransport(DATA / "speedmixer_dac400.traffic")
    mixer = SpeedMixer(replay, speed_rpm=1900, ramp_s=15)
    with pytest.raises(DeviceError, match="not ready"):
        mixer.start()
    mixer.home()
    with pytest.raises(TrafficMismatch) as caught:
        mixer.start()
    # 04 21 02 "16" "01800": the third digit of the speed.
    assert caught.value.offset == 7
    assert "is 0x39; recorded was 0x38" in str(caught.value)
    line = (DATA / "speedmixer_dac400.traffic").read_text().splitlines()[caught.value.line - 1]
    assert line.startswith(">")
    assert "1601800" in line


def test_writing_where_the_instrument_speaks_is_shown() -> None:
    replay = ReplayTransport(DATA / "speedmixer_dac400.traffic")
    first = read_traffic(DATA / "speedmixer_dac400.traffic")[1]
    replay.write(first.data)
    with pytest.raises(TrafficMismatch, match="where the instrument speaks"):
        replay.write(b"\x04")


@given(st.lists(st.tuples(st.sampled_from("><"), st.binary(min_size=1, max_size=40)), max_size=12))
def test_whatever_passed_is_read_back(tmp_path_factory, passed) -> None:
    path = tmp_path_factory.mktemp("traffic") / "t.traffic"
    inner = Spoken([data for mark, data in passed if mark == "<"])
    transport = RecordingTransport(inner, path)
    for mark, data in passed:
        if mark == ">":
            transport.write(data)
        else:
            assert transport.read(0.0) == data
    events = [(event.mark, event.data) for event in read_traffic(path) if event.data]
    assert events == [(mark, data) for mark, data in passed]


class Spoken:
    """A wire that says what it was given, and takes everything."""

    name = "somewhere"
    is_open = True
    ended = False
    silence_s = 0.0

    def __init__(self, said: list[bytes]) -> None:
        self._said = list(said)

    def open(self) -> None: ...

    def close(self) -> None: ...

    def write(self, data: bytes) -> None: ...

    def read(self, wait_s: float) -> bytes:
        return self._said.pop(0) if self._said else b""

    def discard_input(self) -> None: ...


@given(st.text(max_size=200))
def test_any_file_is_a_recording_or_a_config_error(tmp_path_factory, text: str) -> None:
    path = tmp_path_factory.mktemp("traffic") / "t.traffic"
    for content in (text, f"# matlab-ros traffic 1\n{text}"):
        path.write_text(content, encoding="utf-8")
        try:
            events = read_traffic(path)
        except ConfigError:
            continue
        assert all(event.mark in "><ocx!" for event in events)


def test_a_recording_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="record"):
        RecordingTransport(Spoken([]), tmp_path)


def test_an_older_recording_is_kept(tmp_path: Path) -> None:
    record_file = str(tmp_path / "a.traffic")
    for _ in range(3):
        recorded(Spoken([]), record_file, title="x").write(b"hello")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a-2.traffic",
        "a-3.traffic",
        "a.traffic",
    ]
    assert record_of("x/a.traffic", "balance") == str(Path("x/a.balance.traffic"))
