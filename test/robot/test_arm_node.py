"""The arm's node with the virtual robot behind its actions: transfers end well, or say how."""

from __future__ import annotations

import contextlib
import functools
import json
import math
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import matlab_ros.nodes  # noqa: F401  (switches pocket_ros on where there is no ROS 2)

rclpy = pytest.importorskip("rclpy", reason="there is neither ROS 2 nor pocket_ros")
pytest.importorskip("rclpy.action", reason="pocket_ros has no actions yet")

from action_msgs.msg import GoalStatus  # noqa: E402
from lifecycle_msgs.msg import Transition  # noqa: E402
from lifecycle_msgs.srv import ChangeState  # noqa: E402
from rclpy.action import ActionClient  # noqa: E402
from rclpy.callback_groups import ReentrantCallbackGroup  # noqa: E402
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rosgraph_msgs.msg import Clock  # noqa: E402

from matlab_ros.model.faults import FaultCode  # noqa: E402
from matlab_ros.model.lab_config import load_lab, position_points  # noqa: E402
from matlab_ros.nodes.arm import ArmNode, whereabouts  # noqa: E402
from matlab_ros.nodes.device_node import LATCHED  # noqa: E402
from matlab_ros.nodes.ros_time import to_msg, to_ns  # noqa: E402
from matlab_ros.nodes.virtual_robot import VirtualRobotServers  # noqa: E402
from matlab_ros.robot.plan import RobotState, Whereabouts  # noqa: E402
from matlab_ros.virtual.robot import KinematicRobot  # noqa: E402
from matlab_ros.virtual.stepping import AttemptView, LabView, next_moment  # noqa: E402
from matlab_ros_interfaces.action import TransferSample  # noqa: E402
from matlab_ros_interfaces.msg import ActiveAttempt, DeviceState, SampleOutcome  # noqa: E402
from matlab_ros_interfaces.srv import EmergencyStop, ReachIn  # noqa: E402

LAB_FILE = Path(__file__).parents[2] / "config" / "labs" / "virtual_lab.yaml"
DEADLINE_S = 30.0


@pytest.fixture(scope="module")
def wire() -> Iterator[None]:
    """A router on a port of its own, where there is no ROS 2."""
    if os.environ.get("AMENT_PREFIX_PATH"):
        yield
        return
    import zenoh

    from pocket_ros.session import router_config

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = router_config()
    config.insert_json5("listen/endpoints", json.dumps([f"tcp/127.0.0.1:{port}"]))
    patch = pytest.MonkeyPatch()
    with zenoh.open(config):
        patch.setenv("ZENOH_CONFIG_OVERRIDE", f'connect/endpoints=["tcp/127.0.0.1:{port}"]')
        patch.setenv("ROS_DOMAIN_ID", "88")
        yield
    patch.undo()


