"""A furnace's node against the emulated controller: what a device node promises, kept by one."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
import yaml
from action_msgs.msg import GoalStatus
from hypothesis import given
from hypothesis import strategies as st
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.action import ActionClient
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.node import Node
from rosgraph_msgs.msg import Clock

from matlab_ros.model.faults import FaultCode
from matlab_ros.nodes.device_node import LATCHED
from matlab_ros.nodes.furnace import FurnaceNode, dwell_minutes
from matlab_ros.nodes.ros_time import to_msg, to_ns
from matlab_ros.virtual.bench import FURNACES
from matlab_ros.virtual.instruments.door import FurnaceDoors
from matlab_ros.virtual.instruments.furnace_controller import ProgramFate
from matlab_ros.virtual.instruments.wire import LoopbackServer, PseudoTerminal
from matlab_ros.virtual.stepping import AttemptView, LabView, next_moment
from matlab_ros_interfaces.action import Heat
from matlab_ros_interfaces.msg import ActiveAttempt, DeviceState, HeatSegment, SampleOutcome
from matlab_ros_interfaces.srv import EmergencyStop, ReachIn

LAB_FILE = Path(__file__).parents[2] / "config" / "labs" / "virtual_lab.yaml"
DEADLINE_S = 30.0
BEGAN_S = 1.0
UNLOAD_BELOW_C = 80.0
ATTEMPT = "c-e0001/heat/1"
NODE = "from matlab_ros.nodes.furnace import main; raise SystemExit(main())"


class Furnace:
    """An emulated controller on its wire, its node, and a clock that jumps when the node waits.

    Args:
        folder: of the wire and the node's memory.
        separate: the node is a process of its own.
        driver: what the controller is.
        door: a motor moves its door.
        calibration: of the thermocouple, instead of the lab file's.
        limits: of the furnace, instead of the lab file's.
    """

    def __init__(
        self,
        folder: Path,
        *,
        separate: bool = False,
        driver: str = "eurotherm_3216",
        door: bool = False,
        calibration: Mapping[str, object] | None = None,
        limits: Mapping[str, object] | None = None,
    ) -> None:
        self._folder = folder
        self.doors = FurnaceDoors()
        self._doors_server = LoopbackServer(self.doors.answer)
        doors_url = self._doors_server.url if door else ""
        lab_file = _lab_file(folder, doors_url, calibration=calibration, furnace=limits)
        self._process: subprocess.Popen[bytes] | None = None
        self.controller = FURNACES[driver](np.random.default_rng(1))
        self.controller.advance_to(BEGAN_S)
        self.wire = PseudoTerminal(folder / "furnace", self.controller)
        self.now_ns = round(BEGAN_S * 1e9)
        self.stop_at_ns = 2**62
        """The clock does not go beyond."""
        self.states: list[DeviceState] = []
        self._changed = threading.Condition()
        self._over = False
        self.doors.advance_to(BEGAN_S)
        self._arguments = [*_arguments(folder, lab_file), "-p", f"driver:={driver}"]
        rclpy.init(args=self._arguments)
        self.node = Node("onlooker")
        self._clock = self.node.create_publisher(Clock, "/clock", LATCHED)
        self.node.create_subscription(DeviceState, "furnace_1/state", self._on_state, LATCHED)
        self.client = ActionClient(self.node, Heat, "furnace_1/heat")
        self.stop = self.node.create_client(EmergencyStop, "furnace_1/emergency_stop")
        self.entry = self.node.create_client(ReachIn, "furnace_1/reach_in")
        self._change = self.node.create_client(ChangeState, "furnace_1/change_state")
        self._executor = MultiThreadedExecutor(num_threads=10)
        self._executor.add_node(self.node)
        self._furnace = None if separate else FurnaceNode()
        if self._furnace is not None:
            self._executor.add_node(self._furnace)
        else:
            self._start_process()
        self._spinner = threading.Thread(target=self._spin, daemon=True)
        self._spinner.start()
        self._clock.publish(Clock(clock=to_msg(self.now_ns)))
        self._stepper = threading.Thread(target=self._step, daemon=True)
        self._stepper.start()

    def _start_process(self) -> None:
        root = str(Path(__file__).parents[2])
        self._process = subprocess.Popen(
            [sys.executable, "-c", NODE, *self._arguments],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([root, *sys.path])},
        )

    def activate(self) -> None:
        """Bring the node up."""
        assert self._change.wait_for_service(DEADLINE_S)
        for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
            request = ChangeState.Request(transition=Transition(id=transition))
            assert wait(self._change.call_async(request)).success

    def die(self, number: int) -> None:
        """End the node's process by a signal."""
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(DEADLINE_S)

    def die_and_begin_anew(self, number: int) -> None:
        """End the node's process by a signal and start another."""
        self.die(number)
        with self._changed:
            self.states.clear()
        self._start_process()
        self.wait_for(lambda state: state.lifecycle_state == DeviceState.UNCONFIGURED)
        self.activate()

    def close(self) -> None:
        """End everything."""
        with self._changed:
            self._over = True
            self._changed.notify_all()
        self._stepper.join(DEADLINE_S)
        if self._process is not None:
            self._process.kill()
            self._process.wait(DEADLINE_S)
        rclpy.try_shutdown()
        # An attempt that a failed test left under way must not hold up the others.
        self._executor.shutdown(timeout_sec=2.0)
        self._spinner.join(DEADLINE_S)
        if self._furnace is not None:
            self._furnace.destroy_node()
        self.node.destroy_node()
        self.wire.close()
        self._doors_server.close()

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin()

    def _on_state(self, message: DeviceState) -> None:
        with self._changed:
            self.states.append(message)
            self._changed.notify_all()

    def wait_for(self, what: Callable[[DeviceState], bool]) -> DeviceState:
        """Wait for a state of the device."""
        with self._changed:
            assert self._changed.wait_for(
                lambda: self.states and what(self.states[-1]), DEADLINE_S
            ), self.states[-1:]
            return self.states[-1]

    def release(self) -> None:
        """Let the clock go on without limit."""
        with self._changed:
            self.stop_at_ns = 2**62
            self._changed.notify_all()

    def _moment(self) -> int | None:
        if not self.states:
            return None
        views = [
            AttemptView(
                attempt.attempt_id,
                attempt.phase != ActiveAttempt.PHASE_ACTING,
                to_ns(attempt.waits_until),
            )
            for attempt in self.states[-1].attempts
        ]
        lab = LabView(True, tuple((view.attempt_id, "furnace_1") for view in views))
        moment = next_moment(self.now_ns, lab, {"furnace_1": views}, set(), None)
        return None if moment is None or moment > self.stop_at_ns else moment

    def _step(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._over or self._moment() is not None)
                if self._over:
                    return
                moment = self._moment()
            assert moment is not None
            self.controller.advance_to(moment * 1e-9)
            self.doors.advance_to(moment * 1e-9)
            self.now_ns = moment
            self._clock.publish(Clock(clock=to_msg(moment)))

    def send(
        self,
        attempt: str = ATTEMPT,
        target_c: float = 600.0,
        feedback: Callable[[Any], None] | None = None,
        **changes: Any,
    ) -> Any:
        """Send a goal; its handle."""
        goal = Heat.Goal(
            attempt_id=attempt,
            issued=to_msg(self.now_ns),
            sample_ids=["c-e0001-s1", "c-e0002-s1"],
            positions=["furnace_1/1", "furnace_1/2"],
            profile=[HeatSegment(target_c=target_c, ramp_c_per_min=10.0, dwell_min=60.0)],
            unload_below_c=UNLOAD_BELOW_C,
            **changes,
        )
        assert self.client.wait_for_server(DEADLINE_S)
        handle = wait(self.client.send_goal_async(goal, feedback_callback=feedback))
        assert handle.accepted
        return handle

    def heat(self, attempt: str = ATTEMPT, target_c: float = 600.0, **changes: Any) -> Any:
        """Send a goal and wait for its end; status and result."""
        return wait(self.send(attempt, target_c, **changes).get_result_async())

    def hold_at(self, hours: float) -> None:
        """Have the clock stand before this moment is passed."""
        self.stop_at_ns = self.now_ns + round(hours * 3.6e12)

    def wait_until_held(self) -> None:
        """Wait until nothing but the clock keeps the attempt from going on."""
        self.wait_for(
            lambda state: any(
                attempt.phase == ActiveAttempt.PHASE_WAITING
                and to_ns(attempt.waits_until) > self.stop_at_ns
                for attempt in state.attempts
            )
        )


