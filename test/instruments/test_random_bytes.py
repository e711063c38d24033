"""Random bytes into every driver and every emulator: no exception that is not ours, and no hang."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matlab_ros.instruments.aeris import parse_field
from matlab_ros.instruments.mt_sics import parse_weight
from matlab_ros.instruments.quantos import DoseRequest, Job
from matlab_ros.instruments.quantos_codes import parse_head_data
from matlab_ros.instruments.quantos_line import parse_answer
from matlab_ros.instruments.registry import KINDS, Driver
from matlab_ros.instruments.transport import unreachable
from matlab_ros.model.errors import LabError
from matlab_ros.model.lab_config import FurnaceLimits
from matlab_ros.virtual.emulators import EMULATORS, Place, Wire

REPLY_S = 0.002
DRIVERS: Mapping[str, Driver[Any]] = {
    name: driver for drivers in KINDS.values() for name, driver in drivers.items()
}
NEEDS: Mapping[str, tuple[Any, ...]] = {
    **dict.fromkeys(
        ("eurotherm_3216", "eurotherm_2416", "epc3016"),
        (FurnaceLimits(max_temperature_c=1200, max_ramp_c_per_min=10),),
    ),
    "aeris": (Path("no such folder"),),
}
CALLS: Mapping[str, tuple[Callable[[Any], object], ...]] = {
    "furnace controller": (
        lambda driver: driver.read_range(),
        lambda driver: driver.read_status(),
        lambda driver: driver.read_program(),
        lambda driver: driver.start(),
        lambda driver: driver.reset(),
    ),
    "mixer": (
        lambda driver: driver.read_state(),
        lambda driver: driver.start(),
        lambda driver: driver.stop(),
    ),
    "balance": (
        lambda driver: driver.identify(),
        lambda driver: driver.weigh(),
        lambda driver: driver.tare(),
        lambda driver: driver.head_data(),
        lambda driver: driver.door(),
        lambda driver: driver.prepare_dose(DoseRequest(10.0, 0.1, "s")),
        lambda driver: driver.start_dosing(),
        lambda driver: driver.poll(Job.DOSE),
        lambda driver: driver.stop_dosing(),
    ),
    "rail": (lambda driver: driver.read_status(), lambda driver: driver.move_to(100.0)),
    "diffractometer": (
        lambda driver: driver.is_ready(),
        lambda driver: driver.is_occupied(2),
        lambda driver: driver.add_sample("s", 2, "p"),
        lambda driver: driver.start_measurement("s", "p"),
    ),
    "gripper": (lambda driver: driver.read_status(), lambda driver: driver.move_to(0.5)),
    "arm": (
        lambda driver: driver.read_status(),
        lambda driver: driver.loaded_program(),
        lambda driver: driver.load("pick.urp"),
        lambda driver: driver.play("pick.urp"),
        lambda driver: driver.stop(),
    ),
    "door": (lambda driver: driver.read_status(), lambda driver: driver.open_door("A")),
    "capper": (lambda driver: driver.read_state(), lambda driver: driver.grip()),
}


class Babbling:
    """A wire that says what it was given, and then nothing, or ends, or breaks."""

    name = "nowhere:1"
    silence_s = 0.0

    def __init__(self, said: list[bytes], end: str) -> None:
        self._said: Iterator[bytes] = iter(said)
        self._end = end
        self.is_open = True
        self.ended = False

    def open(self) -> None:
        self.is_open, self.ended = True, False

    def close(self) -> None:
        self.is_open = False

    def write(self, data: bytes) -> None:
        if self._end == "breaks":
            raise unreachable(self.name, "broken")

    def read(self, wait_s: float) -> bytes:
        data = next(self._said, b"")
        self.ended = not data and self._end == "ends"
        return data

    def discard_input(self) -> None: ...


# Whole words of the protocols, so that parsers are entered more deeply than noise would.
words = st.sampled_from(
    [
        b"\x01\x03\x02\x00\x01",
        b"\x00\x01\x00\x00\x00\x05\x01\x03\x02\x00\x01",
        b"S S     100.00 g\r\n",
        b"SI D 1.0 mg\r\n",
        b"QRA 61 1 B\r\n",
        b"QRA 61 1 I 7\r\n",
        b"QRD 2 3 7 2 A\r\n",
        b"QRD 2 4 11 B\r\n<a>\r\nQRD 2 4 11 A\r\n",
        b"@STATUS_REPORT@UNIT=xrd@READY=yes@END",
        b"@SYSTEM=remote@END",
        b"Connected: Universal Robots Dashboard Server\n",
        b"Robotmode: RUNNING\n",
        b"Safetystatus: NORMAL\n",
        b"STOPPED <unnamed>\n",
        b"true\n",
        b"State: STOP; Furnace A: Closed; Furnace B: Open;",
        b"HTTP/1.0 200 OK\r\n\r\n",
        b'HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\n{"state":"RUNNING"}',
        b'{"state": [1]}',
        b"\x021800000001\x03",
        b"\x020000000003\x03",
    ]
)
babble = st.lists(st.one_of(st.binary(min_size=1, max_size=30), words), max_size=12)
ends = st.sampled_from(["silent", "ends", "breaks"])


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(said=babble, end=ends, data=st.data())
def test_a_driver_raises_nothing_but_ours(kind: str, said: list[bytes], end: str, data) -> None:
    name = data.draw(st.sampled_from(sorted(KINDS[kind])))
    call = data.draw(st.sampled_from(CALLS[kind]))
    wire = Babbling(said, end)
    driver = DRIVERS[name].make(wire, *NEEDS.get(name, ()), deadline_s=REPLY_S)
    with contextlib.suppress(LabError):
        call(driver)


@pytest.fixture(scope="session")
def devices(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """One of each instrument, to be talked to by everybody."""
    place = Place(np.random.default_rng(0), 0, tmp_path_factory.mktemp("share"))
    return {name: emulator.make(place) for name, emulator in EMULATORS.items()}


@pytest.mark.parametrize("name", EMULATORS)
@settings(max_examples=50, deadline=None)
@given(pieces=babble)
def test_an_emulator_survives_anything(
    name: str, devices: Mapping[str, Any], pieces: list[bytes]
) -> None:
    emulator, device = EMULATORS[name], devices[name]
    if emulator.wire is Wire.MESSAGES:
        heard = b""
        for piece in (*pieces, b"\r\n\r\n@END"):
            heard += piece
            if device.answer(heard) is not None:
                heard = b""
        return
    talk = device.session() if emulator.wire is Wire.STREAM else device
    for piece in pieces:
        assert isinstance(talk.receive(piece), bytes)
    # Whatever was heard: it still does its work.
    device.advance_to(10.0)
    device.next_moment()


@given(st.text(max_size=80), st.sampled_from(["S", "SI", "T", "TI"]))
def test_any_text_is_a_weight_or_none(line: str, command: str) -> None:
    for text in (line, f"{command} S {line}", f"{command} {line} g"):
        weight = parse_weight(text, command)
        assert weight is None or weight.state
        parse_answer(text)


@given(st.text(max_size=200))
def test_any_text_is_a_head_or_a_fault_of_ours(text: str) -> None:
    for content in (text, f"<a><Content Unit='mg'>{text}</Content></a>"):
        try:
            parse_head_data(content, "balance")
        except LabError:
            continue


@given(st.text(max_size=80), st.sampled_from(["READY", "STATE"]))
def test_any_text_has_a_field_or_none(text: str, key: str) -> None:
    value = parse_field(f"@{text}@{key}={text}", key)
    assert value is None or isinstance(value, str)