class SmallLab:
    """An arm node, the virtual robot with a rack that has crucibles, and a clock that jumps."""

    def __init__(self, state_dir: Path, *, separate: bool = False) -> None:
        lab = load_lab(LAB_FILE)
        self._state_dir = state_dir
        self._separate = separate
        self.taken = {"rack/1", "rack/2", "rack/3"}
        self.fallen = 0
        self.before_jump: Callable[[int], None] = lambda _: None
        self.feedback: list[Any] = []
        self.now_ns = 1_000_000_000
        self.time_stands = threading.Lock()
        self._changed = threading.Condition()
        self._state: DeviceState | None = None
        self._over = False

        self.node = Node("virtual_lab")
        self._clock = self.node.create_publisher(Clock, "/clock", LATCHED)
        self.robot = KinematicRobot(
            position_points(lab), self._pick, self._place, dropped=self._drop, start_s=1.0
        )
        self.servers = VirtualRobotServers(self.node, self.robot, self._look_again)
        self.node.create_subscription(DeviceState, "arm/state", self._on_state, LATCHED)
        self.client = ActionClient(self.node, TransferSample, "transfer_sample")
        self.asked: list[tuple[str, bool]] = []
        """Furnaces that were asked for entry (True) or told that the arm has left."""
        self.hot: dict[str, int] = {}
        """How often each furnace says no before it says yes."""
        for name in ("furnace_1", "furnace_2"):
            self.node.create_service(
                ReachIn,
                f"{name}/reach_in",
                functools.partial(self._reach_in, name),
                callback_group=ReentrantCallbackGroup(),
            )
        self._executor = MultiThreadedExecutor(num_threads=10)
        self._executor.add_node(self.node)
        self.arm = None if separate else ArmNode()
        if self.arm is not None:
            self._executor.add_node(self.arm)
        self._spinner = threading.Thread(target=self._spin, daemon=True)
        self._spinner.start()
        self._publish_clock()
        if self.arm is not None:
            self.arm.trigger_configure()
            self.arm.trigger_activate()
        else:
            self.process = self.start_process()
        self._stepper = threading.Thread(target=self._step, daemon=True)
        self._stepper.start()
        assert self.client.wait_for_server(DEADLINE_S)

    def close(self) -> None:
        with self._changed:
            self._over = True
            self._changed.notify_all()
        self._stepper.join(DEADLINE_S)
        rclpy.try_shutdown()
        self._executor.shutdown()
        self._spinner.join(DEADLINE_S)
        if self.arm is not None:
            self.arm.destroy_node()
        else:
            self.process.kill()
            self.process.wait(DEADLINE_S)
        self.node.destroy_node()

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin()

    def start_process(self) -> subprocess.Popen[bytes]:
        """The arm's node as a process of its own, active."""
        client = self.node.create_client(ChangeState, "arm/change_state")
        # What a killed one offered is known for a moment longer; asked there, nobody would answer.
        deadline, pause = time.monotonic() + DEADLINE_S, threading.Event()
        while client.service_is_ready():
            assert time.monotonic() < deadline, "the dead arm still seems to be there"
            pause.wait(0.01)
        command = [sys.executable, "-m", "matlab_ros.nodes.arm"]
        root = str(Path(__file__).parents[2])
        process = subprocess.Popen(
            [*command, *_arguments(self._state_dir)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([root, *sys.path])},
        )
        assert client.wait_for_service(DEADLINE_S)
        for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
            request = ChangeState.Request(transition=Transition(id=transition))
            assert wait(client.call_async(request)).success
        self.node.destroy_client(client)
        return process

    # The world.

    def _reach_in(self, name: str, request: Any, response: Any) -> Any:
        self.asked.append((name, request.enter))
        response.granted = not (request.enter and self.hot.get(name, 0) > 0)
        if not response.granted:
            self.hot[name] -= 1
            response.error_code = int(FaultCode.TRANSFER_INTERLOCKED)
            response.error_message = f"{name} is at 400 C and is opened below 200 C"
        return response

    def _pick(self, position: str) -> bool:
        found = position in self.taken
        self.taken.discard(position)
        return found

    def _place(self, position: str) -> bool:
        if position in self.taken:
            return False
        self.taken.add(position)
        return True

    def _drop(self) -> None:
        self.fallen += 1

    # Time.

    def _on_state(self, message: DeviceState) -> None:
        with self._changed:
            self._state = message
            self._changed.notify_all()

    def forget_state(self) -> None:
        """Whoever said it is dead."""
        with self._changed:
            self._state = None

    def _look_again(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _publish_clock(self) -> None:
        self._clock.publish(Clock(clock=to_msg(self.now_ns)))

    def _moment(self) -> int | None:
        state = self._state
        if state is None or not state.attempts:
            return None
        views = [
            AttemptView(
                attempt.attempt_id,
                attempt.phase == ActiveAttempt.PHASE_WAITING,
                to_ns(attempt.waits_until),
                tuple(bytes(goal.uuid) for goal in attempt.awaited_goals),
            )
            for attempt in state.attempts
        ]
        goals, robot = self.servers.under_way()
        lab = LabView(True, tuple((view.attempt_id, "arm") for view in views))
        return next_moment(
            self.now_ns,
            lab,
            {"arm": views},
            goals,
            None if robot is None else round(robot * 1e9),
        )

    def _step(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._over or self._moment() is not None)
                if self._over:
                    return
                moment = self._moment()
            assert moment is not None
            with self.time_stands:
                pass
            self.before_jump(moment)
            self.now_ns = moment
            self.robot.advance_to(moment * 1e-9)
            self._publish_clock()
            self.servers.settle()

    # The lab manager.

    def send(self, source: str, target: str, attempt: str = "c-e0001/transfer/1") -> Any:
        goal = TransferSample.Goal(
            attempt_id=attempt,
            issued=to_msg(self.now_ns),
            sample_id="c-e0001-s1",
            container_id="crucible-01",
            source=source,
            target=target,
            keep_upright=True,
        )
        sent = self.client.send_goal_async(
            goal, feedback_callback=lambda message: self.feedback.append(message.feedback)
        )
        handle = wait(sent)
        assert handle.accepted
        return handle

    def transfer(self, source: str, target: str, attempt: str = "c-e0001/transfer/1") -> Any:
        return wait(self.send(source, target, attempt).get_result_async())


def wait(future: Any) -> Any:
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    assert done.wait(DEADLINE_S), "nothing came back"
    return future.result()


def _arguments(state_dir: Path) -> list[str]:
    return [
        *("--ros-args", "-p", f"lab_file:={LAB_FILE}", "-p", f"state_dir:={state_dir}"),
        *("-p", "use_sim_time:=true"),
    ]


@pytest.fixture
def lab(wire: None, tmp_path: Path) -> Iterator[SmallLab]:
    rclpy.init(args=_arguments(tmp_path))
    small = SmallLab(tmp_path)
    yield small
    small.close()


@pytest.fixture
def lab_of_processes(wire: None, tmp_path: Path) -> Iterator[SmallLab]:
    rclpy.init(args=_arguments(tmp_path))
    small = SmallLab(tmp_path, separate=True)
    yield small
    small.close()


def test_a_container_is_carried_and_everybody_agrees_where_it_is(lab: SmallLab) -> None:
    answer = lab.transfer("rack/1", "furnace_1/3")
    assert answer.result.error_message == ""
    assert answer.status == GoalStatus.STATUS_SUCCEEDED
    assert answer.result.final_position == "furnace_1/3"
    assert lab.taken == {"rack/2", "rack/3", "furnace_1/3"}
    (sample,) = answer.result.report.samples
    assert (sample.outcome, sample.position) == (SampleOutcome.DONE, "furnace_1/3")
    assert 4.0 < answer.result.path_length_m < 12.0
    assert {message.stage for message in lab.feedback} >= {1, 2, 3, 4, 5, 6}
    took_s = (to_ns(answer.result.report.ended) - to_ns(answer.result.report.began)) * 1e-9
    assert 15 < took_s < 60

    answer = lab.transfer("furnace_1/3", "rack/1", "c-e0001/transfer_back/1")
    assert answer.result.final_position == "rack/1"
    assert lab.taken == {"rack/1", "rack/2", "rack/3"}


def test_a_furnace_is_asked_before_the_arm_reaches_in_and_told_when_it_has_left(
    lab: SmallLab,
) -> None:
    # A new process may have been inside anything; from then on only what it asked is told.
    assert lab.transfer("rack/1", "furnace_1/3").result.error_code == 0
    assert ("furnace_1", True) in lab.asked
    assert lab.asked[-1] == ("furnace_1", False)
    lab.asked.clear()
    assert lab.transfer("furnace_1/3", "rack/1", "x/transfer/2").result.error_code == 0
    assert lab.asked == [("furnace_1", True), ("furnace_1", False)]
    lab.asked.clear()
    assert lab.transfer("rack/1", "rack/9", "x/transfer/3").result.error_code == 0
    assert lab.asked == []


def test_the_arm_waits_outside_a_furnace_that_says_no(lab: SmallLab) -> None:
    lab.hot["furnace_1"] = 5
    began_ns = lab.now_ns
    answer = lab.transfer("rack/1", "furnace_1/3")
    assert answer.result.error_code == 0
    assert lab.now_ns - began_ns > 5 * 30e9

    # It never cools: the arm gives up outside, with what it holds.
    lab.hot["furnace_2"] = 10_000
    answer = lab.transfer("rack/2", "furnace_2/1", "x/transfer/2")
    assert answer.status == GoalStatus.STATUS_ABORTED
    assert answer.result.error_code == FaultCode.TRANSFER_INTERLOCKED
    assert "400 C" in answer.result.error_message
    assert answer.result.final_position == "arm/gripper"
    assert "furnace_2/1" not in lab.taken
    # The tool is not where the furnace's crucibles stand.
    point = position_points(load_lab(LAB_FILE))["furnace_2/1"]
    assert math.dist(lab.robot.tool_point(), point) > 0.25


def test_an_attempt_that_is_sent_again_is_not_done_again(lab: SmallLab) -> None:
    lab.transfer("rack/1", "rack/10")
    at_ns = lab.now_ns
    answer = lab.transfer("rack/1", "rack/10")
    assert answer.status == GoalStatus.STATUS_SUCCEEDED
    assert answer.result.report.recalled
    assert lab.now_ns == at_ns


def test_an_empty_source_is_told_and_the_arm_goes_on(lab: SmallLab) -> None:
    answer = lab.transfer("rack/9", "furnace_1/3")
    assert answer.result.error_code == FaultCode.TRANSFER_SOURCE_EMPTY
    assert answer.status == GoalStatus.STATUS_ABORTED
    assert answer.result.final_position == ""
    assert answer.result.report.samples[0].outcome == SampleOutcome.LOST
    assert lab.transfer("rack/2", "rack/9", "x/transfer/2").result.error_code == 0


def test_a_container_that_slips_out_is_reported_as_dropped(lab: SmallLab) -> None:
    def slip(_moment: int) -> None:
        if lab.robot.holds:
            lab.robot.lose_container()

    lab.before_jump = slip
    answer = lab.transfer("rack/1", "furnace_1/3")
    assert answer.result.error_code == FaultCode.TRANSFER_DROPPED
    assert answer.result.final_position == ""
    assert lab.fallen == 1


@pytest.mark.parametrize("moment", range(1, 8))
def test_a_cancel_at_any_stage_stops_and_says_where_the_container_is(
    lab: SmallLab, moment: int
) -> None:
    handles: list[Any] = []
    jumps = 0

    def cancel_at_jump(_moment: int) -> None:
        nonlocal jumps
        jumps += 1
        if jumps == moment:
            wait(handles[0].cancel_goal_async())

    lab.before_jump = cancel_at_jump
    with lab.time_stands:
        handles.append(lab.send("rack/1", "furnace_1/3"))
    answer = wait(handles[0].get_result_async())
    assert answer.status == GoalStatus.STATUS_CANCELED
    assert answer.result.error_code == FaultCode.CANCELED
    assert not lab.servers.under_way()[0]
    where = answer.result.final_position
    assert where in ("rack/1", "arm/gripper", "furnace_1/3")
    assert lab.robot.holds == (where == "arm/gripper")
    assert lab.taken - {"rack/2", "rack/3"} == {where} - {"arm/gripper"}

    answer = lab.transfer(where, "rack/40", "c-e0001/transfer/2")
    assert answer.result.error_message == ""
    assert lab.taken == {"rack/40", "rack/2", "rack/3"}


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("shelf/1", FaultCode.TRANSFER_UNKNOWN_POSITION),
        ("rack/1", FaultCode.TRANSFER_NO_PLAN),
    ],
)
def test_what_cannot_be_planned_moves_nothing(lab: SmallLab, target: str, code: FaultCode) -> None:
    before = lab.robot.joint_state()
    answer = lab.transfer("rack/1", target)
    assert answer.result.error_code == code
    assert answer.result.final_position == "rack/1"
    assert answer.result.report.samples[0].outcome == SampleOutcome.UNTOUCHED
    assert lab.robot.joint_state() == before


