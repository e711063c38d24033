"""Transports: what cannot be reached is named; addresses are understood or refused in words."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matlab_ros.instruments.transport import SerialTransport, TcpTransport, _parse, open_transport
from matlab_ros.model.errors import ConfigError
from matlab_ros.model.faults import DeviceError, FaultCode
from matlab_ros.virtual.instruments.wire import PseudoTerminal


class Echo:
    """Sends back what it gets."""

    def __init__(self) -> None:
        self.send = lambda data: None

    def advance_to(self, t: float) -> None: ...

    def next_moment(self) -> float | None: ...

    def connect(self, send) -> None:
        self.send = send

    def receive(self, data: bytes) -> bytes:
        return data


def read_all(transport, size: int) -> bytes:
    heard = b""
    while len(heard) < size:
        data = transport.read(10.0)
        assert data, f"only {len(heard)} of {size} bytes came"
        heard += data
    return heard


@pytest.mark.parametrize("form", ["{}", "serial://{}", "serial://{}?baudrate=19200"])
def test_missing_serial_device_is_unreachable_and_named(tmp_path: Path, form: str) -> None:
    path = tmp_path / "ttyNONE"
    with pytest.raises(DeviceError) as caught:
        open_transport(form.format(path))
    assert caught.value.fault.code is FaultCode.DEVICE_UNREACHABLE
    assert str(path) in str(caught.value)
    assert "No such file" in str(caught.value)


def test_refused_connection_is_unreachable_and_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(DeviceError) as caught:
        open_transport(f"tcp://127.0.0.1:{port}")
    assert caught.value.fault.code is FaultCode.DEVICE_UNREACHABLE
    assert f"127.0.0.1:{port}" in str(caught.value)


def test_second_program_on_a_line_is_refused(plug) -> None:
    terminal = plug(Echo())
    first = open_transport(terminal.url)
    with pytest.raises(DeviceError, match="no other program"):
        open_transport(terminal.url)
    first.close()
    open_transport(terminal.url).close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://host:80",
        "tcp://host",
        "tcp://host:99999",
        "tcp://host:1?x=1",
        "serial://",
        "serial:///dev/ttyS0?baudrate=fast",
        "serial:///dev/ttyS0?baudrate=0",
        "serial:///dev/ttyS0?parity=X",
        "serial:///dev/ttyS0?stopbits=3",
        "serial:///dev/ttyS0?speed=9600",
        "serial:///dev/ttyS0?silence_ms=-1",
    ],
)
def test_bad_address_is_a_sentence(url: str) -> None:
    with pytest.raises(ConfigError, match="expected"):
        open_transport(url)


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_a_config_error(url: str) -> None:
    try:
        transport = _parse(url, 9600)
    except ConfigError:
        return
    assert isinstance(transport, SerialTransport | TcpTransport)


def test_silence_follows_the_standard() -> None:
    assert SerialTransport("x", baudrate=9600).silence_s == pytest.approx(3.5 * 10 / 9600)
    assert SerialTransport("x", baudrate=115200).silence_s == 0.00175
    assert SerialTransport("x", baudrate=9600, parity="E").silence_s == pytest.approx(
        3.5 * 11 / 9600
    )
    assert SerialTransport("x", silence_s=0.0).silence_s == 0.0


def test_all_byte_values_pass_a_pseudo_terminal_unchanged(plug) -> None:
    transport = open_transport(plug(Echo()).url)
    every = bytes(range(256)) * 4
    transport.write(every)
    assert read_all(transport, len(every)) == every
    transport.close()


def test_many_masters_come_and_go(plug) -> None:
    terminal = plug(Echo())
    for round_number in range(20):
        transport = open_transport(terminal.url)
        word = f"round {round_number}".encode()
        transport.write(word)
        assert read_all(transport, len(word)) == word
        transport.close()


def test_bytes_left_by_the_last_master_do_not_meet_the_next(plug) -> None:
    device = Echo()
    terminal = plug(device)
    terminal.send(b"left over")
    transport = open_transport(terminal.url)
    transport.write(b"new")
    assert read_all(transport, 3) == b"new"
    transport.close()


def test_sending_to_nobody_never_blocks(plug) -> None:
    terminal = plug(Echo())
    done = threading.Event()

    def flood() -> None:
        for _ in range(200):
            terminal.send(b"x" * 1000)
        done.set()

    threading.Thread(target=flood, daemon=True).start()
    assert done.wait(20.0)


def test_link_is_replaced_by_a_new_lab_and_removed_at_its_end(tmp_path: Path) -> None:
    path = tmp_path / "wires" / "furnace_1"
    old = PseudoTerminal(path, Echo())
    new = PseudoTerminal(path, Echo())
    old.close()
    assert path.is_symlink(), "the old lab must not take the new one's link away"
    transport = open_transport(str(path))
    transport.write(b"hello")
    assert read_all(transport, 5) == b"hello"
    transport.close()
    new.close()
    assert not os.path.lexists(path)


def test_unplugged_device_is_unreachable(tmp_path: Path) -> None:
    terminal = PseudoTerminal(tmp_path / "w" / "gone", Echo())
    transport = open_transport(terminal.url)
    terminal.close()

    def talk() -> None:
        for _ in range(3):
            transport.write(b"x")
            transport.read(0.2)

    with pytest.raises(DeviceError) as caught:
        talk()
    assert caught.value.fault.code is FaultCode.DEVICE_UNREACHABLE
    assert not transport.is_open


def test_a_paced_line_takes_the_time_of_its_baud_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("matlab_ros.virtual.instruments.wire._pause", pauses.append)
    terminal = PseudoTerminal(tmp_path / "device", Echo(), baudrate=9600)
    transport = SerialTransport(terminal.url)
    transport.open()
    transport.write(bytes(range(48)))
    assert read_all(transport, 48) == bytes(range(48))
    transport.close()
    terminal.close()
    # There and back, ten bits a byte; in pieces on the way back.
    assert sum(pauses) == pytest.approx(2 * 48 * 10 / 9600)
    assert len(pauses) > 5