def wait(future: Any) -> Any:
    """What a future gives."""
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    assert done.wait(DEADLINE_S), "nothing came back"
    return future.result()


def _lab_file(folder: Path, doors: str, **changes: Mapping[str, object] | None) -> Path:
    content = yaml.safe_load(LAB_FILE.read_text())
    device = next(item for item in content["devices"] if item["name"] == "furnace_1")
    if doors:
        device["door"] = {"letter": "A"}
        device["ports"] = {"door": doors}
    device |= {key: dict(value) for key, value in changes.items() if value is not None}
    path = folder / "lab.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def _arguments(folder: Path, lab_file: Path) -> list[str]:
    return [
        *("--ros-args", "-p", f"lab_file:={lab_file}", "-p", f"state_dir:={folder / 'devices'}"),
        *("-p", "use_sim_time:=true", "-p", "device:=furnace_1", "-r", "furnace:__node:=furnace_1"),
        *("-p", f"port:=serial://{folder}/furnace?baudrate=19200&silence_ms=0"),
        *("-p", "poll_period_s:=600.0", "-p", f"record:={folder / 'furnace.traffic'}"),
    ]


@pytest.fixture
def furnace(graph: None, tmp_path: Path) -> Iterator[Furnace]:
    """An active furnace."""
    made = Furnace(tmp_path)
    made.activate()
    yield made
    made.close()


