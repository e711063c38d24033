"""The common base of device nodes: lifecycle, state, attempts that are never done twice."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import math
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import rclpy
from action_msgs.msg import GoalStatus
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.lifecycle import LifecycleNode, State, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message, serialize_message
from unique_identifier_msgs.msg import UUID

from matlab_ros import __version__
from matlab_ros.model.errors import ConfigError, LabError
from matlab_ros.model.faults import DeviceError, Fault, FaultCode
from matlab_ros.model.lab_config import DeviceConfig, LabConfig, load_lab
from matlab_ros.nodes.attempt_memory import AttemptMemory, Known, MemoryLost
from matlab_ros.nodes.ros_time import RosTime, to_msg, to_ns
from matlab_ros_interfaces.msg import (
    ActiveAttempt,
    AttemptReport,
    Calibration,
    DeviceState,
    SampleOutcome,
)
from matlab_ros_interfaces.srv import EmergencyStop

HEARTBEAT_S = 1.0
RESULT_KEPT_S = 30.0
"""Steady seconds for which the result of a goal can be asked for without sending the goal again.
The attempt's outcome is remembered anyhow, and what is kept is told with every goal's status."""
LATCHED = QoSProfile(
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)

EXIT_MEMORY_LOST = 3
_JOIN_S = 1.0


class AttemptCanceled(LabError):
    """The attempt was cancelled; raised out of its waits."""


class Attempt:
    """One piece of work a device does for the lab manager, as the device's own code sees it.

    Attributes:
        attempt_id: unique for ever.
        kind: type of its action.
        resumed: an earlier process of this device began it and did not live to end it.
        note: what the earlier process wrote down last; see `remember`.
        began_ns: ROS time at which it began.
        deadline_ns: ROS time at which it fails, 0 for none.
    """

    def __init__(
        self,
        node: DeviceNode,
        kind: Any,
        goal: Any,
        samples: Sequence[tuple[str, str]],
        *,
        resumed: bool,
        began_ns: int,
        note: str,
    ) -> None:
        self.attempt_id: str = goal.attempt_id
        self.kind = kind
        self.resumed = resumed
        self.note = note
        self.began_ns = began_ns
        self.deadline_ns = to_ns(goal.deadline)
        self.canceled = False
        self.stopped = False
        self.over = threading.Event()
        self.said = -1
        """The phase that was published last."""
        self.status = 0
        self.result: Any = None
        self._node = node
        self._samples = {sample: position for sample, position in samples if sample}
        self._outcomes: dict[str, SampleOutcome] = {}
        self._handle: ServerGoalHandle | None = None
        self.message = ActiveAttempt(
            attempt_id=self.attempt_id,
            phase=ActiveAttempt.PHASE_ACTING,
            progress=math.nan,
        )

    def bind(self, handle: ServerGoalHandle) -> None:
        """Send feedback to this goal from now on."""
        self._handle = handle

    def cancel(self, *, emergency: bool = False) -> None:
        """Have the next wait end in `AttemptCanceled`."""
        self.canceled = True
        self.stopped = self.stopped or emergency
        self._node.time.notify()

    def remember(self, note: str) -> None:
        """Write `note` to disk: what a later process of this device must know to go on."""
        with self._node.remembering():
            self._node.memory.note(self.attempt_id, note)

    def step(self, name: str, progress: float = math.nan, expected_end_ns: int = 0) -> None:
        """Say what is being done; published with the next state."""
        self.message.step = name
        self.message.progress = progress
        self.message.expected_end = to_msg(expected_end_ns)

    def feedback(self, message: Any) -> None:
        """Send the action's feedback."""
        if self._handle is not None and self._handle.is_active:
            self._handle.publish_feedback(message)

    def touched(self, sample_id: str, outcome: int, position: str = "") -> None:
        """Say what the attempt means for a sample (a constant of SampleOutcome)."""
        self._outcomes[sample_id] = SampleOutcome(
            sample_id=sample_id, outcome=outcome, position=position
        )

    def touched_all(self, outcome: int) -> None:
        """Say the same of every sample of the goal; each stays where it is."""
        for sample_id, position in self._samples.items():
            self.touched(sample_id, outcome, position)

    def outcomes(self, default: int) -> list[SampleOutcome]:
        """Outcome of every sample of the goal, `default` where nothing was said."""
        return [
            self._outcomes.get(sample)
            or SampleOutcome(sample_id=sample, outcome=default, position=position)
            for sample, position in self._samples.items()
        ]

    def wait(self, seconds: float, *, cancelable: bool = True) -> None:
        """Wait for `seconds` of ROS time; see `wait_until`."""
        self.wait_until(self._node.time.now_ns() + round(seconds * 1e9), cancelable=cancelable)

    def wait_until(self, when_ns: int, *, cancelable: bool = True) -> None:
        """Wait until ROS time reaches the device's first tick after `when_ns`.

        Raises:
            AttemptCanceled: cancelled before or while waiting (not when ``cancelable=False``).
            DeviceError: the attempt's deadline passed.
        """
        self._wait(self._node.time.tick_after(when_ns), lambda: False, (), cancelable)

    def await_own_moment(self) -> None:
        """Wait until the present is a moment of this device alone; nothing ends it before.

        What another server said may have come before the /clock message of its moment: then the
        next tick after what this node takes for the present lies behind that moment, and the
        present is nobody's.
        """
        time = self._node.time
        while True:
            when_ns = time.tick_after(time.now_ns())
            self._wait(when_ns, lambda: False, (), False)
            if not time.is_simulated or time.now_ns() <= when_ns:
                return

    def wait_for(
        self, done: Callable[[], bool], goals: Sequence[UUID], until_ns: int, what: str
    ) -> None:
        """Wait until `done`, which becomes true when goals with other servers end.

        Whoever makes `done` true calls ``node.time.notify()``.

        Args:
            done: asked after every notice.
            goals: ids of the goals that are waited for.
            until_ns: ROS time at which the patience ends.
            what: is waited for, for the error's sentence.

        Raises:
            AttemptCanceled: cancelled meanwhile.
            DeviceError: DEADLINE_EXCEEDED, it was not done in time.
        """
        if not self._wait(self._node.time.tick_after(until_ns), done, goals, True):
            raise DeviceError(
                Fault.of(
                    FaultCode.DEADLINE_EXCEEDED,
                    f"{self._node.device.name} waited for {what} and it did not end in time",
                )
            )

    def _wait(
        self, when_ns: int, done: Callable[[], bool], goals: Sequence[UUID], cancelable: bool
    ) -> bool:
        """Wait for the time or `done`; True when done, or when only the time was waited for."""
        time = self._node.time
        # What must be waited for to be safe is waited for, whatever the deadline.
        late = cancelable and self.deadline_ns and when_ns > self.deadline_ns
        when_ns = min(when_ns, time.tick_after(self.deadline_ns)) if late else when_ns
        self._node.say(
            self,
            ActiveAttempt.PHASE_CANCELING if self.canceled else ActiveAttempt.PHASE_WAITING,
            when_ns,
            goals,
        )
        time.wait_until(when_ns, lambda: done() or (cancelable and self.canceled))
        if cancelable and self.canceled:
            raise AttemptCanceled("cancelled")
        finished = done()
        if late and not finished:
            raise DeviceError(
                Fault.of(
                    FaultCode.DEADLINE_EXCEEDED,
                    f"{self._node.device.name} did not end attempt {self.attempt_id} by its "
                    "deadline",
                )
            )
        return finished or not goals


