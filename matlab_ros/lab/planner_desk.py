"""Talking with the planner: one call at a time, reports before questions, asked until answered."""

from __future__ import annotations

from matlab_ros.lab import events as ev
from matlab_ros.lab import inputs as inp
from matlab_ros.lab.binding import check_binding
from matlab_ros.lab.commands import ReportObservation, RequestSuggestions
from matlab_ros.lab.experiment_values import Suggestion
from matlab_ros.lab.goals import HeatGoal
from matlab_ros.lab.ledger import Ledger
from matlab_ros.lab.state import CampaignRun, experiment_name
from matlab_ros.model.errors import LabError
from matlab_ros.model.faults import FaultCode
from matlab_ros.model.lab_words import StepAction

_NS_PER_S = 1_000_000_000
ASK_AGAIN_NS = 10 * _NS_PER_S
"""Before a planner that refused is asked again."""
TRIES = 5
"""Refusals in a row after which the campaign stops."""


class PlannerDesk:
    """Asks for suggestions and reports observations.

    Args:
        ledger: of the lab.
        planning_ns: ROS time after which suggestions are taken, and not before; 0: as soon as they
            are there. Meanwhile the lab goes on, and its history does not depend on how fast the
            planner's computer is.
    """

    def __init__(self, ledger: Ledger, planning_ns: int = 0) -> None:
        self._ledger = ledger
        self._state = ledger.state
        self._planning_ns = planning_ns
        self._early: inp.SuggestionsAnswered | inp.PlannerFailed | None = None
        """An answer that came before its time."""
        self._call: RequestSuggestions | ReportObservation | None = None
        self._called_ns = 0

    @property
    def is_calling(self) -> bool:
        """Whether a call is open."""
        return self._call is not None

    @property
    def is_holding_up(self) -> bool:
        """Whether an answer is awaited whose time has come."""
        return self.is_calling and self.due_ns is None

    @property
    def due_ns(self) -> int | None:
        """The moment to come at which the open call's answer is taken, where it has one."""
        if not isinstance(self._call, RequestSuggestions):
            return None
        due_ns = self._called_ns + self._planning_ns
        return due_ns if due_ns > self._ledger.now_ns else None

    def called_at(self, moment_ns: int) -> bool:
        """Whether the call that holds things up was made at that very moment."""
        return self.is_holding_up and self._called_ns == moment_ns

    # --- answers ------------------------------------------------------------------------------

    def take_early(self) -> None:
        """Take in the answer that came before its time, once that has come."""
        if self._early is None or self.due_ns is not None:
            return
        early, self._early = self._early, None
        if isinstance(early, inp.PlannerFailed):
            self.failed(early)
        else:
            self.answered(early)

    def answered(self, given: inp.SuggestionsAnswered) -> None:
        """Take in suggestions; such as cannot be carried out are a refusal."""
        if not isinstance(self._call, RequestSuggestions):
            return
        if self.due_ns is not None:
            self._early = given
            return
        self._call = None
        campaign = self._ledger.open_campaign()
        if campaign is None or not campaign.requested:
            return
        wanted = campaign.requested
        named = [item for item in given.suggestions if item.experiment_id in wanted]
        problem = self._problem(campaign, named)
        if problem:
            self._refused(FaultCode.SUGGEST_SPACE_INVALID, problem)
        elif len(named) < len(wanted) and not given.exhausted:
            self._refused(
                FaultCode.INTERNAL_ERROR,
                f"{len(named)} suggestions came for {len(wanted)} experiments.",
            )
        else:
            named.sort(key=lambda item: wanted.index(item.experiment_id))
            self._ledger.emit(
                ev.SuggestionsReceived(
                    tuple(named),
                    given.exhausted,
                    given.model,
                    given.data_sha256,
                    given.software,
                    given.seed,
                    given.plan_sha256,
                )
            )

    def _problem(self, campaign: CampaignRun, suggestions: list[Suggestion]) -> str:
        """Why a suggestion cannot be carried out; empty when all can."""
        for suggestion in suggestions:
            try:
                check_binding(campaign.plan, self._ledger.floor.lab, suggestion.settings)
            except LabError as error:
                return str(error)
        return ""

    def accepted(self, experiment_id: str) -> None:
        """The planner knows of an observation."""
        if isinstance(self._call, ReportObservation):
            self._call = None
        run = self._state.experiments.get(experiment_id)
        if run is not None and run.observation is not None and not run.reported:
            self._ledger.emit(ev.ObservationConfirmed(experiment_id))

    def failed(self, given: inp.PlannerFailed) -> None:
        """The planner answered with an error."""
        if self.due_ns is not None:
            self._early = given
            return
        self._call = None
        if self._ledger.open_campaign() is None:
            return
        if given.code == FaultCode.SUGGEST_HISTORY_INCOMPLETE:
            self._ledger.emit(ev.PlannerForgot())
        else:
            self._refused(given.code, given.message)

    def _refused(self, code: int, message: str) -> None:
        campaign = self._ledger.campaign()
        self._ledger.emit(ev.PlannerRefused(code, message, self._ledger.now_ns + ASK_AGAIN_NS))
        if campaign.planner_failures >= TRIES and campaign.stopping is None:
            self._ledger.emit(ev.CampaignStopping(code, f"the planner refuses: {message}"))

    # --- questions ----------------------------------------------------------------------------

    def is_gone(self, campaign: CampaignRun) -> bool:
        """Whether a stopping campaign need not wait for the planner."""
        return campaign.stopping is not None and campaign.planner_failures >= TRIES

    def want_suggestions(self) -> None:
        """Ask for a batch of suggestions once there is room for all of it."""
        campaign = self._ledger.open_campaign()
        if (
            campaign is None
            or campaign.stopping is not None
            or not campaign.plan.planned
            or campaign.exhausted
            or campaign.requested
            or any(True for _ in self._state.unreported())
            or campaign.ask_again_ns > self._ledger.now_ns
            or self._state.is_paused()
            or self._state.is_campaign_paused
        ):
            return
        budget, planner = campaign.config.budget, campaign.config.planner
        left = budget.experiments - self._state.campaign_count()
        room = budget.max_in_flight - self._state.campaign_in_flight_count()
        batch = min(planner.batch_size, left, budget.max_in_flight)
        if batch > 0 and room >= batch:
            first = campaign.last_ordinal + 1
            names = (experiment_name(campaign.plan.name, first + index) for index in range(batch))
            self._ledger.emit(ev.SuggestionsRequested(tuple(names)))

    def _in_furnace(self) -> frozenset[str]:
        """Experiments whose samples are being fired."""
        return frozenset(
            work.experiment_id
            for attempt in self._state.attempts.values()
            if isinstance(attempt.goal, HeatGoal)
            for work in attempt.works
        )

    def _is_unfired(self, experiment_id: str, fired: frozenset[str]) -> bool:
        """Whether an experiment's first furnace run has not begun."""
        run = self._state.experiments[experiment_id]
        heats = [run.tasks[step.id] for step in run.recipe.steps_of(StepAction.HEAT)]
        return (
            bool(heats)
            and run.abort is None
            and experiment_id not in fired
            and not any(task.state.is_final or task.round for task in heats)
        )

    def next_call(self) -> RequestSuggestions | ReportObservation | None:
        """The call to make now, None where one is open or none is due; reports go first."""
        campaign = self._ledger.open_campaign()
        if campaign is None or self._call is not None:
            return None
        if campaign.ask_again_ns > self._ledger.now_ns:
            return None
        first = next(self._state.unreported(), None)
        if first is not None:
            assert first.observation is not None
            self._call = ReportObservation(campaign.plan, first.observation)
        elif campaign.requested:
            pending = tuple(
                run.suggestion
                for run in self._state.in_flight()
                if run.observation is None and not run.is_guest
            )
            reported = sum(run.reported for run in self._state.in_campaign())
            fired = self._in_furnace()
            unfired = tuple(
                item.experiment_id
                for item in pending
                if self._is_unfired(item.experiment_id, fired)
            )
            self._call = RequestSuggestions(
                campaign.plan, campaign.requested, pending, reported, unfired
            )
        self._called_ns = self._ledger.now_ns
        return self._call
