"""One case a driver: commands by seed, and a judge that looks into the instrument itself."""

from __future__ import annotations

import contextlib
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from matlab_ros.instruments.aeris import Aeris
from matlab_ros.instruments.capper import Capper, CapperState
from matlab_ros.instruments.dh_gripper import DhGripper
from matlab_ros.instruments.dh_rail import LinearRail
from matlab_ros.instruments.door import DoorController
from matlab_ros.instruments.epc3016 import Epc3016
from matlab_ros.instruments.eurotherm import EurothermController
from matlab_ros.instruments.eurotherm_2416 import Eurotherm2416
from matlab_ros.instruments.eurotherm_3216 import Eurotherm3216
from matlab_ros.instruments.heat_controller import ProgramState
from matlab_ros.instruments.heat_program import HeatSegment
from matlab_ros.instruments.mixing import MixerState
from matlab_ros.instruments.modbus import ModbusMaster
from matlab_ros.instruments.modbus_framing import TcpFraming
from matlab_ros.instruments.quantos import DoseRequest, Job, JobState, QuantosBalance
from matlab_ros.instruments.shaker import Shaker
from matlab_ros.instruments.speedmixer import SpeedMixer
from matlab_ros.instruments.transport import SerialTransport, TcpTransport, Transport
from matlab_ros.instruments.ur_dashboard import ProgramStatus, UrDashboard
from matlab_ros.model.faults import DeviceError
from matlab_ros.model.lab_config import FurnaceLimits
from matlab_ros.virtual.emulators import EMULATORS, Place, Plugged, Wire, plug_serial, plug_tcp
from matlab_ros.virtual.instruments.furnace_controller import Programmer
from matlab_ros.virtual.instruments.modbus_slave import crc16
from wire_faults_kit.bad_wire import BadWire, Damage, Foreign

REPLY_S = 0.06
"""Deadline of one answer on these wires, which are in one computer."""
HTTP_REPLY_S = 0.15
PROGRAM = "10-100_2-minutes"
LIMITS = FurnaceLimits(max_temperature_c=1200, max_ramp_c_per_min=10, cut_alarm=1)


class Violation(AssertionError):
    """Something that must not happen."""


class Case(ABC):
    """A driver on a bad wire, and what is at its other end.

    Args:
        seed: of commands, wire and instrument.
        patience: longer deadlines by this factor, where nothing is to be waited for.
    """

    name: str
    bound_s: float
    """Within which every command has to end, steady seconds."""
    foreign: Foreign | None = None

    def __init__(self, seed: int, patience: float = 1.0) -> None:
        self.reply_s = REPLY_S * patience
        self.http_reply_s = HTTP_REPLY_S * patience
        self.rng = np.random.default_rng([seed, sum(map(ord, self.name))])
        self._folder = tempfile.TemporaryDirectory(prefix="wire-faults-")
        self._undo = contextlib.ExitStack()
        share = Path(self._folder.name)
        emulator = EMULATORS[self.name]
        self.device: Any = self.make(Place(np.random.default_rng(seed), seed, share))
        self.device.advance_to(0.0)
        self.plugged: Plugged
        inner: Transport
        if emulator.wire is Wire.SERIAL:
            self.plugged = plug_serial(self.device, share / "wire")
            inner = SerialTransport(self.plugged.url, silence_s=0.0)
        else:
            self.plugged = plug_tcp(emulator, self.device, "127.0.0.1", 0)
            inner = TcpTransport("127.0.0.1", self.plugged.port, connect_timeout_s=1.0)
        self.wire = BadWire(inner, self.rng, self.foreign)
        self.driver: Any = self.connect(self.wire, share)
        self.now = 0.0

    def make(self, place: Place) -> Any:
        """The instrument."""
        return EMULATORS[self.name].make(place)

    @abstractmethod
    def connect(self, wire: Transport, share: Path) -> Any:
        """The driver."""

    @abstractmethod
    def command(self) -> None:
        """Give one command and judge it.

        Raises:
            DeviceError: the typed fault in which it ended.
            Violation: what must not be.
        """

    def restart(self) -> None:
        """The instrument's power is gone for a moment."""
        self.replug()

    def replug(self) -> None:
        """The adapter is pulled out and put in again."""
        hang_up = getattr(self.plugged, "replug", None) or getattr(
            self.plugged, "disconnect", lambda: None
        )
        hang_up()

    def quiet(self, action: Callable[[], object]) -> None:
        """Do something on a sound wire: it is not what is judged."""
        damage, self.wire.damage = self.wire.damage, Damage(0.0, (0, 0), 0.0, 0.0, 0.0)
        try:
            action()
        finally:
            self.wire.damage = damage

    def pass_time(self, seconds: float) -> None:
        """Let the instrument go on."""
        self.now += seconds
        self.device.advance_to(self.now)

    def finish(self) -> None:
        """Let the instrument end what it does."""
        while (moment := self.device.next_moment()) is not None and moment > self.now:
            self.pass_time(moment - self.now)

    def close(self) -> None:
        """Take everything away."""
        self.driver.close()
        self.plugged.close()
        self._folder.cleanup()


