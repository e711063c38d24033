"""The physical lab: world, robot and emulated instruments on their wires. Knows no ROS."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from matlab_ros.model.errors import ConfigError
from matlab_ros.model.lab_config import (
    DeviceConfig,
    DeviceKind,
    LabConfig,
    position_names,
    position_points,
)
from matlab_ros.virtual.instruments.aeris import AerisDiffractometer
from matlab_ros.virtual.instruments.device import EmulatedDevice
from matlab_ros.virtual.instruments.dh_rail import DhRail
from matlab_ros.virtual.instruments.door import FurnaceDoors
from matlab_ros.virtual.instruments.epc3016 import Epc3016
from matlab_ros.virtual.instruments.eurotherm_2416 import Eurotherm2416
from matlab_ros.virtual.instruments.eurotherm_3216 import Eurotherm3216
from matlab_ros.virtual.instruments.furnace_controller import EmulatedController
from matlab_ros.virtual.instruments.quantos import DosingHead, QuantosBalance
from matlab_ros.virtual.instruments.shaker import CrucibleShaker
from matlab_ros.virtual.instruments.wire import LoopbackServer, PseudoTerminal, StreamServer
from matlab_ros.virtual.misfortune_player import MisfortunePlayer
from matlab_ros.virtual.misfortunes import Rates
from matlab_ros.virtual.physical_log import PhysicalLog
from matlab_ros.virtual.reactions import load_chemistry
from matlab_ros.virtual.robot import KinematicRobot
from matlab_ros.virtual.seeds import generator
from matlab_ros.virtual.world import World

FURNACES: Mapping[str, type[Eurotherm2416] | type[Eurotherm3216]] = {
    "eurotherm_3216": Eurotherm3216,
    "eurotherm_2416": Eurotherm2416,
}
"""Controllers that a furnace of the virtual lab may have at the end of a serial line."""
NETWORKED: Mapping[str, type[Epc3016]] = {"epc3016": Epc3016}
"""Those in a network: they listen where the lab's file says that the furnace's controller is."""
START_S = 60.0
"""Virtual time at the start; not 0, which ROS takes for no time at all."""

MAGAZINE_PITCH_MM = 60.0
MAGAZINE_SLOTS = 8
LOG_STEP_S = 60.0
"""Between the temperatures that a furnace's own log holds."""
LOG_EVERY_S = 1800.0
"""How much of them is written at once."""
WARM_C = 45.0
"""Below it a furnace at rest has nothing to log."""


