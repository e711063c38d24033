"""A lab in one process: the real engine in discrete-event time, its devices and chemistry a table.

Nothing here speaks ROS. Devices take nominal times; what a sample becomes, a table world says. It
runs recorded campaigns and, with devices that fail on purpose, the engine's own tests.
"""

from __future__ import annotations

import hashlib
import heapq
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from matlab_ros.lab.binding import Value
from matlab_ros.lab.commands import (
    CancelGoal,
    Command,
    FinishCampaign,
    ReportObservation,
    RequestSuggestions,
    SendGoal,
)
from matlab_ros.lab.engine import Engine
from matlab_ros.lab.experiment_values import (
    CampaignPlan,
    Mixture,
    Observation,
    Setting,
    Suggestion,
)
from matlab_ros.lab.goals import (
    AnalyseGoal,
    AnalyseOutcome,
    AttemptReport,
    DispenseGoal,
    DispenseOutcome,
    DoseReading,
    Goal,
    HeatGoal,
    HeatOutcome,
    MeasureGoal,
    MeasureOutcome,
    Outcome,
    PhaseFraction,
    RawFile,
    SampleOutcome,
    TransferGoal,
    TransferOutcome,
)
from matlab_ros.lab.inputs import (
    AttemptFinished,
    CampaignSubmitted,
    CancelAsked,
    DeviceReady,
    Input,
    ObservationAccepted,
    SuggestionsAnswered,
    Tick,
)
from matlab_ros.lab.validate import check_campaign
from matlab_ros.model.campaign_config import CampaignConfig
from matlab_ros.model.errors import LabError
from matlab_ros.model.lab_config import (
    ContainerSet,
    DeviceConfig,
    DeviceKind,
    FurnaceLimits,
    LabConfig,
    PositionGrid,
    StationConfig,
    StationKind,
    StockItem,
)
from matlab_ros.model.lab_words import ObservationKind, SampleFate, Scope, Verdict
from matlab_ros.model.recipe import Recipe
from matlab_ros.planning.campaign import Campaign
from matlab_ros.planning.observation import Observation as PlannedObservation
from matlab_ros.planning.observation import ObservationStatus, Pending
from matlab_ros.planning.settings import Settings

_NS_PER_S = 1_000_000_000


class Product(Protocol):
    """What a sample became."""

    @property
    def objective(self) -> float:
        """Weight fraction of the target, 0 to 1."""

    @property
    def sigma(self) -> float:
        """Standard uncertainty of it; NaN where it is not known."""


class World(Protocol):
    """What samples become."""

    def outcome(self, settings: Mapping[str, Value]) -> Product:
        """What an experiment of these settings makes."""


class Planner(Protocol):
    """Who proposes experiments."""

    def suggest(
        self, experiment_ids: Sequence[str], pending: Sequence[Suggestion]
    ) -> Sequence[Suggestion]:
        """One suggestion for each id, fewer when nothing is left to try."""

    def report(self, observation: Observation) -> None:
        """Take note of how an experiment ended; the same twice changes nothing."""


class Devices(Protocol):
    """Everything at the other end of a goal."""

    def begin(self, device: str, goal: Goal, now_ns: int) -> tuple[int, Outcome]:
        """Begin a goal, or recall it by its attempt id.

        Returns:
            When it ends (ROS time, not before now) and how.
        """

    def cancel(self, attempt_id: str, now_ns: int) -> tuple[int, Outcome] | None:
        """End an attempt early; None: it goes on to the end it has."""


def mapping_of(settings: Sequence[Setting]) -> dict[str, Value]:
    """Settings as a mapping from names to numbers and words."""
    return {item.name: item.choice if item.value is None else item.value for item in settings}


def settings_of(values: Mapping[str, Value]) -> tuple[Setting, ...]:
    """The settings that `mapping_of` was given."""
    return tuple(
        Setting(name, choice=value) if isinstance(value, str) else Setting(name, float(value))
        for name, value in values.items()
    )


