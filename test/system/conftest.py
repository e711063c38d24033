"""A whole virtual lab as processes: started by the command line, watched by an onlooker."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

import matlab_ros.nodes  # noqa: F401  (switches pocket_ros on where there is no ROS 2)

rclpy = pytest.importorskip("rclpy", reason="there is neither ROS 2 nor pocket_ros")

from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor  # noqa: E402
from rclpy.node import Node  # noqa: E402

from matlab_ros.lab.events import AttemptEnded, AttemptIntended, Event, ObservationMade  # noqa: E402
from matlab_ros.lab.floor import Floor  # noqa: E402
from matlab_ros.lab.journal import JournalEntry  # noqa: E402
from matlab_ros.lab.state import LabState, replay  # noqa: E402
from matlab_ros.model.lab_config import load_lab  # noqa: E402
from matlab_ros.nodes.campaign_folder import CampaignFolder  # noqa: E402
from matlab_ros.nodes.device_node import LATCHED  # noqa: E402
from matlab_ros.nodes.launching import free_port  # noqa: E402
from matlab_ros.share import config_file  # noqa: E402
from matlab_ros_interfaces.msg import LabState as LabStateMsg  # noqa: E402

REPOSITORY = Path(__file__).parents[2]
CAMPAIGN_S = 300.0
"""Steady seconds within which a short campaign ends, also on a machine that is busy."""

ENDING_S = 20.0
PROGRAM = (sys.executable, "-m", "matlab_ros.cli")
_STARTED = re.compile(r"process started with pid \[(\d+)\]")

CAMPAIGN: dict[str, Any] = {
    # Where the true yield of this pair climbs steeply with temperature. Its settings come from a
    # fixed sequence, so that campaigns in labs that differ can be compared one by one.
    "name": "steep",
    "seed": 11,
    "lab": "virtual_lab",
    "recipe": "solid_state",
    "target": {"formula": "MgTiO3", "phase": "MgTiO3"},
    "sample_mass_mg": 1000,
    "precursor_sets": [
        {"name": "Mg(OH)2 + rutile", "substances": ["Mg(OH)2", "TiO2-rutile"]},
    ],
    "parameters": [
        {"name": "temperature_c", "kind": "continuous", "low": 1000, "high": 1075, "step": 5},
        {"name": "dwell_h", "kind": "continuous", "low": 2, "high": 4},
    ],
    "budget": {"experiments": 4, "max_in_flight": 4},
    "planner": {"method": "sobol", "initial_experiments": 4, "batch_size": 4},
}


ASKING: dict[str, Any] = {
    # Half of it names a program that the diffractometer does not have, and somebody is asked.
    "name": "programs",
    "seed": 11,
    "lab": "virtual_lab",
    "recipe": "solid_state",
    "target": {"formula": "MgTiO3", "phase": "MgTiO3"},
    "sample_mass_mg": 1000,
    "precursor_sets": [{"name": "a", "substances": ["Mg(OH)2", "TiO2-rutile"]}],
    "parameters": [
        {"name": "temperature_c", "kind": "continuous", "low": 1000, "high": 1075, "step": 25},
        {
            "name": "program",
            "kind": "categorical",
            "choices": ["10-100_8-minutes", "10-100_no-such-program"],
        },
    ],
    "budget": {"experiments": 4, "max_in_flight": 4},
    "planner": {"method": "sobol", "initial_experiments": 4, "batch_size": 4},
}

_WITH_OWN_SHARE = """
import sys
from pathlib import Path
from matlab_ros import cli, share
folder = Path(sys.argv[1])
from matlab_ros.nodes import virtual_campaign
share.share_dir = virtual_campaign.share_dir = lambda: folder
sys.exit(cli.main(sys.argv[2:]))
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder starts processes."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.system)


def is_running(pid: int) -> bool:
    """Whether a process lives; one that only waits to be collected does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def words_of(pid: int) -> list[str]:
    """The command line of a process."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    except OSError:
        return []


