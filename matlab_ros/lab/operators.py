"""What people and clients may ask of the lab, and when it is refused."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import count

from matlab_ros.lab import events as ev
from matlab_ros.lab import inputs as inp
from matlab_ros.lab.attempts import AttemptDesk
from matlab_ros.lab.binding import check_binding
from matlab_ros.lab.corrections import CorrectionDesk
from matlab_ros.lab.experiment_values import CampaignPlan, Setting
from matlab_ros.lab.ledger import Ledger
from matlab_ros.lab.refused import Refused
from matlab_ros.lab.resolutions import ResolutionDesk
from matlab_ros.lab.scopes import paused_names
from matlab_ros.lab.state import CampaignRun, experiment_name
from matlab_ros.model.campaign_config import BudgetConfig, CampaignConfig, PlannerConfig
from matlab_ros.model.errors import LabError
from matlab_ros.model.faults import FaultCode
from matlab_ros.model.lab_words import ExperimentState, ObservationKind, Scope

_GIVEN = re.compile(r"-e\d+$")
"""How the ids end that the lab gives to a campaign's experiments."""
_ANY_BUDGET = BudgetConfig(experiments=1)

Asked = (
    inp.CampaignSubmitted
    | inp.ExperimentAsked
    | inp.PauseAsked
    | inp.ResumeAsked
    | inp.CancelAsked
    | inp.EmergencyStopAsked
    | inp.FaultResolutionAsked
    | inp.CorrectionAsked
    | inp.PositionAsked
    | inp.RestockAsked
)


