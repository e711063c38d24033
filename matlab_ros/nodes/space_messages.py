"""Between messages and a campaign's file: what experiments may be, and what a furnace shares."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from matlab_ros.model.campaign_config import (
    CampaignConfig,
    CategoricalParameter,
    ContinuousParameter,
    DiscreteParameter,
    IntegerParameter,
    Parameter,
)
from matlab_ros.model.errors import ConfigError
from matlab_ros_interfaces import msg


def space_to(config: CampaignConfig) -> dict[str, Any]:
    """The fields of a CampaignDefinition that say what experiments may be."""
    return {
        "parameters": [_parameter_to(item) for item in config.parameters],
        "mixtures": [
            msg.MixtureSpec(
                components=list(item.components),
                total=item.total,
                most=item.most or 0,
                least=item.least,
            )
            for item in config.mixtures
        ],
        "constraints": list(config.constraints),
        "candidates": [
            msg.CandidateSettings(settings=[_setting_to(*item) for item in row.items()])
            for row in config.candidates
        ],
        "furnace": []
        if config.furnace is None
        else [
            msg.FurnaceSharing(
                shared=list(config.furnace.shared),
                slots=config.furnace.slots,
                run_price=config.furnace.run_price,
            )
        ],
    }


def space_from(message: Any, where: str) -> dict[str, Any]:
    """The same as keys of a campaign's file.

    Args:
        message: CampaignDefinition.
        where: word for it in errors.

    Raises:
        ConfigError: a parameter is of an unknown kind.
    """
    found: dict[str, Any] = {
        "parameters": tuple(_parameter_from(item, where) for item in message.parameters),
        "mixtures": tuple(
            {
                "components": tuple(item.components),
                "total": item.total,
                "most": item.most or None,
                "least": item.least,
            }
            for item in message.mixtures
        ),
        "constraints": tuple(message.constraints),
        "candidates": tuple(
            {one.name: one.choice if math.isnan(one.value) else one.value for one in item.settings}
            for item in message.candidates
        ),
    }
    for item in message.furnace:
        found["furnace"] = {
            "shared": tuple(item.shared),
            "slots": item.slots,
            "run_price": item.run_price,
        }
    return found


def _setting_to(name: str, value: float | str) -> Any:
    if isinstance(value, str):
        return msg.ParameterSetting(name=name, value=math.nan, choice=value)
    return msg.ParameterSetting(name=name, value=float(value))


def _parameter_to(parameter: Parameter) -> Any:
    spec = msg.ParameterSpec
    common = {"name": parameter.name, "when": parameter.when}
    if isinstance(parameter, CategoricalParameter):
        rows = parameter.descriptors
        return spec(
            kind=spec.CATEGORICAL,
            choices=list(parameter.choices),
            descriptors=[x for choice in parameter.choices for x in rows.get(choice, ())],
            **common,
        )
    low, high = float(parameter.low), float(parameter.high)
    if isinstance(parameter, IntegerParameter):
        return spec(kind=spec.INTEGER, low=low, high=high, **common)
    if isinstance(parameter, DiscreteParameter):
        return spec(
            kind=spec.DISCRETE,
            low=low,
            high=high,
            values=list(parameter.values),
            log_scale=parameter.scale == "log",
            **common,
        )
    return spec(
        kind=spec.CONTINUOUS,
        low=low,
        high=high,
        log_scale=parameter.scale == "log",
        step=parameter.step,
        **common,
    )


def _parameter_from(message: Any, where: str) -> Mapping[str, Any]:
    """A parameter as its mapping in a campaign's file."""
    common = {"name": message.name, "when": message.when}
    scale = "log" if message.log_scale else "linear"
    if message.kind == message.CATEGORICAL:
        choices = tuple(message.choices)
        width = len(message.descriptors) // len(choices) if choices else 0
        rows = {
            choice: tuple(message.descriptors[number * width : (number + 1) * width])
            for number, choice in enumerate(choices)
            if width
        }
        return {"kind": "categorical", "choices": choices, "descriptors": rows, **common}
    if message.kind == message.INTEGER:
        bounds = {"low": round(message.low), "high": round(message.high)}
        return {"kind": "integer", **bounds, **common}
    if message.kind == message.DISCRETE:
        return {"kind": "discrete", "values": tuple(message.values), "scale": scale, **common}
    if message.kind != message.CONTINUOUS:
        raise ConfigError(
            where,
            f"parameters.{message.name}.kind",
            f"is {message.kind}",
            "CONTINUOUS (1), INTEGER (2), CATEGORICAL (3) or DISCRETE (4)",
        )
    return ContinuousParameter(
        kind="continuous",
        low=message.low,
        high=message.high,
        scale="log" if message.log_scale else "linear",
        step=message.step,
        **common,
    ).model_dump()