def test_two_transfers_at_once_are_refused(lab: SmallLab) -> None:
    holding_clock = threading.Event()
    second: list[Any] = []

    def send_another(_moment: int) -> None:
        if not holding_clock.is_set():
            holding_clock.set()
            second.append(lab.transfer("rack/2", "rack/20", "y/transfer/1"))

    lab.before_jump = send_another
    assert lab.transfer("rack/1", "rack/10").result.error_code == 0
    assert second[0].result.error_code == FaultCode.DEVICE_BUSY
    assert lab.taken == {"rack/10", "rack/2", "rack/3"}


def test_an_emergency_stop_ends_the_movement_and_is_latched(lab: SmallLab) -> None:
    client = lab.node.create_client(EmergencyStop, "arm/emergency_stop")
    pressed: list[Any] = []

    def press(_moment: int) -> None:
        if lab.robot.holds and not pressed:
            pressed.append(client.call_async(EmergencyStop.Request(engage=True)))
            wait(pressed[0])

    lab.before_jump = press
    assert client.wait_for_service(DEADLINE_S)
    answer = lab.transfer("rack/1", "furnace_1/3")
    assert wait(pressed[0]).success
    assert answer.result.error_code == FaultCode.EMERGENCY_STOP
    assert answer.result.final_position == "arm/gripper"
    assert lab.robot.next_moment() is None
    refused = lab.transfer("arm/gripper", "rack/1", "c-e0001/transfer/2")
    assert refused.result.error_code == FaultCode.EMERGENCY_STOP
    assert lab.robot.holds


