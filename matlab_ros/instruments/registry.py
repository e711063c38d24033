"""Which drivers there are, by the names that a lab's configuration gives them.

To add one: write its file, give it an entry here. See docs/instruments.md. Which of them a device
has is said in `plugs`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from matlab_ros.instruments.aeris import Aeris
from matlab_ros.instruments.capper import Capper
from matlab_ros.instruments.dh_gripper import DhGripper
from matlab_ros.instruments.dh_rail import LinearRail
from matlab_ros.instruments.door import DoorController, allow
from matlab_ros.instruments.epc3016 import Epc3016
from matlab_ros.instruments.eurotherm_2416 import Eurotherm2416
from matlab_ros.instruments.eurotherm_3216 import Eurotherm3216
from matlab_ros.instruments.heat_controller import HeatController
from matlab_ros.instruments.mixing import Mixer
from matlab_ros.instruments.modbus import ModbusMaster
from matlab_ros.instruments.modbus_framing import TcpFraming
from matlab_ros.instruments.quantos import QuantosBalance
from matlab_ros.instruments.shaker import Shaker
from matlab_ros.instruments.speedmixer import SpeedMixer
from matlab_ros.instruments.traffic import RecordingTransport
from matlab_ros.instruments.transport import Transport, open_transport
from matlab_ros.instruments.ur_dashboard import UrDashboard
from matlab_ros.model.errors import ConfigError

T = TypeVar("T")


@dataclass(frozen=True)
class Driver(Generic[T]):
    """One driver.

    Attributes:
        about: the instrument and its protocol, for people.
        make: gives the driver for an open wire; what else it needs depends on its kind.
        ask: a question that changes nothing: whether it is this instrument that answers.
        baudrate: of a serial line in the factory setting; 0 where it speaks TCP only.
        port: of TCP in the factory setting; 0 where it speaks serially only.
    """

    about: str
    make: Callable[..., T]
    ask: Callable[[T], object]
    baudrate: int = 0
    port: int = 0


REPLY_S, HTTP_REPLY_S = 0.5, 2.0
"""Steady seconds for one answer; a web server has to be connected to for each."""

FURNACES: Mapping[str, Driver[HeatController]] = {
    "eurotherm_3216": Driver(
        "Eurotherm 3216P temperature controller, Modbus RTU",
        lambda wire, limits, *, unit=1, deadline_s=REPLY_S: Eurotherm3216(
            ModbusMaster(wire, unit=unit, deadline_s=deadline_s), limits
        ),
        lambda driver: driver.read_range(),
        baudrate=9600,
    ),
    "eurotherm_2416": Driver(
        "Eurotherm 2416 temperature controller, Modbus RTU",
        lambda wire, limits, *, unit=1, deadline_s=REPLY_S: Eurotherm2416(
            ModbusMaster(wire, unit=unit, deadline_s=deadline_s), limits
        ),
        lambda driver: driver.read_range(),
        baudrate=9600,
    ),
    "epc3016": Driver(
        "Eurotherm EPC3016 temperature controller, Modbus TCP",
        lambda wire, limits, *, unit=1, deadline_s=REPLY_S: Epc3016(
            ModbusMaster(wire, unit=unit, deadline_s=deadline_s, framing=TcpFraming()), limits
        ),
        lambda driver: driver.read_range(),
        port=502,
    ),
}
"""Furnace controllers; made of a wire and `FurnaceLimits`."""

MIXERS: Mapping[str, Driver[Mixer]] = {
    "crucible_shaker": Driver(
        "crucible shaker behind an Arduino, HTTP",
        lambda wire, *, deadline_s=HTTP_REPLY_S: Shaker(wire, deadline_s=deadline_s),
        lambda driver: driver.read_state(),
        port=80,
    ),
    "speedmixer_dac400": Driver(
        "Hauschild SpeedMixer DAC 400, serial frames",
        lambda wire, *, deadline_s=REPLY_S: SpeedMixer(wire, deadline_s=deadline_s),
        lambda driver: driver.read_state(),
        baudrate=19200,
    ),
}
"""What mixes powders; made of a wire."""

BALANCES: Mapping[str, Driver[QuantosBalance]] = {
    "quantos": Driver(
        "Mettler Toledo balance with Quantos dosing unit, MT-SICS",
        lambda wire, *, deadline_s=REPLY_S: QuantosBalance(wire, deadline_s=deadline_s),
        lambda driver: driver.identify(),
        baudrate=9600,
        port=8001,
    ),
}
"""Balances that dose; made of a wire."""

RAILS: Mapping[str, Driver[LinearRail]] = {
    "dh_rail": Driver(
        "DH Robotics MCE-4G linear rail, Modbus RTU",
        lambda wire, travel_mm=500.0, *, unit=1, deadline_s=REPLY_S: LinearRail(
            ModbusMaster(wire, unit=unit, deadline_s=deadline_s), travel_mm=travel_mm
        ),
        lambda driver: driver.read_status(),
        baudrate=115200,
    ),
}
"""Magazines' rails; made of a wire and the travel in mm."""

