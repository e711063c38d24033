"""Is each instrument where the lab's file says: is it there, who may use it, who answers?"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from matlab_ros.instruments.plugs import plug_of, url_of
from matlab_ros.instruments.registry import Driver, connect
from matlab_ros.model.errors import ConfigError
from matlab_ros.model.faults import DeviceError
from matlab_ros.model.lab_config import DeviceConfig, DeviceKind, InstrumentPart, LabConfig

REPLY_S = 1.0
_TRIES = 2
"""What was said in a wrong language may still stand in front of the first question."""


@dataclass(frozen=True)
class ConfiguredWire:
    """An instrument and where it is said to be plugged in.

    Attributes:
        title: for people, such as "furnace_1's controller".
        driver_name: what is expected there.
        driver: of it.
        port: address, see `open_transport`.
        make: what the driver is made of beside the wire.
    """

    title: str
    driver_name: str
    driver: Driver[Any]
    port: str
    make: tuple[Any, ...] = field(default=(), hash=False)

    @property
    def path(self) -> Path | None:
        """Of a serial device; None for TCP."""
        if self.port.startswith("/"):
            return Path(self.port)
        split = urlsplit(self.port)
        return Path(split.path) if split.scheme == "serial" else None

    @property
    def address(self) -> str:
        """As drivers take it; a bare host:port is TCP."""
        return url_of(self.driver, self.port)

    def answers(self, port: str, deadline_s: float) -> str:
        """What this instrument's driver hears at an address.

        Raises:
            DeviceError: nobody answers there in its language.
            ConfigError: the address makes no sense.
        """
        wire = connect(self.driver, port)
        made = None
        try:
            made = self.driver.make(wire, *self.make, deadline_s=deadline_s)
            return str(self.driver.ask(made))
        finally:
            (made or wire).close()


@dataclass(frozen=True)
class WireFinding:
    """What is to be said about one wire.

    Attributes:
        wire: that was looked at.
        sentence: what was found.
        advice: what to do; empty where all is well.
    """

    wire: ConfiguredWire
    sentence: str
    advice: str = ""

    @property
    def is_fine(self) -> bool:
        """Whether nothing needs to be done."""
        return not self.advice


def wires_of(lab: LabConfig) -> tuple[ConfiguredWire, ...]:
    """Every instrument whose port stands in the lab's file.

    Raises:
        ConfigError: a driver is unknown.
    """
    return tuple(
        _wire(device, part, port) for device in lab.devices for part, port in device.ports.items()
    )


_WHOSE: Mapping[InstrumentPart, DeviceKind] = {
    "controller": DeviceKind.FURNACE,
    "door": DeviceKind.FURNACE,
    "balance": DeviceKind.DISPENSER,
    "magazine": DeviceKind.DISPENSER,
    "mixer": DeviceKind.DISPENSER,
    "capper": DeviceKind.DISPENSER,
    "diffractometer": DeviceKind.CHARACTERISATION,
    "dashboard": DeviceKind.ARM,
    "gripper": DeviceKind.ARM,
}


def _wire(device: DeviceConfig, part: InstrumentPart, port: str) -> ConfiguredWire:
    kind = _WHOSE[part]
    if device.kind is not kind:
        raise ConfigError("lab file", f"{device.name}.ports.{part}", "is given", f"a {kind.value}")
    make: tuple[Any, ...] = ()
    if part == "controller":
        make = (device.furnace,)
    elif part == "diffractometer":
        make = (Path(),)
    plug = plug_of(device, part)
    return ConfiguredWire(f"{device.name}'s {part}", plug.name, plug.driver, port, make)


def check_wires(
    wires: Sequence[ConfiguredWire], *, deadline_s: float = REPLY_S
) -> Iterator[WireFinding]:
    """Look at every wire, one after the other. Questions only: nothing is changed."""
    for wire in wires:
        yield _at_port(wire) or _by_asking(wire, wires, deadline_s)


def _at_port(wire: ConfiguredWire) -> WireFinding | None:
    """What is wrong with a serial device before anybody is asked."""
    path = wire.path
    if path is None:
        return None
    if not path.exists():
        there = ", ".join(sorted(str(found) for found in Path("/dev").glob("ttyUSB*"))) or "none"
        return WireFinding(
            wire,
            f"{path} does not exist",
            f"plug the cable in, or name the right device (USB adapters here: {there})",
        )
    if not os.access(path, os.R_OK | os.W_OK):
        return WireFinding(
            wire,
            f"you may not open {path}",
            "join its group and log in anew: sudo usermod -aG dialout $USER",
        )
    holders = holders_of(path)
    if holders:
        return WireFinding(
            wire,
            f"{path} is in use by {', '.join(holders)}",
            "end that program, or the lab, before you look at the wires",
        )
    return None


def holders_of(path: Path) -> list[str]:
    """Other processes that have a file open, as far as this user may see."""
    target, found = os.path.realpath(path), []
    for process in Path("/proc").glob("[0-9]*"):
        if process.name == str(os.getpid()):
            continue
        with contextlib.suppress(OSError):
            if any(os.path.realpath(fd) == target for fd in (process / "fd").iterdir()):
                name = (process / "comm").read_text(encoding="utf-8").strip()
                found.append(f"{name} (process {process.name})")
    return found


def _is_there(instrument: ConfiguredWire, path: Path, deadline_s: float) -> bool:
    """Whether an instrument answers at another one's cable."""
    for _ in range(_TRIES):
        with contextlib.suppress(DeviceError, ConfigError):
            instrument.answers(str(path), deadline_s)
            return True
    return False


def _by_asking(
    wire: ConfiguredWire, wires: Sequence[ConfiguredWire], deadline_s: float
) -> WireFinding:
    try:
        said = wire.answers(wire.address, deadline_s)
        return WireFinding(wire, f"{wire.driver_name} answers at {wire.port}: {said}")
    except (DeviceError, ConfigError) as error:
        problem = str(error)
    if wire.path is not None:
        for other in wires:
            if other.path is None or other.driver_name == wire.driver_name:
                continue
            if _is_there(other, wire.path, deadline_s):
                return WireFinding(
                    wire,
                    f"at {wire.path} {other.driver_name} answers; expected {wire.driver_name}",
                    f"the cables of {wire.title} and {other.title} are swapped: swap them, or the "
                    "ports in the lab's file",
                )
    return WireFinding(
        wire,
        f"no {wire.driver_name} answers at {wire.port} ({problem})",
        "check that it is switched on, its cable, baud rate and address",
    )