@pytest.fixture
def furnace_process(graph: None, tmp_path: Path) -> Iterator[Furnace]:
    """An active furnace whose node is a process of its own."""
    made = Furnace(tmp_path, separate=True)
    made.activate()
    yield made
    made.close()


def _agree(answer: Any) -> None:
    """Action status and error codes say the same."""
    report = answer.result.report
    assert answer.result.error_code == report.error_code
    assert answer.result.error_message == report.error_message
    assert (answer.status == GoalStatus.STATUS_SUCCEEDED) == (report.error_code == FaultCode.NONE)
    assert (answer.status == GoalStatus.STATUS_CANCELED) == (
        report.error_code == FaultCode.CANCELED
    )


def test_a_profile_is_run_to_its_end_and_measured(furnace: Furnace) -> None:
    answer = furnace.heat()
    _agree(answer)
    result = answer.result
    assert answer.status == GoalStatus.STATUS_SUCCEEDED
    assert {item.outcome for item in result.report.samples} == {SampleOutcome.DONE}
    assert [item.position for item in result.report.samples] == ["furnace_1/1", "furnace_1/2"]
    assert math.isclose(result.max_measured_c, 600.0, abs_tol=10)
    assert result.max_measured_c != 600.0
    assert math.isclose(result.dwell_min, 60.0, abs_tol=10)
    assert result.trace.measured_c[-1] < 80.0
    assert not result.report.recalled


def test_another_controller_is_a_line_and_its_traffic_is_recorded(
    graph: None, tmp_path: Path
) -> None:
    furnace = Furnace(tmp_path, driver="eurotherm_2416")
    try:
        furnace.activate()
        answer = furnace.heat()
        _agree(answer)
        assert answer.status == GoalStatus.STATUS_SUCCEEDED
        assert math.isclose(answer.result.max_measured_c, 600.0, abs_tol=10)
    finally:
        furnace.close()
    text = (tmp_path / "furnace.traffic").read_text()
    assert text.startswith("# matlab-ros traffic 1\n# eurotherm_2416 on ")
    # The program is started: register 23 becomes 2.
    assert "01 06 00 17 00 02" in text


