"""``matlab-ros emulate``: an instrument alone, as a process, for whoever writes software for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from matlab_ros.cli import main
from matlab_ros.instruments.registry import FURNACES, KINDS, connect
from matlab_ros.model.lab_config import FurnaceLimits
from matlab_ros.virtual.emulators import EMULATORS, Place, Wire, plug_serial, plug_tcp

LIMITS = FurnaceLimits(max_temperature_c=1200, max_ramp_c_per_min=10)
Start = Callable[..., tuple[subprocess.Popen[str], str]]


@pytest.fixture
def emulate() -> Iterator[Start]:
    """Starts the command; gives the process and the address that it tells."""
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> tuple[subprocess.Popen[str], str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "matlab_ros.cli", "emulate", *arguments],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        processes.append(process)
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("at "):
                return process, line.split()[1]
        raise AssertionError("it ended without a word")

    yield start
    for process in processes:
        process.kill()
        process.wait(20.0)
        assert process.stdout is not None
        process.stdout.close()


def test_a_furnace_alone_is_driven_and_ended(emulate: Start, tmp_path: Path) -> None:
    place = tmp_path / "furnace"
    process, address = emulate(
        "eurotherm-2416", "--port", str(place), "--speed", "60", "--seed", "3"
    )
    assert address == str(place)
    driver = FURNACES["eurotherm_2416"]
    wire = connect(driver, address)
    furnace = driver.make(wire, LIMITS, deadline_s=5.0)
    assert furnace.read().measured_c == pytest.approx(25, abs=3)
    wire.close()
    process.send_signal(signal.SIGINT)
    assert process.wait(60.0) == 0
    assert not place.is_symlink()


def test_a_serial_instrument_is_reached_through_a_device_server() -> None:
    emulator = EMULATORS["eurotherm_3216"]
    device = emulator.make(Place(np.random.default_rng(0), 0, Path()))
    server = plug_tcp(emulator, device, "127.0.0.1", 0)
    driver = FURNACES["eurotherm_3216"]
    wire = connect(driver, server.url)
    assert driver.make(wire, LIMITS, deadline_s=5.0).read().measured_c == pytest.approx(25, abs=3)
    wire.close()
    server.close()


def test_what_there_is_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["emulate", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(EMULATORS)
    assert any(line.startswith("eurotherm-3216 ") for line in lines)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("toaster",),
        ("epc3016", "--port", "x"),
        ("quantos", "--listen", "nowhere"),
        ("quantos", "--listen", "70000"),
        ("quantos", "--speed", "0"),
        ("quantos", "--port", "/dev/null/x"),
        ("quantos", "--paced", "--listen", "0"),
        ("epc3016", "--paced"),
    ],
)
def test_bad_input_is_a_sentence(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["emulate", *arguments]) == 2
    assert "expected" in capsys.readouterr().err


def test_every_driver_has_its_emulator() -> None:
    drivers = {name for kind in KINDS.values() for name in kind}
    assert drivers == set(EMULATORS)


def test_every_driver_asks_its_emulator(tmp_path: Path) -> None:
    """The harmless question of the registry."""
    needs = {"furnace controller": (LIMITS,), "diffractometer": (tmp_path,)}
    for kind, drivers in KINDS.items():
        for name, driver in drivers.items():
            emulator = EMULATORS[name]
            device = emulator.make(Place(np.random.default_rng(0), 0, tmp_path))
            if emulator.wire is Wire.SERIAL:
                plugged = plug_serial(device, tmp_path / name)
            else:
                plugged = plug_tcp(emulator, device, "127.0.0.1", 0)
            wire = connect(driver, plugged.url)
            try:
                driver.ask(driver.make(wire, *needs.get(kind, ()), deadline_s=5.0))
            finally:
                wire.close()
                plugged.close()