class CampaignPlanner:
    """The planning package's campaign as a `Planner`."""

    def __init__(self, campaign: Campaign) -> None:
        self._campaign = campaign

    def suggest(
        self, experiment_ids: Sequence[str], pending: Sequence[Suggestion]
    ) -> Sequence[Suggestion]:
        """See `Planner.suggest`."""
        waiting = [
            Pending(item.experiment_id, Settings(mapping_of(item.settings))) for item in pending
        ]
        found = self._campaign.suggest(len(experiment_ids), waiting)
        return [
            Suggestion(
                name,
                settings_of(item.settings),
                _known(item.predicted_mean),
                _known(item.predicted_sigma),
                _known(item.acquisition_value),
                item.method,
            )
            for name, item in zip(experiment_ids, found, strict=False)
        ]

    def report(self, observation: Observation) -> None:
        """See `Planner.report`."""
        self._campaign.report(
            PlannedObservation(
                experiment_id=observation.experiment_id,
                settings=Settings(mapping_of(observation.settings)),
                status=_STATUS[observation.status],
                objective=math.nan if observation.objective is None else observation.objective,
                sigma=math.nan if observation.sigma is None else observation.sigma,
                requested=Settings(mapping_of(observation.requested)),
                simulated=observation.simulated,
            )
        )


_STATUS = {
    ObservationKind.MEASURED: ObservationStatus.MEASURED,
    ObservationKind.INFEASIBLE: ObservationStatus.INFEASIBLE,
    ObservationKind.ABANDONED: ObservationStatus.ABANDONED,
}


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


@dataclass(frozen=True)
class Durations:
    """Nominal times of the table's devices, in seconds."""

    dose_s: float = 90.0
    transfer_s: float = 45.0
    cooling_c_per_min: float = 5.0
    measure_s: float = 600.0
    analyse_s: float = 10.0

    def of(self, goal: Goal) -> float:
        """Seconds from a goal's beginning to its end."""
        if isinstance(goal, DispenseGoal):
            return self.dose_s * len(goal.doses) + 60.0 * goal.mix_min
        if isinstance(goal, TransferGoal):
            return self.transfer_s
        if isinstance(goal, HeatGoal):
            fall_c = max(0.0, goal.profile.segments[-1].target_c - goal.profile.unload_below_c)
            return 60.0 * (goal.profile.programmed_min() + fall_c / self.cooling_c_per_min)
        return self.measure_s if isinstance(goal, MeasureGoal) else self.analyse_s


class TableDevices:
    """Devices that do exactly what they are asked and take their nominal times.

    Args:
        world: gives the target's fraction of each sample.
        durations: nominal times.
    """

    def __init__(self, world: World, durations: Durations | None = None) -> None:
        self._world = world
        self._durations = durations or Durations()
        self._settings: dict[str, Mapping[str, Value]] = {}
        self._known: dict[str, tuple[int, Outcome]] = {}

    def learn(self, sample_id: str, settings: Mapping[str, Value]) -> None:
        """Note what a sample is made of, for the world; a table cannot see it in the crucible."""
        self._settings[sample_id] = settings

    def begin(self, device: str, goal: Goal, now_ns: int) -> tuple[int, Outcome]:
        """See `Devices.begin`."""
        if goal.attempt_id in self._known:
            end_ns, outcome = self._known[goal.attempt_id]
            return max(end_ns, now_ns), recalled(outcome)
        end_ns = now_ns + round(self._durations.of(goal) * _NS_PER_S)
        outcome = self.outcome(device, goal, now_ns, end_ns)
        self._known[goal.attempt_id] = (end_ns, outcome)
        return end_ns, outcome

    def cancel(self, attempt_id: str, now_ns: int) -> tuple[int, Outcome] | None:
        """See `Devices.cancel`; table devices are quick enough to be waited for."""
        return None

    def outcome(self, device: str, goal: Goal, now_ns: int, end_ns: int) -> Outcome:
        """A perfect outcome of a goal."""
        report = report_of(device, goal, now_ns, end_ns)
        if isinstance(goal, DispenseGoal):
            readings = tuple(
                DoseReading(dose.substance, dose.mass_mg, dose.mass_mg, 0.1, True, end_ns)
                for dose in goal.doses
            )
            return DispenseOutcome(report, readings, goal.mix_min)
        if isinstance(goal, TransferGoal):
            return TransferOutcome(report, goal.target)
        if isinstance(goal, HeatGoal):
            last = goal.profile.segments[-1]
            return HeatOutcome(report, None, goal.profile.highest_c, last.dwell_min)
        if isinstance(goal, MeasureGoal):
            return MeasureOutcome(report, _no_file(goal.sample_id))
        assert isinstance(goal, AnalyseGoal)
        product = self._world.outcome(self._settings[goal.sample_id])
        fraction, sigma = product.objective, _known(product.sigma)
        phases = (PhaseFraction(goal.target_phase, "", fraction, sigma),) if fraction > 0 else ()
        return AnalyseOutcome(report, phases, fraction, sigma, verdict=Verdict.CONFIRMED)


