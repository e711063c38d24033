"""Everything that reads bytes or text of others, each as a function of some bytes.

A target raises where the code it tries raises anything that is not ours; whatever it returns is
fine.
"""

from __future__ import annotations

import contextlib
import functools
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from matlab_ros.instruments.aeris import is_refusal, parse_field
from matlab_ros.instruments.mt_sics import parse_weight
from matlab_ros.instruments.quantos import DoseRequest, Job
from matlab_ros.instruments.quantos_codes import parse_head_data
from matlab_ros.instruments.quantos_line import parse_answer
from matlab_ros.instruments.registry import KINDS, Driver
from matlab_ros.instruments.traffic import read_traffic
from matlab_ros.instruments.transport import _parse as parse_url
from matlab_ros.instruments.transport import unreachable
from matlab_ros.model.errors import LabError
from matlab_ros.model.lab_config import FurnaceLimits
from matlab_ros.virtual.emulators import EMULATORS, Place, Wire

REPLY_S = 0.001
"""Deadline of one answer: nobody is waited for."""
NEEDS: Mapping[str, tuple[Any, ...]] = {
    "furnace controller": (
        FurnaceLimits(max_temperature_c=1200, max_ramp_c_per_min=10, cut_alarm=1),
    ),
    "diffractometer": (Path("no such folder"),),
}
"""What a driver is made of beside its wire."""
CALLS: Mapping[str, tuple[Callable[[Any], object], ...]] = {
    "furnace controller": (
        lambda driver: driver.read_range(),
        lambda driver: driver.read_status(),
        lambda driver: driver.read_program(),
        lambda driver: driver.lower_cut(),
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
"""What a driver is asked for."""
ENDS = ("silent", "ends", "breaks")
WORDS = (
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
    b"@STATUS_REPORT@LOCATION=0,2@STATE=free@END",
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
)
"""Whole words of the protocols, so that parsers are entered more deeply than by noise."""
_LITERAL = 0x80


@dataclass(frozen=True)
class Target:
    """Something to be tried.

    Attributes:
        name: for people.
        run: takes any bytes.
    """

    name: str
    run: Callable[[bytes], None]


class Babbling:
    """A wire that says what it was given, and then nothing, or ends, or breaks."""

    name = "nowhere:1"
    silence_s = 0.0

    def __init__(self, said: Sequence[bytes], end: str) -> None:
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


def pieces_of(data: bytes) -> list[bytes]:
    """Bytes as what is said one after the other: a byte below 0x80 is one of `WORDS`, one above is
    the length of what follows."""
    pieces, at = [], 0
    while at < len(data):
        tag = data[at]
        at += 1
        if tag < _LITERAL:
            pieces.append(WORDS[tag % len(WORDS)])
            continue
        length = 1 + (tag - _LITERAL)
        pieces.append(data[at : at + length])
        at += length
    return [piece for piece in pieces if piece]


def said_as(pieces: Sequence[bytes]) -> bytes:
    """What `pieces_of` takes for these."""
    said = b""
    for piece in pieces:
        if piece in WORDS:
            said += bytes([WORDS.index(piece)])
        else:
            piece = piece[:0x80]
            said += bytes([_LITERAL + len(piece) - 1]) + piece
    return said


def _driver(kind: str, driver: Driver[Any], data: bytes) -> None:
    first, second, rest = data[:1] or b"\0", data[1:2] or b"\0", data[2:]
    call = CALLS[kind][first[0] % len(CALLS[kind])]
    wire = Babbling(pieces_of(rest), ENDS[second[0] % len(ENDS)])
    made = driver.make(wire, *NEEDS.get(kind, ()), deadline_s=REPLY_S)
    with contextlib.suppress(LabError):
        call(made)


def _talk(name: str, device: Any, data: bytes) -> None:
    emulator, pieces = EMULATORS[name], pieces_of(data)
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


def _weight(data: bytes) -> None:
    line = data.decode("latin-1")
    for command in ("S", "SI", "T", "TI"):
        for text in (line, f"{command} S {line}", f"{command} {line} g"):
            weight = parse_weight(text, command)
            assert weight is None or weight.state
            parse_answer(text)


def _head(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    for content in (text, f"<a><Content Unit='mg'>{text}</Content></a>"):
        with contextlib.suppress(LabError):
            parse_head_data(content, "balance")


def _field(data: bytes) -> None:
    text = data.decode("ascii", "replace")
    for key in ("READY", "STATE"):
        value = parse_field(f"@{text}@{key}={text}", key)
        assert value is None or isinstance(value, str)
    is_refusal(text, ("s",))


def _url(data: bytes) -> None:
    with contextlib.suppress(LabError):
        parse_url(data.decode("utf-8", "replace"), 9600)


def _traffic(folder: Path, data: bytes) -> None:
    path = folder / "fuzz.traffic"
    path.write_bytes(b"# matlab-ros traffic 1\n" + data)
    with contextlib.suppress(LabError):
        read_traffic(path)


def targets() -> dict[str, Target]:
    """All of them, by name. One of each instrument is talked to by everybody."""
    share = Path(tempfile.mkdtemp(prefix="fuzz-"))
    found = [
        Target(f"driver {name}", functools.partial(_driver, kind, driver))
        for kind, drivers in KINDS.items()
        for name, driver in drivers.items()
    ]
    for name, emulator in EMULATORS.items():
        device = emulator.make(Place(np.random.default_rng(0), 0, share))
        found.append(Target(f"emulator {name}", functools.partial(_talk, name, device)))
    found += [
        Target("weights and answers", _weight),
        Target("dosing heads", _head),
        Target("fields of the Aeris", _field),
        Target("addresses", _url),
        Target("recordings", functools.partial(_traffic, share)),
    ]
    return {target.name: target for target in found}