class VirtualBench:
    """The physical lab, in virtual time.

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
        doors_port: TCP port of the furnaces' doors, where the lab's file has any; 0: a free one.
        log_dir: where each instrument keeps its own log of what happened; None: nowhere.
        misfortunes: what goes wrong by itself.

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
        log_dir: Path | None = None,
        misfortunes: Rates | None = None,
        doors_port: int = 0,
    ) -> None:
        self.now_s = START_S
        self._lab = lab
        self._log = PhysicalLog(log_dir)
        self._logs_heat = log_dir is not None
        self.world = World(lab, load_chemistry(chemistry_dir), seed, [structures_dir])
        for container in self.world.containers:
            place = self.world.position_of(container)
            self._log.write("world", START_S, "stands", crucible=container, position=place)
        wires: dict[str, PseudoTerminal] = {}

        networked: list[StreamServer] = []
        self._furnaces: dict[str, EmulatedController] = {}
        self._exposed_s: dict[str, float] = {}
        self._logged_s: dict[str, float] = {}
        for device in lab.devices_of(DeviceKind.FURNACE):
            assert device.station is not None
            driver = device.driver or "eurotherm_3216"
            models = {**FURNACES, **NETWORKED}
            if driver not in models:
                raise ConfigError(
                    "lab file",
                    f"{device.name}.driver",
                    f"{driver} is not in the virtual lab",
                    f"one of {', '.join(models)}",
                )
            furnace = models[driver](
                generator(seed, "furnace", device.name),
                offset_c=offsets_c.get(device.name, 0.0),
                tell=self._log.teller(device.station),
            )
            self._furnaces[device.station] = furnace
            self._exposed_s[device.station] = START_S
            self._logged_s[device.station] = START_S
            if isinstance(furnace, Epc3016):
                networked.append(_listen(device, furnace))
            else:
                wires[device.name] = PseudoTerminal(wire_dir / device.name, furnace)

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
            tell=self._log.teller("balance"),
        )
        wires["balance"] = PseudoTerminal(wire_dir / "balance", self._balance)
        wires["magazine"] = PseudoTerminal(wire_dir / "magazine", self._rail)
        self.wires: Mapping[str, PseudoTerminal] = wires
        """Serial lines, by the device or the instrument at their end."""
        self._wires = list(wires.values())

        station = lab.devices_of(DeviceKind.CHARACTERISATION)[0].station
        self._aeris = AerisDiffractometer(
            share_dir,
            scan=lambda sample, program, slot: self._scanned(sample, program, f"{station}/{slot}"),
            occupied=lambda slot: self.world.container_at(f"{station}/{slot}") is not None,
            slots=range(1, 1 + lab.station(station or "").grid.count),
            programs=self.world.scans_s,
            tell=self._log.teller("diffractometer"),
        )
        self._shaker = CrucibleShaker(lambda minutes: self._shaken(pan, minutes))
        self._servers: list[StreamServer] = [
            *networked,
            _serve(self._aeris.answer, aeris_port, "aeris_port"),
            _serve(self._shaker.answer, shaker_port, "shaker_port"),
        ]
        letters = {d.door.letter: d.station or "" for d in lab.devices if d.door is not None}
        self.doors = FurnaceDoors(tuple(letters), on_moved=self._door_moved)
        self._letters = {station: letter for letter, station in letters.items()}
        self.doors_url = ""
        """Where the doors' controller is; empty where the lab has no doors."""
        if letters:
            doors = _serve(self.doors.answer, doors_port, "doors_port")
            self.doors_url = doors.url
            self._servers.append(doors)
        self.robot = KinematicRobot(
            position_points(lab), self._pick, self._place, dropped=self._dropped, start_s=START_S
        )
        self._devices: list[EmulatedDevice] = [
            *self._furnaces.values(),
            self._rail,
            self._balance,
            self._aeris,
            self._shaker,
            self.doors,
        ]
        for instrument in self._devices:
            instrument.advance_to(START_S)
        self._misfortunes = MisfortunePlayer(
            misfortunes or {},
            seed,
            START_S,
            balance=self._balance,
            rail=self._rail,
            shaker=self._shaker,
            furnaces=list(self._furnaces.values()),
            aeris=self._aeris,
            robot=self.robot,
            wires=[*self._wires, *self._servers],
            tell=self._log.teller("world"),
        )

    @property
    def furnaces(self) -> Mapping[str, EmulatedController]:
        """The furnaces and their controllers, by station."""
        return self._furnaces

    def is_closed(self, station: str) -> bool:
        """Whether a furnace's door is in the way of an arm; stations without doors have none."""
        letter = self._letters.get(station)
        return letter is not None and not self.doors.is_open(letter)

    def advance_to(self, t: float) -> None:
        """Let the instruments and the robot act up to virtual second `t`."""
        self.now_s = t
        for instrument in self._devices:
            instrument.advance_to(t)
        self.robot.advance_to(t)
        self._misfortunes.advance_to(t)
        if self._logs_heat:
            for station in self._furnaces:
                if t - self._logged_s[station] >= LOG_EVERY_S:
                    self._log_heat(station, t)

    def clock_jump_s(self) -> float:
        """How far the clock jumps beyond the next moment; told once."""
        return self._misfortunes.clock_jump_s()

    def close(self) -> None:
        """Take everything off its wire."""
        for station in self._furnaces:
            self._log_heat(station, self.now_s)
        for wire in self._wires:
            wire.close()
        for server in self._servers:
            server.close()
        self._log.close()

    def _head_locked(self) -> bool:
        return self._balance.head_locked

    def _dosed(self, pan: str, substance: str, mass_mg: float) -> None:
        crucible = self.world.container_at(pan)
        landed_mg = self.world.dose(pan, substance, mass_mg)
        self._log.write(
            "balance",
            self._balance.now_s,
            "powder fell",
            crucible=crucible,
            substance=substance,
            fell_mg=mass_mg,
            landed_mg=landed_mg,
        )

    def _shaken(self, pan: str, minutes: float) -> None:
        crucible = self.world.container_at(pan)
        self.world.mix(pan, minutes)
        self._log.write("shaker", self.now_s, "shaken", crucible=crucible, minutes=minutes)

    def _scanned(self, sample: str, program: str, position: str) -> bytes:
        """The diffractometer's file of what stands at a position now."""
        self._feel_heat(position)
        crucible = self.world.container_at(position)
        data = self.world.scan(position, program, sample, self.now_s)
        self._log.write(
            "diffractometer",
            self.now_s,
            "scanned",
            sample=sample,
            crucible=crucible,
            sha256=hashlib.sha256(data).hexdigest(),
            phases_mg=self.world.composition(crucible) if crucible is not None else {},
        )
        return data

    def _door_moved(self, letter: str, is_open: bool) -> None:
        word = "opened" if is_open else "closed"
        self._log.write("doors", self.now_s, word, door=letter)

    def _reached(self, position: str) -> None:
        """An arm is at a position: whatever is in its way breaks."""
        self._feel_heat(position)
        if self.is_closed(position.partition("/")[0]):
            self._log.write("world", self.robot.now_s, "arm in a closed door", position=position)

    def _pick(self, position: str) -> bool:
        self._reached(position)
        crucible = self.world.container_at(position)
        picked = self.world.pick(position)
        self._log.write(
            "robot",
            self.robot.now_s,
            "picked" if picked else "found nothing",
            position=position,
            crucible=crucible if picked else None,
            temperature_c=self._temperature_at(position),
        )
        return picked

    def _place(self, position: str) -> bool:
        self._reached(position)
        crucible = self.world.held()
        placed = self.world.place(position)
        if placed:
            self._log.write(
                "robot", self.robot.now_s, "placed", position=position, crucible=crucible
            )
        return placed

    def _dropped(self) -> None:
        crucible = self.world.drop()
        self._log.write("robot", self.robot.now_s, "dropped", crucible=crucible)

    def _temperature_at(self, position: str) -> float | None:
        """Of a crucible at a position of a furnace; None elsewhere."""
        furnace = self._furnaces.get(position.partition("/")[0])
        return None if furnace is None else furnace.crucible_c

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

    def _log_heat(self, station: str, now_s: float) -> None:
        """Write down how hot a furnace was since the last time, where it was."""
        furnace, since = self._furnaces[station], self._logged_s[station]
        if now_s <= since:
            return
        self._logged_s[station] = now_s
        grid = np.arange(since, now_s, LOG_STEP_S)
        times_s, temperature_c = furnace.true_trace(since, now_s)
        felt = np.interp(grid, times_s, temperature_c)
        if float(felt.max()) < WARM_C and not furnace.is_heating:
            return
        self._log.write(
            station,
            now_s,
            "temperatures",
            since_s=since,
            step_s=LOG_STEP_S,
            crucible_c=[round(float(value), 1) for value in felt],
            heating=furnace.is_heating,
        )


def _serve(answer: Callable[[bytes], bytes | None], port: int, key: str) -> LoopbackServer:
    try:
        return LoopbackServer(answer, port=port)
    except OSError as error:
        raise ConfigError(
            "parameters", key, f"{port} cannot be listened on ({error.strerror})", "a free TCP port"
        ) from error


def _listen(device: DeviceConfig, furnace: Epc3016) -> StreamServer:
    """Put a controller on the network where the lab's file says that it is."""
    url = urlsplit(device.ports.get("controller", ""))
    if url.scheme != "tcp" or url.hostname is None or url.port is None:
        raise ConfigError(
            "lab file",
            f"{device.name}.ports.controller",
            f"is {url.geturl()!r}, and {device.driver} is in a network",
            "tcp://127.0.0.1:5020, or another free port of this computer",
        )
    try:
        return StreamServer(furnace.session, host=url.hostname, port=url.port)
    except OSError as error:
        raise ConfigError(
            "lab file",
            f"{device.name}.ports.controller",
            f"{url.geturl()} cannot be listened on ({error.strerror})",
            "a free TCP port",
        ) from error
