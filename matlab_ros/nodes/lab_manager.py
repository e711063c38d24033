"""The lab manager's node: the engine in its own thread, and around it the ROS graph.

Everything that touches the engine or the links runs in one thread, in the order in which it came
in; ROS callbacks only post to it and, where somebody waits for an answer, wait for it.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, TimeoutError
from pathlib import Path
from typing import Any, TypeVar

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import QoSProfile

from matlab_ros.lab.alerts import alert_of
from matlab_ros.lab.commands import CancelGoal, Command, FinishCampaign, SendGoal
from matlab_ros.lab.engine import Engine
from matlab_ros.lab.events import EmergencyStopEngaged, ExperimentEnded, ManagerRestarted
from matlab_ros.lab.inputs import DeviceGivenUp, DeviceLost, DeviceReady, Input, Tick
from matlab_ros.lab.journal import PATIENCE_S, JournalEntry, SqlJournal
from matlab_ros.model.errors import LabError
from matlab_ros.model.lab_config import load_lab
from matlab_ros.nodes.device_node import HEARTBEAT_S, LATCHED, declare, run_node
from matlab_ros.nodes.lab_manager_alerts import AlertBoard
from matlab_ros.nodes.lab_manager_devices import DeviceLink
from matlab_ros.nodes.lab_manager_metrics import MetricsBoard
from matlab_ros.nodes.lab_manager_planner import PlannerLink
from matlab_ros.nodes.lab_manager_runs import Runs
from matlab_ros.nodes.lab_manager_services import OperatorServices
from matlab_ros.nodes.lab_manager_timing import GoalTiming, TimingLog
from matlab_ros.nodes.lab_manager_views import event_message, lab_state_message, waits_message
from matlab_ros.nodes.ros_time import RosTime, to_msg
from matlab_ros_interfaces.msg import LabEvent, LabState, LabWaits

_Answer = TypeVar("_Answer")

_SUPERVISION_S = 0.2
_ANSWER_S = 30.0
_LOOK_S = 0.2
_NEVER_NS = 2**62

_END_PATIENCE_S = 3.0
"""Steady seconds for the manager's thread to end."""


