"""One chaos campaign: a virtual lab whose processes are ended again and again, then judged."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from chaos_kit import crash_points
from chaos_kit.audit import audit
from chaos_kit.crash_points import CrashPoint, Order
from chaos_kit.facts import SUFFIX, read_facts
from chaos_kit.onlooker import MANAGER, PLANNER, ROUTER, WORLD, Onlooker, Processes
from chaos_kit.story import tell
from matlab_ros.lab.goals import AnalyseGoal
from matlab_ros.model.lab_config import load_lab
from matlab_ros.nodes.campaign_folder import CampaignFolder
from matlab_ros.nodes.launching import free_port
from matlab_ros.share import config_file, share_dir

HERE = Path(__file__).parent
UP_S = 90.0
"""Steady seconds for a node to come back."""
ORDER_S = 6.0
"""For a crash point to be reached; then the process is killed where it is."""
TRIGGER_S = 4.0
"""For an outside trigger, likewise."""
END_S = 900.0
"""For a campaign to end after its last kill."""
TWICE = 0.25
"""Share of kills that do not wait until the last victim is back."""
FULL_DISK = 0.06
"""Share of kills that come after somebody's disk was full."""

ANY_MOMENT = "outside: at any moment"
_ALL = "all"
_WEIGHTS = {
    MANAGER: 24,
    "dispenser": 14,
    "arm": 17,
    "furnace_1": 7,
    "furnace_2": 7,
    "characterisation": 11,
    PLANNER: 5,
    ROUTER: 6,
    _ALL: 9,
}
_TRIGGERS = {
    "dispenser": ("dose begun", "powder fell", "shaken"),
    "arm": ("picked", "placed"),
    "furnace_1": ("program begun", "programmer", "program over"),
    "furnace_2": ("program begun", "programmer", "program over"),
    "characterisation": ("measurement begun", "scanned"),
}
_DISKS = {
    MANAGER: (CrashPoint.BEFORE_INTENT, CrashPoint.BEFORE_OUTCOME),
    "dispenser": (CrashPoint.BEFORE_NOTE,),
    "arm": (CrashPoint.BEFORE_NOTE,),
    "characterisation": (CrashPoint.BEFORE_NOTE, CrashPoint.BEFORE_FILE),
}

Say = Callable[[str], None]


@dataclass
class Kill:
    """One end of a process, or of all.

    Attributes:
        victim: node, or "all".
        point: where it was.
        recovery_s: steady seconds until it was ready again; None: it was not in time, or was
            killed again before.
    """

    victim: str
    point: str
    recovery_s: float | None = None


@dataclass
class Record:
    """What became of one campaign."""

    index: int
    seed: int
    kills: list[Kill] = field(default_factory=list)
    full_disks: int = 0
    misfortunes: dict[str, int] = field(default_factory=dict)
    violations: list[list[str]] = field(default_factory=list)
    experiments: int = 0
    measured: int = 0
    end: str = ""
    wall_s: float = 0.0
    facts: int = 0
    events: int = 0

    def save(self, folder: Path) -> None:
        """Keep it, whole or not at all."""
        fresh = folder / f".campaign-{self.index:04d}"
        fresh.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")
        fresh.rename(folder / f"campaign-{self.index:04d}.json")


def load_records(folder: Path) -> list[Record]:
    """All records of a folder, in order."""
    found = []
    for file in sorted(folder.glob("campaign-*.json")):
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        content["kills"] = [Kill(**item) for item in content["kills"]]
        found.append(Record(**content))
    return found


def definition(name: str, seed: int, experiments: int) -> dict[str, Any]:
    """A campaign with a cheap planner and short heats, as its file has it."""
    return {
        "name": name,
        "seed": seed,
        "lab": "virtual_lab",
        "recipe": "solid_state",
        "target": {"formula": "MgTiO3", "phase": "MgTiO3"},
        "sample_mass_mg": 600,
        "precursor_sets": [
            {"name": "oxides", "substances": ["MgO", "TiO2-anatase"]},
            {"name": "hydroxide", "substances": ["Mg(OH)2", "TiO2-rutile"]},
        ],
        "parameters": [
            {"name": "precursors", "kind": "categorical", "choices": ["oxides", "hydroxide"]},
            {
                "name": "temperature_c",
                "kind": "continuous",
                "low": 900,
                "high": 1200,
                "step": 100,
            },
            {"name": "dwell_h", "kind": "continuous", "low": 1, "high": 3, "step": 0.25},
        ],
        "budget": {"experiments": experiments, "max_in_flight": 8},
        "planner": {"method": "random", "initial_experiments": 8, "batch_size": 4},
    }