class OperatorDesk:
    """Follows commands; each either happens or is refused with a sentence.

    Args:
        ledger: of the lab.
        attempts: ends experiments.
    """

    def __init__(self, ledger: Ledger, attempts: AttemptDesk) -> None:
        self._ledger = ledger
        self._state = ledger.state
        self._attempts = attempts
        self._resolutions = ResolutionDesk(ledger, attempts)
        self._corrections = CorrectionDesk(ledger)

    def follow(self, asked: Asked) -> None:
        """Follow a command.

        Raises:
            Refused: it cannot be followed.
        """
        match asked:
            case inp.CampaignSubmitted():
                self._submit_campaign(asked.plan)
            case inp.ExperimentAsked():
                self._submit_experiment(asked)
            case inp.PauseAsked():
                self._check_subject(asked.scope, asked.subject)
                if (asked.scope, asked.subject) not in self._state.paused:
                    self._ledger.emit(
                        ev.Paused(asked.scope, asked.subject, asked.operator, asked.reason)
                    )
            case inp.ResumeAsked():
                if (asked.scope, asked.subject) not in self._state.paused:
                    raise Refused(FaultCode.INVALID_GOAL, self._not_paused(asked))
                self._ledger.emit(
                    ev.Resumed(asked.scope, asked.subject, asked.operator, asked.reason)
                )
            case inp.CancelAsked():
                self._cancel(asked)
            case inp.EmergencyStopAsked():
                self._emergency_stop(asked)
            case inp.FaultResolutionAsked():
                self._resolutions.resolve(asked)
            case inp.CorrectionAsked():
                self._corrections.correct_sample(asked)
            case inp.PositionAsked():
                self._corrections.look_at_position(asked)
            case inp.RestockAsked():
                self._corrections.restock(asked)

    def _submit_campaign(self, plan: CampaignPlan) -> None:
        present = self._state.campaign
        is_new = present is None or present.plan.name != plan.name
        if is_new:
            self._check_moving("campaign")
        if plan.name in self._state.past_campaigns:
            raise Refused(
                FaultCode.CAMPAIGN_INVALID,
                f"The journal holds an earlier campaign {plan.name!r}; choose another name.",
            )
        if is_new and plan.name in self._state.named:
            raise Refused(
                FaultCode.CAMPAIGN_INVALID,
                f"The journal holds an experiment {plan.name!r}; choose another name.",
            )
        if present is None or (not present.running and is_new):
            self._ledger.emit(ev.CampaignStarted(plan))
        elif is_new and not present.plan.planned and present.stopping is None:
            # What was begun for single experiments makes room; they go on as guests.
            self._ledger.emit(ev.CampaignEnded(FaultCode.NONE, f"{plan.name} begins."))
            self._ledger.emit(ev.CampaignStarted(plan))
        elif present.plan.name != plan.name:
            raise Refused(
                FaultCode.CAMPAIGN_RUNNING,
                f"Campaign {present.plan.name!r} is under way; wait for its end or cancel it.",
            )
        elif present.plan.config != plan.config or (
            present.plan.recipe.sha256 != plan.recipe.sha256
        ):
            raise Refused(
                FaultCode.CAMPAIGN_INVALID,
                f"The journal holds campaign {plan.name!r} with another definition; send the same "
                "definition to go on with it, or choose another name.",
            )

    def _submit_experiment(self, asked: inp.ExperimentAsked) -> None:
        if asked.experiment_id and self._is_known(asked):
            return
        campaign = self._ledger.open_campaign()
        if campaign is None:
            campaign = self._begin_for(asked)
        is_ending = campaign.stopping is not None
        is_own = asked.plan is None or (means_the_same(asked.plan, campaign.plan) and not is_ending)
        if is_own and is_ending:
            raise Refused(
                FaultCode.CAMPAIGN_RUNNING, f"Campaign {campaign.plan.name!r} is about to end."
            )
        ordinal = campaign.last_ordinal + 1
        if is_own:
            self._check_settings(campaign.plan, asked.settings)
            name = asked.experiment_id or experiment_name(campaign.plan.name, ordinal)
            plan = None
        else:
            assert asked.plan is not None
            plan = self._named(asked.plan, asked.experiment_id)
            self._check_guest(plan, asked.settings)
            name = plan.name
        self._ledger.emit(
            ev.ExperimentSubmitted(name, asked.settings, ordinal, asked.operator, plan)
        )

    def _is_known(self, asked: inp.ExperimentAsked) -> bool:
        """Whether an experiment of this id was asked for before, and with the same words."""
        name = asked.experiment_id
        known = self._state.experiments.get(name)
        if known is not None:
            if known.suggestion.settings != asked.settings or (
                asked.plan is not None and not means_the_same(asked.plan, known.plan)
            ):
                raise Refused(
                    FaultCode.CAMPAIGN_INVALID,
                    f"{name} was asked for before with other settings; choose another id.",
                )
            return True
        if name in self._state.named:
            raise Refused(
                FaultCode.CAMPAIGN_INVALID,
                f"{name} was run before, in or beside an earlier campaign; choose another id.",
            )
        if _GIVEN.search(name):
            raise Refused(
                FaultCode.CAMPAIGN_INVALID,
                f"{name!r} is kept for experiments that the lab names; choose another id.",
            )
        return False

    def _begin_for(self, asked: inp.ExperimentAsked) -> CampaignRun:
        """Begin a campaign for one experiment alone, where its definition says what that means."""
        if asked.plan is None:
            raise Refused(
                FaultCode.CAMPAIGN_INVALID,
                "No campaign is under way to put it into; send a definition with the settings.",
            )
        self._check_settings(asked.plan, asked.settings)
        self._submit_campaign(self._named(asked.plan, asked.experiment_id))
        return self._ledger.campaign()

    def _named(self, plan: CampaignPlan, name: str) -> CampaignPlan:
        """A plan for one experiment, by that name or (empty) by one that nothing had before."""
        taken = {*self._state.past_campaigns, *self._state.named}
        if self._state.campaign is not None:
            taken.add(self._state.campaign.plan.name)
        free = (f"{plan.name}-x{number:04d}" for number in count(1))
        name = name or next(found for found in free if found not in taken)
        return replace(plan, config=plan.config.model_copy(update={"name": name}), planned=False)

    def _check_guest(self, plan: CampaignPlan, settings: tuple[Setting, ...]) -> None:
        """Whether an experiment can be carried out beside the campaign, and takes nothing from it.

        Raises:
            Refused: it cannot.
        """
        campaign = self._ledger.campaign()
        if plan.name in (*self._state.past_campaigns, campaign.plan.name):
            raise Refused(
                FaultCode.CAMPAIGN_INVALID,
                f"The journal holds a campaign {plan.name!r}; choose another id.",
            )
        self._check_moving("experiment")
        self._check_settings(plan, settings)
        budget = campaign.config.budget.experiments if campaign.plan.planned else 0
        to_come = max(0, budget - self._state.campaign_count())
        if campaign.stopping is not None:
            to_come = 0
        planned = sum(run.state is ExperimentState.PLANNED for run in self._state.in_flight())
        clean = sum(container.clean for container in self._state.containers.values())
        if clean <= planned + to_come:
            raise Refused(
                FaultCode.CONTAINERS_EXHAUSTED,
                f"{clean} clean crucibles are left and {planned + to_come} are needed for what is "
                "planned; put clean ones into the rack and say so (matlab-ros lab restock).",
            )

    def _check_settings(self, plan: CampaignPlan, settings: tuple[Setting, ...]) -> None:
        names = [setting.name for setting in settings]
        expected = [parameter.name for parameter in plan.config.parameters]
        needed = {parameter.name for parameter in plan.config.parameters if not parameter.when}
        if len(set(names)) < len(names) or not needed <= set(names) <= set(expected):
            raise Refused(
                FaultCode.CAMPAIGN_INVALID,
                f"The settings name {', '.join(names) or 'nothing'}; expected each of "
                f"{', '.join(expected)} once.",
            )
        try:
            check_binding(plan, self._ledger.floor.lab, settings)
        except LabError as error:
            raise Refused(FaultCode.CAMPAIGN_INVALID, str(error)) from error

    def _check_moving(self, what: str) -> None:
        """Whether the lab is neither paused nor stopped."""
        if self._state.estopped or (Scope.LAB, "") in self._state.paused:
            why = "stopped" if self._state.estopped else "paused"
            raise Refused(
                FaultCode.INVALID_GOAL,
                f"The lab is {why} and takes no new {what}; look at it, then resume it "
                f"({'matlab-ros lab estop --release, then ' * self._state.estopped}"
                "matlab-ros lab resume).",
            )

    def _check_subject(self, scope: Scope, subject: str) -> None:
        campaign = self._ledger.open_campaign()
        known: tuple[str, ...]
        if scope is Scope.LAB:
            known = ("",)
        elif scope is Scope.CAMPAIGN:
            known = () if campaign is None else (campaign.plan.name,)
        elif scope is Scope.EXPERIMENT:
            known = tuple(run.experiment_id for run in self._state.in_flight())
        else:
            known = tuple(run.sample_id for run in self._state.active())
        ended = self._state.experiments.get(subject)
        if ended is not None and ended.state.is_final:
            raise Refused(
                FaultCode.SAMPLE_UNKNOWN,
                f"{subject} is not under way any more: {ended.state.name.lower()}.",
            )
        if subject not in known:
            raise Refused(
                FaultCode.SAMPLE_UNKNOWN,
                f"No {scope.name.lower()} {subject!r} is under way; "
                f"there are {', '.join(known) or 'none'}.",
            )

    def _not_paused(self, asked: inp.ResumeAsked) -> str:
        """Why something cannot be resumed."""
        if self._state.estopped:
            return (
                "The emergency stop is latched; release it first (matlab-ros lab estop --release)."
            )
        what = f"{asked.scope.name.lower()} {asked.subject}".rstrip()
        others = ", ".join(paused_names(self._state))
        return f"The {what} is not paused; {f'paused: {others}' if others else 'nothing is'}."

    def _cancel(self, asked: inp.CancelAsked) -> None:
        self._check_subject(asked.scope, asked.subject)
        reason = asked.reason or f"cancelled by {asked.operator or 'an operator'}."
        if asked.scope is Scope.LAB:
            if not self._state.is_at_work:
                raise Refused(FaultCode.INVALID_GOAL, "Nothing is under way.")
            self._attempts.stop_all(FaultCode.CANCELED, reason)
            return
        if asked.scope is Scope.CAMPAIGN:
            if self._ledger.campaign().stopping is None:
                self._ledger.emit(ev.CampaignStopping(FaultCode.CANCELED, reason))
            return
        for run in list(self._state.in_flight()):
            if asked.subject in (run.experiment_id, run.sample_id) and run.abort is None:
                self._attempts.abort(
                    run, ExperimentState.CANCELED, ObservationKind.ABANDONED, reason
                )

    def _emergency_stop(self, asked: inp.EmergencyStopAsked) -> None:
        if asked.engage and not self._state.estopped:
            self._ledger.emit(ev.EmergencyStopEngaged(asked.operator, asked.reason))
        elif not asked.engage and self._state.estopped:
            self._ledger.emit(ev.EmergencyStopReleased(asked.operator, asked.reason))
            if (Scope.LAB, "") not in self._state.paused:
                # Releasing the latch must not set anything in motion: somebody resumes the lab.
                self._ledger.emit(
                    ev.Paused(Scope.LAB, "", asked.operator, "after an emergency stop")
                )


def means_the_same(plan: CampaignPlan, other: CampaignPlan) -> bool:
    """Whether settings mean the same to two campaigns; budget, planner and name do not matter."""

    def meaning(item: CampaignPlan) -> CampaignConfig:
        update = {"name": "any", "seed": 0, "budget": _ANY_BUDGET, "planner": PlannerConfig()}
        return item.config.model_copy(update=update)

    return (
        meaning(plan) == meaning(other)
        and plan.recipe.sha256 == other.recipe.sha256
        and plan.mixtures == other.mixtures
    )
