"""Every emulated instrument by its name, each ready to stand alone on a wire.

To add one: write its file in `virtual/instruments`, give it an entry here. See docs/instruments.md.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

from matlab_ros.model.lab_config import load_lab
from matlab_ros.share import config_file, share_dir
from matlab_ros.virtual.instruments.aeris import AerisDiffractometer
from matlab_ros.virtual.instruments.capper import CrucibleCapper
from matlab_ros.virtual.instruments.device import EmulatedDevice
from matlab_ros.virtual.instruments.dh_gripper import DhGripper
from matlab_ros.virtual.instruments.dh_rail import DhRail
from matlab_ros.virtual.instruments.door import FurnaceDoors
from matlab_ros.virtual.instruments.epc3016 import Epc3016
from matlab_ros.virtual.instruments.eurotherm_2416 import Eurotherm2416
from matlab_ros.virtual.instruments.eurotherm_3216 import Eurotherm3216
from matlab_ros.virtual.instruments.quantos import DosingHead, QuantosBalance
from matlab_ros.virtual.instruments.shaker import CrucibleShaker
from matlab_ros.virtual.instruments.speedmixer import SpeedMixer
from matlab_ros.virtual.instruments.ur_dashboard import UrArm
from matlab_ros.virtual.instruments.wire import (
    LoopbackServer,
    PseudoTerminal,
    SerialSession,
    StreamServer,
)

RAIL_TRAVEL_MM = 500.0
VESSEL_MG = 8000.0
HEADS = ("MgO", "TiO2-anatase", "CaCO3")


class Wire(Enum):
    """How an instrument is reached."""

    SERIAL = "serial line"
    STREAM = "TCP"
    MESSAGES = "TCP, one message a connection"


@dataclass(frozen=True)
class Place:
    """Where an emulator stands.

    Attributes:
        rng: source of everything random.
        seed: of it.
        share: folder for files that the instrument writes.
    """

    rng: np.random.Generator
    seed: int
    share: Path


@dataclass(frozen=True)
class Emulator:
    """One kind of emulated instrument.

    Attributes:
        about: what it is, for people.
        wire: how it is reached.
        make: gives one; it has `receive` and `connect` for a serial line, `session` for a stream,
            `answer` for messages.
        baudrate: of its line in the factory setting; 0 for TCP.
        port: of TCP in the factory setting; 0 for a serial line.
    """

    about: str
    wire: Wire
    make: Callable[[Place], Any]
    baudrate: int = 0
    port: int = 0


def _balance(place: Place) -> QuantosBalance:
    """A dosing unit with a vessel on the pan, into which everything falls."""
    fallen: list[float] = []
    return QuantosBalance(
        {slot: DosingHead(name, 50_000.0) for slot, name in enumerate(HEADS, 1)},
        presented=lambda: 1,
        load=lambda: VESSEL_MG + sum(fallen),
        on_dosed=lambda substance, mass_mg: fallen.append(mass_mg),
        rng=place.rng,
    )


def _diffractometer(place: Place) -> AerisDiffractometer:
    """A diffractometer with the same mixture of oxides in every slot."""

    @functools.cache
    def world() -> Any:
        # The optics compile code: only who measures waits for it.
        from matlab_ros.virtual.reactions import load_chemistry
        from matlab_ros.virtual.world import World

        lab = load_lab(config_file("labs", "virtual_lab"))
        chemistry = load_chemistry(share_dir() / "config" / "chemistry")
        world = World(lab, chemistry, place.seed, [share_dir() / "config" / "structures"])
        world.pick("rack/1")
        world.place("dispenser/1")
        for substance, mass_mg in (("MgO", 300.0), ("TiO2-rutile", 500.0)):
            world.dose("dispenser/1", substance, mass_mg)
        world.pick("dispenser/1")
        world.place("diffractometer/1")
        return world

    def scan(sample: str, program: str, slot: int) -> bytes:
        data: bytes = world().scan("diffractometer/1", program, sample)
        return data

    return AerisDiffractometer(place.share, scan=scan, occupied=lambda slot: True)


EMULATORS: Mapping[str, Emulator] = {
    "eurotherm_3216": Emulator(
        "Eurotherm 3216P and the furnace it heats, Modbus RTU unit 1",
        Wire.SERIAL,
        lambda place: Eurotherm3216(place.rng),
        baudrate=9600,
    ),
    "eurotherm_2416": Emulator(
        "Eurotherm 2416 and the furnace it heats, Modbus RTU unit 1",
        Wire.SERIAL,
        lambda place: Eurotherm2416(place.rng),
        baudrate=9600,
    ),
    "epc3016": Emulator(
        "Eurotherm EPC3016 and the furnace it heats, Modbus TCP unit 1",
        Wire.STREAM,
        lambda place: Epc3016(place.rng),
        port=502,
    ),
    "quantos": Emulator(
        "Mettler Toledo balance with Quantos dosing unit and three heads, MT-SICS",
        Wire.SERIAL,
        _balance,
        baudrate=9600,
    ),
    "dh_rail": Emulator(
        f"DH Robotics MCE-4G rail of {RAIL_TRAVEL_MM:g} mm, Modbus RTU unit 1",
        Wire.SERIAL,
        lambda place: DhRail(travel_mm=RAIL_TRAVEL_MM, start_mm=200.0),
        baudrate=115200,
    ),
    "dh_gripper": Emulator(
        "DH Robotics gripper with something between its fingers, Modbus RTU unit 1",
        Wire.SERIAL,
        lambda place: DhGripper(lambda: 420.0),
        baudrate=115200,
    ),
    "speedmixer_dac400": Emulator(
        "Hauschild SpeedMixer DAC 400", Wire.SERIAL, lambda place: SpeedMixer(), baudrate=19200
    ),
    "crucible_shaker": Emulator(
        "crucible shaker behind an Arduino, HTTP",
        Wire.MESSAGES,
        lambda place: CrucibleShaker(lambda minutes: None),
        port=80,
    ),
    "capper": Emulator(
        "crucible capper behind an Arduino, HTTP",
        Wire.MESSAGES,
        lambda place: CrucibleCapper(),
        port=80,
    ),
    "a_lab_doors": Emulator(
        "furnace doors A and B behind an Arduino",
        Wire.MESSAGES,
        lambda place: FurnaceDoors(),
        port=8888,
    ),
    "aeris": Emulator(
        "Malvern Panalytical Aeris; its files appear in --share",
        Wire.MESSAGES,
        _diffractometer,
        port=702,
    ),
    "ur_dashboard": Emulator(
        "Universal Robots e-Series arm as its dashboard server shows it",
        Wire.STREAM,
        lambda place: UrArm(),
        port=29999,
    ),
}
"""Names are those of the drivers for them."""

Plugged = PseudoTerminal | StreamServer


def plug_serial(device: EmulatedDevice, path: Path, *, baudrate: int = 0) -> PseudoTerminal:
    """Put a device with a serial line at a path; see `PseudoTerminal`."""
    return PseudoTerminal(path, device, baudrate=baudrate)  # type: ignore[arg-type]


def plug_tcp(emulator: Emulator, device: Any, host: str, port: int) -> Plugged:
    """Put a device on a TCP port; one with a serial line is as behind a device server.

    Raises:
        OSError: the port cannot be listened on.
    """
    if emulator.wire is Wire.MESSAGES:
        return LoopbackServer(device.answer, host=host, port=port)
    if emulator.wire is Wire.STREAM:
        return StreamServer(device.session, host=host, port=port)
    server = StreamServer(lambda: SerialSession(device), host=host, port=port)
    device.connect(server.send)
    return server