class ChaosCampaign:
    """Runs one campaign, kills in it, and judges it.

    Args:
        index: number of the campaign; with the seed it decides everything that is decided here.
        seed: of the benchmark.
        kills: at most.
        experiments: budget of the campaign.
        folder: where the campaign's files go; emptied first.
        misfortunes: whether instruments misbehave too.
        say: takes lines of progress.
    """

    def __init__(
        self,
        index: int,
        seed: int,
        kills: int,
        experiments: int,
        folder: Path,
        *,
        misfortunes: bool = True,
        say: Say = print,
    ) -> None:
        self._record = Record(index, seed)
        self._rng = random.Random(f"{seed}/{index}")
        self._budget = kills
        self._experiments = experiments
        self._folder = folder
        self._say = say
        self._name = f"chaos{index:04d}"
        shutil.rmtree(folder, ignore_errors=True)
        self._orders = folder / "orders"
        self._orders.mkdir(parents=True)
        self._misfortunes = misfortunes
        self._number = 0
        self._lab = load_lab(config_file("labs", "virtual_lab"))

    @property
    def path(self) -> Path:
        """The campaign's own folder."""
        return self._folder / "results" / self._name

    def run(self) -> Record:
        """From the first process to the verdict."""
        began = time.monotonic()
        port = free_port()
        graph = {
            "ZENOH_CONFIG_OVERRIDE": f'connect/endpoints=["tcp/127.0.0.1:{port}"]',
            "ROS_DOMAIN_ID": str(1 + port % 100),
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        }
        process = self._start(graph)
        try:
            self._disturb(process, graph)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(END_S)
        finally:
            self._record.end = self._end(process)
            self._record.wall_s = time.monotonic() - began
        self._judge()
        return self._record

    # --- processes ----------------------------------------------------------------------------

    def _start(self, graph: dict[str, str]) -> subprocess.Popen[bytes]:
        seed = 1000 * self._record.seed + self._record.index
        file = self._folder / "campaign.yaml"
        file.write_text(
            yaml.safe_dump(definition(self._name, seed, self._experiments)), encoding="utf-8"
        )
        paths = [str(HERE / "hook"), str(HERE.parent), *_words(os.environ.get("PYTHONPATH"))]
        environment = {
            **os.environ,
            **graph,
            "PYTHONPATH": os.pathsep.join(paths),
            crash_points.FOLDER: str(self._orders),
            "OMP_NUM_THREADS": "1",
        }
        options = ["--plain", "--results", str(self._folder / "results")]
        if self._misfortunes:
            options += ["--set", f"misfortunes_file:={HERE / 'misfortunes.yaml'}"]
            # A wire that is mute for a while must not hold up virtual time for longer than that.
            options += ["--set", "reply_patience_s:=0.5"]
        with (self._folder / "printed").open("wb") as printed:
            return subprocess.Popen(
                [sys.executable, "-m", "matlab_ros.cli", "campaign", str(file), *options],
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                env=environment,
            )

    def _end(self, process: subprocess.Popen[bytes]) -> str:
        """See that nothing is left; how the command line ended."""
        how = f"exit code {process.poll()}"
        if process.poll() is None:
            how = f"still under way {END_S:g} s after the last kill"
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(40.0)
        if process.poll() is None:
            process.kill()
            process.wait()
        for pid in Processes(self.path / "lab.log").pids().values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return how

    # --- kills --------------------------------------------------------------------------------

    def _disturb(self, process: subprocess.Popen[bytes], graph: dict[str, str]) -> None:
        self._processes = Processes(self.path / "lab.log")
        self._onlooker = Onlooker(self._lab, graph, self._processes)
        self._campaign = process
        try:
            while len(self._record.kills) < self._budget and self._await_work():
                self._one()
            self._await_all(time.monotonic() - 5.0)
        finally:
            self._onlooker.close()

    @property
    def _is_over(self) -> bool:
        return self._campaign.poll() is not None

    def _await_work(self) -> bool:
        """Whether the lab works, so that there is something to disturb."""
        onlooker = self._onlooker
        onlooker.wait(lambda: onlooker.is_working or self._is_over, UP_S)
        self._pause(self._rng.uniform(0.0, 0.8))
        return not self._is_over and onlooker.is_working

    def _one(self) -> None:
        """One kill, and its recovery."""
        rng = self._rng
        if rng.random() < FULL_DISK:
            self._fill_disk()
        victim = rng.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
        how = rng.random()
        if victim in (_ALL, ROUTER):
            point = self._outside(victim, rng.choice(list(_TRIGGERS)))
        elif how < 0.7:
            point = self._inside(victim)
        else:
            point = self._outside(victim, victim if victim in _TRIGGERS else None)
        if not point:
            return
        killed_at = time.monotonic()
        kill = Kill(victim, point)
        self._record.kills.append(kill)
        if rng.random() < TWICE:
            self._pause(rng.uniform(0.0, 2.0))
            return
        victims = (*self._onlooker.nodes, ROUTER) if victim == _ALL else (victim,)
        if self._await_up(victims, killed_at):
            kill.recovery_s = time.monotonic() - killed_at
        count = len(self._record.kills)
        if count % 10 == 0:
            self._say(f"{self._name}: {count} kills, {self._progress()}")

    def _fill_disk(self) -> None:
        """Let somebody's disk be full at a moment."""
        node = self._rng.choice(list(_DISKS))
        number = self._next_number()
        crash_points.place(
            self._orders, node, number, self._rng.choice(_DISKS[node]), 0, Order.FULL_DISK
        )
        if self._until(lambda: crash_points.was_executed(self._orders, number), ORDER_S):
            self._record.full_disks += 1
            self._pause(0.5)
        else:
            crash_points.withdraw(self._orders, node)

    def _inside(self, victim: str) -> str:
        """Kill at a crash point; where that is not reached, wherever the process is."""
        point = self._rng.choice(crash_points.points_of(victim))
        # Some moments come once in a step, and would be waited for in vain.
        skip = self._rng.choice((0, 0, 1, 3)) if point in crash_points.OFTEN else 0
        number = self._next_number()
        crash_points.place(self._orders, victim, number, point, skip, Order.KILL)
        if self._until(lambda: crash_points.was_executed(self._orders, number), ORDER_S):
            return point.value
        if not crash_points.withdraw(self._orders, victim):
            return point.value
        return ANY_MOMENT if self._shoot(victim) else ""

    def _outside(self, victim: str, cause: str | None) -> str:
        """Kill when an instrument's log says something, a little later."""
        point = ANY_MOMENT
        if cause is not None:
            what = self._rng.choice(_TRIGGERS[cause])
            if self._until_fact(cause, what):
                point = f"outside: after {what!r} of {cause.rstrip('_12')}"
        self._pause(self._rng.choice((0.0, 0.005, 0.02, 0.1, 0.4)))
        return point if self._shoot(victim) else ""

    def _shoot(self, victim: str) -> bool:
        """SIGKILL; whether there was anybody."""
        if self._is_over:
            return False
        pids = self._processes.pids()
        if victim == _ALL:
            chosen = [pid for node, pid in pids.items() if node != WORLD]
        else:
            chosen = [pids[victim]] if victim in pids else []
        hit = False
        for pid in chosen:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                hit = True
        return hit

    def _await_up(self, nodes: tuple[str, ...], since: float) -> bool:
        # What was on its way when its sender died may still arrive.
        settled = since + 0.5

        def up() -> bool:
            return self._is_over or all(self._onlooker.is_up(node, settled) for node in nodes)

        self._until(
            lambda: self._is_over or all(_lives(self._processes.pids().get(n)) for n in nodes), UP_S
        )
        if self._onlooker.wait(up, UP_S) and not self._is_over:
            return True
        if not self._is_over:
            late = [node for node in nodes if not self._onlooker.is_up(node, settled)]
            self._violate("did not come back", f"{', '.join(late)} within {UP_S:g} s")
        return False

    def _await_all(self, since: float) -> None:
        """At the end everybody must be back, or the campaign over."""
        self._await_up((*self._onlooker.nodes, ROUTER), since)

    def _until(self, what: Callable[[], bool], seconds: float) -> bool:
        until = time.monotonic() + seconds
        while not what():
            if time.monotonic() > until or self._is_over:
                return what()
            self._pause(0.01)
        return True

    def _until_fact(self, instrument: str, what: str) -> bool:
        """Wait until an instrument's log says something new."""
        name = {"dispenser": "balance", "arm": "robot", "characterisation": "diffractometer"}
        log = "shaker" if what == "shaken" else name.get(instrument, instrument)
        file = self.path / "run" / "instrument_logs" / f"{log}{SUFFIX}"
        read = file.stat().st_size if file.exists() else 0
        needle = f'"fact": "{what}"'.encode()

        def said() -> bool:
            if not file.exists():
                return False
            with file.open("rb") as opened:
                opened.seek(read)
                return needle in opened.read()

        return self._until(said, TRIGGER_S)

    def _next_number(self) -> int:
        self._number += 1
        return self._number

    @staticmethod
    def _pause(seconds: float) -> None:
        time.sleep(seconds)

    def _progress(self) -> str:
        lines = (self._folder / "printed").read_text(errors="replace").splitlines()
        found = [line for line in lines if "experiments" in line]
        return found[-1] if found else ""

    # --- verdict ------------------------------------------------------------------------------

    def _violate(self, kind: str, text: str) -> None:
        self._record.violations.append([kind, text])

    def _judge(self) -> None:
        record = self._record
        try:
            facts = read_facts(self.path / "run" / "instrument_logs")
            journal = CampaignFolder.existing(self.path).journal()
            entries = list(journal.read())
            journal.close()
        except (OSError, ValueError) as error:
            self._violate("nothing to judge", str(error))
            return
        story = tell(entries)
        record.facts, record.events = len(facts), len(entries)
        record.experiments = len(story.experiments_ended)
        record.measured = sum(
            made[-1].observation.objective is not None for made in story.observations.values()
        )
        for fact in facts:
            if fact.what == "misfortune":
                kind = fact["kind"]
                record.misfortunes[kind] = record.misfortunes.get(kind, 0) + 1
        for item in audit(facts, story, Analyst()):
            self._violate(item.kind, item.text)
        if story.campaign_ends:
            end = story.campaign_ends[-1]
            words = end.message or "budget done"
            record.end = words if end.code == 0 else f"code {end.code}: {words}"


