"""The Modbus master: right values or a typed fault, whatever the wire does."""

from __future__ import annotations

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from matlab_ros.instruments.modbus import ModbusMaster, ModbusRefusal
from matlab_ros.instruments.modbus_framing import RtuFraming
from matlab_ros.model.faults import DeviceError, FaultCode
from matlab_ros.virtual.instruments.modbus_slave import (
    ILLEGAL_ADDRESS,
    ModbusSlave,
    Refused,
    crc16,
)


class Registers:
    """A Modbus device that counts what it is asked."""

    def __init__(self, unit: int = 1) -> None:
        self.words = {address: address * 3 for address in range(100)}
        self.writes: list[tuple[int, tuple[int, ...]]] = []
        self.reads = 0
        self._slave = ModbusSlave(unit, self._read, self._write)

    def advance_to(self, t: float) -> None: ...

    def next_moment(self) -> float | None: ...

    def connect(self, send) -> None: ...

    def receive(self, data: bytes) -> bytes:
        return self._slave.receive(data)

    def _read(self, address: int) -> int:
        self.reads += 1
        if address not in self.words:
            raise Refused(ILLEGAL_ADDRESS)
        return self.words[address]

    def _write(self, address: int, values) -> None:
        self.writes.append((address, tuple(values)))
        for offset, value in enumerate(values):
            self.words[address + offset] = value


@pytest.fixture
def device() -> Registers:
    return Registers()


@pytest.fixture
def terminal(plug, device):
    return plug(device)


@pytest.fixture
def master(terminal, transport_to) -> ModbusMaster:
    url = f"serial://{terminal.url}?baudrate=115200"
    return ModbusMaster(transport_to(url), deadline_s=0.5)


def test_reads_and_writes(master, device) -> None:
    assert master.read(10, 3) == (30, 33, 36)
    master.write(10, 65535)
    master.write_block(20, range(100, 125))
    assert master.read(10) == (65535,)
    assert master.read(20, 25) == tuple(range(100, 125))
    assert device.writes == [(10, (65535,)), (20, tuple(range(100, 125)))]


def test_agrees_with_pymodbus_server(pymodbus_peer, transport_to) -> None:
    path = pymodbus_peer({address: address + 7 for address in range(1, 200)}, unit=5)
    master = ModbusMaster(transport_to(f"serial://{path}?baudrate=115200"), unit=5, deadline_s=5.0)
    assert master.read(1, 125) == tuple(range(8, 133))
    master.write(17, 0xABCD)
    master.write_block(30, [1, 2, 0xFFFF])
    assert master.read(17) == (0xABCD,)
    assert master.read(30, 3) == (1, 2, 0xFFFF)
    with pytest.raises(ModbusRefusal) as caught:
        master.read(5000)
    assert caught.value.exception_code == 2


def test_refusal_names_the_reason(master) -> None:
    with pytest.raises(ModbusRefusal) as caught:
        master.read(1000)
    assert caught.value.exception_code == ILLEGAL_ADDRESS
    assert caught.value.fault.code is FaultCode.PROTOCOL_ERROR
    assert "illegal register address" in str(caught.value)


def test_garbage_around_a_reply_does_no_harm(master, terminal) -> None:
    terminal.faults.garbage_before = b"\x01\x03\x00noise"
    terminal.faults.garbage_after = b"\xff\x01\x03"
    for _ in range(5):
        assert master.read(10, 3) == (30, 33, 36)


@pytest.mark.parametrize("fault", ["drop_replies", "corrupt_replies", "halve_replies"])
def test_one_bad_reply_is_asked_for_again(master, terminal, device, fault: str) -> None:
    setattr(terminal.faults, fault, 1)
    assert master.read(10, 3) == (30, 33, 36)
    # Where too little came, one more reading tells that no late reply is on its way.
    assert device.reads == (6 if fault == "corrupt_replies" else 7)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("drop_replies", FaultCode.DEVICE_UNREACHABLE),
        ("corrupt_replies", FaultCode.PROTOCOL_ERROR),
        ("halve_replies", FaultCode.PROTOCOL_ERROR),
    ],
)
def test_bad_replies_end_in_a_typed_fault(master, terminal, fault: str, code: FaultCode) -> None:
    setattr(terminal.faults, fault, 2)
    with pytest.raises(DeviceError) as caught:
        master.read(10, 3)
    assert caught.value.fault.code is code
    assert str(terminal.path) in str(caught.value)
    assert master.read(10, 3) == (30, 33, 36)


