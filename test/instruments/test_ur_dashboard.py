"""The arm's dashboard server: power, brakes, programs and stops, through a real socket."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from matlab_ros.instruments.transport import TcpTransport
from matlab_ros.instruments.ur_dashboard import (
    ProgramStatus,
    RobotMode,
    SafetyStatus,
    UrDashboard,
)
from matlab_ros.model.faults import DeviceError, FaultCode
from matlab_ros.virtual.instruments.ur_dashboard import UrArm
from matlab_ros.virtual.instruments.wire import StreamServer

Bench = tuple[UrDashboard, UrArm, StreamServer]


@pytest.fixture
def bench() -> Iterator[Bench]:
    arm = UrArm()
    server = StreamServer(arm.session)
    dashboard = UrDashboard(TcpTransport("127.0.0.1", server.port), deadline_s=1.0)
    yield dashboard, arm, server
    dashboard.close()
    server.close()


def fault_of(call, *arguments) -> FaultCode:
    with pytest.raises(DeviceError) as caught:
        call(*arguments)
    return caught.value.fault.code


def powered(dashboard: UrDashboard, arm: UrArm, now: float = 0.0) -> float:
    dashboard.power_on()
    arm.advance_to(now + 5)
    assert dashboard.robot_mode() is RobotMode.IDLE
    dashboard.release_brakes()
    arm.advance_to(now + 8)
    assert dashboard.read_status().can_move
    return now + 8


def test_it_is_powered_up_and_plays_a_program_to_its_end(bench: Bench) -> None:
    dashboard, arm, _ = bench
    assert not dashboard.read_status().can_move
    now = powered(dashboard, arm)
    dashboard.load("pick.urp")
    dashboard.play("pick.urp")
    assert dashboard.program_status() is ProgramStatus.PLAYING
    assert fault_of(dashboard.play, "pick.urp") is FaultCode.DEVICE_BUSY
    moment = arm.next_moment()
    assert moment == now + 20
    arm.advance_to(moment)
    assert dashboard.program_status() is ProgramStatus.STOPPED


def test_only_the_expected_program_is_played(bench: Bench) -> None:
    dashboard, arm, _ = bench
    powered(dashboard, arm)
    assert fault_of(dashboard.load, "dance.urp") is FaultCode.INVALID_GOAL
    assert fault_of(dashboard.load, "no program\nplay") is FaultCode.INVALID_GOAL
    assert dashboard.loaded_program() is None
    assert fault_of(dashboard.play, "pick.urp") is FaultCode.PROTOCOL_ERROR
    dashboard.load("place.urp")
    assert fault_of(dashboard.play, "pick.urp") is FaultCode.PROTOCOL_ERROR
    assert dashboard.program_status() is ProgramStatus.STOPPED


def test_pause_and_stop_may_be_repeated(bench: Bench) -> None:
    dashboard, arm, _ = bench
    now = powered(dashboard, arm)
    dashboard.load("pick.urp")
    dashboard.play("pick.urp")
    arm.advance_to(now + 5)
    dashboard.pause()
    dashboard.pause()
    assert dashboard.program_status() is ProgramStatus.PAUSED
    dashboard.play("pick.urp")
    assert arm.next_moment() == now + 20
    dashboard.stop()
    dashboard.stop()
    assert dashboard.program_status() is ProgramStatus.STOPPED


def test_an_emergency_stop_takes_the_power_and_latches(bench: Bench) -> None:
    dashboard, arm, _ = bench
    powered(dashboard, arm)
    dashboard.load("pick.urp")
    dashboard.play("pick.urp")
    arm.emergency_stop()
    status = dashboard.read_status()
    assert status.safety is SafetyStatus.ROBOT_EMERGENCY_STOP
    assert (status.mode, status.program) == (RobotMode.POWER_OFF, ProgramStatus.STOPPED)
    assert fault_of(dashboard.power_on) is FaultCode.DEVICE_NOT_ACTIVE
    assert fault_of(dashboard.play, "pick.urp") is FaultCode.DEVICE_NOT_ACTIVE
    arm.release()
    powered(dashboard, arm, 8.0)


def test_a_protective_stop_is_left_only_after_a_while(bench: Bench) -> None:
    dashboard, arm, _ = bench
    now = powered(dashboard, arm)
    dashboard.load("pick.urp")
    dashboard.play("pick.urp")
    arm.protective_stop()
    assert dashboard.program_status() is ProgramStatus.PAUSED
    with pytest.raises(DeviceError, match="until 5s"):
        dashboard.unlock_protective_stop()
    arm.advance_to(now + 5)
    dashboard.unlock_protective_stop()
    dashboard.play("pick.urp")


def test_local_control_is_respected(bench: Bench) -> None:
    dashboard, arm, _ = bench
    arm.local_control = True
    assert fault_of(dashboard.power_on) is FaultCode.DEVICE_NOT_ACTIVE
    assert fault_of(dashboard.load, "pick.urp") is FaultCode.DEVICE_NOT_ACTIVE
    assert not dashboard.is_remote()


def test_a_late_answer_does_not_meet_the_next_command(bench: Bench) -> None:
    dashboard, _, server = bench
    assert dashboard.is_remote()
    server.faults.drop_replies = 1
    assert dashboard.safety_status() is SafetyStatus.NORMAL
    server.disconnect()
    assert dashboard.robot_mode() is RobotMode.POWER_OFF


def test_play_whose_answer_is_lost_is_not_sent_again(bench: Bench) -> None:
    dashboard, arm, server = bench
    powered(dashboard, arm)
    dashboard.load("pick.urp")
    plays: list[str] = []
    session = arm.session

    def deaf_after_play():
        talk = session()
        receive = talk.receive

        def hear(data: bytes) -> bytes:
            reply = receive(data)
            if b"play" in data:
                plays.append("play")
                return b""
            return reply

        talk.receive = hear
        return talk

    server._open_session = deaf_after_play
    dashboard.close()
    dashboard.play("pick.urp")
    assert plays == ["play"]
    assert dashboard.program_status() is ProgramStatus.PLAYING
