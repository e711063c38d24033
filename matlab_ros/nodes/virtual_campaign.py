"""Running a campaign in a virtual lab of its own: start the processes, ask, watch, report."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import rclpy
from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rich.console import Console

from matlab_ros.lab.experiment_values import CampaignPlan
from matlab_ros.lab.validate import check_campaign
from matlab_ros.model.campaign_config import CampaignConfig, load_campaign
from matlab_ros.model.errors import ConfigError, LabError
from matlab_ros.model.lab_config import DeviceKind, LabConfig, load_lab
from matlab_ros.model.recipe import load_recipe
from matlab_ros.nodes.campaign_folder import CampaignFolder
from matlab_ros.nodes.campaign_view import CampaignView
from matlab_ros.nodes.conversions import campaign_to_message
from matlab_ros.nodes.device_node import LATCHED
from matlab_ros.nodes.launching import LabProcesses, free_port, launcher
from matlab_ros.share import known_names, own_file, own_folder, share_dir
from matlab_ros_interfaces.action import RunCampaign
from matlab_ros_interfaces.msg import LabState, PlannerState

START_PATIENCE_S = 90.0
"""Until the lab's nodes are up; loading torch on a busy laptop takes its time."""

STANDSTILL_S = 180.0
"""Steady seconds without any change after which the lab counts as stuck."""

ACCEPT_S = 10.0
"""Steady seconds for the lab manager, which takes goals at once, to take one: a goal that was sent
to one that died is never answered, and is sent again."""

LOOK_S = 0.2

DEAF_S = 15.0
"""Steady seconds without a word of the lab manager, which speaks every second, after which this
node is taken for deaf and joins the graph anew."""


def override(
    campaign: CampaignConfig, file: Path, seed: int | None, experiments: int | None
) -> CampaignConfig:
    """A campaign with another seed or budget than its file says.

    Raises:
        ConfigError: the values given do not fit.
    """
    if experiments is not None and experiments < 1:
        raise ConfigError("command line", "--experiments", f"is {experiments}", "at least 1")
    budget = campaign.budget
    if experiments is not None:
        budget = budget.model_copy(update={"experiments": experiments})
    return campaign.model_copy(
        update={"seed": campaign.seed if seed is None else seed, "budget": budget}
    )


def prepare(campaign: CampaignConfig, file: Path, lab_file: Path) -> tuple[CampaignPlan, LabConfig]:
    """Check a campaign against its lab before anything is started.

    Raises:
        ConfigError: the first thing that cannot be done.
    """
    lab = load_lab(lab_file)
    recipe_file = own_file("recipes", campaign.recipe, file)
    if not recipe_file.is_file():
        known = known_names("recipes", file)
        raise ConfigError(
            file, "recipe", f"{campaign.recipe!r} is unknown", f"one of {', '.join(known)}"
        )
    recipe = load_recipe(recipe_file)
    phases = {path.stem for path in (share_dir() / "config" / "structures").glob("*.cif")}
    return check_campaign(campaign, lab, recipe, phases, file), lab


def _controllers(lab: LabConfig) -> dict[str, str]:
    """Where furnaces' controllers are that have an address in the lab's file."""
    return {
        f"{device.name}_port": device.ports["controller"]
        for device in lab.devices_of(DeviceKind.FURNACE)
        if "controller" in device.ports
    }


def _own_folders(campaign_file: Path) -> dict[str, str]:
    """Launch arguments for the folders that a lab of one's own has."""
    folders = {
        "recipes_dir": own_folder("recipes", campaign_file),
        "chemistry_dir": own_folder("chemistry", campaign_file),
        "structures_dir": own_folder("structures", campaign_file),
    }
    packaged = share_dir() / "config"
    return {
        name: str(folder)
        for name, folder in folders.items()
        if folder is not None and folder.parent != packaged
    }


def check_launch_arguments(launch_file: Path, given: Collection[str]) -> None:
    """See that a launch file has these arguments.

    Raises:
        ConfigError: it has not.
    """
    known = {str(argument.get("name")) for argument in ElementTree.parse(launch_file).iter("arg")}
    for name in given:
        if name not in known:
            raise ConfigError(
                "command line",
                "--set",
                f"{name!r} is no argument of {launch_file.name}",
                f"one of {', '.join(sorted(known))}",
            )