def test_remaining_time_is_the_controller_s(furnace: Furnace) -> None:
    told: list[Any] = []
    furnace.hold_at(1.0)
    handle = furnace.send(feedback=told.append)
    furnace.wait_until_held()
    furnace.release()
    assert wait(handle.get_result_async()).status == GoalStatus.STATUS_SUCCEEDED
    remaining_s = [message.feedback.remaining_s for message in told]
    running = [value for value in remaining_s if not math.isnan(value)]
    # An hour of dwelling and 58 minutes of ramp, less what has gone by; none while it cools.
    assert math.isclose(running[0], 118 * 60, abs_tol=600)
    assert running == sorted(running, reverse=True)
    assert len(running) < len(remaining_s)


def test_an_attempt_that_is_sent_again_is_recalled_and_not_done_again(furnace: Furnace) -> None:
    first = furnace.heat()
    at_ns = furnace.now_ns
    again = furnace.heat()
    _agree(again)
    assert again.status == first.status
    assert again.result.report.recalled
    assert again.result.trace == first.result.trace
    assert furnace.now_ns == at_ns


def test_a_goal_sent_twice_at_once_is_one_piece_of_work(furnace: Furnace) -> None:
    furnace.hold_at(0.5)
    one = furnace.send().get_result_async()
    furnace.wait_until_held()
    other = furnace.send().get_result_async()
    assert len(furnace.states[-1].attempts) == 1
    furnace.release()
    assert wait(one).result.trace == wait(other).result.trace
    assert wait(other).status == GoalStatus.STATUS_SUCCEEDED


def test_an_id_with_another_goal_is_refused(furnace: Furnace) -> None:
    furnace.heat()
    at_ns = furnace.now_ns
    answer = furnace.heat(target_c=700.0)
    _agree(answer)
    assert answer.status == GoalStatus.STATUS_ABORTED
    assert answer.result.error_code == FaultCode.ATTEMPT_CONFLICT
    assert ATTEMPT in answer.result.error_message
    assert furnace.now_ns == at_ns


def test_a_goal_without_an_id_is_refused(furnace: Furnace) -> None:
    answer = furnace.heat(attempt="")
    _agree(answer)
    assert answer.result.error_code == FaultCode.INVALID_GOAL


def test_a_furnace_that_is_not_active_refuses_and_forgets(graph: None, tmp_path: Path) -> None:
    furnace = Furnace(tmp_path)
    try:
        answer = furnace.heat()
        _agree(answer)
        assert answer.result.error_code == FaultCode.DEVICE_NOT_ACTIVE
        assert {item.outcome for item in answer.result.report.samples} == {SampleOutcome.UNTOUCHED}
        furnace.activate()
        assert furnace.heat().status == GoalStatus.STATUS_SUCCEEDED
    finally:
        furnace.close()


def _canceled_in_mid_heat(furnace: Furnace, **changes: Any) -> Any:
    """A goal that was cancelled while it was hot; the future of its result."""
    furnace.hold_at(1.0)
    handle = furnace.send(**changes)
    furnace.wait_until_held()
    assert furnace.controller.true_trace(BEGAN_S, furnace.now_ns * 1e-9)[1].max() > 400
    ended = handle.get_result_async()
    handle.cancel_goal_async()
    return ended


def _is_cooling(state: DeviceState) -> bool:
    return any(
        item.phase == ActiveAttempt.PHASE_CANCELING and "cooling" in item.step
        for item in state.attempts
    )