class LabManagerNode(Node):
    """Runs campaigns on the lab's devices.

    Parameters: ``lab_file``, ``recipes_dir``, ``structures_dir``, ``journal_url``,
    ``journal_patience_s`` (steady seconds for which a database server is waited for),
    ``bring_up_timeout_s`` (steady seconds that devices get to become ready),
    ``device_patience_s`` (steady seconds after which a campaign ends without a lost device),
    ``planning_time_s`` (ROS time after which the planner's suggestions are taken, and not before;
    0: as soon as they are there, and simulated time stands meanwhile),
    ``timing_log`` (CSV file of how fast goals are sent; none by default),
    ``never_ask`` (whether policies pass over `ask`; as the lab's file says by default) and
    ``alert_webhook`` (http or https address that alerts are posted to as JSON; none by default).
    """

    def __init__(self) -> None:
        super().__init__("lab_manager")
        lab = load_lab(Path(declare(self, "lab_file", "")))
        never_ask = declare(self, "never_ask", not lab.asks)
        self.lab = lab.model_copy(update={"never_ask": never_ask})
        self._recipes_dir = Path(declare(self, "recipes_dir", "config/recipes"))
        self._structures_dir = Path(declare(self, "structures_dir", "config/structures"))
        journal_url = declare(self, "journal_url", "sqlite:///journal.sqlite")
        self._bring_up_timeout_s = declare(self, "bring_up_timeout_s", 30.0)
        self._patience_s = declare(self, "device_patience_s", 3600.0)
        self.time = RosTime(self)
        self._journal = SqlJournal(
            journal_url,
            patience_s=declare(self, "journal_patience_s", PATIENCE_S),
            on_trouble=self.get_logger().error,
        )
        self._event_publisher = self.create_publisher(
            LabEvent, "lab_events", QoSProfile(depth=1000)
        )
        self._state_publisher = self.create_publisher(LabState, "lab_state", LATCHED)
        self._waits_publisher = self.create_publisher(LabWaits, "lab_waits", LATCHED)
        webhook = declare(self, "alert_webhook", "")
        self._alerts = AlertBoard(self, webhook, self.time.now_ns)
        self._posted: deque[tuple[int, Callable[[], None]]] = deque()
        timing_log = declare(self, "timing_log", "")
        self._timing = TimingLog(Path(timing_log) if timing_log else None)
        self._heard_ns = 0
        """Steady time at which what is being dealt with was heard."""
        self.is_ending = False
        self.failure: LabError | None = None
        self._state_sequence = 0
        self._is_changed = True
        self._is_noted = False
        self._began_at = time.monotonic()
        self.is_gate_open = False
        self._runs: Runs | None = None
        self._metrics = MetricsBoard(self, self.lab)
        planning_s = declare(self, "planning_time_s", 0.0)
        self.engine = Engine.recover(
            self.lab,
            self._journal,
            self.time.now_ns(),
            self._on_entry,
            self._metrics.remember,
            round(1e9 * planning_s),
        )
        self.time.observe(to_msg(self.engine.state.time_ns))
        self._remind()
        self._make_links()
        self._make_services()
        self._thread = threading.Thread(target=self._run, name="lab_manager", daemon=True)
        self._thread.start()

    def _make_links(self) -> None:
        group = MutuallyExclusiveCallbackGroup()
        self.links = {
            device.name: DeviceLink(
                self,
                device,
                self.time,
                self.post,
                self._on_device,
                self._touch,
                self._note,
                group,
            )
            for device in self.lab.devices
        }
        self._planner = PlannerLink(self, self.post, self.tell, self._alerts.tell_of, group)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        for period, what in ((_SUPERVISION_S, self._supervise), (HEARTBEAT_S, self._touch)):
            self.create_timer(
                period,
                lambda what=what: self.post(what),
                callback_group=MutuallyExclusiveCallbackGroup(),
                clock=steady,
            )

    def _make_services(self) -> None:
        group = ReentrantCallbackGroup()
        self._operator_services = OperatorServices(self, self, group)
        self._runs = Runs(
            self,
            self,
            group,
            self._recipes_dir,
            self._structures_dir,
            self._bring_up_timeout_s,
        )

    @property
    def planner_present(self) -> bool:
        """Whether the planner offers its services."""
        return self._planner.is_present

    # --- the manager's thread -----------------------------------------------------------------

    def post(self, what: Callable[[], None]) -> None:
        """Have something run in the manager's thread, in the order of posting."""
        self._posted.append((time.monotonic_ns(), what))
        self.time.notify()

    def ask(self, what: Callable[[], _Answer]) -> _Answer:
        """Run something in the manager's thread and wait for what it gives.

        Raises:
            LabError: it raised that, or the manager's thread did not answer in time.
        """
        answer: Future[_Answer] = Future()

        def run() -> None:
            try:
                answer.set_result(what())
            except LabError as error:
                answer.set_exception(error)

        self.post(run)
        until = time.monotonic() + _ANSWER_S
        while time.monotonic() < until:
            try:
                return answer.result(_LOOK_S)
            except TimeoutError:
                # Who waits for a thread that has ended holds up the end of the process.
                if self.is_ending:
                    raise LabError("The lab manager is about to end.") from None
        raise LabError("The lab manager did not answer in time; try again.")

    def _run(self) -> None:
        try:
            self._work()
        except ExternalShutdownException:
            pass
        except Exception as error:
            # Publishing fails in a graph that was left meanwhile. Anything else is a mistake of
            # ours: a process that lives on without this thread would be a silent lab.
            if self.context.ok():
                self.get_logger().fatal(traceback.format_exc())
                self._fail(
                    LabError(
                        f"The lab manager ends after an unexpected {type(error).__name__}: "
                        f"{error}; the journal is taken up when it is started again."
                    )
                )
        finally:
            # Nobody is to wait for answers of a thread that has ended.
            self.is_ending = True
            self._wake()

    def _work(self) -> None:
        while not self.is_ending:
            wakeup = self.next_wakeup() if self.is_gate_open else None
            self.time.wait_until(
                _NEVER_NS if wakeup is None else wakeup,
                lambda: bool(self._posted) or self.is_ending,
            )
            self._heard_ns = time.monotonic_ns()
            try:
                while self._posted:
                    self._heard_ns, what = self._posted.popleft()
                    what()
                self._tick()
            except LabError as error:
                self._fail(error)
                return
            if self._is_changed and not self._posted:
                self._publish_waits()

    def _tick(self) -> None:
        """Let the engine act where its time has come."""
        wakeup = self.next_wakeup()
        if self.is_gate_open and wakeup is not None and wakeup <= self.time.now_ns():
            self.tell(Tick())

    def next_wakeup(self) -> int | None:
        """When the engine acts by itself: at a moment of this node alone, see `tick_after`."""
        wakeup = self.engine.next_wakeup()
        return None if wakeup is None else self.time.tick_after(wakeup - 1)

    def _fail(self, error: LabError) -> None:
        """End the process: what is not in the journal must not move anything."""
        self.get_logger().fatal(str(error))
        self.failure = error
        self.is_ending = True
        self._wake()
        self.context.shutdown()

    def tell(self, given: Input) -> None:
        """Give the engine an input and do what it wants; in the manager's thread."""
        commands = self.engine.handle(given, self.time.now_ns())
        decided_ns = time.monotonic_ns()
        for command in commands:
            self._do(command)
            if isinstance(command, SendGoal):
                self._timing.note(
                    GoalTiming(
                        command.goal.attempt_id,
                        command.goal.TAG,
                        type(given).__name__,
                        self._heard_ns,
                        decided_ns,
                        time.monotonic_ns(),
                    )
                )
        self._touch()

    def _do(self, command: Command) -> None:
        if isinstance(command, SendGoal):
            self.links[command.device].send(command.goal)
        elif isinstance(command, CancelGoal):
            self.links[command.device].cancel(command.attempt_id)
        elif isinstance(command, FinishCampaign):
            # Who waits for the campaign may end the lab at once; the others are to know by then.
            self._publish_state()
            if self._runs is not None:
                self._runs.campaign_finished(command)
        else:
            self._planner.make(command)

    def _touch(self) -> None:
        """Note that something changed that others wait for: that is published at once."""
        self._is_changed = True
        self._note()

    def _note(self) -> None:
        """Note that something changed that people look at: it is published a few times a second.

        Much changes at every step of simulated time, and each such word costs everybody who
        listens more than the step itself.
        """
        self._is_noted = True

    def _on_device(self, given: Input) -> None:
        """Hand on what a link says; before the gate opens the engine hears of no device."""
        if self.is_gate_open or not isinstance(given, (DeviceReady, DeviceLost)):
            self.tell(given)
        else:
            self._look_at_gate()

    def _look_at_gate(self) -> None:
        """Tell the engine of its devices once all are ready, or after the time they are given.

        All at once and in the order of the lab's file, so that what a restarted lab manager does
        first does not depend on which device was heard first.
        """
        if self.time.now_ns() == 0:
            # Simulated time, and no /clock yet: nothing can be dated.
            return
        is_late = time.monotonic() - self._began_at > self._bring_up_timeout_s
        if self.is_gate_open or not (is_late or all(link.ready for link in self.links.values())):
            return
        self.is_gate_open = True
        for link in self.links.values():
            if link.ready:
                self.tell(DeviceReady(link.device.name))
            else:
                self._alerts.tell_of(
                    "device_missing",
                    f"{link.device.name} did not become ready: {link.problem}",
                    f"Look at {link.device.name} and its process.",
                    link.device.name,
                )

    def _supervise(self) -> None:
        """A few times a second: silence, lifecycles, calls without an answer."""
        # One device after the other; one that could not begin lets the others go first, so that a
        # robot whose driver is missing keeps no furnace waiting.
        for link in sorted(self.links.values(), key=lambda each: each.failures):
            if link.bring_up():
                break
        for link in self.links.values():
            link.supervise()
            if self.engine.state.estopped:
                link.keep_stopped()
            if self._is_hopeless(link):
                link.given_up = True
                self.tell(DeviceGivenUp(link.device.name))
        self._look_at_gate()
        self._planner.supervise()
        if self._is_noted:
            self._publish_state()

    def _is_hopeless(self, link: DeviceLink) -> bool:
        """Whether a lost device had its time; one that somebody stopped has all the time."""
        state = self.engine.state
        if state.is_paused(stopped=False):
            # Somebody is at work on it: its time begins when the lab is resumed.
            link.lost_at = time.monotonic()
        if link.ready or link.given_up or link.is_stopped or state.estopped:
            return False
        if not state.is_at_work:
            return False
        return time.monotonic() - link.lost_at > self._patience_s

    # --- what is published --------------------------------------------------------------------

    def _publish_waits(self) -> None:
        self._is_changed = False
        self._state_sequence += 1
        self._waits_publisher.publish(
            waits_message(
                self.engine, self.next_wakeup(), self._state_sequence, self._is_quiescent()
            )
        )

    def _publish_state(self) -> None:
        self._is_noted = False
        self._state_sequence += 1
        self._state_publisher.publish(self.state_message())

    def _is_quiescent(self) -> bool:
        return (
            self.is_gate_open
            and self.engine.quiescent()
            and all(link.is_settled for link in self.links.values())
        )

    def state_message(self) -> Any:
        return lab_state_message(
            self.engine,
            self.next_wakeup(),
            list(self.links.values()),
            self.time.now_ns(),
            self._state_sequence,
            self._is_quiescent(),
        )

    def _on_entry(self, entry: JournalEntry) -> None:
        self._event_publisher.publish(event_message(entry))
        self._metrics.take(entry)
        if isinstance(entry.event, ManagerRestarted):
            # Written by an engine that is still being made.
            return
        alert = alert_of(
            entry.event, self.engine.state, entry.sequence, entry.ros_time_ns, entry.campaign
        )
        if alert is not None:
            self._alerts.tell(alert)
        if isinstance(entry.event, ExperimentEnded):
            self._wake()

    def _remind(self) -> None:
        """Tell again of what still waits for a person, since who heard it may be gone."""
        state = self.engine.state
        about = [fault.asked for fault in state.open_faults() if fault.asked is not None]
        stop = [EmergencyStopEngaged()] if state.estopped else []
        for event in (*stop, *about):
            alert = alert_of(event, state, stamp_ns=state.time_ns)
            if alert is not None:
                self._alerts.tell(alert)

    def _wake(self) -> None:
        """Have the goals that wait for an end look again."""
        if self._runs is not None:
            self._runs.wake()

    def destroy_node(self) -> None:
        """End the manager's thread, then everything else; devices go on by themselves."""
        self.is_ending = True
        self._wake()
        self.time.notify()
        # A call to a node that has ended first may hold the thread; the journal has what counts.
        self._thread.join(_END_PATIENCE_S)
        self._alerts.close()
        self._journal.close()
        super().destroy_node()


def main() -> int:
    """Run the lab manager.

    Returns:
        Exit code: that of `run_node`; 1 where it had to end by itself.
    """
    managers: list[LabManagerNode] = []

    def make() -> LabManagerNode:
        managers.append(LabManagerNode())
        return managers[0]

    code = run_node(make, threads=12)
    return code or int(any(manager.failure is not None for manager in managers))