def require(holds: bool, words: str) -> None:
    """Raise Violation where something does not hold."""
    if not holds:
        raise Violation(words)


def other_unit(reply: bytes) -> bytes:
    """The same answer from another unit of a serial line."""
    body = bytes([reply[0] % 247 + 1]) + reply[1:-2]
    return body + crc16(body)


def other_transaction(reply: bytes) -> bytes:
    """The same answer to another request in a network."""
    return bytes([reply[0], (reply[1] + 1) % 256]) + reply[2:] if len(reply) > 2 else reply


class FurnaceCase(Case):
    """A furnace's controller."""

    bound_s = 60 * 3 * REPLY_S * 3
    """Writing a program is about sixty exchanges of a few deadlines each."""
    _programs: ClassVar = {
        Programmer.RESET: ProgramState.RESET,
        Programmer.RUN: ProgramState.RUN,
        Programmer.HOLD: ProgramState.HOLD,
        Programmer.END: ProgramState.END,
    }

    def __init__(self, seed: int, patience: float = 1.0) -> None:
        super().__init__(seed, patience)
        self._written: tuple[HeatSegment, ...] | None = None

    def command(self) -> None:
        self.pass_time(float(self.rng.uniform(0, 1800)))
        choice = self.rng.random()
        if choice < 0.7:
            self._look()
        elif choice < 0.8:
            self._write()
        elif choice < 0.87:
            self._start()
        elif choice < 0.91:
            self.driver.hold()
            self._require_state(ProgramState.HOLD)
        elif choice < 0.95:
            self.driver.resume()
            self._require_state(ProgramState.RUN)
        else:
            self.driver.reset()
            self._require_state(ProgramState.RESET)

    def _look(self) -> None:
        status = self.driver.read_status()
        word = self.device._read(1)
        require(status.reading.measured_c == word / 10, f"{status.reading} but {word}")
        require(status.reading.setpoint_c == self.device._read(5) / 10, f"{status.reading}")
        require(not status.reading.cut, "its alarm was told to stand")
        self._require_state(status.state)

    def _write(self) -> None:
        count = int(self.rng.integers(1, 5))
        program = tuple(
            HeatSegment(
                float(self.rng.integers(300, 11500)) / 10,
                float(self.rng.integers(10, 100)) / 10,
                float(self.rng.integers(0, 600)),
            )
            for _ in range(count)
        )
        self._written = None
        held = self.driver.write_program(program)
        require(held == program, f"{held} is not {program}")
        require(self.device._resets(), "the furnace would not cool at the end")
        cut_c = self.device._words[13] / 10
        require(cut_c == LIMITS.cut_c, f"the alarm is at {cut_c:g} C, not {LIMITS.cut_c:g} C")
        self._written = program
        self._require_program()

    def _require_program(self) -> None:
        assert self._written is not None
        wanted: list[tuple[float, float]] = []
        for segment in self._written:
            wanted.append((segment.target_c, segment.dwell_min * 60))
        held: list[tuple[float, float]] = []
        for leg in self.device._legs():
            if leg.target_c is None and held:
                held[-1] = (held[-1][0], held[-1][1] + leg.dwell_s)
            elif leg.target_c is not None and (leg.target_c, leg.dwell_s) != (0.0, 0.0):
                held.append((leg.target_c, leg.dwell_s))
        require(held == wanted, f"the instrument holds {held}, not {wanted}")

    def _start(self) -> None:
        if self._written is None:
            self._write()
        self.driver.start()
        self._require_program()
        self._require_state(ProgramState.RUN)
        require(self.device._resets(), "the furnace would not cool at the end")

    def _require_state(self, state: ProgramState) -> None:
        real = self._programs[self.device._state]
        require(state is real, f"{state} was told, {real} is")

    def restart(self) -> None:
        self.device.restart()


