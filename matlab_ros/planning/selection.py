"""What a campaign asks for beside the default: objectives, acquisition, model, costs, fidelity."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from matlab_ros.model.errors import PlanningError
from matlab_ros.planning.costs import CostModel, Fidelity
from matlab_ros.planning.objectives import Goal, Objectives
from matlab_ros.planning.observation import Observation


class AcquisitionName(str, Enum):
    """How the worth of an experiment is measured."""

    AUTO = "auto"
    """qLogNEI, or qLogNEHVI for a Pareto front."""
    LOGEI = "logei"
    QLOGNEI = "qlognei"
    QLOGNEHVI = "qlognehvi"
    UCB = "ucb"
    THOMPSON = "thompson"
    KNOWLEDGE_GRADIENT = "knowledge_gradient"
    UNCERTAINTY = "uncertainty"
    """Learn: where the model knows least."""
    INTEGRATED_VARIANCE = "integrated_variance"
    """Learn: what lowers the model's mean variance over the whole space most."""
    PHASE_BOUNDARY = "phase_boundary"
    """Learn: what tells most about where the threshold of the first objective is met."""

    @property
    def is_learning(self) -> bool:
        """Whether it looks for knowledge instead of a best experiment."""
        return self in (
            AcquisitionName.UNCERTAINTY,
            AcquisitionName.INTEGRATED_VARIANCE,
            AcquisitionName.PHASE_BOUNDARY,
        )


class ModelName(str, Enum):
    """What predicts an outcome."""

    AUTO = "auto"
    """Multi-task where there are earlier campaigns, SAAS in many dimensions, else a process."""
    GP = "gp"
    SAAS = "saas"
    MULTI_TASK = "multi_task"


@dataclass(frozen=True)
class EarlierCampaign:
    """Experiments of another campaign over the same parameters.

    Attributes:
        name: of the campaign.
        observations: its experiments; real or simulated, whatever the present campaign is.
    """

    name: str
    observations: tuple[Observation, ...]

    @property
    def simulated(self) -> bool:
        """Whether any of it comes from emulated instruments."""
        return any(item.simulated for item in self.observations)


@dataclass(frozen=True)
class Selection:
    """What a campaign asks for; nothing asked for is the default planner.

    Attributes:
        objectives: None: the campaign's main outcome, in its direction.
        acquisition: by name.
        kappa: of UCB: how many standard deviations of hope.
        model: by name.
        earlier: campaigns to learn from, through the multi-task model and nothing else.
        costs: None: experiments cost the same.
        budget: experiments of the campaign, over which cost cools; 0: unknown, no cooling.
        fidelity: None: all experiments are equally thorough.

    Raises:
        PlanningError: they contradict each other.
    """

    objectives: Objectives | None = None
    acquisition: AcquisitionName = AcquisitionName.AUTO
    kappa: float = 2.0
    model: ModelName = ModelName.AUTO
    earlier: tuple[EarlierCampaign, ...] = ()
    costs: CostModel | None = None
    budget: int = 0
    fidelity: Fidelity | None = None

    def __post_init__(self) -> None:
        if not self.kappa > 0:
            raise PlanningError(f"UCB has kappa {self.kappa:g}; expected a number above 0.")
        if (self.model is ModelName.MULTI_TASK) and not self.earlier:
            raise PlanningError(
                "The model is multi_task and there is no earlier campaign; expected one to learn "
                "from."
            )
        if self.earlier and self.model not in (ModelName.AUTO, ModelName.MULTI_TASK):
            raise PlanningError(
                f"Earlier campaigns are learned from through the multi-task model only; expected "
                f"model multi_task or auto, not {self.model.value}."
            )
        names = [item.name for item in self.earlier]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise PlanningError(f"Campaign {twice[0]!r} is learned from twice; expected it once.")
        self._check_acquisition()

    def _check_acquisition(self) -> None:
        goals = () if self.objectives is None else self.objectives.goals
        is_pareto = self.objectives is not None and self.objectives.is_pareto
        if self.acquisition is AcquisitionName.QLOGNEHVI and not is_pareto:
            raise PlanningError(
                "The acquisition is qlognehvi and there is one goal; expected several on a "
                "Pareto front, or another acquisition."
            )
        if is_pareto and self.acquisition not in (
            AcquisitionName.AUTO,
            AcquisitionName.QLOGNEHVI,
            AcquisitionName.UNCERTAINTY,
            AcquisitionName.INTEGRATED_VARIANCE,
        ):
            raise PlanningError(
                f"The acquisition {self.acquisition.value} ranks by one number and there are "
                f"{len(goals)} goals; expected combine: desirability, or the acquisition "
                "qlognehvi."
            )
        if self.acquisition is AcquisitionName.PHASE_BOUNDARY and not (
            goals and goals[0].has_threshold
        ):
            raise PlanningError(
                "The acquisition phase_boundary needs to know from where on a phase has formed; "
                "expected a threshold of the first objective."
            )
        if self.fidelity is not None and self.acquisition not in (
            AcquisitionName.AUTO,
            AcquisitionName.KNOWLEDGE_GRADIENT,
        ):
            raise PlanningError(
                f"The acquisition {self.acquisition.value} knows nothing of fidelities; expected "
                "knowledge_gradient or auto."
            )
        if self.acquisition is AcquisitionName.KNOWLEDGE_GRADIENT or self.fidelity is not None:
            self._check_gradient()
        if self.fidelity is not None and is_pareto:
            raise PlanningError("There is a fidelity and a Pareto front; expected one of them.")

    def _check_gradient(self) -> None:
        if self.objectives is None or self.objectives.is_pareto:
            return
        is_plain = self.objectives.goals[0].goal in (Goal.MAXIMIZE, Goal.MINIMIZE)
        if self.objectives.combine == "desirability" or not is_plain:
            raise PlanningError(
                "The knowledge gradient, and so a fidelity, needs one goal to maximise or "
                "minimise; expected that, or another acquisition."
            )

    @property
    def is_default(self) -> bool:
        """Whether nothing was asked for."""
        return self == Selection()
