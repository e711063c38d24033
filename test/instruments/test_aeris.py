"""The Aeris driver against the emulated diffractometer, over real sockets and files."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matlab_ros.instruments.aeris import Aeris, is_refusal, parse_field
from matlab_ros.instruments.transport import open_transport
from matlab_ros.model.faults import DeviceError, FaultCode
from matlab_ros.virtual.instruments.aeris import AerisDiffractometer
from matlab_ros.virtual.instruments.wire import LoopbackServer

PROGRAM = "10-100_8-minutes"
SLOT = 2


class Station:
    """The virtual world around the diffractometer."""

    def __init__(self, share: Path) -> None:
        self.occupied = {SLOT}
        self.scans: list[tuple[str, str, int]] = []
        self.device = AerisDiffractometer(
            share, scan=self.scan, occupied=lambda slot: slot in self.occupied
        )
        self.server = LoopbackServer(self.device.answer)
        self.now = 0.0

    def scan(self, sample_id: str, program: str, slot: int) -> bytes:
        self.scans.append((sample_id, program, slot))
        text = f"<xrdMeasurements><!-- {sample_id} {len(self.scans)} --></xrdMeasurements>\n"
        return text.encode()

    def finish(self) -> float:
        began = self.now
        while (moment := self.device.next_moment()) is not None:
            self.now = moment
            self.device.advance_to(moment)
        return self.now - began


@pytest.fixture
def share(tmp_path: Path) -> Path:
    return tmp_path / "share"


@pytest.fixture
def station(share: Path) -> Iterator[Station]:
    station = Station(share)
    yield station
    station.server.close()


@pytest.fixture
def aeris(station: Station, share: Path) -> Aeris:
    return Aeris(open_transport(station.server.url), share, deadline_s=5.0)


def fault_of(call: Callable[..., object], *arguments: object) -> FaultCode:
    with pytest.raises(DeviceError) as caught:
        call(*arguments)
    return caught.value.fault.code


def test_a_sample_is_measured_and_its_file_found(aeris, station) -> None:
    assert aeris.is_remote()
    assert aeris.is_ready()
    assert aeris.is_occupied(SLOT)
    assert not aeris.is_occupied(3)
    aeris.add_sample("trial-e0001-s1", SLOT, PROGRAM)
    aeris.start_measurement("trial-e0001-s1", PROGRAM)
    assert not aeris.is_ready()
    assert aeris.result_path("trial-e0001-s1") is None
    assert station.finish() == 20 + 487 + 20
    assert aeris.is_ready()
    path = aeris.result_path("trial-e0001-s1")
    assert path is not None
    assert "trial-e0001-s1 1" in path.read_text()
    assert station.scans == [("trial-e0001-s1", PROGRAM, SLOT)]
    aeris.remove_sample("trial-e0001-s1")
    aeris.add_sample("next", SLOT, PROGRAM)


def test_the_file_is_there_before_it_is_ready_again(aeris, station) -> None:
    aeris.add_sample("s", SLOT, PROGRAM)
    aeris.start_measurement("s", PROGRAM)
    station.device.advance_to(station.device.next_moment())
    assert aeris.result_path("s") is not None
    assert not aeris.is_ready()


def test_a_sample_that_is_measured_is_not_in_its_slot(aeris, station) -> None:
    aeris.add_sample("s", SLOT, PROGRAM)
    aeris.start_measurement("s", PROGRAM)
    assert aeris.is_occupied(SLOT)
    station.device.advance_to(15.0)
    assert not aeris.is_occupied(SLOT)
    station.finish()
    assert aeris.is_occupied(SLOT)


def test_another_sample_s_measurement_is_told_by_the_slots(aeris, station) -> None:
    """One damaged digit: the order is for slot 2 and arrives as one for slot 3."""
    station.occupied.add(3)
    answer = station.device.answer
    station.server._answer = lambda heard: answer(heard.replace(b"AT=0,2@", b"AT=0,3@"))
    aeris.add_sample("s", SLOT, PROGRAM)
    aeris.start_measurement("s", PROGRAM)
    station.device.advance_to(15.0)
    assert aeris.is_occupied(SLOT)
    assert not aeris.is_occupied(3)


def test_an_answer_for_another_slot_is_none(aeris, station) -> None:
    answer = station.device.answer
    station.server._answer = lambda heard: answer(heard.replace(b"LOCATION=0,2@", b"LOCATION=0,3@"))
    assert fault_of(aeris.is_occupied, SLOT) is FaultCode.PROTOCOL_ERROR


def test_an_older_file_is_not_the_new_result(aeris, station) -> None:
    aeris.add_sample("s", SLOT, PROGRAM)
    aeris.start_measurement("s", PROGRAM)
    station.finish()
    assert "s 1" in aeris.result_path("s").read_text()
    aeris.start_measurement("s", PROGRAM)
    assert aeris.result_path("s") is None
    station.finish()
    assert "s 2" in aeris.result_path("s").read_text()


def test_half_a_file_is_no_result(aeris, station) -> None:
    station.device.halve_next_file = True
    aeris.add_sample("s", SLOT, PROGRAM)
    aeris.start_measurement("s", PROGRAM)
    station.finish()
    assert aeris.is_ready()
    assert aeris.result_path("s") is None


def test_a_file_that_never_comes_is_none(aeris, station) -> None:
    station.device.lose_next_file = True
    aeris.add_sample("s", SLOT, PROGRAM)
    aeris.start_measurement("s", PROGRAM)
    station.finish()
    assert aeris.is_ready()
    assert aeris.result_path("s") is None


def test_refusals_are_typed(aeris, station) -> None:
    assert fault_of(aeris.add_sample, "s", SLOT, "unknown") is FaultCode.MEASURE_DEVICE_FAILED
    assert fault_of(aeris.add_sample, "s", 9, PROGRAM) is FaultCode.MEASURE_DEVICE_FAILED
    assert fault_of(aeris.start_measurement, "s", PROGRAM) is FaultCode.MEASURE_DEVICE_FAILED
    assert fault_of(aeris.remove_sample, "s") is FaultCode.MEASURE_DEVICE_FAILED
    aeris.add_sample("s", SLOT, PROGRAM)
    assert fault_of(aeris.add_sample, "s", SLOT, PROGRAM) is FaultCode.MEASURE_DEVICE_FAILED
    station.occupied.clear()
    assert fault_of(aeris.start_measurement, "s", PROGRAM) is FaultCode.MEASURE_DEVICE_FAILED
    station.occupied.add(SLOT)
    aeris.start_measurement("s", PROGRAM)
    assert fault_of(aeris.start_measurement, "s", PROGRAM) is FaultCode.DEVICE_BUSY
    assert fault_of(aeris.remove_sample, "s") is FaultCode.MEASURE_DEVICE_FAILED
    assert station.scans == []


def test_local_control_is_not_remote(aeris, station) -> None:
    station.device.local_control = True
    assert not aeris.is_remote()
    assert fault_of(aeris.start_measurement, "s", PROGRAM) is FaultCode.MEASURE_NOT_REMOTE


@pytest.mark.parametrize("name", ["", "a@END", "a=b", "a/b", "../a", "a b", "a\n", "x" * 65])
def test_names_it_cannot_take_are_not_sent(aeris, name: str) -> None:
    assert fault_of(aeris.add_sample, name, SLOT, PROGRAM) is FaultCode.INVALID_GOAL
    assert fault_of(aeris.result_path, name) is FaultCode.INVALID_GOAL


def test_a_lost_reply_to_measure_is_not_sent_again(aeris, station) -> None:
    aeris.add_sample("s", SLOT, PROGRAM)
    answer, measured = station.device.answer, []

    def lose(heard: bytes) -> bytes | None:
        reply = answer(heard)
        if b"@MEASURE@" in heard and reply is not None:
            measured.append(heard)
            return b""
        return reply

    station.server._answer = lose
    assert fault_of(aeris.start_measurement, "s", PROGRAM) is FaultCode.DEADLINE_EXCEEDED
    assert len(measured) == 1
    assert not aeris.is_ready()
    station.finish()
    assert aeris.result_path("s") is not None


def test_a_lost_reply_to_a_question_is_asked_again(aeris, station) -> None:
    station.server.faults.drop_replies = 1
    assert aeris.is_ready()


def test_share_that_is_gone_is_unreachable(aeris, share: Path) -> None:
    share.rmdir()
    assert fault_of(aeris.result_path, "s") is FaultCode.DEVICE_UNREACHABLE


def test_diffractometer_that_is_gone_is_unreachable(aeris, station) -> None:
    station.server.close()
    assert fault_of(aeris.is_ready) is FaultCode.DEVICE_UNREACHABLE


def test_a_server_that_says_nothing_ends_at_the_deadline(share: Path) -> None:
    share.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held = []
        threading.Thread(
            target=lambda: held.extend(listener.accept() for _ in range(3)), daemon=True
        ).start()
        port = listener.getsockname()[1]
        aeris = Aeris(open_transport(f"tcp://127.0.0.1:{port}"), share, deadline_s=0.1)
        assert fault_of(aeris.is_ready) is FaultCode.DEADLINE_EXCEEDED


@pytest.mark.parametrize(
    "reply", [b"@END", b"@READY=maybe@END", b"\xff\xfe@END", b"@READY@END", b"x" * 5000]
)
def test_replies_that_make_no_sense_are_typed(share: Path, reply: bytes) -> None:
    share.mkdir()
    server = LoopbackServer(lambda heard: reply if b"@END" in heard else None)
    aeris = Aeris(open_transport(server.url), share, deadline_s=5.0)
    assert fault_of(aeris.is_ready) in (FaultCode.PROTOCOL_ERROR, FaultCode.DEADLINE_EXCEEDED)
    server.close()


@given(st.text(max_size=80), st.text(max_size=10))
def test_random_replies_raise_nothing(reply: str, key: str) -> None:
    value = parse_field(reply, key)
    assert value is None or value in reply


@given(st.binary(max_size=80))
def test_the_emulator_survives_random_messages(tmp_path_factory, message: bytes) -> None:
    device = AerisDiffractometer(
        tmp_path_factory.mktemp("share"), scan=lambda *_: b"", occupied=lambda slot: True
    )
    reply = device.answer(b"@" + message + b"@END")
    assert reply is not None
    assert reply.endswith(b"@END")


@pytest.mark.parametrize("reply", ["@ERROR=fatal@END", "fAtal", "ftal", "faatal", "f\x81tal"])
def test_a_refusal_with_one_damaged_byte_is_one(reply: str) -> None:
    assert is_refusal(reply)


def test_a_name_is_no_refusal() -> None:
    reply = "@SAMPLE@ADDED@SAMPLE_ID=catalyst-fatal-1@END"
    assert not is_refusal(reply, ("catalyst-fatal-1", "10-100_8-minutes"))
    assert not is_refusal("@SAMPLE@ADDED@SAMPLE_ID=s-1@END", ("s-1",))
