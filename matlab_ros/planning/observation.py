"""What goes into a campaign and what comes out: observations, pending experiments, suggestions."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from matlab_ros.chemistry.outcomes import SeenPhase
from matlab_ros.model.errors import PlanningError
from matlab_ros.planning.settings import Settings


class ObservationStatus(str, Enum):
    """What an experiment taught. Mirrors the constants of `Observation.msg`."""

    MEASURED = "measured"
    """The objective holds a value."""
    INFEASIBLE = "infeasible"
    """The chemistry did not work: known about feasibility, no value."""
    ABANDONED = "abandoned"
    """Ended without a result through no fault of the recipe: not for the model."""


@dataclass(frozen=True)
class Measured:
    """A value and its standard uncertainty, NaN where unknown."""

    value: float
    sigma: float = math.nan


@dataclass(frozen=True)
class Observation:
    """How an experiment ended.

    Attributes:
        experiment_id: never reused.
        settings: as carried out: measured where a measurement exists.
        status: what it taught.
        objective: its value; NaN unless measured.
        sigma: standard uncertainty of the value; NaN where unknown.
        requested: the settings as suggested, where they are known to differ from `settings`: a
            finite space never repeats them, however far off the furnace was.
        simulated: whether it comes from emulated instruments.
        outcomes: everything that was measured, by name; campaigns of several objectives and with
            thresholds choose among them.
        phases: identified in the product, with their formulas; empty where nobody looked.
    """

    experiment_id: str
    settings: Settings
    status: ObservationStatus
    objective: float = math.nan
    sigma: float = math.nan
    requested: Settings | None = None
    simulated: bool = False
    outcomes: Mapping[str, Measured] = field(default_factory=dict, hash=False)
    phases: tuple[SeenPhase, ...] = ()

    def __post_init__(self) -> None:
        if not self.experiment_id:
            raise PlanningError("An observation has no experiment id; expected one.")
        if self.sigma < 0:
            raise PlanningError(
                f"Observation {self.experiment_id!r} has the uncertainty {self.sigma:g}; "
                "expected 0 or more, or NaN where it is unknown."
            )

    @property
    def has_value(self) -> bool:
        """Whether a model can learn a value from it; a measured NaN or infinity has none."""
        return self.status is ObservationStatus.MEASURED and math.isfinite(self.objective)

    def canonical(self) -> str:
        """One line of text that two equal observations share, NaN included."""
        return json.dumps(observation_fields(self), sort_keys=True)


@dataclass(frozen=True)
class Pending:
    """An experiment in flight.

    Attributes:
        experiment_id: of it.
        settings: as suggested.
        unfired: its furnace run has not begun, so that others can join it.
    """

    experiment_id: str
    settings: Settings
    unfired: bool = False


@dataclass(frozen=True)
class Provenance:
    """What a suggestion rests on, enough to compute it again.

    Attributes:
        model: what it came from, for people.
        observations: how many were known.
        data_sha256: of these observations, sorted by experiment id.
        seed: from which everything random in it was drawn.
        software: versions of the packages that computed it.
        plan_sha256: of the campaign's plan: space, objectives, method, options and seed.
    """

    model: str
    observations: int
    data_sha256: str
    seed: int
    software: str
    plan_sha256: str


@dataclass(frozen=True)
class Suggestion:
    """One proposed experiment.

    Attributes:
        settings: inside the space, rounded as it says.
        predicted_mean: of the objective, in its own unit and direction; NaN without a model.
        predicted_sigma: standard deviation of what the experiment would give; NaN likewise.
        acquisition_value: NaN where none was computed.
        method: how it was chosen: "random", "sobol", "ensemble UCB".
        provenance: what it rests on.
    """

    settings: Settings
    predicted_mean: float
    predicted_sigma: float
    acquisition_value: float
    method: str
    provenance: Provenance


def observation_fields(observation: Observation) -> dict[str, object]:
    """An observation as plain values; NaN becomes None, because JSON has no NaN."""
    fields: dict[str, object] = {
        "experiment_id": observation.experiment_id,
        "settings": dict(observation.settings),
        "status": observation.status.value,
        "objective": _plain(observation.objective),
        "sigma": _plain(observation.sigma),
        "requested": None if observation.requested is None else dict(observation.requested),
        "simulated": observation.simulated,
    }
    if observation.outcomes:
        fields["outcomes"] = {
            name: [_plain(item.value), _plain(item.sigma)]
            for name, item in sorted(observation.outcomes.items())
        }
    if observation.phases:
        fields["phases"] = [[item.formula, item.weight_fraction] for item in observation.phases]
    return fields


def data_sha256(observations: Iterable[Observation]) -> str:
    """Hash of observations, whatever their order."""
    ordered = sorted(observations, key=lambda item: item.experiment_id)
    text = "\n".join(item.canonical() for item in ordered)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: float) -> float | str | None:
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else str(value)