@pytest.mark.parametrize(
    ("on_cancel", "c_per_h"), [(Heat.Goal.ON_CANCEL_COOL, 600), (Heat.Goal.ON_CANCEL_OFF, math.inf)]
)
def test_a_cancel_in_mid_heat_is_told_when_the_furnace_can_be_unloaded(
    furnace: Furnace, on_cancel: int, c_per_h: float
) -> None:
    ended = _canceled_in_mid_heat(furnace, on_cancel=on_cancel)
    furnace.wait_for(_is_cooling)
    canceled_s = furnace.now_ns * 1e-9
    assert not ended.done(), "it was told although the furnace is hot"
    furnace.release()
    answer = wait(ended)
    _agree(answer)
    assert answer.status == GoalStatus.STATUS_CANCELED
    assert len(answer.result.trace.measured_c) >= 6
    assert answer.result.trace.measured_c[-1] < UNLOAD_BELOW_C
    # What was heated in part is not what it was.
    assert {item.outcome for item in answer.result.report.samples} == {SampleOutcome.PARTIAL}
    # Nothing heats any more, and nothing cools faster than it was to.
    times_s, felt_c = furnace.controller.true_trace(canceled_s, furnace.now_ns * 1e-9)
    assert felt_c.max() < felt_c[0] + 20
    assert felt_c[0] - felt_c[-1] < 1.2 * c_per_h * (times_s[-1] - times_s[0]) / 3600


def test_a_furnace_that_is_to_hold_holds_its_temperature_when_cancelled(furnace: Furnace) -> None:
    answer = wait(_canceled_in_mid_heat(furnace, on_cancel=Heat.Goal.ON_CANCEL_HOLD))
    _agree(answer)
    assert answer.status == GoalStatus.STATUS_CANCELED
    began_s = furnace.now_ns * 1e-9
    furnace.controller.advance_to(began_s + 7200)
    _, felt_c = furnace.controller.true_trace(began_s + 3600, began_s + 7200)
    assert felt_c.min() > 400


def test_a_cancel_is_not_forgotten_by_a_node_that_dies_while_the_furnace_cools(
    furnace_process: Furnace,
) -> None:
    furnace = furnace_process
    _canceled_in_mid_heat(furnace)
    furnace.wait_for(_is_cooling)
    furnace.die_and_begin_anew(signal.SIGKILL)
    furnace.release()
    answer = furnace.heat()
    # The goal that asks again was not cancelled itself; what ended early is no success.
    assert answer.status == GoalStatus.STATUS_ABORTED
    assert answer.result.error_code == FaultCode.CANCELED
    assert {item.outcome for item in answer.result.report.samples} == {SampleOutcome.PARTIAL}
    assert answer.result.trace.measured_c[-1] < UNLOAD_BELOW_C


def test_an_emergency_stop_ends_what_runs_and_latches(furnace: Furnace) -> None:
    furnace.hold_at(1.0)
    handle = furnace.send()
    furnace.wait_until_held()
    ended = handle.get_result_async()
    assert furnace.stop.wait_for_service(DEADLINE_S)
    stopped = wait(furnace.stop.call_async(EmergencyStop.Request(engage=True, reason="smoke")))
    assert stopped.success
    # The heater is off at once; the attempt is over when the crucibles can be taken out.
    furnace.wait_for(_is_cooling)
    assert not ended.done()
    furnace.release()
    answer = wait(ended)
    _agree(answer)
    assert answer.status == GoalStatus.STATUS_ABORTED
    assert answer.result.error_code == FaultCode.EMERGENCY_STOP
    assert answer.result.trace.measured_c[-1] < UNLOAD_BELOW_C

    assert furnace.wait_for(lambda state: not state.busy).estopped
    refused = furnace.heat("c-e0002/heat/1")
    _agree(refused)
    assert refused.result.error_code == FaultCode.EMERGENCY_STOP

    assert wait(furnace.stop.call_async(EmergencyStop.Request(engage=False))).success
    assert not furnace.wait_for(lambda state: not state.estopped).busy
    assert furnace.heat("c-e0002/heat/1").status == GoalStatus.STATUS_SUCCEEDED