def report_of(device: str, goal: Goal, began_ns: int, ended_ns: int) -> AttemptReport:
    """Report of a goal that was done."""
    samples = tuple(SampleOutcome(name, SampleFate.DONE) for name in goal.sample_ids)
    return AttemptReport(0, "", began_ns, ended_ns, samples, device, "table", True)


def recalled(outcome: Outcome) -> Outcome:
    """The same outcome, marked as that of an earlier goal with the same id."""
    return replace(outcome, report=replace(outcome.report, recalled=True))


def _no_file(sample_id: str) -> RawFile:
    """A raw file's reference for a pattern that a table does not have."""
    digest = hashlib.sha256(sample_id.encode()).hexdigest()
    return RawFile(f"table:{sample_id}", digest, 0, "application/octet-stream")


class TableLab:
    """Runs an engine, its devices and a planner in discrete-event time.

    Args:
        engine: of the lab; its devices become ready at the start.
        devices: carry out the goals.
        planner: proposes; its thinking takes no time.
        now_ns: ROS time at the start.
    """

    def __init__(self, engine: Engine, devices: Devices, planner: Planner, now_ns: int = 0) -> None:
        self.engine = engine
        self.now_ns = now_ns
        self.finished: FinishCampaign | None = None
        self._devices = devices
        self._planner = planner
        self._queue: list[tuple[int, int, Input]] = []
        self._count = 0

    def start(self, plan: CampaignPlan) -> None:
        """Bring the devices up and submit a campaign."""
        self.bring_up()
        self.tell(CampaignSubmitted(plan))

    def bring_up(self) -> None:
        """Tell the engine that every device is ready."""
        for device in self.engine.floor.lab.devices:
            self.tell(DeviceReady(device.name))

    def replace_engine(self, engine: Engine) -> None:
        """Go on with an engine that was recovered from the journal: answers on the way are lost."""
        self.engine = engine
        self._queue = []
        self.bring_up()

    def step(self) -> bool:
        """Let the next thing happen.

        Returns:
            False when nothing is left that could.
        """
        wakeup = self.engine.next_wakeup()
        if self._queue and (wakeup is None or self._queue[0][0] <= wakeup):
            when, _, given = heapq.heappop(self._queue)
            self.now_ns = max(self.now_ns, when)
            self.tell(given)
            return True
        if wakeup is None:
            return False
        self.now_ns = max(self.now_ns, wakeup)
        self.tell(Tick())
        return True

    def run(self) -> FinishCampaign:
        """Go on to the campaign's end.

        Raises:
            LabError: nothing can happen any more and the campaign has not ended.
        """
        while self.finished is None:
            if not self.step():
                raise LabError("The campaign stands still: nothing is left that could happen.")
        return self.finished

    def tell(self, given: Input) -> None:
        """Give the engine an input now, and do what it wants."""
        for command in self.engine.handle(given, self.now_ns):
            self._do(command)

    def _do(self, command: Command) -> None:
        if isinstance(command, SendGoal):
            self._teach(command.goal)
            when, outcome = self._devices.begin(command.device, command.goal, self.now_ns)
            self._later(when, AttemptFinished(command.goal.attempt_id, outcome))
        elif isinstance(command, CancelGoal):
            ended = self._devices.cancel(command.attempt_id, self.now_ns)
            if ended is not None:
                self._later(ended[0], AttemptFinished(command.attempt_id, ended[1]))
        elif isinstance(command, RequestSuggestions):
            found = tuple(self._planner.suggest(command.experiment_ids, command.pending))
            exhausted = len(found) < len(command.experiment_ids)
            self._later(self.now_ns, SuggestionsAnswered(found, exhausted))
        elif isinstance(command, ReportObservation):
            self._planner.report(command.observation)
            self._later(self.now_ns, ObservationAccepted(command.observation.experiment_id))
        else:
            self.finished = command

    def _teach(self, goal: Goal) -> None:
        """Tell table devices what is in the crucible they are about to look at."""
        if isinstance(goal, AnalyseGoal) and isinstance(self._devices, TableDevices):
            sample = self.engine.state.samples[goal.sample_id]
            run = self.engine.state.experiments[sample.experiment_id]
            self._devices.learn(goal.sample_id, mapping_of(run.suggestion.settings))

    def _later(self, when_ns: int, given: Input) -> None:
        self._count += 1
        heapq.heappush(self._queue, (when_ns, self._count, given))