RunAttempt = Callable[[Attempt, Any, Any], None]
"""Does the work: (attempt, goal, result to be filled). Raises DeviceError or AttemptCanceled."""


class DeviceNode(LifecycleNode):
    """A lifecycle node that serves one device.

    A subclass opens its instrument in `connect`, closes it in `disconnect`, says in `make_safe`
    how it is brought to its safe state, and offers its actions with `offer`.

    Parameters of the node: ``lab_file`` (the lab's configuration), ``device`` (its name there, the
    node's name by default), ``state_dir`` (where attempts are remembered; ROS_HOME or ~/.ros by
    default).
    """

    def __init__(self, default_name: str) -> None:
        super().__init__(default_name)
        self.lab: LabConfig = load_lab(Path(self.parameter("lab_file", "")))
        name = self.parameter("device", "") or self.get_name()
        self.device: DeviceConfig = self.lab.device(name)
        self.time = RosTime(self)
        self.state_dir = self._state_dir()
        self.memory = AttemptMemory(self.state_dir / f"{name}.attempts.sqlite")
        self._under_way: dict[str, Attempt] = {}
        self._device_lock = threading.RLock()
        self._state_sequence = 0
        self._lifecycle_id = DeviceState.UNCONFIGURED
        self._fault: Fault | None = None
        self._estopped = False
        self._unsafe = False
        """An emergency stop was asked for and the instrument did not take it yet."""
        self._offered: list[ActionServer] = []
        self._work_group = ReentrantCallbackGroup()
        self._heart_group = MutuallyExclusiveCallbackGroup()
        self._state_publisher = self.create_publisher(DeviceState, "~/state", LATCHED)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_service(
            EmergencyStop,
            "~/emergency_stop",
            self._on_emergency_stop,
            callback_group=self._work_group,
        )
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(HEARTBEAT_S, self._beat, callback_group=self._heart_group, clock=steady)
        self.create_timer(
            HEARTBEAT_S,
            self._insist,
            callback_group=MutuallyExclusiveCallbackGroup(),
            clock=steady,
        )

    # What a subclass says -----------------------------------------------------------------

    def connect(self) -> None:
        """Open the instrument and check that it is what the configuration says.

        Raises:
            DeviceError: it is not there, or is another one.
        """

    def disconnect(self) -> None:
        """Close the instrument."""

    def make_safe(self) -> None:
        """Bring the instrument to its documented safe state at once.

        Raises:
            DeviceError: the instrument did not take it.
        """

    def corrected(self, reading: float) -> float:
        """What the device's calibration makes of a reading; without one it stays as it is."""
        calibration = self.device.calibration
        return reading if calibration is None else calibration.corrected(reading)

    def calibration(self) -> Calibration:
        """The mark of a reading of this moment."""
        found = self.device.calibration
        if found is None:
            return Calibration(factor=1.0)
        today = datetime.fromtimestamp(self.time.now_ns() * 1e-9, timezone.utc).date()
        return Calibration(
            certificate_id=found.certificate_id,
            calibrated=_midnight(found.calibrated),
            valid_until=_midnight(found.valid_until + timedelta(days=1)),
            offset=found.offset,
            factor=found.factor,
            valid=found.is_valid(today),
        )

    def parameter(self, name: str, default: Any, description: str = "") -> Any:
        """Declare a parameter and give its value; see `declare`."""
        return declare(self, name, default, description)

    def offer(
        self,
        action_type: Any,
        name: str,
        run: RunAttempt,
        samples: Callable[[Any], Sequence[tuple[str, str]]],
        *,
        at_once: int = 1,
    ) -> None:
        """Offer an action of the lab.

        Args:
            action_type: its goal has attempt_id, issued and deadline, its result a report.
            name: of the action, relative to the node's namespace.
            run: does the work.
            samples: pairs (sample id, position) of a goal.
            at_once: how many attempts of it may be under way together.
        """
        server = ActionServer(
            self,
            action_type,
            name,
            execute_callback=lambda handle: self._execute(
                handle, action_type, run, samples, at_once
            ),
            goal_callback=lambda _goal: GoalResponse.ACCEPT,
            cancel_callback=self._on_cancel,
            callback_group=self._work_group,
            result_timeout=RESULT_KEPT_S,
        )
        self._offered.append(server)

    @contextlib.contextmanager
    def remembering(self) -> Iterator[None]:
        """Around everything that is written to the memory: where that fails, the process ends.

        At once, and without another word on any wire: a device that does not know what it did must
        do nothing more, and the next process looks into what this one left.
        """
        try:
            yield
        except MemoryLost as error:
            self.get_logger().fatal(str(error))
            os._exit(EXIT_MEMORY_LOST)

    @property
    def estopped(self) -> bool:
        """Whether an emergency stop is latched."""
        return self._estopped

    @property
    def busy(self) -> bool:
        """Whether an attempt is under way."""
        return bool(self._under_way)

    # State --------------------------------------------------------------------------------

    def say(
        self, attempt: Attempt, phase: int, waits_until_ns: int = 0, goals: Sequence[UUID] = ()
    ) -> None:
        """Publish what the device does for an attempt from now on."""
        with self._device_lock:
            if phase == ActiveAttempt.PHASE_ACTING == attempt.said:
                # It acts and goes on acting: nobody waits for this word.
                return
            attempt.said = phase
            attempt.message.phase = phase
            attempt.message.waits_until = to_msg(waits_until_ns)
            attempt.message.awaited_goals = list(goals)
            self._publish_state()

    def fault(self, fault: Fault | None) -> None:
        """Set or clear the fault that the device as a whole has."""
        with self._device_lock:
            self._fault = fault
            self._publish_state()

    def _publish_state(self) -> None:
        with self._device_lock:
            self._state_sequence += 1
            message = DeviceState(
                device=self.device.name,
                sequence=self._state_sequence,
                lifecycle_state=self._lifecycle_id,
                busy=bool(self._under_way),
                faulted=self._fault is not None,
                estopped=self._estopped,
                simulated=self.lab.simulated,
                fault_code=int(self._fault.code) if self._fault else 0,
                fault_message=self._fault.message if self._fault else "",
                attempts=[attempt.message for attempt in self._under_way.values()],
                software_version=__version__,
            )
            message.header.stamp = self.time.now_msg()
            self._state_publisher.publish(message)

    def _beat(self) -> None:
        self._publish_state()
        level, text = DiagnosticStatus.OK, "ready"
        if self._fault is not None:
            level, text = DiagnosticStatus.ERROR, self._fault.message
        elif self._estopped:
            level, text = DiagnosticStatus.ERROR, "emergency stop is latched"
        elif self._lifecycle_id != DeviceState.ACTIVE:
            level, text = DiagnosticStatus.WARN, "not active"
        status = DiagnosticStatus(
            level=level,
            name=self.get_fully_qualified_name(),
            message=text,
            hardware_id=self.device.name,
            values=[KeyValue(key="attempts", value=str(len(self._under_way)))],
        )
        array = DiagnosticArray(status=[status])
        array.header.stamp = self.time.now_msg()
        self._diagnostics.publish(array)

    # Lifecycle ----------------------------------------------------------------------------

    def on_configure(self, state: State) -> TransitionCallbackReturn:
        """Open the instrument."""
        try:
            self.connect()
        except LabError as error:
            found = error.fault if isinstance(error, DeviceError) else None
            # Whoever brings the lab up tries again and again; the log says each trouble once.
            if self._fault is None or self._fault.message != str(error):
                self.get_logger().error(str(error))
            self.fault(found or Fault.of(FaultCode.DEVICE_UNREACHABLE, str(error)))
            return TransitionCallbackReturn.FAILURE
        self.fault(None)
        return self._entered(DeviceState.INACTIVE, super().on_configure(state))

    def on_activate(self, state: State) -> TransitionCallbackReturn:
        """Take goals from now on."""
        return self._entered(DeviceState.ACTIVE, super().on_activate(state))

    def on_deactivate(self, state: State) -> TransitionCallbackReturn:
        """Take no more goals; what is under way goes on."""
        return self._entered(DeviceState.INACTIVE, super().on_deactivate(state))

    def on_cleanup(self, state: State) -> TransitionCallbackReturn:
        """Close the instrument."""
        self.disconnect()
        return self._entered(DeviceState.UNCONFIGURED, super().on_cleanup(state))

    def on_shutdown(self, state: State) -> TransitionCallbackReturn:
        """Close the instrument for good."""
        self.disconnect()
        return self._entered(DeviceState.FINALIZED, super().on_shutdown(state))

    def _entered(
        self, state_id: int, returned: TransitionCallbackReturn
    ) -> TransitionCallbackReturn:
        if returned == TransitionCallbackReturn.SUCCESS:
            self._lifecycle_id = state_id
            self._publish_state()
        return returned

    # Attempts -----------------------------------------------------------------------------

    def _on_cancel(self, handle: ServerGoalHandle) -> CancelResponse:
        attempt = self._under_way.get(handle.request.attempt_id)
        if attempt is not None:
            attempt.cancel()
        return CancelResponse.ACCEPT

    def _on_emergency_stop(self, request: Any, response: Any) -> Any:
        if not request.engage:
            with self._device_lock:
                self._estopped = False
                self._publish_state()
            response.success = True
            return response
        with self._device_lock:
            self._estopped = True
            under_way = list(self._under_way.values())
            self._publish_state()
        self.get_logger().error(f"emergency stop: {request.reason} ({request.operator_name})")
        for attempt in under_way:
            attempt.cancel(emergency=True)
        problem = self._try_to_make_safe()
        response.success = problem is None
        response.message = problem.message if problem is not None else ""
        return response

    def _insist(self) -> None:
        """An instrument that did not take an emergency stop is told again while it is latched."""
        if self._estopped and self._unsafe:
            self._try_to_make_safe()

    def _try_to_make_safe(self) -> Fault | None:
        """Bring the instrument to its safe state; see `_insist` for where it does not take it."""
        try:
            self.make_safe()
        except DeviceError as error:
            self._unsafe = True
            self.fault(error.fault)
            return error.fault
        if self._unsafe:
            self._unsafe = False
            self.fault(None)
        return None

    def _execute(
        self,
        handle: ServerGoalHandle,
        action_type: Any,
        run: RunAttempt,
        samples: Callable[[Any], Sequence[tuple[str, str]]],
        at_once: int,
    ) -> Any:
        goal = handle.request
        self.time.observe(goal.issued)
        result = action_type.Result()
        refusal = self._refusal(goal)
        if refusal is not None:
            return self._refuse(handle, goal, result, samples, refusal)

        digest = hashlib.sha256(_identity(goal)).hexdigest()
        with self._device_lock:
            attempt = self._under_way.get(goal.attempt_id)
            joined = attempt is not None
            if attempt is None:
                others = [x for x in self._under_way.values() if x.kind is action_type]
                if len(others) >= at_once:
                    return self._refuse(handle, goal, result, samples, self._busy_with(others[0]))
                with self.remembering():
                    known = self.memory.begin(goal.attempt_id, digest, self.time.now_ns())
                if known.known is Known.ENDED:
                    result = deserialize_message(known.result, action_type.Result)
                    result.report.recalled = True
                    return _conclude(handle, known.status, result)
                if known.known is Known.CONFLICT:
                    sentence = f"attempt id {goal.attempt_id} was used before with another goal"
                    now = self.time.now_ns()
                    self._report(
                        result, Fault.of(FaultCode.ATTEMPT_CONFLICT, sentence), [], now, now
                    )
                    return _conclude(handle, GoalStatus.STATUS_ABORTED, result)
                attempt = Attempt(
                    self,
                    action_type,
                    goal,
                    samples(goal),
                    resumed=known.known is Known.BEGUN,
                    began_ns=known.began_ns or self.time.now_ns(),
                    note=known.note,
                )
                self._under_way[goal.attempt_id] = attempt
            attempt.bind(handle)
            if not joined:
                self.say(attempt, ActiveAttempt.PHASE_ACTING)
        if joined:
            while not attempt.over.wait(_JOIN_S):
                if handle.is_cancel_requested:
                    attempt.cancel()
            return _conclude(handle, attempt.status, attempt.result)
        self._work(attempt, goal, result, run)
        return _conclude(handle, attempt.status, attempt.result)

    def _refuse(
        self,
        handle: ServerGoalHandle,
        goal: Any,
        result: Any,
        samples: Callable[[Any], Sequence[tuple[str, str]]],
        fault: Fault,
    ) -> Any:
        """End a goal that was not begun; every sample is as it was."""
        pairs = [(sample, position) for sample, position in samples(goal) if sample]
        untouched = [SampleOutcome(sample_id=s, position=p) for s, p in pairs]
        now = self.time.now_ns()
        self._report(result, fault, untouched, now, now)
        return _conclude(handle, GoalStatus.STATUS_ABORTED, result)

    def _busy_with(self, attempt: Attempt) -> Fault:
        sentence = f"{self.device.name} is not done with attempt {attempt.attempt_id} yet"
        return Fault.of(FaultCode.DEVICE_BUSY, sentence)

    def _refusal(self, goal: Any) -> Fault | None:
        """Why a goal cannot be begun now, or None."""
        name = self.device.name
        if not goal.attempt_id:
            return Fault.of(FaultCode.INVALID_GOAL, f"a goal for {name} has no attempt id")
        if self._lifecycle_id != DeviceState.ACTIVE:
            return Fault.of(
                FaultCode.DEVICE_NOT_ACTIVE, f"{name} is not active; configure and activate it"
            )
        if self._estopped:
            return Fault.of(
                FaultCode.EMERGENCY_STOP, f"an emergency stop is latched on {name}; release it"
            )
        return None

    def _work(self, attempt: Attempt, goal: Any, result: Any, run: RunAttempt) -> None:
        """Do the work, write the outcome down, and take the attempt off the list."""
        fault: Fault | None = None
        default = SampleOutcome.UNTOUCHED
        try:
            run(attempt, goal, result)
            default = SampleOutcome.DONE
            # Outcomes come on the device's own tick, never at the very instant of another's. What
            # was done is done, also where this process is told to end meanwhile.
            with contextlib.suppress(ExternalShutdownException):
                attempt.await_own_moment()
            attempt.status = GoalStatus.STATUS_SUCCEEDED
        except AttemptCanceled:
            attempt.status = GoalStatus.STATUS_CANCELED
            code = FaultCode.CANCELED
            sentence = f"cancelled; {self.device.name} is in its safe state"
            if attempt.stopped:
                attempt.status = GoalStatus.STATUS_ABORTED
                code, sentence = FaultCode.EMERGENCY_STOP, "ended by an emergency stop"
            fault = Fault.of(code, sentence)
        except DeviceError as error:
            attempt.status = GoalStatus.STATUS_ABORTED
            fault = error.fault
            if fault.sample_compromised:
                default = SampleOutcome.COMPROMISED
        except Exception as error:
            # Whatever it was, it must end in a result that says so: silence is not success.
            logging.getLogger(__name__).exception("attempt %s", attempt.attempt_id)
            attempt.status = GoalStatus.STATUS_ABORTED
            fault = Fault.of(
                FaultCode.INTERNAL_ERROR,
                f"{self.device.name} failed in attempt {attempt.attempt_id}: "
                f"{type(error).__name__}: {error}",
            )
            default = SampleOutcome.COMPROMISED
        self._report(result, fault, attempt.outcomes(default), attempt.began_ns, self.time.now_ns())
        if fault is not None:
            self.get_logger().warning(f"{attempt.attempt_id}: {fault.message}")
        attempt.result = result
        if fault is None or self.context.ok():
            with self.remembering():
                self.memory.end(attempt.attempt_id, attempt.status, serialize_message(result))
        # Else this process was told to end, and what went wrong may be no more than that: the
        # attempt stays begun, and the next process of this device finds out how far it is.
        with self._device_lock:
            del self._under_way[attempt.attempt_id]
            self._publish_state()
        attempt.over.set()

    def _report(
        self,
        result: Any,
        fault: Fault | None,
        outcomes: list[SampleOutcome],
        began_ns: int,
        ended_ns: int,
    ) -> None:
        code = int(fault.code) if fault is not None else 0
        message = fault.message if fault is not None else ""
        result.error_code = code
        result.error_message = message
        result.report = AttemptReport(
            error_code=code,
            error_message=message,
            began=to_msg(began_ns),
            ended=to_msg(ended_ns),
            samples=outcomes,
            device=self.device.name,
            software_version=__version__,
            simulated=self.lab.simulated,
        )

    def _state_dir(self) -> Path:
        given = self.parameter("state_dir", "")
        if given:
            return Path(given)
        home = os.environ.get("ROS_HOME") or Path.home() / ".ros"
        return Path(home) / "matlab_ros" / self.lab.name


