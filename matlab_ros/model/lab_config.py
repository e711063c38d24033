"""A lab as its configuration file describes it: stations, positions, devices, containers, stock."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from matlab_ros.model.errors import ConfigError
from matlab_ros.model.scan_program import ScanProgram
from matlab_ros.model.yaml_file import Strict, mapping_in, parse, read_text

Vector3 = tuple[float, float, float]
Name = str


Safeguard = Literal["exhaust", "scrubber", "glove_box"]
"""What protects people from powders and from what they give off."""


class StationKind(str, Enum):
    """What a station is for; recipes name kinds, the allocator picks the station."""

    RACK = "rack"
    DISPENSER = "dispenser"
    FURNACE = "furnace"
    DIFFRACTOMETER = "diffractometer"


class DeviceKind(str, Enum):
    """What a device can do, that is which actions its node offers."""

    DISPENSER = "dispenser"
    ARM = "arm"
    FURNACE = "furnace"
    CHARACTERISATION = "characterisation"


class PositionGrid(Strict):
    """Equal positions in rows: their frames and where a container's bottom centre stands."""

    count: int = Field(ge=1)
    columns: int = Field(ge=1)
    origin_m: Vector3
    """Of the first position, in the map frame."""
    pitch_m: tuple[float, float]
    """Distance of columns (along the station's x) and of rows (along its y)."""


class StationConfig(Strict):
    """A place with positions."""

    name: Name = Field(pattern=r"^[a-z][a-z0-9_]*$")
    kind: StationKind
    base_pose: tuple[float, float, float]
    """Where the mobile base stands to serve it: x, y in metres, yaw in radians, in the map."""
    grid: PositionGrid


OVERSHOOT_C = 25.0
"""How far above the highest allowed set point a reading may be before heating is stopped."""


class FurnaceLimits(Strict):
    """What a furnace may be asked for; the strictest of file, controller and node wins."""

    max_temperature_c: float = Field(gt=20, le=1800)
    max_ramp_c_per_min: float = Field(gt=0, le=50)
    on_cancel: Literal["cool", "hold", "off"] = "off"
    """What a cancelled run does: ramp down, hold the temperature for somebody to decide, or switch
    the heater off. An emergency stop always switches it off."""
    min_temperature_c: float = Field(default=20, ge=0)
    open_below_c: float = Field(default=200, gt=20, le=400)
    """Below it the door may be opened and an arm may reach in; nobody may before."""
    cut_above_c: float | None = Field(default=None, gt=20, le=1900)
    """A reading above it ends the heating at once; None: `OVERSHOOT_C` above the highest set point.
    The independent cut in hardware is set no lower."""
    cut_alarm: int | None = Field(default=None, ge=1, le=4)
    """Number of the controller's own alarm that opens the heater's contactor, set up as a full
    scale high alarm at commissioning. Its threshold is lowered to `cut_c` before anything is
    heated, and never raised; None: there is none."""

    @property
    def cut_c(self) -> float:
        """Above which heating is ended at once."""
        if self.cut_above_c is None:
            return self.max_temperature_c + OVERSHOOT_C
        return self.cut_above_c


class DoorConfig(Strict):
    """A furnace's door that a motor opens and closes; without one there is none, or none that
    anybody but people moves."""

    driver: str = "a_lab_doors"
    """What moves it, by the names of docs/instruments.md."""
    letter: str = Field(pattern=r"^[A-Z]$")
    """Its name at the controller, which may have several."""


class ScanProgramConfig(Strict):
    """A measurement program that was set up at the diffractometer."""

    name: str = Field(pattern=r"^[A-Za-z0-9_.+-]{1,64}$")
    first_deg: float = Field(gt=0, lt=180)
    last_deg: float = Field(gt=0, lt=180)
    duration_s: float = Field(gt=0)

    @model_validator(mode="after")
    def _has_a_range(self) -> ScanProgramConfig:
        if self.last_deg <= self.first_deg:
            raise ValueError(
                f"program {self.name!r} ends at {self.last_deg:g} degrees, where it begins or "
                "before; expected last_deg above first_deg"
            )
        return self

    @property
    def scan(self) -> ScanProgram:
        """As everybody else knows it."""
        return ScanProgram(self.name, self.first_deg, self.last_deg, self.duration_s)


class CalibrationConfig(Strict):
    """What a certificate says of a balance or a thermocouple.

    A balance's dose is the difference of two weighings: there it is the factor that counts.
    """

    certificate_id: str = Field(min_length=1)
    calibrated: date
    valid_until: date
    """The last day on which it counts (UTC)."""
    offset: float = 0.0
    """Added to what the instrument says: mg of a balance, degrees of a thermocouple."""
    factor: float = Field(default=1.0, gt=0.5, lt=2.0)
    """What it says is multiplied with, before the offset."""

    @model_validator(mode="after")
    def _lasts(self) -> CalibrationConfig:
        if self.valid_until < self.calibrated:
            raise ValueError(
                f"certificate {self.certificate_id!r} ends on {self.valid_until}, before its "
                f"calibration on {self.calibrated}"
            )
        return self

    def corrected(self, reading: float) -> float:
        """The value that the certificate makes of a reading."""
        return self.factor * reading + self.offset

    def is_valid(self, day: date) -> bool:
        """Whether it counts on a day. When it began is not asked: the clock of a virtual lab
        begins in 1970."""
        return day <= self.valid_until


