"""What a campaign's file says about its objectives, costs and fidelity, and what it learns from."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from matlab_ros.model.yaml_file import Strict

OutcomeName = Annotated[str, Field(pattern=r"^([a-z][a-z0-9_]*|phase:.+)$")]
"""Of something measured: ``furnace_h``, or ``phase:NAME``, the weight fraction of a phase."""

Combination = Literal["pareto", "desirability"]


class ObjectiveConfig(Strict):
    """One outcome that is wanted large, small or at a target, or only within a limit."""

    name: OutcomeName
    direction: Literal["maximize", "minimize", "target", "at_least", "at_most"]
    target: float | None = None
    """With direction target: the value to hit."""
    threshold: float | None = None
    """An experiment beyond it is no success: the least value to maximise, the largest to
    minimise, the largest distance from a target; with at_least and at_most the limit itself."""
    weight: float = Field(default=1.0, gt=0)
    """In the product of desirabilities."""
    worst: float | None = None
    """Where desirability is 0, and stays so beyond; for a target the distance from it."""
    best: float | None = None
    """Where desirability is 1, and stays so beyond."""

    @property
    def is_limit(self) -> bool:
        """Whether it only has to be kept."""
        return self.direction in ("at_least", "at_most")

    @model_validator(mode="after")
    def _is_meant(self) -> ObjectiveConfig:
        for key in ("target", "threshold", "worst", "best"):
            value = getattr(self, key)
            if value is not None and not math.isfinite(value):
                raise ValueError(
                    f"{key} of objective {self.name!r} is {value}; expected a finite number"
                )
        if (self.target is not None) != (self.direction == "target"):
            raise ValueError(
                f"objective {self.name!r} has direction {self.direction} and "
                f"{'no' if self.target is None else 'a'} target; expected a target with direction "
                "target, and only there"
            )
        if self.is_limit and self.threshold is None:
            raise ValueError(
                f"objective {self.name!r} is {self.direction} without a threshold; expected one"
            )
        if self.direction == "target" and self.threshold is not None and self.threshold <= 0:
            raise ValueError(
                f"threshold of objective {self.name!r} is {self.threshold:g}; expected a distance "
                "from its target above 0"
            )
        self._check_desirability()
        return self

    def _check_desirability(self) -> None:
        worst, best = self.worst, self.best
        if self.direction == "target":
            if best is not None or (worst is not None and worst <= 0):
                raise ValueError(
                    f"objective {self.name!r} hits a target; expected only worst, the distance "
                    "above 0 at which it is worth nothing"
                )
            return
        if (worst is None) != (best is None) or (self.is_limit and worst is not None):
            raise ValueError(
                f"objective {self.name!r} has worst {worst} and best {best}; expected both or "
                "neither, and neither for a limit"
            )
        if worst is None or best is None:
            return
        if worst == best or (best > worst) != (self.direction == "maximize"):
            raise ValueError(
                f"objective {self.name!r} is to {self.direction} from worst {worst:g} to best "
                f"{best:g}; expected best on the better side of worst"
            )


class CostsConfig(Strict):
    """What an experiment costs; whatever is left out costs nothing."""

    per_experiment: float = Field(default=0.0, ge=0)
    furnace_per_h: float = Field(default=0.0, ge=0)
    """Of heating, dwelling and cooling, whole furnace."""
    measurement_per_h: float = Field(default=0.0, ge=0)
    powder: bool = True
    """Whether the stock's prices per gram count."""
    cooling: bool = True
    """Whether cost matters less and less until the last experiment, where only worth counts."""

    @model_validator(mode="after")
    def _costs_something(self) -> CostsConfig:
        if not (self.per_experiment or self.furnace_per_h or self.measurement_per_h or self.powder):
            raise ValueError("costs are all 0; expected one above 0, or no key costs")
        return self


class FidelityConfig(Strict):
    """A parameter that says how thoroughly an experiment is done."""

    parameter: str
    target: float | str
    """Its value in what the campaign is after; cheaper values only inform."""
    costs: dict[str, float] = Field(default_factory=dict)
    """Cost at values of the parameter, written as text; between numbers it is interpolated.
    Without them the costs of the recipe count."""

    @model_validator(mode="after")
    def _costs(self) -> FidelityConfig:
        for value, cost in self.costs.items():
            if not (math.isfinite(cost) and cost > 0):
                raise ValueError(f"the cost of {value} is {cost:g}; expected a number above 0")
        return self


def check_objectives(objectives: tuple[ObjectiveConfig, ...], combine: Combination) -> None:
    """Refuse objectives that contradict each other.

    Raises:
        ValueError: in words for the campaign's file.
    """
    if not objectives:
        return
    names = [item.name for item in objectives if not item.is_limit]
    if not names:
        raise ValueError("objectives has limits only; expected one to maximize, minimize or hit")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"objective {twice[0]!r} stands twice; expected unique names")
    for item in objectives:
        if item.is_limit:
            continue
        if combine == "pareto" and item.weight != 1.0:
            raise ValueError(
                f"objective {item.name!r} has a weight, which means nothing on a Pareto front; "
                "expected no weight, or combine: desirability"
            )
        if combine == "desirability" and item.worst is None:
            raise ValueError(
                f"objective {item.name!r} has no worst; with combine: desirability expected "
                "worst and best (or worst alone, for a target)"
            )
