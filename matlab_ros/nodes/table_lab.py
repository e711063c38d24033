"""A lab in one process: the real engine in discrete-event time, its devices and chemistry a table.

Nothing here speaks ROS. Devices take nominal times; what a sample becomes, a table world says. It
runs recorded campaigns and, with devices that fail on purpose, the engine's own tests.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol, runtime_checkable

from matlab_ros.chemistry.outcomes import SeenPhase
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
    Observation,
    Setting,
    Suggestion,
)
from matlab_ros.lab.goals import (
    AnalyseGoal,
    Goal,
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
from matlab_ros.model.errors import LabError
from matlab_ros.model.lab_words import ObservationKind, Scope
from matlab_ros.nodes.table_devices import Devices, TableDevices, World
from matlab_ros.planning.campaign import Campaign
from matlab_ros.planning.observation import Measured, ObservationStatus, Pending, Provenance
from matlab_ros.planning.observation import Observation as PlannedObservation
from matlab_ros.planning.settings import Settings


class Planner(Protocol):
    """Who proposes experiments."""

    def suggest(
        self,
        experiment_ids: Sequence[str],
        pending: Sequence[Suggestion],
        unfired: Collection[str] = (),
    ) -> Sequence[Suggestion]:
        """One suggestion for each id, fewer when nothing is left to try.

        Args:
            experiment_ids: of the new experiments.
            pending: in flight.
            unfired: those of them whose furnace run has not begun.
        """

    def report(self, observation: Observation) -> None:
        """Take note of how an experiment ended; the same twice changes nothing."""


@runtime_checkable
class Accountable(Protocol):
    """A planner that says what its last suggestions rest on."""

    @property
    def provenance(self) -> Provenance | None:
        """Of the last suggestions; None before the first."""


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
        self._provenance: Provenance | None = None

    @property
    def provenance(self) -> Provenance | None:
        """See `Accountable`."""
        return self._provenance

    def suggest(
        self,
        experiment_ids: Sequence[str],
        pending: Sequence[Suggestion],
        unfired: Collection[str] = (),
    ) -> Sequence[Suggestion]:
        """See `Planner.suggest`."""
        waiting = [
            Pending(
                item.experiment_id,
                Settings(mapping_of(item.settings)),
                item.experiment_id in unfired,
            )
            for item in pending
        ]
        found = self._campaign.suggest(len(experiment_ids), waiting)
        self._provenance = found[-1].provenance if found else None
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
        self._campaign.report(planned_observation(observation))


def planned_observation(observation: Observation) -> PlannedObservation:
    """What an experiment taught, as the planning package says it."""
    return PlannedObservation(
        experiment_id=observation.experiment_id,
        settings=Settings(mapping_of(observation.settings)),
        status=_STATUS[observation.status],
        objective=math.nan if observation.objective is None else observation.objective,
        sigma=math.nan if observation.sigma is None else observation.sigma,
        requested=Settings(mapping_of(observation.requested)) if observation.requested else None,
        simulated=observation.simulated,
        phases=tuple(SeenPhase(item.formula, item.weight_fraction) for item in observation.phases),
        outcomes={
            item.name: Measured(item.value, math.nan if item.sigma is None else item.sigma)
            for item in observation.outcomes
        },
    )


_STATUS = {
    ObservationKind.MEASURED: ObservationStatus.MEASURED,
    ObservationKind.INFEASIBLE: ObservationStatus.INFEASIBLE,
    ObservationKind.ABANDONED: ObservationStatus.ABANDONED,
}


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


class TableLab:
    """Runs an engine, its devices and a planner in discrete-event time.

    Args:
        engine: of the lab; its devices become ready at the start.
        devices: carry out the goals.
        planner: proposes; its thinking takes no time.
        now_ns: ROS time at the start.
        on_observation: told of each observation after the planner was.
    """

    def __init__(
        self,
        engine: Engine,
        devices: Devices,
        planner: Planner,
        now_ns: int = 0,
        on_observation: Callable[[Observation], None] | None = None,
    ) -> None:
        self.engine = engine
        self.now_ns = now_ns
        self.finished: FinishCampaign | None = None
        self._devices = devices
        self._planner = planner
        self._on_observation = on_observation
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
            found = tuple(
                self._planner.suggest(command.experiment_ids, command.pending, command.unfired)
            )
            exhausted = len(found) < len(command.experiment_ids)
            self._later(self.now_ns, self._answered(found, exhausted))
        elif isinstance(command, ReportObservation):
            self._planner.report(command.observation)
            if self._on_observation is not None:
                self._on_observation(command.observation)
            self._later(self.now_ns, ObservationAccepted(command.observation.experiment_id))
        else:
            self.finished = command

    def _answered(self, found: tuple[Suggestion, ...], exhausted: bool) -> SuggestionsAnswered:
        known = self._planner.provenance if isinstance(self._planner, Accountable) else None
        if known is None:
            return SuggestionsAnswered(found, exhausted)
        return SuggestionsAnswered(
            found,
            exhausted,
            known.model,
            known.data_sha256,
            known.software,
            known.seed,
            known.plan_sha256,
        )

    def _teach(self, goal: Goal) -> None:
        """Tell table devices what is in the crucible they are about to look at."""
        if isinstance(goal, AnalyseGoal) and isinstance(self._devices, TableDevices):
            sample = self.engine.state.samples[goal.sample_id]
            run = self.engine.state.experiments[sample.experiment_id]
            self._devices.learn(goal.sample_id, mapping_of(run.suggestion.settings))

    def _later(self, when_ns: int, given: Input) -> None:
        self._count += 1
        heapq.heappush(self._queue, (when_ns, self._count, given))


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
    is_enough = False

    def look(observation: Observation) -> None:
        nonlocal is_enough
        is_enough = is_enough or (until is not None and until(observation))

    lab = TableLab(engine, TableDevices(world), planner, engine.state.time_ns, look)
    lab.start(plan)
    has_stopped = False
    while lab.finished is None:
        if is_enough and not has_stopped:
            has_stopped = True
            lab.tell(CancelAsked(Scope.CAMPAIGN, plan.name, reason="enough was found."))
        elif not lab.step():
            raise LabError("The campaign stands still: nothing is left that could happen.")
    return lab.finished
