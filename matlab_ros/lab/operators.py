"""What people and clients may ask of the lab, and when it is refused."""

from __future__ import annotations

from matlab_ros.lab import events as ev
from matlab_ros.lab import inputs as inp
from matlab_ros.lab.attempts import AttemptDesk
from matlab_ros.lab.binding import check_binding
from matlab_ros.lab.experiment_values import CampaignPlan
from matlab_ros.lab.ledger import Ledger
from matlab_ros.lab.state import experiment_name
from matlab_ros.model.errors import LabError
from matlab_ros.model.faults import FaultCode
from matlab_ros.model.lab_words import ExperimentState, ObservationKind, Scope

Asked = (
    inp.CampaignSubmitted
    | inp.ExperimentAsked
    | inp.PauseAsked
    | inp.ResumeAsked
    | inp.CancelAsked
    | inp.EmergencyStopAsked
    | inp.CorrectionAsked
)


class Refused(LabError):
    """A command cannot be followed; nothing was changed.

    Attributes:
        code: what for a program.
    """

    def __init__(self, code: FaultCode, message: str) -> None:
        self.code = code
        super().__init__(message)


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
                self._ledger.emit(
                    ev.Paused(asked.scope, asked.subject, asked.operator, asked.reason)
                )
            case inp.ResumeAsked():
                if (asked.scope, asked.subject) not in self._state.paused:
                    raise Refused(FaultCode.INVALID_GOAL, "That is not paused; nothing to resume.")
                self._ledger.emit(
                    ev.Resumed(asked.scope, asked.subject, asked.operator, asked.reason)
                )
            case inp.CancelAsked():
                self._cancel(asked)
            case inp.EmergencyStopAsked():
                self._emergency_stop(asked)
            case inp.CorrectionAsked():
                self._correct(asked)

    def _submit_campaign(self, plan: CampaignPlan) -> None:
        present = self._state.campaign
        if plan.name in self._state.past_campaigns:
            raise Refused(
                FaultCode.CAMPAIGN_INVALID,
                f"The journal holds an earlier campaign {plan.name!r}; choose another name.",
            )
        if present is None or (not present.running and present.plan.name != plan.name):
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
        campaign = self._ledger.open_campaign()
        if campaign is None or campaign.stopping is not None:
            raise Refused(FaultCode.CAMPAIGN_INVALID, "No campaign is under way to put it into.")
        names = [setting.name for setting in asked.settings]
        expected = [parameter.name for parameter in campaign.config.parameters]
        if sorted(names) != sorted(expected):
            raise Refused(
                FaultCode.CAMPAIGN_INVALID,
                f"The settings name {', '.join(names) or 'nothing'}; expected each of "
                f"{', '.join(expected)} once.",
            )
        try:
            check_binding(campaign.plan, self._ledger.floor.lab, asked.settings)
        except LabError as error:
            raise Refused(FaultCode.CAMPAIGN_INVALID, str(error)) from error
        name = experiment_name(campaign.plan.name, campaign.last_ordinal + 1)
        self._ledger.emit(ev.ExperimentSubmitted(name, asked.settings))

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
        if subject not in known:
            raise Refused(
                FaultCode.SAMPLE_UNKNOWN,
                f"No {scope.name.lower()} {subject!r} is under way; "
                f"there are {', '.join(known) or 'none'}.",
            )

    def _cancel(self, asked: inp.CancelAsked) -> None:
        self._check_subject(asked.scope, asked.subject)
        reason = asked.reason or f"cancelled by {asked.operator or 'an operator'}."
        if asked.scope in (Scope.LAB, Scope.CAMPAIGN):
            campaign = self._ledger.open_campaign()
            if campaign is None:
                raise Refused(FaultCode.INVALID_GOAL, "No campaign is under way.")
            if campaign.stopping is None:
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

    def _correct(self, asked: inp.CorrectionAsked) -> None:
        sample = self._state.samples.get(asked.sample_id)
        if sample is None:
            raise Refused(FaultCode.SAMPLE_UNKNOWN, f"No sample {asked.sample_id!r} is known.")
        if asked.position and asked.position not in self._state.positions:
            raise Refused(FaultCode.INVALID_GOAL, f"There is no position {asked.position!r}.")
        occupant = self._state.occupant(asked.position) if asked.position else None
        if occupant is not None and occupant.container_id != sample.container_id:
            raise Refused(
                FaultCode.INVALID_GOAL,
                f"{asked.position} holds {occupant.container_id}; say first where that one is.",
            )
        for attempt in self._state.attempts.values():
            if asked.sample_id in attempt.goal.sample_ids:
                raise Refused(
                    FaultCode.DEVICE_BUSY,
                    f"{asked.sample_id} is in {attempt.attempt_id}; wait for its end.",
                )
        if asked.position and self._state.reserved_by(asked.position):
            raise Refused(
                FaultCode.INVALID_GOAL,
                f"{self._state.reserved_by(asked.position)} is on its way to {asked.position}.",
            )
        self._ledger.emit(
            ev.SampleCorrected(
                asked.sample_id, asked.position, asked.state, asked.operator, asked.remark
            )
        )