def test_a_write_said_once_is_sent_once(master, terminal, device) -> None:
    terminal.faults.drop_replies = 1
    with pytest.raises(DeviceError):
        master.write(10, 5, once=True)
    assert device.writes == [(10, (5,))]


def test_another_unit_does_not_answer(terminal, transport_to) -> None:
    stranger = ModbusMaster(transport_to(terminal.url), unit=9, deadline_s=0.05)
    with pytest.raises(DeviceError) as caught:
        stranger.read(10)
    assert caught.value.fault.code is FaultCode.DEVICE_UNREACHABLE


def test_a_late_reply_does_not_answer_the_next_request(master, terminal, device) -> None:
    late: list[bytes] = []
    master.read(1)
    receive = device.receive
    device.receive = lambda data: late.append(receive(data)) or b""  # type: ignore[method-assign]
    with pytest.raises(DeviceError):
        master.read(50)
    device.receive = receive  # type: ignore[method-assign]
    for reply in late:
        terminal.send(reply)
    assert master.read(10) == (30,)


def test_a_reply_that_is_later_than_any_silence_answers_nothing_else(master, device) -> None:
    """It comes when the next request is already on its way, and looks like the answer to it."""
    receive = device.receive
    held: list[bytes] = []

    def late(data: bytes) -> bytes:
        replies = [*held, receive(data)]
        held.clear()
        if len(device.heard) < 2:
            device.heard.append(data)
            held.extend(replies)
            return b""
        return b"".join(replies)

    device.heard = []
    device.receive = late
    with pytest.raises(DeviceError):
        master.read(50)
    assert master.read(10) == (30,)
    assert master.read(11) == (33,)


def frame(body: bytes) -> bytes:
    return body + crc16(body)


@given(st.binary(max_size=80), st.integers(1, 247), st.sampled_from([3, 6, 16]))
def test_random_bytes_raise_nothing(heard: bytes, unit: int, function: int) -> None:
    reply = RtuFraming().find(heard, unit, function, 6)
    assert reply is None or reply[0] & 0x7F == function


@given(
    st.binary(max_size=20),
    st.lists(st.integers(0, 65535), min_size=1, max_size=20),
    st.binary(max_size=20),
)
@example(b"\x01\x03", [0x0301, 0x0301], b"\x01\x03")
def test_reply_is_found_in_garbage(before: bytes, words: list[int], after: bytes) -> None:
    body = bytes([1, 3, 2 * len(words)]) + struct.pack(f">{len(words)}H", *words)
    reply = RtuFraming().find(before + frame(body) + after, 1, 3, len(body) - 1)
    assert reply == body[1:]


@given(st.lists(st.integers(0, 65535), min_size=1, max_size=20), st.data())
def test_a_changed_byte_is_never_accepted(words: list[int], data) -> None:
    body = bytes([1, 3, 2 * len(words)]) + struct.pack(f">{len(words)}H", *words)
    sound = frame(body)
    where = data.draw(st.integers(0, len(sound) - 1))
    bad = bytearray(sound)
    bad[where] ^= data.draw(st.integers(1, 255))
    assert RtuFraming().find(bytes(bad), 1, 3, len(body) - 1) is None


@given(st.lists(st.binary(max_size=30), max_size=10))
def test_the_emulated_slave_survives_random_bytes(pieces: list[bytes]) -> None:
    device = Registers()
    for piece in pieces:
        device.receive(piece)
    device.receive(b"\x00" * 300)
