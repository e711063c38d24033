"""A device's instruments as the lab's file names them: which driver each has, and where it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from matlab_ros.instruments.registry import (
    ARMS,
    BALANCES,
    CAPPERS,
    DIFFRACTOMETERS,
    DOORS,
    FURNACES,
    GRIPPERS,
    MIXERS,
    RAILS,
    Driver,
    connect,
    find_driver,
    record_of,
)
from matlab_ros.model.lab_config import DeviceConfig, InstrumentPart

T = TypeVar("T")

PARTS: Mapping[InstrumentPart, tuple[Mapping[str, Driver[Any]], str]] = {
    "controller": (FURNACES, "eurotherm_3216"),
    "door": (DOORS, "a_lab_doors"),
    "balance": (BALANCES, "quantos"),
    "magazine": (RAILS, "dh_rail"),
    "mixer": (MIXERS, "crucible_shaker"),
    "capper": (CAPPERS, "capper"),
    "diffractometer": (DIFFRACTOMETERS, "aeris"),
    "dashboard": (ARMS, "ur_dashboard"),
    "gripper": (GRIPPERS, "dh_gripper"),
}
"""What may be at the end of each of a device's wires, and what is where the file says nothing."""

_RECORDED_ALONE = ("controller", "diffractometer")
"""Parts whose recording has the name that the file gives; those of others name the part."""


@dataclass(frozen=True)
class Plug(Generic[T]):
    """One of a device's instruments, and where it is plugged in.

    Attributes:
        name: of its driver.
        driver: itself.
        url: of its wire, see `open_transport`; empty: there is no such instrument.
        record: file that its traffic is written to; empty: none.
    """

    name: str
    driver: Driver[T]
    url: str
    record: str = ""

    def __bool__(self) -> bool:
        """Whether there is such an instrument."""
        return bool(self.url)

    def open(self, *arguments: object, **options: object) -> T:
        """Connect to it, and see that it answers.

        Args:
            arguments: what it is made of beside its wire.
            options: such as ``deadline_s``.

        Raises:
            ConfigError: the address or the recording makes no sense.
            DeviceError: it does not answer, or not in its language.
        """
        wire = connect(self.driver, self.url, record=self.record, title=self.name)
        try:
            made = self.driver.make(wire, *arguments, **options)
            self.driver.ask(made)
        except BaseException:
            wire.close()
            raise
        return made


def plug_of(
    device: DeviceConfig, part: InstrumentPart, *, name: str = "", port: str = "", record: str = ""
) -> Plug[Any]:
    """What the lab's file says of one of a device's instruments; a node's parameters go first.

    Args:
        device: it belongs to.
        part: which of its instruments.
        name: of the driver, instead of the file's.
        port: instead of the file's.
        record: for the traffic of all of the device's instruments, instead of the file's.

    Raises:
        ConfigError: there is no such driver.
    """
    drivers, usual = PARTS[part]
    name = name or device.driver_of(part) or usual
    driver = find_driver(drivers, name, f"{device.name}.{part}")
    record = record or device.record or ""
    return Plug(
        name,
        driver,
        url_of(driver, port or device.ports.get(part, "")),
        record if part in _RECORDED_ALONE else record_of(record, part),
    )


def url_of(driver: Driver[Any], port: str) -> str:
    """An address as drivers take it: a bare ``host`` or ``host:port`` is TCP, at the number of the
    factory setting where none is given."""
    if not port or "://" in port or port.startswith("/"):
        return port
    host, _, number = port.partition(":")
    return f"tcp://{host}:{number or driver.port}"