class CampaignProcess:
    """One `matlab-ros campaign` in a graph of its own, and all that it started.

    Args:
        folder: of campaign file and results; made.
        arguments: of the command line, beside file and results.
        program: that is run, the installed one by default.
        campaign: what the campaign's file says.
    """

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        program: Sequence[str] = PROGRAM,
        campaign: Mapping[str, Any] = CAMPAIGN,
    ) -> None:
        self._campaign = dict(campaign)
        folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        self.graph = {
            "ZENOH_CONFIG_OVERRIDE": f'connect/endpoints=["tcp/127.0.0.1:{port}"]',
            "ROS_DOMAIN_ID": str(1 + port % 100),
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        }
        """Environment of whoever wants to be in its graph."""
        file = folder / "campaign.yaml"
        file.write_text(yaml.safe_dump(self._campaign))
        self.results = folder / "results"
        self._out = folder / "out"
        self._err = folder / "err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                [
                    *program,
                    *("campaign", str(file), "--plain", "--results", str(self.results)),
                    *arguments,
                ],
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env={**os.environ, **self.graph, "OMP_NUM_THREADS": "1"},
            )

    @property
    def path(self) -> Path:
        """The campaign's folder."""
        return self.results / str(self._campaign["name"])

    @property
    def out(self) -> str:
        """What it printed."""
        return self._out.read_text()

    @property
    def err(self) -> str:
        """What it complained about."""
        return self._err.read_text()

    @property
    def log(self) -> str:
        """What the lab's processes printed."""
        file = self.path / "lab.log"
        return file.read_text(errors="replace") if file.exists() else ""

    def end(self) -> int:
        """Wait for the end; its exit code."""
        try:
            return self._process.wait(CAMPAIGN_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it did not end\n{self.told()}") from None

    def told(self) -> str:
        """Everything that helps to see what went wrong."""
        return "\n".join([self.out, self.err, *self.log.splitlines()[-40:]])

    def pids(self) -> list[int]:
        """Every process that was started for the lab, in that order."""
        return [int(found) for found in _STARTED.findall(self.log)]

    def pid_of(self, node: str) -> int:
        """The living process of a node."""
        found = [pid for pid in self.pids() if f"__node:={node}" in words_of(pid)]
        assert len(found) == 1, f"{node}: {found}"
        return found[0]

    def kill(self, node: str) -> int:
        """End a node's process as a power failure would; its id."""
        pid = self.pid_of(node)
        os.kill(pid, signal.SIGKILL)
        return pid

    def interrupt(self, number: int) -> None:
        """Send a signal to the command line's program alone."""
        self._process.send_signal(number)

    def remaining(self) -> dict[int, list[str]]:
        """Processes of the lab that still live after the deadline for ending, with their words."""
        until = time.monotonic() + ENDING_S
        pause = threading.Event()
        while True:
            # Those named in the log, and any other that was given a path of this run.
            pids = {pid for pid in self.pids() if is_running(pid)}
            for entry in Path("/proc").iterdir():
                if entry.name.isdigit() and any(
                    str(self.results) in word for word in words_of(int(entry.name))
                ):
                    pids.add(int(entry.name))
            if not pids or time.monotonic() > until:
                return {pid: words_of(pid) for pid in pids}
            pause.wait(0.1)

    def entries(self) -> list[JournalEntry]:
        """The journal."""
        journal = CampaignFolder.existing(self.path).journal()
        try:
            return list(journal.read())
        finally:
            journal.close()

    def events(self, kind: type[Event]) -> list[Any]:
        """Events of one kind, in order."""
        return [entry.event for entry in self.entries() if isinstance(entry.event, kind)]

    def state(self) -> LabState:
        """What replaying the journal gives."""
        floor = Floor(load_lab(config_file("labs", str(self._campaign["lab"]))))
        entries = self.entries()
        return replay(floor, ((entry.ros_time_ns, entry.event) for entry in entries))

    def intended(self, tag: str) -> list[Any]:
        """Goals of one kind that were sent."""
        return [item.goal for item in self.events(AttemptIntended) if tag == item.goal.TAG]

    def outcomes(self, tag: str) -> list[Any]:
        """Outcomes of one kind."""
        return [item.outcome for item in self.events(AttemptEnded) if tag == item.outcome.TAG]

    def observations(self) -> dict[str, Any]:
        """What each experiment taught."""
        return {item.experiment_id: item.observation for item in self.events(ObservationMade)}

    def close(self) -> None:
        """End what still runs."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(ENDING_S)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(ENDING_S)
        for pid in self.pids():
            if is_running(pid):
                os.kill(pid, signal.SIGKILL)


@dataclass(frozen=True)
class NodeNames:
    """What one node of a graph has, by full names."""

    publishes: frozenset[str]
    hears: frozenset[str]
    serves: frozenset[str]
    asks: frozenset[str]


class Onlooker:
    """A node of the test in a lab's graph: hears the lab's state and the diagnostics.

    Args:
        campaign: whose graph.
    """

    def __init__(self, campaign: CampaignProcess) -> None:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in campaign.graph.items():
                patch.setenv(name, value)
            rclpy.init(args=[])
            self.node = Node("onlooker")
        self.lab: LabStateMsg | None = None
        self.diagnostics: dict[str, set[str]] = {}
        """By node: every message heard."""
        self._changed = threading.Condition()
        self.node.create_subscription(LabStateMsg, "lab_state", self._on_lab, LATCHED)
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 100)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin()

    def _on_lab(self, message: LabStateMsg) -> None:
        with self._changed:
            self.lab = message
            self._changed.notify_all()

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        with self._changed:
            for status in message.status:
                self.diagnostics.setdefault(status.name, set()).add(status.message)
            self._changed.notify_all()

    def wait_for(self, what: Callable[[], bool], why: str) -> None:
        """Wait until something that was heard makes `what` true."""
        with self._changed:
            assert self._changed.wait_for(what, CAMPAIGN_S), f"never: {why}"

    def wait_for_work(self, device: str, step: str) -> str:
        """Wait until the lab manager counts such an attempt; its id."""
        found: list[str] = []

        def under_way() -> bool:
            if self.lab is not None:
                pairs = zip(self.lab.attempts_in_flight, self.lab.attempt_devices, strict=True)
                found.extend(a for a, d in pairs if d == device and f"/{step}/" in a)
            return bool(found)

        self.wait_for(under_way, f"{step} of {device}")
        return found[0]

    def nodes(self) -> dict[str, NodeNames]:
        """The graph, by node."""
        found = {}
        for name, namespace in self.node.get_node_names_and_namespaces():
            found[name] = NodeNames(
                *(
                    frozenset(item for item, _ in look(name, namespace))
                    for look in (
                        self.node.get_publisher_names_and_types_by_node,
                        self.node.get_subscriber_names_and_types_by_node,
                        self.node.get_service_names_and_types_by_node,
                        self.node.get_client_names_and_types_by_node,
                    )
                )
            )
        return found

    def close(self) -> None:
        """Leave the graph."""
        rclpy.try_shutdown()
        self._executor.shutdown()
        self._thread.join(ENDING_S)
        self.node.destroy_node()


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., CampaignProcess]]:
    """Starts campaigns; ends what is left of them."""
    begun: list[CampaignProcess] = []

    def begin(
        *arguments: str,
        program: Sequence[str] = PROGRAM,
        campaign: Mapping[str, Any] = CAMPAIGN,
    ) -> CampaignProcess:
        folder = tmp_path_factory.mktemp("campaign")
        begun.append(CampaignProcess(folder, *arguments, program=program, campaign=campaign))
        return begun[-1]

    yield begin
    for process in begun:
        process.close()


@pytest.fixture
def look_at() -> Iterator[Callable[[CampaignProcess], Onlooker]]:
    """Joins the graph of a campaign."""
    with contextlib.ExitStack() as stack:

        def join(campaign: CampaignProcess) -> Onlooker:
            onlooker = Onlooker(campaign)
            stack.callback(onlooker.close)
            return onlooker

        yield join


@dataclass(frozen=True)
class Finished:
    """A campaign that ran to its end undisturbed, and its graph as it was meanwhile."""

    code: int
    process: CampaignProcess
    nodes: dict[str, NodeNames]


@pytest.fixture(scope="session")
def finished(start: Callable[..., CampaignProcess]) -> Finished:
    """One undisturbed campaign, run once for all tests that only look."""
    campaign = start()
    onlooker = Onlooker(campaign)
    try:
        onlooker.wait_for_work("furnace_1", "heat")
        nodes = onlooker.nodes()
    finally:
        onlooker.close()
    return Finished(campaign.end(), campaign, nodes)


def _own_share(folder: Path) -> Path:
    """The lab's files with a recipe whose measuring program is a parameter, and is asked about."""
    (folder / "config" / "recipes").mkdir(parents=True)
    for name in ("launch", "urdf"):
        (folder / name).symlink_to(REPOSITORY / name)
    for item in (REPOSITORY / "config").iterdir():
        if item.name not in ("recipes", "labs"):
            (folder / "config" / item.name).symlink_to(item)
    # A lab that lists no programs: that one is missing is found out at the diffractometer.
    lab = yaml.safe_load((REPOSITORY / "config/labs/virtual_lab.yaml").read_text())
    for device in lab["devices"]:
        device.pop("programs", None)
    (folder / "config/labs").mkdir()
    (folder / "config/labs/virtual_lab.yaml").write_text(yaml.safe_dump(lab))
    recipe = yaml.safe_load((REPOSITORY / "config/recipes/solid_state.yaml").read_text())
    recipe["parameters"].append("program")
    for step in recipe["steps"]:
        if step["id"] == "measure":
            step["with"]["program"] = "$program"
            step["on_failure"] = {
                "retry": 0,
                "then": ["ask", "abort_experiment"],
                "ask_deadline_min": 1_000_000,
            }
    (folder / "config/recipes/solid_state.yaml").write_text(yaml.safe_dump(recipe))
    return folder


@pytest.fixture
def asking_campaign(start: Callable[..., CampaignProcess], tmp_path: Path) -> CampaignProcess:
    """A campaign under way in which somebody is asked about at least one of four experiments."""
    share = _own_share(tmp_path / "share")
    # At full speed the question's deadline would be the next moment to jump to.
    return start(
        *("--speed", "20000", "--set", "never_ask:=false"),
        *("--set", f"recipes_dir:={share}/config/recipes"),
        program=[sys.executable, "-c", _WITH_OWN_SHARE, str(share)],
        campaign=ASKING,
    )
