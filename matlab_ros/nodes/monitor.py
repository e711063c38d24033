"""A listener of the lab's graph that keeps what a page shows, and asks what operators decide."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rcl_interfaces.srv import GetParameters
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import JointState, Temperature

from matlab_ros.lab.journal_tables import JournalError
from matlab_ros.model.errors import ConfigError, LabError
from matlab_ros.model.lab_config import DeviceKind, LabConfig, load_lab
from matlab_ros.model.lab_words import Scope
from matlab_ros.monitor.details import CampaignDetails, without_journal
from matlab_ros.monitor.live import LiveValues
from matlab_ros.monitor.web import Command
from matlab_ros.nodes import monitor_view as view
from matlab_ros.nodes.device_node import LATCHED
from matlab_ros.nodes.lab_manager_alerts import ALERTS
from matlab_ros.nodes.operator_client import OperatorClient
from matlab_ros.nodes.operator_commands import DECISIONS
from matlab_ros.robot.kinematics import forward
from matlab_ros.robot.mobile_arm import ARM_JOINTS, BASE_JOINTS, MOBILE_ARM
from matlab_ros.share import config_file
from matlab_ros_interfaces import msg, srv

LOOK_S = 0.5
"""How often it is seen whether the lab must be asked for everything again."""

SILENT_S = 5.0
"""Steady seconds without a word of the lab manager, which speaks every second, until the page
says so."""

COST = 10.0
"""A snapshot is asked for again after so many times the time the last one took."""

MOST_ALERTS = 100
MOST_READINGS = 3000

_SCOPES = {
    "lab": Scope.LAB,
    "campaign": Scope.CAMPAIGN,
    "experiment": Scope.EXPERIMENT,
    "sample": Scope.SAMPLE,
}
_SCOPED = {
    "pause": (srv.Pause, "is paused."),
    "resume": (srv.Resume, "goes on."),
    "cancel": (srv.Cancel, "is cancelled."),
}


class LabMonitor:
    """The page's node.

    Args:
        client: whose node listens.
        lab_file: the lab's stations and positions; empty: the file that came with the package, by
            the name the lab says.
        journal_url: where recipes and patterns are; empty: the lab manager is asked.
    """

    def __init__(self, client: OperatorClient, lab_file: str = "", journal_url: str = "") -> None:
        self.values = LiveValues()
        self._client = client
        self._node = client.node
        self._lab_file = lab_file
        self._journal_url = journal_url
        self._lab: LabConfig | None = None
        self._lab_name = ""
        self._details: CampaignDetails | None = None
        self._lock = threading.Lock()
        self._heard_at = -math.inf
        self._stale = True
        self._asking = False
        self._ask_after = -math.inf
        self._listened: set[str] = set()
        self._past: dict[str, deque[tuple[float, float | None, float | None]]] = {}
        self._joints: dict[str, float] = {}
        self._alerts = 0
        node = self._node
        node.create_subscription(msg.LabState, "lab_state", self._on_state, LATCHED)
        node.create_subscription(msg.LabEvent, "lab_events", self._on_event, 1000)
        node.create_subscription(msg.Alert, "alerts", self._on_alert, ALERTS)
        node.create_subscription(msg.PlannerState, "planner_state", self._on_planner, LATCHED)
        node.create_subscription(
            msg.PlannerExplanation, "planner_explanation", self._on_explanation, LATCHED
        )
        node.create_subscription(JointState, "joint_states", self._on_joints, 10)
        self._snapshots = node.create_client(srv.GetSnapshot, "get_snapshot")
        node.create_timer(
            LOOK_S,
            self._look,
            callback_group=MutuallyExclusiveCallbackGroup(),
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )
        self.values.put("link", "lab", {"heard": False})

    # What comes in -------------------------------------------------------------------------

    def _on_state(self, state: Any) -> None:
        self._heard_at = time.monotonic()
        self.values.put("link", "lab", {"heard": True})
        self.values.put("lab", "state", view.lab_values(state))
        self.values.put_all("devices", {d.device: view.device_values(d) for d in state.devices})
        for item in state.experiments:
            self._put_experiment(item)
        self._know_lab(state.lab)
        for device in state.devices:
            if device.kind == DeviceKind.FURNACE.value:
                self._listen_to(device.device)

    def _on_event(self, _event: Any) -> None:
        self._stale = True

    def _on_alert(self, alert: Any) -> None:
        self._alerts += 1
        self.values.put("alerts", f"{self._alerts % MOST_ALERTS:03}", view.alert_values(alert))

    def _on_planner(self, state: Any) -> None:
        self.values.put("planner", "state", view.planner_values(state))

    def _on_explanation(self, message: Any) -> None:
        self.values.put("planner", "beliefs", view.belief_values(message))
        self.values.put_all("slices", {s.name: view.slice_values(s) for s in message.slices})
        for item in message.suggestions:
            self.values.put("why", item.suggestion.experiment_id, view.suggestion_values(item))

    def _on_joints(self, state: Any) -> None:
        self._joints.update(zip(state.name, state.position, strict=False))
        if not all(name in self._joints for name in (*BASE_JOINTS, *ARM_JOINTS)):
            return
        x, y, yaw = (self._joints[name] for name in BASE_JOINTS)
        reach = forward([self._joints[name] for name in ARM_JOINTS])[:2, 3]
        ahead = reach + MOBILE_ARM.mount_m[:2]
        cosine, sine = math.cos(yaw), math.sin(yaw)
        tool = (
            x + cosine * float(ahead[0]) - sine * float(ahead[1]),
            y + sine * float(ahead[0]) + cosine * float(ahead[1]),
        )
        self.values.put("arm", "pose", view.arm_values({"x": x, "y": y, "yaw": yaw}, tool))

    def _listen_to(self, furnace: str) -> None:
        if furnace in self._listened:
            return
        self._listened.add(furnace)

        past = self._past[furnace] = deque(maxlen=MOST_READINGS)

        def measured(message: Any) -> None:
            time_s = view.seconds(message.header.stamp)
            celsius = view.number(message.temperature)
            self.values.put("measured", furnace, {"time_s": time_s, "celsius": celsius})
            wanted = self.values.get("setpoint", furnace)
            past.append((time_s, celsius, wanted and wanted["celsius"]))

        def wanted(message: Any) -> None:
            self.values.put("setpoint", furnace, {"celsius": view.number(message.temperature)})

        self._node.create_subscription(Temperature, f"{furnace}/temperature", measured, 50)
        self._node.create_subscription(Temperature, f"{furnace}/setpoint", wanted, 50)

    def temperatures(self) -> dict[str, list[tuple[float, float | None, float | None]]]:
        """Time, reading and set point of each furnace, as far back as they are kept."""
        return {name: list(past) for name, past in list(self._past.items())}

    def _know_lab(self, name: str) -> None:
        """Draw the lab's map, once its name is known."""
        if name == self._lab_name:
            return
        self._lab_name = name
        try:
            self._lab = load_lab(Path(self._lab_file or config_file("labs", name)))
        except ConfigError as error:
            self._node.get_logger().warning(f"no map of the lab: {error}")
            return
        self.values.put("map", "lab", view.map_values(self._lab))

    # Asking for everything ----------------------------------------------------------------

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._heard_at > SILENT_S:
            self.values.put("link", "lab", {"heard": False})
            self._stale = True
            return
        if not self._stale or self._asking or now < self._ask_after:
            return
        if not self._snapshots.service_is_ready():
            return
        self._stale, self._asking = False, True
        future = self._snapshots.call_async(srv.GetSnapshot.Request())
        future.add_done_callback(lambda done: self._on_snapshot(done, now))

    def _on_snapshot(self, done: Any, began: float) -> None:
        self._asking = False
        snapshot = done.result()
        if snapshot is None:
            self._stale = True
            return
        for item in snapshot.experiments:
            self._put_experiment(item)
        self._drop_experiments({item.experiment_id for item in snapshot.experiments})
        put_all = self.values.put_all
        put_all("positions", {p.position: view.position_values(p) for p in snapshot.positions})
        put_all("samples", {s.sample_id: view.sample_values(s) for s in snapshot.samples})
        put_all("faults", {f.fault_id: view.fault_values(f) for f in snapshot.faults})
        self._ask_after = time.monotonic() + COST * (time.monotonic() - began)

    def _put_experiment(self, item: Any) -> None:
        self.values.put("experiments", item.experiment_id, view.experiment_values(item))

    def _drop_experiments(self, there: set[str]) -> None:
        """Those of a campaign before."""
        for name in self.values.keys("experiments") - there:
            self.values.put("experiments", name, None)

    # What the journal knows ------------------------------------------------------------------

    def details(self) -> CampaignDetails:
        """The journal of the lab.

        Raises:
            LabError: this machine cannot read it, or nobody says where it is.
        """
        with self._lock:
            if self._details is None:
                url = self._journal_url or self._asked_url()
                try:
                    self._details = CampaignDetails(url)
                except JournalError as error:
                    raise without_journal(str(error)) from error
            return self._details

    def _asked_url(self) -> str:
        answer = self._client.call(
            GetParameters, "lab_manager/get_parameters", names=["journal_url"]
        )
        url = str(answer.values[0].string_value) if answer.values else ""
        if not url:
            raise without_journal("the lab manager does not say where it is.")
        return url

    def close(self) -> None:
        """Let go of the journal."""
        with self._lock:
            if self._details is not None:
                self._details.close()

    # What operators decide -------------------------------------------------------------------

    def follow(self, command: Command) -> str:
        """Ask the lab manager for what somebody decided.

        Returns:
            Its sentence.

        Raises:
            LabError: it refuses, does not answer, or the command makes no sense.
        """
        what, fields, operator = command.what, command.fields, command.person.name
        reason = _text(fields, "reason", "")
        if what in _SCOPED:
            kind, done = _SCOPED[what]
            scope = _one_of(fields, "scope", _SCOPES)
            subject = _text(fields, "id", "")
            said = self._client.command(
                kind, what, scope=int(scope), id=subject, reason=reason, operator_name=operator
            )
            return f"{subject or 'The lab'} {done} {said}".strip()
        if what == "estop":
            engage = fields.get("engage") is not False
            said = self._client.command(
                srv.EmergencyStop,
                "emergency_stop",
                engage=engage,
                reason=reason,
                operator_name=operator,
            )
            ended = "Every device says that it is safe." if engage else "The latch is open."
            return f"{ended} {said}".strip()
        if what == "proposal":
            return self._follow_proposal(fields, operator, reason)
        raise LabError(f"There is no command {what!r}.")

    def _follow_proposal(self, fields: Any, operator: str, reason: str) -> str:
        """One of the commands that the lab manager offers, word for word."""
        words = fields.get("words")
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise LabError("A proposal is a list of words.")
        verb, rest = (words or [""])[0], words[1:]
        made = _PROPOSALS.get((verb, len(rest)))
        if made is None:
            raise LabError(f"There is no command {' '.join(words)!r}.")
        kind, name, arguments = made(rest)
        said = self._client.command(kind, name, operator_name=operator, remark=reason, **arguments)
        self._decided(verb, rest, operator)
        return said or f"{' '.join(words)}: done."

    def _decided(self, verb: str, rest: Sequence[str], operator: str) -> None:
        """Show a decision that was followed at once: a lab that ends by it says nothing more."""
        section = "faults" if verb == "resolve" else "positions"
        known = self.values.get(section, rest[0])
        if known is None:
            return
        decided = {**known, "proposals": []}
        if verb == "resolve":
            decided |= {"resolution": rest[1].replace("-", "_"), "resolved_by": operator}
        self.values.put(section, rest[0], decided)
        self._stale = True