def test_a_profile_that_the_furnace_cannot_do_is_refused_cold(furnace: Furnace) -> None:
    answer = furnace.heat(target_c=1600.0)
    _agree(answer)
    assert answer.result.error_code == FaultCode.HEAT_OUT_OF_RANGE
    assert {item.outcome for item in answer.result.report.samples} == {SampleOutcome.UNTOUCHED}
    assert furnace.now_ns < 60e9


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_node_that_ended_in_mid_heat_brings_the_program_to_its_end_when_it_is_back(
    furnace_process: Furnace, number: int
) -> None:
    furnace = furnace_process
    furnace.hold_at(1.0)
    furnace.send()
    furnace.wait_until_held()
    furnace.die_and_begin_anew(number)
    furnace.release()
    answer = furnace.heat()
    _agree(answer)
    assert answer.status == GoalStatus.STATUS_SUCCEEDED
    assert to_ns(answer.result.report.began) < 60e9
    # One program: the crucibles were at their temperature once, for an hour.
    times_s, felt_c = furnace.controller.true_trace(BEGAN_S, furnace.now_ns * 1e-9)
    hot_s = np.diff(times_s)[felt_c[1:] > 590].sum()
    assert math.isclose(hot_s, 3600, abs_tol=900)


def test_a_failure_that_was_found_before_the_node_ended_is_told_by_the_next(
    furnace_process: Furnace,
) -> None:
    furnace = furnace_process
    furnace.controller.next_program = ProgramFate.STALLS
    # Long after the program's planned end, and long before the furnace is cold.
    furnace.hold_at(4.0)
    furnace.send()
    furnace.wait_until_held()
    furnace.wait_for(lambda state: "cooling" in state.attempts[0].step)
    furnace.die_and_begin_anew(signal.SIGKILL)
    furnace.release()
    answer = furnace.heat()
    assert answer.status == GoalStatus.STATUS_ABORTED
    assert answer.result.error_code == FaultCode.HEAT_PROFILE_NOT_FOLLOWED
    assert {item.outcome for item in answer.result.report.samples} == {SampleOutcome.COMPROMISED}
    assert furnace.controller.crucible_c < UNLOAD_BELOW_C + 5


TRACES = st.lists(
    st.tuples(st.floats(1, 1000), st.floats(0, 1500) | st.just(math.nan)), min_size=1, max_size=30
)


@given(trace=TRACES, above_c=st.floats(0, 1500), more_c=st.floats(0, 100))
def test_dwell_is_within_the_run_and_shorter_the_hotter(
    trace: list[tuple[float, float]], above_c: float, more_c: float
) -> None:
    elapsed_s = np.cumsum([step for step, _ in trace]).tolist()
    measured_c = [value for _, value in trace]
    dwell = dwell_minutes(elapsed_s, measured_c, above_c)
    assert 0 <= dwell <= (elapsed_s[-1] - elapsed_s[0]) / 60 + 1e-9
    assert dwell_minutes(elapsed_s, measured_c, above_c + more_c) <= dwell + 1e-9


def test_dwell_is_interpolated_between_readings() -> None:
    assert dwell_minutes([0, 60, 120, 180], [0, 100, 100, 0], 50) == pytest.approx(2.0)
    assert dwell_minutes([0, 60, 120, 180], [100, math.nan, 100, 100], 50) == pytest.approx(1.0)
    assert dwell_minutes([], [], 50) == 0
    assert dwell_minutes([0], [100], 50) == 0


def test_a_node_that_is_told_twice_to_end_ends_in_order(furnace_process: Furnace) -> None:
    process = furnace_process._process
    assert process is not None
    for _ in range(3):
        process.send_signal(signal.SIGINT)
    assert process.wait(DEADLINE_S) == 0


def _enter(furnace: Furnace, *, enter: bool = True) -> ReachIn.Response:
    assert furnace.entry.wait_for_service(DEADLINE_S)
    return wait(furnace.entry.call_async(ReachIn.Request(arm="arm", enter=enter)))