class VirtualCampaign:
    """One campaign in a virtual lab that lives as long as the campaign.

    Args:
        file: the campaign.
        results: folder of all campaigns' results.
        seed: instead of the campaign's own.
        experiments: budget instead of the campaign's own.
        speed: virtual seconds in a second, 0: as fast as everybody is done.
        launch_arguments: more arguments of the launch file.
        plain: print lines instead of a live picture.
        console: where to; the terminal by default.
    """

    def __init__(
        self,
        file: Path,
        results: Path,
        *,
        seed: int | None = None,
        experiments: int | None = None,
        speed: float = 0.0,
        launch_arguments: Mapping[str, str] | None = None,
        plain: bool = False,
        console: Console | None = None,
    ) -> None:
        campaign = override(load_campaign(file), file, seed, experiments)
        lab_file = own_file("labs", campaign.lab, file)
        if not lab_file.is_file():
            known = known_names("labs", file)
            raise ConfigError(
                file, "lab", f"{campaign.lab!r} is unknown", f"one of {', '.join(known)}"
            )
        self._plan, self._lab = prepare(campaign, file, lab_file)
        if speed < 0:
            raise ConfigError("command line", "--speed", f"is {speed:g}", "0 or more")
        self._launch_file = share_dir() / "launch" / "virtual_lab.launch.xml"
        check_launch_arguments(self._launch_file, launch_arguments or {})
        self._lab_file = lab_file
        self._results = results
        self._speed = speed
        self._launch_arguments = {**_own_folders(file), **(launch_arguments or {})}
        self._recipe_file = own_file("recipes", campaign.recipe, file)
        self._plain = plain
        self._console = console

    @property
    def name(self) -> str:
        """The campaign's."""
        return self._plan.name

    def run(self) -> int:
        """Run it to its end.

        Returns:
            0 when the campaign ended well, 1 otherwise.

        Raises:
            LabError: the lab could not be started, refused the campaign, or stands still.
        """
        folder = CampaignFolder.for_run(
            self._results, self._plan.name, self._launch_arguments.get("journal_url")
        )
        arguments = {
            "lab_file": str(self._lab_file),
            "run_dir": str(folder.run_dir),
            "seed": str(self._plan.config.seed),
            "speed": repr(float(self._speed)),
            "furnaces": str(len(self._lab.devices_of(DeviceKind.FURNACE))),
            "aeris_port": str(free_port()),
            "shaker_port": str(free_port()),
            **_controllers(self._lab),
            **self._launch_arguments,
        }
        folder.keep(
            self._plan.config,
            self._lab_file,
            self._recipe_file,
            {"speed": self._speed, "launch_arguments": self._launch_arguments},
        )
        command, environment = launcher()
        os.environ.update(environment)
        began = time.monotonic()
        with (
            CampaignView(
                self._plan, self._lab, folder, plain=self._plain, console=self._console
            ) as view,
            LabProcesses(
                self._launch_file, arguments, folder.log, command, environment
            ) as processes,
        ):
            view.hint(environment)
            processes.wait_until_started(START_PATIENCE_S)
            with CampaignClient() as client:
                outcome = client.run(self._plan, view.show, processes.check)
        if outcome.error_code != RunCampaign.Result.NONE and not folder.has_begun():
            raise LabError(outcome.error_message)
        report = folder.write_report()
        view.conclude(outcome, report, time.monotonic() - began)
        well = outcome.error_code == RunCampaign.Result.NONE and outcome.experiments_succeeded > 0
        return 0 if well else 1