class Case3216(FurnaceCase):
    name = "eurotherm_3216"
    foreign = staticmethod(other_unit)

    def connect(self, wire: Transport, share: Path) -> EurothermController:
        return Eurotherm3216(ModbusMaster(wire, deadline_s=self.reply_s, tries=3), LIMITS)


class Case2416(FurnaceCase):
    name = "eurotherm_2416"
    foreign = staticmethod(other_unit)

    def connect(self, wire: Transport, share: Path) -> EurothermController:
        return Eurotherm2416(ModbusMaster(wire, deadline_s=self.reply_s, tries=3), LIMITS)


class CaseEpc3016(FurnaceCase):
    name = "epc3016"
    foreign = staticmethod(other_transaction)

    def connect(self, wire: Transport, share: Path) -> EurothermController:
        master = ModbusMaster(wire, deadline_s=self.reply_s, tries=3, framing=TcpFraming())
        return Epc3016(master, LIMITS)


class RailCase(Case):
    name = "dh_rail"
    bound_s = 40 * REPLY_S
    foreign = staticmethod(other_unit)

    def connect(self, wire: Transport, share: Path) -> LinearRail:
        return LinearRail(ModbusMaster(wire, deadline_s=self.reply_s, tries=3), travel_mm=500.0)

    def command(self) -> None:
        choice = self.rng.random()
        if choice < 0.5:
            status = self.driver.read_status()
            require(status.moving == self.device._moving, f"{status} is wrong")
            require(status.commanded_mm == self.device._words[0x1600] / 100, f"{status} is wrong")
        elif choice < 0.6:
            self.driver.home()
            self.finish()
            require(self.device.position_mm == 0, "it was homed and is elsewhere")
        else:
            self.finish()
            target = round(float(self.rng.uniform(0, 500)), 2)
            self.driver.move_to(target)
            self.finish()
            require(abs(self.device.position_mm - target) < 0.006, "it went elsewhere")

    def restart(self) -> None:
        self.device._homed = False


class GripperCase(Case):
    name = "dh_gripper"
    bound_s = 40 * REPLY_S
    foreign = staticmethod(other_unit)

    def connect(self, wire: Transport, share: Path) -> DhGripper:
        return DhGripper(ModbusMaster(wire, deadline_s=self.reply_s, tries=3))

    def command(self) -> None:
        choice = self.rng.random()
        if choice < 0.5:
            status = self.driver.read_status()
            seen = (status.init.value, status.grip.value, round(1000 * status.opening))
            device = self.device
            real = (device._init, device._grip, round(device.position))
            require(seen == real, f"{seen} was told, {real} is")
        elif choice < 0.6:
            self.driver.initialise()
            self.finish()
        else:
            self.finish()
            opening = float(self.rng.integers(0, 1001)) / 1000
            self.driver.move_to(opening)
            require(self.device._words[0x103] == round(1000 * opening), "it was sent elsewhere")
            self.finish()

    def restart(self) -> None:
        self.device._init = 0


