"""An operator's node: asks the lab manager for things, each with a deadline."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import rclpy
from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from matlab_ros.model.errors import LabError
from matlab_ros.model.lab_words import Scope
from matlab_ros.nodes.device_node import LATCHED
from matlab_ros.nodes.lab_manager_alerts import ALERTS
from matlab_ros_interfaces import action, msg, srv

_LOOK_S = 0.2
_ALERTS_S = 1.0
"""Steady seconds in which the alerts of before have come."""


class OperatorClient:
    """A node in the lab's graph; a context manager that leaves it.

    Args:
        patience_s: steady seconds that the lab manager has for each answer.
        name: of the node.
        arguments: of ROS, from the command line.
    """

    def __init__(
        self, patience_s: float, name: str = "operator", arguments: Sequence[str] = ()
    ) -> None:
        # Ctrl-C is the command line's: it must find the graph still there, to cancel a goal.
        rclpy.init(args=list(arguments), signal_handler_options=SignalHandlerOptions.NO)
        self._patience_s = patience_s
        self._node = Node(name)
        self._executor = MultiThreadedExecutor(num_threads=2)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, name="operator", daemon=True)
        self._thread.start()

    @property
    def node(self) -> Node:
        """The node itself, for whoever listens beside asking."""
        return self._node

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            return

    def call(self, kind: Any, name: str, **fields: Any) -> Any:
        """Call a service of the lab manager; its response.

        Raises:
            LabError: nobody offers it, or no answer came in time.
        """
        client = self._node.create_client(kind, name)
        try:
            if not client.wait_for_service(self._patience_s):
                raise LabError(
                    f"No lab manager is to be found within {self._patience_s:g} s; is the lab up, "
                    "and are you in its graph (--connect, ROS_DOMAIN_ID)?"
                )
            future = client.call_async(kind.Request(**fields))
            return _result(future, self._patience_s, f"the lab manager's answer to {name}")
        finally:
            self._node.destroy_client(client)

    def command(self, kind: Any, name: str, **fields: Any) -> str:
        """Call a service that follows or refuses; the sentence of its answer.

        Raises:
            LabError: it was refused, or no answer came.
        """
        answer = self.call(kind, name, **fields)
        if not answer.success:
            raise LabError(answer.message or f"{name} was refused without a reason.")
        return str(answer.message)

    def snapshot(self) -> Any:
        """Everything the lab manager knows.

        Raises:
            LabError: no answer came.
        """
        return self.call(srv.GetSnapshot, "get_snapshot")

    def subject(self, word: str) -> tuple[Scope, str]:
        """What a word names: nothing or "lab", a campaign, an experiment or a sample.

        Raises:
            LabError: nothing of that name is under way.
        """
        if word in ("", "lab"):
            return Scope.LAB, ""
        snapshot = self.snapshot()
        if word == snapshot.lab.campaign:
            return Scope.CAMPAIGN, word
        if word in [item.experiment_id for item in snapshot.experiments]:
            return Scope.EXPERIMENT, word
        if word in [item.sample_id for item in snapshot.samples]:
            return Scope.SAMPLE, word
        under_way = ", ".join(item.experiment_id for item in snapshot.lab.experiments)
        raise LabError(
            f"Nothing is called {word!r}; campaign: {snapshot.lab.campaign or 'none'}, "
            f"experiments under way: {under_way or 'none'}."
        )

    def end_early(
        self, cancel: Callable[[], Any], scope: Scope, subject: str
    ) -> Callable[[], None]:
        """Cancel something; what is given waits until all of it is safe and put away.

        The lab's state is listened to from before the cancel, since a virtual lab is gone as soon
        as its campaign has ended.

        Args:
            cancel: asks for it.
            scope: of what is cancelled.
            subject: its name.
        """
        heard: deque[Any] = deque(maxlen=1)
        self._node.create_subscription(msg.LabState, "lab_state", heard.append, LATCHED)
        owner = subject
        if scope is Scope.SAMPLE:
            samples = {item.sample_id: item.experiment_id for item in self.snapshot().samples}
            owner = samples.get(subject, subject)
        cancel()

        def wait() -> None:
            first = self._lab_now(heard)
            pause = threading.Event()
            heard_at, last = time.monotonic(), first
            while is_canceling(last, scope, owner):
                pause.wait(_LOOK_S)
                state = heard[0] if heard else last
                is_later = state.sequence > last.sequence or state.sequence < first.sequence
                if is_later:
                    heard_at, last = time.monotonic(), state
                elif time.monotonic() - heard_at > self._patience_s:
                    raise LabError(
                        "The lab manager is gone before it said that everything is safe; it goes "
                        "on with the cancel when it is back."
                    )

        return wait

    def _lab_now(self, heard: deque[Any]) -> Any:
        """The lab's state at this moment, or the last that was heard of a lab that has ended."""
        try:
            return self.snapshot().lab
        except LabError:
            if not heard:
                raise
            return heard[0]

    def alerts(self, tell: Callable[[Any], None], *, follow: bool) -> None:
        """Hear the last alerts, and with `follow` those to come until interrupted."""
        subscription = self._node.create_subscription(msg.Alert, "alerts", tell, ALERTS)
        pause = threading.Event()
        try:
            pause.wait(_ALERTS_S)
            while follow:
                pause.wait(_LOOK_S)
        finally:
            self._node.destroy_subscription(subscription)

    def run_experiment(
        self, goal: Any, tell: Callable[[str, float], None], interrupted: Callable[[], None]
    ) -> Any:
        """Have an experiment run, and wait for its end.

        Args:
            goal: RunExperiment.Goal.
            tell: told of step and progress.
            interrupted: told once when Ctrl-C has asked for an early end, which is waited for.

        Returns:
            The action's result.

        Raises:
            LabError: no lab manager, or it went away meanwhile.
        """
        client = ActionClient(self._node, action.RunExperiment, "run_experiment")
        if not client.wait_for_server(self._patience_s):
            raise LabError("No lab manager is to be found; is the lab up?")
        accepted = client.send_goal_async(
            goal,
            feedback_callback=lambda message: tell(
                message.feedback.step, message.feedback.progress
            ),
        )
        handle = _result(accepted, self._patience_s, "the lab manager to take the experiment")
        if not handle.accepted:
            raise LabError("The lab manager does not take the experiment; look at its log.")
        ended = handle.get_result_async()
        try:
            self._until(ended, client)
        except KeyboardInterrupt:
            handle.cancel_goal_async()
            interrupted()
            self._until(ended, client)
        answer = ended.result()
        if answer is None or answer.status == GoalStatus.STATUS_UNKNOWN:
            raise LabError(
                "The lab manager began anew meanwhile; the experiment goes on. Run the same again "
                "with --id to wait for it."
            )
        return answer.result

    def _until(self, future: Any, client: Any) -> None:
        """Wait for a future for as long as its server is there."""
        seen_at = time.monotonic()
        pause = threading.Event()
        while not future.done():
            pause.wait(_LOOK_S)
            if client.server_is_ready():
                seen_at = time.monotonic()
            elif time.monotonic() - seen_at > self._patience_s:
                raise LabError(
                    "The lab manager is gone; the experiment goes on when it is back. Run the same "
                    "again with --id to wait for it."
                )

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown(timeout_sec=2.0)
        # First: nothing comes in while what receives it is taken apart.
        rclpy.try_shutdown()
        self._node.destroy_node()

    def __enter__(self) -> OperatorClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _result(future: Any, patience_s: float, what: str) -> Any:
    done = threading.Event()
    future.add_done_callback(lambda _future: done.set())
    if not done.wait(patience_s) or future.result() is None:
        raise LabError(f"Waited {patience_s:g} s for {what}, and it did not come.")
    return future.result()


def is_canceling(lab: Any, scope: Scope, subject: str) -> bool:
    """Whether what a cancel named, a campaign or an experiment, is not yet safe and put away."""
    if scope is Scope.CAMPAIGN:
        return bool(lab.canceling)
    if scope is Scope.LAB:
        return bool(lab.canceling) or any(item.canceling for item in lab.experiments)
    return any(item.canceling and item.experiment_id == subject for item in lab.experiments)