def test_a_hot_furnace_lets_nobody_in_and_one_with_an_arm_inside_does_not_heat(
    furnace: Furnace,
) -> None:
    furnace.hold_at(1.0)
    ended = furnace.send().get_result_async()
    furnace.wait_until_held()
    answer = _enter(furnace)
    assert not answer.granted
    assert not answer.ask_again
    assert answer.error_code == FaultCode.TRANSFER_INTERLOCKED
    assert "program is running" in answer.error_message
    furnace.release()
    assert wait(ended).status == GoalStatus.STATUS_SUCCEEDED

    assert _enter(furnace).granted
    heated = furnace.heat("c-e0002/heat/1")
    _agree(heated)
    assert heated.result.error_code == FaultCode.HEAT_INTERLOCKED
    assert "arm may be inside" in heated.result.error_message
    assert {item.outcome for item in heated.result.report.samples} == {SampleOutcome.UNTOUCHED}
    assert _enter(furnace, enter=False).granted
    assert furnace.heat("c-e0003/heat/1").status == GoalStatus.STATUS_SUCCEEDED


def test_who_is_inside_is_known_to_the_next_process(furnace_process: Furnace) -> None:
    assert _enter(furnace_process).granted
    furnace_process.die_and_begin_anew(signal.SIGKILL)
    answer = furnace_process.heat()
    assert answer.result.error_code == FaultCode.HEAT_INTERLOCKED


def test_a_door_is_closed_before_it_heats_and_opened_for_an_arm_when_it_is_cold(
    graph: None, tmp_path: Path
) -> None:
    furnace = Furnace(tmp_path, door=True)
    try:
        furnace.activate()
        assert _enter(furnace).ask_again
        furnace.doors.advance_to(furnace.now_ns * 1e-9 + 30.0)
        assert furnace.doors.is_open("A")
        assert _enter(furnace).granted
        assert _enter(furnace, enter=False).granted
        furnace.hold_at(1.0)
        ended = furnace.send().get_result_async()
        furnace.wait_until_held()
        assert not furnace.doors.is_open("A")
        assert furnace.controller.crucible_c > 300
        assert not _enter(furnace).granted
        assert not furnace.doors.is_open("A")
        # Somebody forces it: the heater goes off.
        furnace.doors.answer(b"Open A\n")
        furnace.release()
        answer = wait(ended)
        _agree(answer)
        assert answer.result.error_code == FaultCode.HEAT_INTERLOCKED
        assert not furnace.controller.is_heating
    finally:
        furnace.close()


@pytest.mark.parametrize(("until", "counts"), [("2030-01-01", True), ("1969-12-31", False)])
def test_readings_are_corrected_and_say_by_which_certificate(
    graph: None, tmp_path: Path, until: str, counts: bool
) -> None:
    certificate = {
        "certificate_id": "T-17",
        "calibrated": "1969-01-01",
        "valid_until": until,
        "offset": 15.0,
    }
    furnace = Furnace(tmp_path, calibration=certificate)
    try:
        furnace.activate()
        result = furnace.heat().result
        assert math.isclose(result.max_measured_c, 615.0, abs_tol=8)
        assert result.calibration.certificate_id == "T-17"
        assert result.calibration.offset == 15.0
        assert result.calibration.valid is counts
    finally:
        furnace.close()


def test_lost_contact_is_told_with_what_the_furnace_does_meanwhile(furnace: Furnace) -> None:
    furnace.hold_at(1.0)
    ended = furnace.send().get_result_async()
    furnace.wait_until_held()
    furnace.wire.faults.mute = True
    furnace.release()
    answer = wait(ended)
    _agree(answer)
    assert answer.result.error_code == FaultCode.HEAT_CONTACT_LOST
    for words in ("given all of it before the start", "ends it cold", "Do not open furnace_1"):
        assert words in answer.result.error_message
    state = furnace.wait_for(lambda state: state.faulted)
    assert state.fault_code == FaultCode.HEAT_CONTACT_LOST
    assert not _enter(furnace).granted
    # Nobody asks it any more: it ends its program and cools.
    furnace.controller.advance_to(furnace.now_ns * 1e-9 + 12 * 3600)
    assert furnace.controller.crucible_c < UNLOAD_BELOW_C
    furnace.wire.faults.mute = False
    furnace.wait_for(lambda state: not state.faulted)
    assert _enter(furnace).granted