def table_lab_of(campaign: CampaignConfig) -> LabConfig:
    """A lab that can carry out a recorded campaign: its powders in stock, a crucible for each run.

    Powders go by their formulas; furnaces go as far as the search space.
    """
    substances: list[str] = []
    for item in campaign.precursor_sets:
        substances.extend(name for name in item.substances if name not in substances)
    count = campaign.budget.experiments
    rack = _station("rack", StationKind.RACK, 0.0, count)
    return LabConfig(
        name="table_lab",
        simulated=True,
        stations=(
            rack,
            _station("dispenser", StationKind.DISPENSER, 2.0, 1),
            _station("furnace_1", StationKind.FURNACE, 4.0, 4),
            _station("furnace_2", StationKind.FURNACE, 6.0, 4),
            _station("diffractometer", StationKind.DIFFRACTOMETER, 8.0, 1),
        ),
        devices=(
            DeviceConfig(name="dispenser", kind=DeviceKind.DISPENSER, station="dispenser"),
            DeviceConfig(name="arm", kind=DeviceKind.ARM),
            *(
                DeviceConfig(
                    name=name,
                    kind=DeviceKind.FURNACE,
                    station=name,
                    furnace=FurnaceLimits(max_temperature_c=1800, max_ramp_c_per_min=50),
                )
                for name in ("furnace_1", "furnace_2")
            ),
            DeviceConfig(
                name="characterisation",
                kind=DeviceKind.CHARACTERISATION,
                station="diffractometer",
            ),
        ),
        containers=ContainerSet(
            count=count, station="rack", capacity_mg=2.0 * campaign.sample_mass_mg
        ),
        stock=tuple(
            StockItem(
                name=name,
                formula=name,
                slot=index + 1,
                mass_g=campaign.sample_mass_mg * count / 1000.0,
            )
            for index, name in enumerate(substances)
        ),
    )


def _station(name: str, kind: StationKind, x_m: float, count: int) -> StationConfig:
    grid = PositionGrid(
        count=count, columns=min(count, 12), origin_m=(x_m, 0.5, 0.8), pitch_m=(0.08, 0.08)
    )
    return StationConfig(name=name, kind=kind, base_pose=(x_m, 0.0, 1.5708), grid=grid)


def equal_shares(campaign: CampaignConfig) -> tuple[Mixture, ...]:
    """Mixtures of equal parts, for a table that knows nothing of masses."""
    return tuple(
        Mixture(item.name, item.substances, (1.0 / len(item.substances),) * len(item.substances))
        for item in campaign.precursor_sets
    )


def table_plan(
    campaign: CampaignConfig, recipe: Recipe, file: str | Path
) -> tuple[LabConfig, CampaignPlan]:
    """A lab for a recorded campaign, and the campaign checked against it.

    Args:
        campaign: to be run on a table.
        recipe: that it names.
        file: the campaign's, for errors.

    Raises:
        ConfigError: the campaign does not fit its recipe.
    """
    lab = table_lab_of(campaign)
    phases = {campaign.target.phase}
    return lab, check_campaign(campaign, lab, recipe, phases, file, equal_shares(campaign))


def run_table_lab(
    engine: Engine,
    plan: CampaignPlan,
    world: World,
    planner: Planner,
    until: Callable[[Observation], bool] | None = None,
) -> FinishCampaign:
    """Run a campaign on a table from its beginning to its end.

    Args:
        engine: new or recovered; afterwards its `state` has the experiments.
        plan: from `table_plan` or `matlab_ros.lab.validate.check_campaign`.
        world: the chemistry.
        planner: for example a `CampaignPlanner`.
        until: asked after each observation; when it says so the campaign is cancelled.

    Raises:
        LabError: the campaign stands still.
    """
    told: list[Observation] = []

    class Listener:
        """The planner, and beside it whoever wants to stop."""

        def suggest(
            self, experiment_ids: Sequence[str], pending: Sequence[Suggestion]
        ) -> Sequence[Suggestion]:
            return planner.suggest(experiment_ids, pending)

        def report(self, observation: Observation) -> None:
            planner.report(observation)
            told.append(observation)

    lab = TableLab(engine, TableDevices(world), Listener(), engine.state.time_ns)
    lab.start(plan)
    while lab.finished is None:
        if told and until is not None and any([until(item) for item in told]):
            lab.tell(CancelAsked(Scope.CAMPAIGN, plan.name, reason="enough was found."))
            until = None
        told.clear()
        if lab.finished is None and not lab.step():
            raise LabError("The campaign stands still: nothing is left that could happen.")
    return lab.finished