class BalanceCase(Case):
    """The dosing unit: a command in four is a whole dose."""

    name = "quantos"
    bound_s = 40 * REPLY_S

    def __init__(self, seed: int, patience: float = 1.0) -> None:
        super().__init__(seed, patience)
        self.quiet(self.driver.lock_head)
        self.finish()
        self.quiet(self.driver.poll)

    def make(self, place: Place) -> Any:
        device = super().make(place)
        self.fallen: list[float] = []
        dosed = device._on_dosed

        def fell(substance: str, mass_mg: float) -> None:
            self.fallen.append(mass_mg)
            dosed(substance, mass_mg)

        device._on_dosed = fell
        for head in device.heads.values():
            head.content_mg = head.declared_mg = 1e12
        return device

    def connect(self, wire: Transport, share: Path) -> QuantosBalance:
        return QuantosBalance(wire, deadline_s=self.reply_s)

    def command(self) -> None:
        choice = self.rng.random()
        if choice < 0.25:
            self._dose()
        elif choice < 0.65:
            self._weigh()
        elif choice < 0.75:
            self.driver.tare()
        elif choice < 0.85:
            require(self.driver.door().value == self.device._door, "the door is elsewhere")
        else:
            require(self.driver.container_present(), "the vessel stands there")

    def _true_mg(self) -> float:
        text = self.device.cell.answer("SI", self.now, None)
        return float(text.split()[2]) * 1000

    def _weigh(self) -> None:
        self.finish()
        mass_mg = self.driver.stable_mass_mg()
        real = self._true_mg()
        require(abs(mass_mg - real) < 0.011, f"{mass_mg} mg was told, {real} mg is")

    def _dose(self) -> None:
        self._settle()
        target_mg = round(float(self.rng.uniform(5, 100)), 2)
        before = len(self.fallen)
        began = True
        may_be_repeated = False
        failure: DeviceError | None = None
        try:
            self.driver.prepare_dose(DoseRequest(target_mg, 0.05 * target_mg, "sample"))
            self.driver.start_dosing()
        except DeviceError as error:
            began, failure = False, error
            may_be_repeated = error.fault.retryable
        self.finish()
        given = len(self.fallen) - before
        require(given <= 1, f"a dose was given {given} times")
        require(not (given and may_be_repeated), "a dose that fell was called repeatable")
        if began:
            # One that ended unheard is not known to have ended; it is never taken for done.
            with contextlib.suppress(DeviceError):
                status = self.driver.poll(Job.DOSE)
                if status.state is JobState.DONE:
                    require(given == 1, "a dose that never fell was called done")
        if failure is not None:
            raise failure

    def _settle(self) -> None:
        """Bring an older dose to its end, as the node does after a fault."""

        def settle() -> None:
            self.finish()
            if self.driver.poll(Job.DOSE).state in (JobState.RUNNING, JobState.UNKNOWN):
                self.driver.stop_dosing()
                self.driver.poll(Job.DOSE)

        self.quiet(settle)

    def restart(self) -> None:
        self.device.restart()


class AerisCase(Case):
    """Slots are looked at and samples measured; an order's slot is told back by nobody, and is seen
    by the sample that leaves it."""

    name = "aeris"
    bound_s = 24 * HTTP_REPLY_S

    def make(self, place: Place) -> Any:
        device = super().make(place)
        device._scan = lambda sample, program, slot: b"<xrdMeasurements></xrdMeasurements>"
        device._occupied = lambda slot: slot % 2 == 0
        return device

    def connect(self, wire: Transport, share: Path) -> Aeris:
        return Aeris(wire, share, deadline_s=self.http_reply_s)

    def command(self) -> None:
        choice = self.rng.random()
        slot = int(self.rng.integers(1, 7))
        self.finish()
        if choice < 0.3:
            require(self.driver.is_ready(), "it is busy")
        elif choice < 0.5:
            occupied = self.driver.is_occupied(slot)
            require(occupied == (slot % 2 == 0), f"slot {slot} was told wrong")
        else:
            # Every second slot holds another sample.
            slot = 2 + 2 * (slot % 3)
            self.device._samples.clear()
            sample = f"s{int(self.rng.integers(1000))}"
            self.driver.add_sample(sample, slot, PROGRAM)
            self.driver.start_measurement(sample, PROGRAM)
            self.pass_time(15.0)
            if not self.driver.is_occupied(slot):
                running = self.device._running
                require(running is not None, "it measures nothing")
                require(running.slot == slot, f"slot {running.slot} is measured for {slot}")
                require(running.sample_id == sample, f"{running.sample_id} for {sample}")
                require(running.program == PROGRAM, f"{running.program} for {PROGRAM}")


class MixerCase(Case):
    name = "speedmixer_dac400"
    bound_s = 120 * REPLY_S

    def connect(self, wire: Transport, share: Path) -> SpeedMixer:
        return SpeedMixer(wire, speed_rpm=1500, ramp_s=20, deadline_s=self.reply_s)

    def command(self) -> None:
        choice = self.rng.random()
        busy = self.device._since is not None or self.device._homing_ends is not None
        if choice < 0.6:
            running = self.driver.read_state() is MixerState.RUNNING
            require(running == busy, f"running: {running} was told, {busy} is")
        elif choice < 0.7:
            self.driver.stop()
            require(self.device._since is None or self.device._rests is not None, "it goes on")
            self.finish()
        elif choice < 0.8:
            self.driver.home()
            require(self.device._homing_ends is not None, "it looks for nothing")
            self.finish()
        else:
            self.finish()
            if busy and self.device._rests is None:
                self.quiet(self.driver.stop)
                self.finish()
            self.driver.start()
            require(self.device._since is not None, "it does not turn")
            settings = dict(self.device._settings)
            require(settings == {14: 20, 15: 20, 16: 1500}, f"it turns with {settings}")

    def restart(self) -> None:
        self.device.fail(0)