def test_a_stop_that_the_furnace_does_not_hear_is_said_again_until_it_does(
    furnace: Furnace,
) -> None:
    furnace.hold_at(1.0)
    ended = furnace.send().get_result_async()
    furnace.wait_until_held()
    furnace.wire.faults.mute = True
    furnace.controller.refuse_writes = True
    answer = wait(furnace.stop.call_async(EmergencyStop.Request(engage=True)))
    assert not answer.success
    assert answer.message
    assert furnace.controller.is_heating
    furnace.controller.refuse_writes = False
    furnace.wire.faults.mute = False
    furnace.wait_for(lambda state: not state.faulted and state.estopped)
    furnace.controller.advance_to(furnace.now_ns * 1e-9 + 60.0)
    assert not furnace.controller.is_heating
    furnace.release()
    assert wait(ended).status == GoalStatus.STATUS_ABORTED


def test_a_furnace_whose_node_is_killed_in_mid_heat_is_brought_down_by_its_controller(
    furnace_process: Furnace,
) -> None:
    furnace = furnace_process
    furnace.hold_at(1.0)
    furnace.send()
    furnace.wait_until_held()
    furnace.die(signal.SIGKILL)
    assert furnace.controller.is_heating
    killed_s = furnace.now_ns * 1e-9
    assert furnace.controller.crucible_c > 400
    # Nobody is there any more: an hour at 600 C, then the controller's own program ends it.
    furnace.controller.advance_to(killed_s + 12 * 3600)
    times_s, felt_c = furnace.controller.true_trace(killed_s, killed_s + 12 * 3600)
    assert felt_c.max() < 610
    end_s = BEGAN_S + 118 * 60
    falling = felt_c[times_s > end_s + 60]
    assert (np.diff(falling) < 0.5).all()
    assert falling[-1] < UNLOAD_BELOW_C
    assert not furnace.controller.is_heating


def test_a_thermocouple_that_breaks_in_mid_heat_ends_the_program_and_keeps_everybody_out(
    furnace: Furnace,
) -> None:
    furnace.hold_at(1.0)
    ended = furnace.send().get_result_async()
    furnace.wait_until_held()
    furnace.controller.sensor_break = True
    furnace.hold_at(1.0)
    furnace.wait_for(lambda state: "cooling" in state.attempts[0].step)
    furnace.wait_until_held()
    assert not furnace.controller.is_heating
    assert not _enter(furnace).granted
    furnace.controller.sensor_break = False
    furnace.release()
    answer = wait(ended)
    _agree(answer)
    assert answer.result.error_code == FaultCode.HEAT_SENSOR_BREAK
    assert {item.outcome for item in answer.result.report.samples} == {SampleOutcome.COMPROMISED}


def test_a_heater_that_does_not_go_off_is_opened_by_the_controller_s_alarm(
    graph: None, tmp_path: Path
) -> None:
    limits = {"max_temperature_c": 700, "max_ramp_c_per_min": 10, "cut_alarm": 1}
    furnace = Furnace(tmp_path, limits=limits)
    try:
        furnace.activate()
        furnace.hold_at(1.0)
        ended = furnace.send().get_result_async()
        furnace.wait_until_held()
        # From here on no command switches it off: neither the program's end nor the node's reset.
        furnace.controller.heater_stuck = True
        furnace.release()
        answer = wait(ended)
        _agree(answer)
        assert answer.result.error_code == FaultCode.HEAT_OVER_TEMPERATURE
        _, felt_c = furnace.controller.true_trace(BEGAN_S, furnace.now_ns * 1e-9)
        assert felt_c.max() < 730
        again = furnace.heat("c-e0002/heat/1")
        assert again.result.error_code == FaultCode.HEAT_OVER_TEMPERATURE
        assert "acknowledge" in again.result.error_message
    finally:
        furnace.close()
