"""The capper, and what its microcontroller's web server leaves out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matlab_ros.instruments.capper import Capper, CapperState
from matlab_ros.instruments.http_json import parse_reply
from matlab_ros.instruments.transport import TcpTransport
from matlab_ros.model.faults import DeviceError, FaultCode
from matlab_ros.virtual.instruments.capper import CrucibleCapper
from matlab_ros.virtual.instruments.wire import LoopbackServer

Bench = tuple[Capper, CrucibleCapper, LoopbackServer]


@pytest.fixture
def bench() -> Iterator[Bench]:
    device = CrucibleCapper()
    server = LoopbackServer(device.answer)
    yield Capper(TcpTransport("127.0.0.1", server.port), deadline_s=1.0), device, server
    server.close()


def test_it_grips_and_releases_and_both_may_be_repeated(bench: Bench) -> None:
    capper, device, _ = bench
    assert capper.read_state() is CapperState.OPEN
    for _ in range(2):
        capper.grip()
        assert capper.read_state() is CapperState.CLOSED
        assert device.closed
    for _ in range(2):
        capper.release()
        assert not device.closed


@pytest.mark.parametrize("fault", ["drop_replies", "corrupt_replies", "halve_replies"])
def test_one_bad_reply_is_asked_for_again(bench: Bench, fault: str) -> None:
    capper, _, server = bench
    setattr(server.faults, fault, 1)
    assert capper.read_state() is CapperState.OPEN


def test_a_capper_that_is_gone_is_named(bench: Bench) -> None:
    capper, _, server = bench
    server.close()
    with pytest.raises(DeviceError, match=f"capper at 127.0.0.1:{capper.name[-5:]}") as caught:
        capper.grip()
    assert caught.value.fault.code is FaultCode.DEVICE_UNREACHABLE


def test_a_reply_is_whole_by_length_or_end_or_object() -> None:
    head = b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n"
    assert parse_reply(head + b'{"a":', ended=False) is None
    assert parse_reply(head + b'{"a":1}', ended=False) == (200, b'{"a":1}')
    assert parse_reply(head + b"no", ended=True) == (200, b"no")
    sized = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"
    assert parse_reply(sized + b"{}", ended=True) is None
    assert parse_reply(sized + b"{} ", ended=False) == (200, b"{} ")


@given(st.binary(max_size=120), st.booleans())
def test_random_bytes_are_a_reply_or_none(heard: bytes, ended: bool) -> None:
    for start in (b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"):
        reply = parse_reply(start + heard, ended=ended)
        assert reply is None or 0 <= reply[0] <= 999