class ShakerCase(Case):
    name = "crucible_shaker"
    bound_s = 12 * HTTP_REPLY_S

    def connect(self, wire: Transport, share: Path) -> Shaker:
        return Shaker(wire, deadline_s=self.http_reply_s)

    def command(self) -> None:
        choice = self.rng.random()
        if choice < 0.5:
            running = self.driver.read_state() is MixerState.RUNNING
        elif choice < 0.75:
            self.driver.start()
            running = True
        else:
            self.driver.stop()
            running = False
        require(running == (self.device._since is not None), "it does otherwise")

    def restart(self) -> None:
        self.device._since = None


class CapperCase(Case):
    name = "capper"
    bound_s = 12 * HTTP_REPLY_S

    def connect(self, wire: Transport, share: Path) -> Capper:
        return Capper(wire, deadline_s=self.http_reply_s)

    def command(self) -> None:
        choice = self.rng.random()
        if choice < 0.5:
            closed = self.driver.read_state() is CapperState.CLOSED
        elif choice < 0.75:
            self.driver.grip()
            closed = True
        else:
            self.driver.release()
            closed = False
        require(closed == self.device.closed, "it does otherwise")


class DoorCase(Case):
    name = "a_lab_doors"
    bound_s = 12 * HTTP_REPLY_S

    def connect(self, wire: Transport, share: Path) -> DoorController:
        return DoorController(wire, "AB", deadline_s=self.http_reply_s)

    def command(self) -> None:
        choice = self.rng.random()
        name = "AB"[int(self.rng.integers(2))]
        if choice < 0.5:
            status = self.driver.read_status()
            real = self.device._doors
            seen = {door: place.value for door, place in status.doors.items()}
            require(seen == real, f"{seen} was told, {real} is")
            require(status.motion.value == self.device._motion, "it moves or not")
            return
        self.finish()
        wanted = "Open" if choice < 0.75 else "Closed"
        (self.driver.open_door if wanted == "Open" else self.driver.close_door)(name)
        self.finish()
        require(self.device._doors[name] == wanted, f"door {name} is not {wanted}")

    def restart(self) -> None:
        self.device.restart()


class ArmCase(Case):
    name = "ur_dashboard"
    bound_s = 40 * HTTP_REPLY_S

    def connect(self, wire: Transport, share: Path) -> UrDashboard:
        return UrDashboard(wire, deadline_s=self.http_reply_s)

    def command(self) -> None:
        choice = self.rng.random()
        if choice < 0.5:
            status = self.driver.read_status()
            seen = (status.mode.value, status.safety.value, status.program.value)
            real = (self.device._mode, self.device._safety, self.device._program)
            require(seen == real, f"{seen} was told, {real} is")
        elif choice < 0.65:
            self.finish()
            path = f"{('pick', 'place', 'home')[int(self.rng.integers(3))]}.urp"
            self.driver.load(path)
            require(self.device._loaded == path, f"{self.device._loaded} is loaded")
        elif choice < 0.75:
            self.driver.power_on()
            self.driver.release_brakes()
            self.finish()
            require(self.device._mode == "RUNNING", f"it is in {self.device._mode}")
        elif choice < 0.9:
            self.finish()
            loaded = self.device._loaded or "pick.urp"
            self.driver.play(loaded)
            require(self.device._program == ProgramStatus.PLAYING.value, "it plays nothing")
        elif choice < 0.97:
            self.driver.stop()
            require(self.device._program == ProgramStatus.STOPPED.value, "it goes on")
        else:
            self.driver.power_off()
            require(self.device._mode == "POWER_OFF", f"it is in {self.device._mode}")

    def restart(self) -> None:
        self.device._mode, self.device._changes = "POWER_OFF", None
        self.device._program = "STOPPED"


CASES: Mapping[str, type[Case]] = {
    case.name: case
    for case in (
        Case3216,
        Case2416,
        CaseEpc3016,
        RailCase,
        GripperCase,
        BalanceCase,
        AerisCase,
        MixerCase,
        ShakerCase,
        CapperCase,
        DoorCase,
        ArmCase,
    )
}
"""By the name of the driver."""