def _midnight(day: date) -> Any:
    """When a day begins, as a message."""
    moment = datetime(day.year, day.month, day.day, tzinfo=timezone.utc)
    # A time message ends in 2038.
    return to_msg(min(round(moment.timestamp()), 2**31 - 1) * 1_000_000_000)


def declare(node: Node, name: str, default: Any, description: str = "") -> Any:
    """Declare a parameter and give its value as the type of `default`.

    A number written without a point is taken for a float where a float is meant: on a command line
    nobody thinks of that.

    Raises:
        ConfigError: the value given is of another type.
    """
    descriptor = ParameterDescriptor(description=description, dynamic_typing=True)
    value = node.declare_parameter(name, default, descriptor).value
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not type(default):
        raise ConfigError(
            "parameters", name, f"has the value {value!r}", f"a {type(default).__name__}"
        )
    return value


def _identity(goal: Any) -> bytes:
    """The bytes of what a goal asks for; when it was issued and its deadline are not part of it."""
    copy = deserialize_message(serialize_message(goal), type(goal))
    copy.issued = to_msg(0)
    copy.deadline = to_msg(0)
    return bytes(serialize_message(copy))


def _conclude(handle: ServerGoalHandle, status: int, result: Any) -> Any:
    """End a goal with a terminal status that agrees with its error code."""
    if status == GoalStatus.STATUS_SUCCEEDED:
        handle.succeed()
    elif status == GoalStatus.STATUS_CANCELED and handle.is_cancel_requested:
        handle.canceled()
    else:
        handle.abort()
    return result


def run_node(make: Callable[[], Any], arguments: list[str] | None = None, threads: int = 8) -> int:
    """Run one node until it is told to end.

    Args:
        make: builds the node after rclpy is initialised.
        arguments: command line, ``sys.argv`` by default.
        threads: of the executor; each action under way holds one.

    Returns:
        Exit code: 0, or 2 where the configuration cannot be used.
    """
    rclpy.init(args=arguments)
    node = None
    try:
        node = make()
        executor = MultiThreadedExecutor(num_threads=threads)
        executor.add_node(node)
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except (LabError, KeyError) as error:
        logging.getLogger(__name__).error("%s", error)
        return 2
    except Exception:
        # A real rclpy may find its context gone just before it waits, and has no word for it.
        if rclpy.ok():
            raise
    finally:
        _ignore_signals()
        # First, as a signal does: no message comes in while what receives it is taken apart.
        rclpy.try_shutdown()
        if node is not None:
            node.destroy_node()
    return 0


def _ignore_signals() -> None:
    """A second Ctrl-C must not turn an orderly end into a death by signal."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