class CampaignClient:
    """A node that asks the lab manager to run a campaign and listens to the lab meanwhile.

    Args:
        cancels: whether Ctrl-C ends the campaign, and not only the looking at it.
    """

    def __init__(self, cancels: bool = True) -> None:
        self._cancels = cancels
        # Ctrl-C is the command line's: it must find the graph still there, to cancel the goal.
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        self._executor = MultiThreadedExecutor(num_threads=2)
        self._changed = threading.Condition()
        self._lab: LabState | None = None
        self._restarts = 0
        """How often the lab manager began anew: it counts its states from 1."""
        self._planner: PlannerState | None = None
        self._heard_at = time.monotonic()
        self._last_word_at: float | None = None
        """When the lab manager was heard last; joining anew changes nothing about it."""
        self._join()
        self._thread = threading.Thread(target=self._spin, name="campaign client", daemon=True)
        self._thread.start()

    def _join(self) -> None:
        """Take part in the graph."""
        self._node = Node("campaign_client")
        self._client = ActionClient(self._node, RunCampaign, "run_campaign")
        self._node.create_subscription(LabState, "lab_state", self._on_lab, LATCHED)
        self._node.create_subscription(PlannerState, "planner_state", self._on_planner, LATCHED)
        self._executor.add_node(self._node)
        self._heard_at = time.monotonic()

    def _join_anew(self) -> None:
        """Leave the graph and take part again, as another node of the same name."""
        self._executor.remove_node(self._node)
        self._node.destroy_node()
        self._join()

    def run(
        self,
        plan: CampaignPlan,
        show: Callable[[LabState | None, PlannerState | None], None],
        check: Callable[[], None],
    ) -> Any:
        """Ask for the campaign and wait for its end, and for those of experiments beside it.

        Args:
            plan: the campaign.
            show: told of every change.
            check: raises when the lab's processes have ended.

        Returns:
            The action's result.

        Raises:
            LabError: no lab manager, the goal was not taken, or nothing moves any more.
        """
        goal = RunCampaign.Goal(campaign=campaign_to_message(plan))
        answer = None
        while answer is None:
            # A lab manager that began anew does not know the goal. Its journal has the campaign:
            # the same definition goes on with it.
            answer = self._ask(goal, show, check)
        guests = "the experiments beside the campaign"
        while not self._until(
            lambda: not self._has_guests(plan.name), self._restarts, show, check, guests
        ):
            self._check_heard()
        if answer.status != GoalStatus.STATUS_SUCCEEDED and not answer.result.error_message:
            answer.result.error_message = f"the goal ended with status {answer.status}"
        return answer.result

    def _ask(
        self,
        goal: Any,
        show: Callable[[LabState | None, PlannerState | None], None],
        check: Callable[[], None],
    ) -> Any | None:
        """Send the goal and wait for its result; None where the lab manager began anew meanwhile.

        Raises:
            LabError: no lab manager, the goal was not taken, or nothing moves any more.
        """
        check()
        limit = time.monotonic() + START_PATIENCE_S
        # Who was not heard before he is asked cannot be told from one that began anew after him.
        while not self._client.wait_for_server(timeout_sec=LOOK_S) or self._lab is None:
            with self._changed:
                self._changed.wait_for(lambda: self._lab is not None, LOOK_S)
            check()
            show(self._lab, self._planner)
            if time.monotonic() > limit:
                self._check_heard()
                raise LabError(
                    f"no lab manager came up within {START_PATIENCE_S:g} s; look at the lab's log"
                )
        restarts = self._restarts
        accepted = self._client.send_goal_async(goal)
        what = "the lab manager to take the campaign"
        accepted.add_done_callback(lambda _future: self._notify())
        if not self._until(accepted.done, restarts, show, check, what, ACCEPT_S):
            return None
        handle = accepted.result()
        if handle is None:
            return None
        if not handle.accepted:
            raise LabError("the lab manager does not take the campaign; look at the lab's log")
        ended = handle.get_result_async()
        ended.add_done_callback(lambda _future: self._notify())
        try:
            if not self._until(ended.done, restarts, show, check, "the campaign"):
                return None
        except KeyboardInterrupt:
            if self._cancels:
                handle.cancel_goal_async()
            raise
        answer = ended.result()
        is_answer = answer is not None and answer.status != GoalStatus.STATUS_UNKNOWN
        return answer if is_answer else None

    def _until(
        self,
        is_done: Callable[[], bool],
        restarts: int,
        show: Callable[[LabState | None, PlannerState | None], None],
        check: Callable[[], None],
        what: str,
        patience_s: float = math.inf,
    ) -> bool:
        """Wait for something; False where it is to be asked again: the lab manager began anew since
        it had `restarts`, or it was not heard for long, or the patience has ended."""
        until = time.monotonic() + patience_s
        moved_at, marks = time.monotonic(), None
        while not is_done():
            with self._changed:
                self._changed.wait(LOOK_S)
            check()
            show(self._lab, self._planner)
            if self._restarts != restarts or time.monotonic() > until:
                return False
            if time.monotonic() - self._heard_at > DEAF_S:
                # The same definition, sent again, goes on with the campaign where it is.
                self._join_anew()
                return False
            now = self._marks()
            if now != marks or self._is_awaiting_a_person():
                moved_at, marks = time.monotonic(), now
            elif time.monotonic() - moved_at > STANDSTILL_S:
                raise LabError(
                    f"nothing has changed for {STANDSTILL_S:g} s while waiting for {what}; "
                    "look at the lab's log"
                )
        return True

    def _check_heard(self) -> None:
        """See that a lab manager that was heard once is heard still.

        Raises:
            LabError: it is not, for longer than one that begins anew takes.
        """
        if self._last_word_at is None:
            return
        silent_s = time.monotonic() - self._last_word_at
        if silent_s > START_PATIENCE_S:
            raise LabError(
                f"the lab manager was not heard for {silent_s:.0f} s: its process is gone, or the "
                "router of its graph; what it was asked for stands in its journal, and the same "
                "command goes on with it when both are back"
            )

    def _has_guests(self, campaign: str) -> bool:
        """Whether experiments are under way that are none of the campaign's."""
        lab = self._lab
        return lab is not None and any(item.campaign != campaign for item in lab.experiments)

    def _is_awaiting_a_person(self) -> bool:
        """Whether the lab stands still until an operator says something, however long that is."""
        lab = self._lab
        return lab is not None and bool(lab.estopped or lab.paused_names or lab.questions)

    def _marks(self) -> tuple[object, ...]:
        """What changes while a campaign goes on."""
        lab, planner = self._lab, self._planner
        if lab is None:
            return ()
        stamp = lab.header.stamp
        return (
            stamp.sec,
            stamp.nanosec,
            tuple(lab.attempts_in_flight),
            planner is not None and planner.suggestions,
        )

    def _on_lab(self, message: LabState) -> None:
        if self._lab is not None and message.sequence < self._lab.sequence:
            self._restarts += 1
        self._lab = message
        self._heard_at = self._last_word_at = time.monotonic()
        self._notify()

    def _on_planner(self, message: PlannerState) -> None:
        self._planner = message
        self._notify()

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            return

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown(timeout_sec=2.0)
        # First: nothing comes in while what receives it is taken apart.
        rclpy.try_shutdown()
        self._node.destroy_node()

    def __enter__(self) -> CampaignClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