def _resolve(rest: Sequence[str]) -> tuple[Any, str, dict[str, Any]]:
    if rest[1] not in DECISIONS:
        raise LabError(f"{rest[1]!r} is no decision; one of {', '.join(DECISIONS)}.")
    decision = int(DECISIONS[rest[1]])
    return srv.ResolveFault, "resolve_fault", {"fault_id": rest[0], "resolution": decision}


_PROPOSALS: dict[tuple[str, int], Callable[[Sequence[str]], tuple[Any, str, dict[str, Any]]]] = {
    ("resolve", 2): _resolve,
    ("look", 1): lambda rest: (srv.CorrectPosition, "correct_position", {"position": rest[0]}),
    ("look", 2): lambda rest: (
        srv.CorrectPosition,
        "correct_position",
        {"position": rest[0], "container_id": rest[1]},
    ),
    ("clear", 1): lambda rest: (
        srv.CorrectPosition,
        "correct_position",
        {"position": rest[0], "cleared": True},
    ),
}
"""By the verb and how many words come after it."""


def _text(fields: Any, name: str, default: str) -> str:
    found = fields.get(name, default)
    if not isinstance(found, str):
        raise LabError(f"{name} is not a text.")
    return found


def _one_of(fields: Any, name: str, known: dict[str, Scope]) -> Scope:
    found = known.get(_text(fields, name, ""))
    if found is None:
        raise LabError(f"{name} is not one of {', '.join(known)}.")
    return found