@pytest.mark.parametrize(
    ("note", "gap_m", "expected"),
    [
        ("", 0.050, Whereabouts.SOURCE),
        ("", 0.030, Whereabouts.SOURCE),
        ("source", 0.050, Whereabouts.SOURCE),
        ("source", 0.030, Whereabouts.GRIPPER),
        ("source", 0.0, Whereabouts.SOURCE),
        ("gripper", 0.030, Whereabouts.GRIPPER),
        ("gripper", 0.050, None),
        ("gripper", 0.0, None),
        ("target", 0.030, Whereabouts.GRIPPER),
        ("target", 0.050, Whereabouts.TARGET),
        ("target", 0.0, None),
    ],
)
def test_where_a_container_is_after_a_crash_is_known_or_said_to_be_unknown(
    note: str, gap_m: float, expected: Whereabouts | None
) -> None:
    assert whereabouts(note, RobotState(None, gripper_gap_m=gap_m)) is expected


@pytest.mark.parametrize("moment", range(1, 9))
def test_a_killed_arm_goes_on_with_its_transfer(lab_of_processes: SmallLab, moment: int) -> None:
    lab = lab_of_processes
    jumps = 0
    killed = threading.Event()
    after = threading.Event()

    def kill_at_jump(_moment: int) -> None:
        nonlocal jumps
        jumps += 1
        if jumps == moment:
            lab.process.kill()
            lab.process.wait(DEADLINE_S)
            killed.set()
            # Time stands while nobody is there to say what he waits for.
            assert after.wait(DEADLINE_S)

    lab.before_jump = kill_at_jump
    lab.send("rack/1", "furnace_1/3")
    assert killed.wait(DEADLINE_S)
    lab.forget_state()
    lab.process = lab.start_process()
    after.set()
    assert lab.client.wait_for_server(DEADLINE_S)
    answer = lab.transfer("rack/1", "furnace_1/3")
    assert answer.result.error_message == ""
    assert answer.result.final_position == "furnace_1/3"
    assert lab.taken == {"rack/2", "rack/3", "furnace_1/3"}
    assert lab.fallen == 0


def test_the_same_transfers_take_the_same_time(lab: SmallLab) -> None:
    durations = []
    for number in range(2):
        began_ns = lab.now_ns
        assert lab.transfer("rack/1", "rack/30", f"a{number}").result.error_code == 0
        assert lab.transfer("rack/30", "rack/1", f"b{number}").result.error_code == 0
        durations.append(lab.now_ns - began_ns)
    # Ends of attempts come on ticks of one millisecond.
    assert durations[0] == pytest.approx(durations[1], abs=2_000_000)
