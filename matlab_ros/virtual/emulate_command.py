"""``matlab-ros emulate``: one emulated instrument alone, for whoever writes software for it."""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from pathlib import Path

from matlab_ros.model.errors import ConfigError
from matlab_ros.virtual.emulators import (
    EMULATORS,
    Emulator,
    Place,
    Plugged,
    Wire,
    plug_serial,
    plug_tcp,
)
from matlab_ros.virtual.instruments.device import EmulatedDevice
from matlab_ros.virtual.seeds import generator

_TICK_S = 0.05
"""Real seconds between two looks at what the instrument does."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command ``emulate``."""
    parser.add_argument("device", nargs="?", help="such as eurotherm-3216; see --list")
    parser.add_argument("--list", action="store_true", help="the instruments there are")
    parser.add_argument(
        "--port", type=Path, metavar="PATH", help="where the serial line appears (a symbolic link)"
    )
    parser.add_argument(
        "--listen",
        metavar="[HOST:]PORT",
        help="TCP port; a serial instrument is there as behind a device server (default: a free "
        "port of this machine)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")
    parser.add_argument(
        "--speed", type=float, default=1.0, help="instrument's seconds in a second (default: 1)"
    )
    parser.add_argument(
        "--paced",
        action="store_true",
        help="a serial line takes the time that its baud rate takes (default: none)",
    )
    parser.add_argument(
        "--share",
        type=Path,
        help="folder for files that the instrument writes (default: a new one)",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, *, stop: threading.Event | None = None) -> int:
    """Run an emulator until it is interrupted.

    Args:
        options: as described by `add_arguments`.
        stop: ends it when set; None: only an interruption does.

    Raises:
        ConfigError: no such instrument, or a place where it cannot be put.
    """
    if options.list:
        print("\n".join(description()))
        return 0
    if options.device is None:
        raise ConfigError("command line", "DEVICE", "is missing", "a name of emulate --list")
    name = str(options.device).replace("-", "_")
    emulator = EMULATORS.get(name)
    if emulator is None:
        known = ", ".join(word.replace("_", "-") for word in EMULATORS)
        raise ConfigError("command line", "DEVICE", f"{options.device!r} is unknown", known)
    if not 0 < options.speed <= 1e6:
        raise ConfigError("command line", "--speed", f"{options.speed:g}", "more than 0")
    with tempfile.TemporaryDirectory(prefix="matlab-ros-") as folder:
        share = options.share if options.share is not None else Path(folder) / "share"
        place = Place(generator(options.seed, "emulate", name), options.seed, share)
        device = emulator.make(place)
        wire = _plug(emulator, device, options, Path(folder) / name)
        try:
            print(f"{emulator.about}\n{_whereabouts(emulator, wire, share)}", flush=True)
            _live(device, options.speed, stop if stop is not None else threading.Event())
        except KeyboardInterrupt:
            # That is how it ends.
            return 0
        finally:
            wire.close()
    return 0


def description() -> list[str]:
    """A line for each instrument."""
    width = max(map(len, EMULATORS))
    return [
        f"{name.replace('_', '-'):{width}}  {emulator.wire.value:29}  {emulator.about}"
        for name, emulator in EMULATORS.items()
    ]


def _plug(
    emulator: Emulator, device: EmulatedDevice, options: argparse.Namespace, own: Path
) -> Plugged:
    if options.port is not None and emulator.wire is not Wire.SERIAL:
        raise ConfigError("command line", "--port", "given for TCP", "--listen [HOST:]PORT")
    if options.paced and (options.listen is not None or emulator.wire is not Wire.SERIAL):
        raise ConfigError("command line", "--paced", "given for TCP", "a serial line")
    if options.port is not None and options.listen is not None:
        raise ConfigError("command line", "--port", "given with --listen", "one of both")
    if options.listen is None and emulator.wire is Wire.SERIAL:
        path = options.port if options.port is not None else own
        try:
            baudrate = emulator.baudrate if options.paced else 0
            return plug_serial(device, path.absolute(), baudrate=baudrate)
        except OSError as error:
            raise ConfigError(
                "command line", "--port", f"{path} cannot be made ({error.strerror})", "a new file"
            ) from error
    host, _, port = str(options.listen or "0").rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise ConfigError("command line", "--listen", f"{options.listen!r}", "[HOST:]PORT")
    try:
        return plug_tcp(emulator, device, host or "127.0.0.1", int(port))
    except OSError as error:
        raise ConfigError(
            "command line",
            "--listen",
            f"{options.listen} cannot be listened on ({error.strerror})",
            "a free TCP port of this machine",
        ) from error


def _whereabouts(emulator: Emulator, wire: Plugged, share: Path) -> str:
    lines = [f"at {wire.url}"]
    if emulator.baudrate:
        lines.append(f"any speed will do; the instrument has {emulator.baudrate} baud")
    elif emulator.port:
        lines.append(f"the instrument has port {emulator.port}")
    if "--share" in emulator.about:
        lines.append(f"files in {share}")
    return "\n".join([*lines, "Ctrl-C ends it"])


def _live(device: EmulatedDevice, speed: float, stop: threading.Event) -> None:
    """Let real time pass for the instrument."""
    began = time.monotonic()
    while not stop.wait(_TICK_S):
        device.advance_to((time.monotonic() - began) * speed)
