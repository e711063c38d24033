"""The virtual lab: everything at the other end of the wires in one process, and its clock."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from pathlib import Path

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock as ClockMsg

from matlab_ros.model.errors import ConfigError
from matlab_ros.model.lab_config import (
    DeviceKind,
    LabConfig,
    load_lab,
    position_names,
    position_points,
)
from matlab_ros.nodes.device_node import LATCHED, declare, run_node
from matlab_ros.nodes.ros_time import to_msg, to_ns
from matlab_ros.nodes.virtual_robot import VirtualRobotServers
from matlab_ros.virtual.instruments.aeris import AerisDiffractometer
from matlab_ros.virtual.instruments.device import EmulatedDevice
from matlab_ros.virtual.instruments.dh_rail import DhRail
from matlab_ros.virtual.instruments.eurotherm_3216 import Eurotherm3216
from matlab_ros.virtual.instruments.quantos import DosingHead, QuantosBalance
from matlab_ros.virtual.instruments.shaker import CrucibleShaker
from matlab_ros.virtual.instruments.wire import LoopbackServer, PseudoTerminal
from matlab_ros.virtual.reactions import load_chemistry
from matlab_ros.virtual.robot import KinematicRobot
from matlab_ros.virtual.seeds import generator
from matlab_ros.virtual.stepping import AttemptView, LabView, next_moment
from matlab_ros.virtual.world import World
from matlab_ros_interfaces.msg import ActiveAttempt, DeviceState, LabState

START_S = 60.0
"""Virtual time at the start; not 0, which ROS takes for no time at all."""

CLOCK_PERIOD_S = 0.1
PACE_S = 0.05
MAGAZINE_PITCH_MM = 60.0
MAGAZINE_SLOTS = 8


class VirtualBench:
    """The physical lab: world, robot and emulated instruments on their wires. Knows no ROS.

    Args:
        lab: what stands where.
        chemistry_dir: parameters of the virtual chemistry.
        structures_dir: CIF files for the diffractometer's patterns.
        wire_dir: where the serial devices appear.
        share_dir: where the diffractometer writes.
        aeris_port: TCP port of the diffractometer.
        shaker_port: HTTP port of the crucible shaker.
        offsets_c: by furnace, what its crucibles are hotter than its thermocouple says.
        seed: of everything random.

    Raises:
        ConfigError: a file, or a port in use.
    """

    def __init__(
        self,
        lab: LabConfig,
        chemistry_dir: Path,
        structures_dir: Path,
        wire_dir: Path,
        share_dir: Path,
        aeris_port: int,
        shaker_port: int,
        offsets_c: dict[str, float],
        seed: int,
    ) -> None:
        self.now_s = START_S
        self._lab = lab
        self.world = World(lab, load_chemistry(chemistry_dir), seed, [structures_dir])
        self._wires: list[PseudoTerminal] = []
        share_dir.mkdir(parents=True, exist_ok=True)

        self._furnaces: dict[str, Eurotherm3216] = {}
        self._exposed_s: dict[str, float] = {}
        for device in lab.devices_of(DeviceKind.FURNACE):
            assert device.station is not None
            furnace = Eurotherm3216(
                generator(seed, "furnace", device.name), offset_c=offsets_c.get(device.name, 0.0)
            )
            self._furnaces[device.station] = furnace
            self._exposed_s[device.station] = START_S
            self._wires.append(PseudoTerminal(wire_dir / device.name, furnace))

        dispenser = lab.devices_of(DeviceKind.DISPENSER)[0]
        pan = f"{dispenser.station}/1"
        self._rail = DhRail(
            travel_mm=MAGAZINE_PITCH_MM * (MAGAZINE_SLOTS - 1), blocked=self._head_locked
        )
        self._balance = QuantosBalance(
            {item.slot: DosingHead(item.name, 1000.0 * item.mass_g) for item in lab.stock},
            presented=functools.partial(
                self._rail.slot_at_unit, pitch_mm=MAGAZINE_PITCH_MM, slots=MAGAZINE_SLOTS
            ),
            load=lambda: self.world.gross_mass_mg(pan),
            on_dosed=lambda substance, mass_mg: self._dosed(pan, substance, mass_mg),
            rng=generator(seed, "balance"),
        )
        self._wires.append(PseudoTerminal(wire_dir / "balance", self._balance))
        self._wires.append(PseudoTerminal(wire_dir / "magazine", self._rail))

        station = lab.devices_of(DeviceKind.CHARACTERISATION)[0].station
        self._aeris = AerisDiffractometer(
            share_dir,
            scan=lambda sample, program, slot: self.world.scan(
                f"{station}/{slot}", program, sample, self.now_s
            ),
            occupied=lambda slot: self.world.container_at(f"{station}/{slot}") is not None,
            slots=range(1, 1 + lab.station(station or "").grid.count),
        )
        self._shaker = CrucibleShaker(lambda minutes: self._shaken(pan, minutes))
        self._servers = [
            _serve(self._aeris.answer, aeris_port, "aeris_port"),
            _serve(self._shaker.answer, shaker_port, "shaker_port"),
        ]
        self.robot = KinematicRobot(position_points(lab), self._pick, self._place, start_s=START_S)
        self._devices: list[EmulatedDevice] = [
            *self._furnaces.values(),
            self._rail,
            self._balance,
            self._aeris,
            self._shaker,
        ]
        for device in self._devices:
            device.advance_to(START_S)

    def advance_to(self, t: float) -> None:
        """Let the instruments and the robot act up to virtual second `t`."""
        self.now_s = t
        for device in self._devices:
            device.advance_to(t)
        self.robot.advance_to(t)

    def close(self) -> None:
        """Take everything off its wire."""
        for wire in self._wires:
            wire.close()
        for server in self._servers:
            server.close()

    def _head_locked(self) -> bool:
        return self._balance.head_locked

    def _dosed(self, pan: str, substance: str, mass_mg: float) -> None:
        self.world.dose(pan, substance, mass_mg)

    def _shaken(self, pan: str, minutes: float) -> None:
        self.world.mix(pan, minutes)

    def _pick(self, position: str) -> bool:
        self._feel_heat(position)
        return self.world.pick(position)

    def _place(self, position: str) -> bool:
        self._feel_heat(position)
        return self.world.place(position)

    def _feel_heat(self, position: str) -> None:
        """Let what stands in a furnace feel its heat up to now, before its contents change."""
        station = position.partition("/")[0]
        furnace = self._furnaces.get(station)
        if furnace is None:
            return
        since, now = self._exposed_s[station], self.robot.now_s
        if now > since:
            times_s, temperature_c = furnace.true_trace(since, now)
            positions = position_names(self._lab.station(station))
            self.world.expose(positions, times_s, temperature_c)
            self._exposed_s[station] = now


def _serve(answer: Callable[[bytes], bytes | None], port: int, key: str) -> LoopbackServer:
    try:
        return LoopbackServer(answer, port=port)
    except OSError as error:
        raise ConfigError(
            "parameters", key, f"{port} cannot be listened on ({error.strerror})", "a free TCP port"
        ) from error


class VirtualLabNode(Node):
    """Steps virtual time: lets the bench act up to a moment, then publishes it on /clock.

    Parameters: ``lab_file``, ``chemistry_dir``, ``structures_dir``, ``wire_dir``, ``share_dir``,
    ``aeris_port``, ``shaker_port``, ``seed``, ``speed`` (virtual seconds in a second, 0: as fast as
    everybody is done), ``offset_c.<furnace>``.
    """

    def __init__(self) -> None:
        super().__init__("virtual_lab")
        parameter: Callable[..., object] = functools.partial(declare, self)
        lab = load_lab(Path(str(parameter("lab_file", ""))))
        offsets_c = {
            device.name: float(str(parameter(f"offset_c.{device.name}", 0.0)))
            for device in lab.devices_of(DeviceKind.FURNACE)
        }
        self._speed = float(str(parameter("speed", 0.0)))
        self.bench = VirtualBench(
            lab,
            Path(str(parameter("chemistry_dir", ""))),
            Path(str(parameter("structures_dir", ""))),
            Path(str(parameter("wire_dir", "wires"))),
            Path(str(parameter("share_dir", "share"))),
            int(str(parameter("aeris_port", 7020))),
            int(str(parameter("shaker_port", 7080))),
            offsets_c,
            int(str(parameter("seed", 0))),
        )
        self._now_ns = round(START_S * 1e9)
        self._lock = threading.RLock()
        self._lab_view: LabView | None = None
        self._device_views: dict[str, tuple[AttemptView, ...]] = {}
        self._clock_publisher = self.create_publisher(ClockMsg, "/clock", QoSProfile(depth=10))
        self._robot_servers = VirtualRobotServers(self, self.bench.robot, self._step)
        views = MutuallyExclusiveCallbackGroup()
        self.create_subscription(LabState, "lab_state", self._on_lab, LATCHED, callback_group=views)
        for device in lab.devices:
            self.create_subscription(
                DeviceState,
                f"{device.name}/state",
                self._on_device,
                LATCHED,
                callback_group=views,
            )
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        # Whoever comes late learns the time without waiting for a step.
        self.create_timer(
            CLOCK_PERIOD_S,
            self._publish_clock,
            callback_group=MutuallyExclusiveCallbackGroup(),
            clock=steady,
        )
        if self._speed > 0:
            self.create_timer(
                PACE_S,
                self._pace,
                callback_group=MutuallyExclusiveCallbackGroup(),
                clock=steady,
            )

    def destroy_node(self) -> None:
        """Take everything off its wire, then end."""
        self.bench.close()
        super().destroy_node()

    def _on_lab(self, message: LabState) -> None:
        self._lab_view = LabView(
            message.quiescent,
            tuple(zip(message.attempts_in_flight, message.attempt_devices, strict=True)),
            to_ns(message.wakes_at),
        )
        self._step()

    def _on_device(self, message: DeviceState) -> None:
        self._device_views[message.device] = tuple(
            AttemptView(
                attempt.attempt_id,
                attempt.phase != ActiveAttempt.PHASE_ACTING,
                to_ns(attempt.waits_until),
                tuple(bytes(goal.uuid) for goal in attempt.awaited_goals),
            )
            for attempt in message.attempts
        )
        self._step()

    def _step(self) -> None:
        """Jump to the next moment if everybody waits for it."""
        if self._speed == 0:
            self._advance(None)

    def _pace(self) -> None:
        """Go on by a little, but not beyond the next moment."""
        self._advance(self._now_ns + round(self._speed * PACE_S * 1e9))

    def _advance(self, at_most_ns: int | None) -> None:
        with self._lock:
            moment_s = self.bench.robot.next_moment()
            moment = next_moment(
                self._now_ns,
                self._lab_view,
                self._device_views,
                self._robot_servers.active_goal_ids(),
                None if moment_s is None else _up(moment_s),
            )
            if moment is None:
                return
            self._now_ns = moment if at_most_ns is None else min(moment, at_most_ns)
            self.bench.advance_to(self._now_ns * 1e-9)
            self._publish_clock()
            self._robot_servers.settle()

    def _publish_clock(self) -> None:
        with self._lock:
            self._clock_publisher.publish(ClockMsg(clock=to_msg(self._now_ns)))


def _up(seconds: float) -> int:
    """Nanoseconds, rounded up so that what happens at `seconds` has happened by then."""
    return int(seconds * 1e9) + 1


def main() -> int:
    """Run the virtual lab."""
    return run_node(VirtualLabNode, threads=4)
