"""Between messages and values: objectives, costs, fidelity, and what an experiment gave."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from matlab_ros.lab.experiment_values import CampaignPlan, NamedOutcome
from matlab_ros.model.campaign_config import CampaignConfig, CategoricalParameter
from matlab_ros.model.errors import ConfigError
from matlab_ros.model.objective_config import FidelityConfig
from matlab_ros.nodes.analysis_messages import scan_program_to
from matlab_ros_interfaces import msg

_GOALS: Mapping[str, int] = {
    "maximize": msg.Objective.MAXIMIZE,
    "minimize": msg.Objective.MINIMIZE,
    "target": msg.Objective.TARGET,
    "at_least": msg.Objective.AT_LEAST,
    "at_most": msg.Objective.AT_MOST,
}


def wanted_to(plan: CampaignPlan) -> dict[str, Any]:
    """The fields of a CampaignDefinition that say what is wanted and what it costs."""
    config = plan.config
    return {
        "objectives": [
            msg.Objective(
                name=item.name,
                goal=_GOALS[item.direction],
                target=_nan(item.target),
                threshold=_nan(item.threshold),
                weight=item.weight,
                worst=_nan(item.worst),
                best=_nan(item.best),
            )
            for item in config.objectives
        ],
        "desirability": config.combine == "desirability",
        "costs": []
        if config.costs is None
        else [
            msg.ExperimentCosts(
                per_experiment=config.costs.per_experiment,
                furnace_per_h=config.costs.furnace_per_h,
                measurement_per_h=config.costs.measurement_per_h,
                powder=config.costs.powder,
                cooling=config.costs.cooling,
                scans=[scan_program_to(item) for item in plan.scans],
            )
        ],
        "fidelity": [] if config.fidelity is None else [_fidelity_to(config, config.fidelity)],
        "learn_from": list(config.learn_from),
    }


def wanted_from(message: Any, where: str) -> dict[str, Any]:
    """The same as keys of a campaign's file; what is not wanted is left out.

    Raises:
        ConfigError: a goal is none of the known ones, or something stands twice.
    """
    found: dict[str, Any] = {}
    if len(message.objectives):
        found["objectives"] = tuple(
            _objective_from(item, where, number) for number, item in enumerate(message.objectives)
        )
    if message.desirability:
        found["combine"] = "desirability"
    for key, items in (("costs", message.costs), ("fidelity", message.fidelity)):
        if len(items) > 1:
            raise ConfigError(where, key, f"stands {len(items)} times", "none or one")
    if len(message.costs):
        costs = message.costs[0]
        found["costs"] = {
            "per_experiment": costs.per_experiment,
            "furnace_per_h": costs.furnace_per_h,
            "measurement_per_h": costs.measurement_per_h,
            "powder": costs.powder,
            "cooling": costs.cooling,
        }
    if len(message.fidelity):
        found["fidelity"] = _fidelity_from(message.fidelity[0], where)
    if len(message.learn_from):
        found["learn_from"] = tuple(message.learn_from)
    return found


def outcomes_to(outcomes: Sequence[NamedOutcome]) -> list[Any]:
    """The messages of what an experiment gave."""
    return [
        msg.NamedOutcome(name=item.name, value=item.value, sigma=_nan(item.sigma))
        for item in outcomes
    ]


def outcomes_from(messages: Iterable[Any]) -> tuple[NamedOutcome, ...]:
    """What `outcomes_to` wrote."""
    return tuple(
        NamedOutcome(item.name, item.value, item.sigma if math.isfinite(item.sigma) else None)
        for item in messages
    )


def _objective_from(message: Any, where: str, number: int) -> dict[str, Any]:
    words = {value: name for name, value in _GOALS.items()}
    if message.goal not in words:
        raise ConfigError(
            where, f"objectives.{number}.goal", f"is {message.goal}", "MAXIMIZE (1) to AT_MOST (5)"
        )
    optional = {
        key: value
        for key in ("target", "threshold", "worst", "best")
        if not math.isnan(value := getattr(message, key))
    }
    # 0 is what nobody set.
    weight = {"weight": message.weight} if message.weight else {}
    return {"name": message.name, "direction": words[message.goal], **optional, **weight}


def _fidelity_to(config: CampaignConfig, fidelity: FidelityConfig) -> Any:
    is_word = isinstance(config.parameter(fidelity.parameter), CategoricalParameter)

    def setting(value: float | str) -> Any:
        if is_word:
            return msg.ParameterSetting(name=fidelity.parameter, value=math.nan, choice=str(value))
        return msg.ParameterSetting(name=fidelity.parameter, value=float(value))

    return msg.Fidelity(
        target=setting(fidelity.target),
        points=[setting(value) for value in fidelity.costs],
        costs=list(fidelity.costs.values()),
    )


def _fidelity_from(message: Any, where: str) -> dict[str, Any]:
    if len(message.points) != len(message.costs):
        raise ConfigError(
            where,
            "fidelity.costs",
            f"are {len(message.costs)} for {len(message.points)} values",
            "one for each",
        )
    return {
        "parameter": message.target.name,
        "target": _value(message.target),
        "costs": {
            _text(_value(point)): float(cost)
            for point, cost in zip(message.points, message.costs, strict=True)
        },
    }


def _text(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.12g}"


def _value(setting: Any) -> float | str:
    return str(setting.choice) if math.isnan(setting.value) else float(setting.value)


def _nan(value: float | None) -> float:
    return math.nan if value is None else value