InstrumentPart = Literal[
    "controller",
    "door",
    "balance",
    "magazine",
    "mixer",
    "capper",
    "diffractometer",
    "dashboard",
    "gripper",
]
"""Which of a device's instruments is at the end of a wire."""

MAIN_PARTS: Mapping[DeviceKind, InstrumentPart] = {
    DeviceKind.FURNACE: "controller",
    DeviceKind.DISPENSER: "balance",
    DeviceKind.CHARACTERISATION: "diffractometer",
    DeviceKind.ARM: "dashboard",
}
"""The instrument that `DeviceConfig.driver` speaks of."""


class DeviceConfig(Strict):
    """Something that acts: the name of its node, what it does and where."""

    name: Name = Field(pattern=r"^[a-z][a-z0-9_]*$")
    kind: DeviceKind
    station: Name | None = None
    """The station it serves; the arm serves all of them."""
    furnace: FurnaceLimits | None = None
    door: DoorConfig | None = None
    """Of a furnace, where a motor moves it."""
    calibration: CalibrationConfig | None = None
    """Of a dispenser's balance, or of a furnace's thermocouple."""
    driver: str | None = None
    """What its main instrument is, by the names of docs/instruments.md; None: the usual one."""
    drivers: dict[InstrumentPart, str] = Field(default_factory=dict)
    """What its other instruments are, such as ``mixer: speedmixer_dac400``, where they are not the
    usual ones."""
    ports: dict[InstrumentPart, str] = Field(default_factory=dict)
    """Where its instruments are plugged in, such as ``controller: /dev/ttyUSB0``; a node's own
    parameter wins."""
    record: str | None = None
    """File that the traffic with its instrument is written to; None: nowhere."""
    overlaps_analysis: bool = False
    """Of a characterisation station: it can analyse one pattern while it measures another."""
    analyses_at_once: int = Field(default=1, ge=1)
    """Of one that overlaps them: how many patterns its computer takes before the first is done."""
    programs: tuple[ScanProgramConfig, ...] = ()
    """Of a characterisation station: what its diffractometer can measure; without any, an analysis
    cannot ask for a further scan."""
    lease_min: float = Field(default=30.0, gt=0)
    """Minutes of silence after which nobody is sure any more of what stands where it worked."""
    heartbeat_timeout_s: float = Field(default=5.0, gt=0)
    """Steady seconds without a heartbeat after which it counts as gone."""

    def driver_of(self, part: InstrumentPart) -> str | None:
        """What one of its instruments is; None: the usual one."""
        if part == "door" and self.door is not None:
            return self.door.driver
        main = self.driver if MAIN_PARTS[self.kind] == part else None
        return self.drivers.get(part, main)


class StockItem(Strict):
    """A powder in the dispenser's magazine."""

    name: Name = Field(min_length=1)
    formula: str = Field(min_length=1)
    slot: int = Field(ge=1, le=64)
    """Of the head magazine."""
    mass_g: float = Field(gt=0)
    price_per_g: float | None = Field(default=None, ge=0)
    """In whatever currency, the same for all; None: unknown."""
    structure: str | None = None
    """Name of its phase in the structure library."""
    hazard: Literal["none", "oxidiser", "toxic", "corrosive"] = "none"


def _several(value: Any) -> Any:
    """One name as a tuple of one."""
    return (value,) if isinstance(value, str) else value


class ContainerSet(Strict):
    """Equal containers that wait in racks at the start, one at each position from the first."""

    kind: Literal["crucible"] = "crucible"
    count: int = Field(ge=1)
    station: Annotated[tuple[Name, ...], BeforeValidator(_several), Field(min_length=1)]
    """The rack, or several that are filled one after the other."""
    capacity_mg: float = Field(gt=0)


class DispenserLimits(Strict):
    """What the dosing heads can do."""

    min_dose_mg: float = Field(default=5.0, gt=0)
    max_dose_mg: float = Field(default=5000.0, gt=0)
    tolerance_percent: float = Field(default=1.0, gt=0)