class Analyst:
    """Does the analysis of a scan again, from its file."""

    def __init__(self) -> None:
        # Loading what refines takes a second, which a campaign need not wait for.
        from matlab_ros.xrd.library import Library

        self._library = Library(share_dir() / "config" / "structures")

    def __call__(self, goal: AnalyseGoal) -> float | None:
        """The target's fraction; None where the file cannot be analysed."""
        from matlab_ros.model.errors import LabError
        from matlab_ros.nodes.characterisation import describe
        from matlab_ros.nodes.raw_files import path_of
        from matlab_ros.xrd.analyse import analyse
        from matlab_ros.xrd.readers import read_pattern
        from matlab_ros_interfaces.action import AnalysePattern
        from matlab_ros_interfaces.msg import RawFile

        file = RawFile(
            uri=goal.pattern.uri, sha256=goal.pattern.sha256, size_bytes=goal.pattern.size_bytes
        )
        try:
            found = analyse(
                read_pattern(path_of(file)),
                self._library,
                elements=list(goal.elements) or None,
                phases=list(goal.phases) or None,
            )
        except LabError:
            return None
        result = AnalysePattern.Result()
        competing = {phase.name for phase in self._library.candidates(list(goal.elements)).phases}
        target = {goal.target_phase}
        if goal.target_phase and goal.target_phase not in competing:
            target = {phase.name for phase in self._library.named(goal.target_phase)}
        describe(found, target, result)
        return float(result.target_fraction)


def _lives(pid: int | None) -> bool:
    if pid is None:
        return False
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _words(path: str | None) -> list[str]:
    return [word for word in (path or "").split(os.pathsep) if word]