DIFFRACTOMETERS: Mapping[str, Driver[Aeris]] = {
    "aeris": Driver(
        "Malvern Panalytical Aeris, text over TCP and a file share",
        lambda wire, results, *, deadline_s=HTTP_REPLY_S: Aeris(
            wire, results, deadline_s=deadline_s
        ),
        lambda driver: driver.is_ready(),
        port=702,
    ),
}
"""Diffractometers; made of a wire and the folder of their results."""

GRIPPERS: Mapping[str, Driver[DhGripper]] = {
    "dh_gripper": Driver(
        "DH Robotics electric gripper, Modbus RTU",
        lambda wire, *, unit=1, deadline_s=REPLY_S: DhGripper(
            ModbusMaster(wire, unit=unit, deadline_s=deadline_s)
        ),
        lambda driver: driver.read_status(),
        baudrate=115200,
    ),
}
"""Grippers; made of a wire."""

ARMS: Mapping[str, Driver[UrDashboard]] = {
    "ur_dashboard": Driver(
        "Universal Robots e-Series, dashboard server",
        lambda wire, *, deadline_s=HTTP_REPLY_S: UrDashboard(wire, deadline_s=deadline_s),
        lambda driver: driver.robot_mode(),
        port=29999,
    ),
}
"""Arms' consoles: power, brakes, programs; made of a wire."""

DOORS: Mapping[str, Driver[DoorController]] = {
    "a_lab_doors": Driver(
        "furnace doors behind an Arduino, text over TCP",
        lambda wire, names=("A", "B"), *, may_open=allow, deadline_s=HTTP_REPLY_S: DoorController(
            wire, names, may_open=may_open, deadline_s=deadline_s
        ),
        lambda driver: driver.read_status(),
        port=8888,
    ),
}
"""Furnace doors; made of a wire, the doors' letters, and who may forbid to open."""

CAPPERS: Mapping[str, Driver[Capper]] = {
    "capper": Driver(
        "crucible capper behind an Arduino, HTTP",
        lambda wire, *, deadline_s=HTTP_REPLY_S: Capper(wire, deadline_s=deadline_s),
        lambda driver: driver.read_state(),
        port=80,
    ),
}
"""Cappers; made of a wire."""

KINDS: Mapping[str, Mapping[str, Driver[Any]]] = {
    "furnace controller": FURNACES,
    "mixer": MIXERS,
    "balance": BALANCES,
    "rail": RAILS,
    "diffractometer": DIFFRACTOMETERS,
    "gripper": GRIPPERS,
    "arm": ARMS,
    "door": DOORS,
    "capper": CAPPERS,
}
"""Every driver by what its instrument is."""


def find_driver(drivers: Mapping[str, Driver[T]], name: str, where: str) -> Driver[T]:
    """The driver of a name.

    Args:
        drivers: of one kind, such as `FURNACES`.
        name: from the lab's configuration.
        where: it stands there, for people.

    Raises:
        ConfigError: there is none.
    """
    try:
        return drivers[name]
    except KeyError:
        raise ConfigError(
            where, "driver", f"unknown driver {name!r}", f"one of {', '.join(sorted(drivers))}"
        ) from None


def connect(driver: Driver[T], url: str, *, record: str = "", title: str = "") -> Transport:
    """Open a driver's wire.

    Args:
        driver: whose factory settings count where the address says nothing.
        url: see `open_transport`.
        record: file in which the traffic is written down; empty: nowhere. Where there is one
            already, the new one has a number behind its name.
        title: of the recording.

    Raises:
        ConfigError: the address or the file makes no sense.
        DeviceError: DEVICE_UNREACHABLE.
    """
    transport: Transport = open_transport(url, default_baudrate=driver.baudrate or 9600)
    return recorded(transport, record, title=title) if record else transport


def recorded(transport: Transport, record: str, *, title: str) -> Transport:
    """A transport whose traffic is written down; see `connect`.

    Raises:
        ConfigError: the file cannot be written, and the transport is closed.
    """
    try:
        return RecordingTransport(transport, _unused(Path(record)), title=title)
    except ConfigError:
        transport.close()
        raise


def record_of(record: str, part: str) -> str:
    """The recording of one of a device's several instruments: ``x.balance.traffic``."""
    path = Path(record)
    return str(path.with_name(f"{path.stem}.{part}{path.suffix}")) if record else ""


def _unused(path: Path) -> Path:
    """A name that no file has: what led to a restart is worth keeping."""
    number, free = 2, path
    while free.exists():
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
        number += 1
    return free