class LabConfig(Strict):
    """Everything the nodes share about one lab."""

    name: Name = Field(pattern=r"^[a-z][a-z0-9_]*$")
    simulated: bool
    """Whether the instruments are emulators; marks every observation."""
    stations: tuple[StationConfig, ...] = Field(min_length=1)
    devices: tuple[DeviceConfig, ...] = Field(min_length=1)
    containers: ContainerSet
    stock: tuple[StockItem, ...] = Field(min_length=1)
    dispenser: DispenserLimits = DispenserLimits()
    safeguards: tuple[Safeguard, ...] = ()
    """What it has of them; some rules about precursors ask for one."""
    never_ask: bool | None = None
    """Whether policies pass over `ask`; None: where the lab is simulated, since nobody is there."""

    @model_validator(mode="after")
    def _is_consistent(self) -> LabConfig:
        for what, names in (
            ("station", [station.name for station in self.stations]),
            ("device", [device.name for device in self.devices]),
            ("stock item", [item.name for item in self.stock]),
            ("magazine slot", [str(item.slot) for item in self.stock]),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{what} {twice[0]!r} stands twice; expected unique names")
        stations = {station.name: station for station in self.stations}
        for device in self.devices:
            if device.station is not None and device.station not in stations:
                raise ValueError(
                    f"device {device.name!r} serves unknown station {device.station!r}; "
                    f"expected one of {', '.join(sorted(stations))}"
                )
            if device.kind is DeviceKind.FURNACE and device.furnace is None:
                raise ValueError(
                    f"furnace {device.name!r} has no limits; expected a key furnace with "
                    "max_temperature_c and max_ramp_c_per_min"
                )
            programs = [program.name for program in device.programs]
            if len(programs) != len(set(programs)):
                raise ValueError(
                    f"device {device.name!r} has a program twice; expected unique names"
                )
            if device.kind is not DeviceKind.ARM and device.station is None:
                raise ValueError(f"device {device.name!r} has no station; expected one")
        room = 0
        for name in self.containers.station:
            rack = stations.get(name)
            if rack is None or rack.kind is not StationKind.RACK:
                raise ValueError(f"containers stand at {name!r}; expected the name of a rack")
            room += rack.grid.count
        if room < self.containers.count:
            raise ValueError(
                f"{self.containers.count} containers do not fit the {room} positions of "
                f"{', '.join(self.containers.station)!r}; expected at most that many"
            )
        return self

    @property
    def asks(self) -> bool:
        """Whether somebody is there who can be asked what to do about a fault."""
        return not (self.simulated if self.never_ask is None else self.never_ask)

    def station(self, name: str) -> StationConfig:
        """The station of that name.

        Raises:
            KeyError: there is none.
        """
        for station in self.stations:
            if station.name == name:
                return station
        raise KeyError(name)

    def container_homes(self) -> dict[str, str]:
        """Where each container stands at the start: its name to the position's, in their order."""
        places = [
            place
            for name in self.containers.station
            for place in position_names(self.station(name))
        ]
        kind, count = self.containers.kind, self.containers.count
        return {f"{kind}-{number:02d}": place for number, place in enumerate(places[:count], 1)}

    def device(self, name: str) -> DeviceConfig:
        """The device of that name.

        Raises:
            KeyError: there is none.
        """
        for device in self.devices:
            if device.name == name:
                return device
        raise KeyError(name)

    def devices_of(self, kind: DeviceKind) -> tuple[DeviceConfig, ...]:
        """All devices of one kind, in the file's order."""
        return tuple(device for device in self.devices if device.kind is kind)

    def scan_program(self, name: str) -> ScanProgram | None:
        """The measurement program of that name, where a diffractometer's list has it."""
        return next((scan for scan in self.scan_programs if scan.name == name), None)

    @property
    def scan_programs(self) -> tuple[ScanProgram, ...]:
        """All measurement programs that every diffractometer has."""
        stations = self.devices_of(DeviceKind.CHARACTERISATION)
        if not stations:
            return ()
        common = set.intersection(*({p.name for p in device.programs} for device in stations))
        return tuple(p.scan for p in stations[0].programs if p.name in common)

    def stock_item(self, name: str) -> StockItem | None:
        """The stock item of that name, if there is one."""
        return next((item for item in self.stock if item.name == name), None)


def position_names(station: StationConfig) -> tuple[str, ...]:
    """Names of a station's positions: ``station/1`` to ``station/count``."""
    return tuple(f"{station.name}/{index + 1}" for index in range(station.grid.count))


def position_point(station: StationConfig, index: int) -> Vector3:
    """Where the bottom centre of a container at position `index` (from 0) stands.

    Returns:
        x, y, z in metres in the map frame.
    """
    row, column = divmod(index, station.grid.columns)
    x, y, z = station.grid.origin_m
    return (x + column * station.grid.pitch_m[0], y + row * station.grid.pitch_m[1], z)


def position_points(lab: LabConfig) -> dict[str, Vector3]:
    """Map of every position's name to its point, see `position_point`."""
    return {
        name: position_point(station, index)
        for station in lab.stations
        for index, name in enumerate(position_names(station))
    }


def position_frame(position: str) -> str:
    """TF frame of a position: ``rack/3`` is ``rack_3``."""
    return position.replace("/", "_")


def load_lab(path: Path) -> LabConfig:
    """Read a lab's configuration.

    A file with ``like: other.yaml`` is the lab of that file in the same folder, with its own keys
    instead of the other's.

    Raises:
        ConfigError: it cannot be read or contradicts itself.
    """
    data = mapping_in(path, read_text(path))
    if "like" in data:
        like = path.parent / str(data.pop("like"))
        if not like.is_file() or like.resolve() == path.resolve():
            raise ConfigError(path, "like", f"there is no {like.name!r}", "another lab's file")
        data = {**mapping_in(like, read_text(like)), **data}
    return parse(path, data, LabConfig)
