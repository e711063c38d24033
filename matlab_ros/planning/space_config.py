"""From a campaign's file to its search space."""

from __future__ import annotations

from collections.abc import Sequence

from matlab_ros.model.campaign_config import (
    CampaignConfig,
    CategoricalParameter,
    ContinuousParameter,
    DiscreteParameter,
    IntegerParameter,
    Parameter,
    PrecursorSetConfig,
)
from matlab_ros.planning.constraints import Constraint
from matlab_ros.planning.dimensions import (
    CategoricalDimension,
    ContinuousDimension,
    Dimension,
    DiscreteDimension,
    IntegerDimension,
)
from matlab_ros.planning.furnace_rules import FurnaceRules
from matlab_ros.planning.mixture import Mixture
from matlab_ros.planning.settings import Settings
from matlab_ros.planning.space import SearchSpace


def space_of(config: CampaignConfig) -> SearchSpace:
    """The search space of a campaign's file.

    The choices of a parameter named ``precursors`` are described by the substances in them, so
    that what is learned of one set is learned of all that share a powder with it.

    Raises:
        PlanningError: the parameters contradict themselves.
    """
    return SearchSpace(
        tuple(_dimension(item, config.precursor_sets) for item in config.parameters),
        tuple(Constraint(text) for text in config.constraints),
        tuple(
            Mixture(item.components, item.total, item.most, item.least) for item in config.mixtures
        ),
        tuple(Settings(row) for row in config.candidates),
    )


def furnace_of(config: CampaignConfig) -> FurnaceRules | None:
    """What samples of a furnace run share, None where the campaign does not say.

    Raises:
        PlanningError: the numbers contradict themselves.
    """
    if config.furnace is None:
        return None
    return FurnaceRules(config.furnace.shared, config.furnace.slots, config.furnace.run_price)


def _dimension(parameter: Parameter, sets: tuple[PrecursorSetConfig, ...]) -> Dimension:
    name, when = parameter.name, parameter.when
    if isinstance(parameter, ContinuousParameter):
        is_log = parameter.scale == "log"
        return ContinuousDimension(
            name, parameter.low, parameter.high, is_log, parameter.step, when
        )
    if isinstance(parameter, IntegerParameter):
        return IntegerDimension(name, parameter.low, parameter.high, when)
    if isinstance(parameter, DiscreteParameter):
        return DiscreteDimension(name, parameter.values, parameter.scale == "log", when)
    return _categorical(parameter, sets)


def _categorical(
    parameter: CategoricalParameter, sets: tuple[PrecursorSetConfig, ...]
) -> CategoricalDimension:
    contents = {item.name: item.substances for item in sets}
    rows: tuple[tuple[float, ...], ...] = ()
    if parameter.descriptors:
        rows = tuple(parameter.descriptors[choice] for choice in parameter.choices)
    elif parameter.name == "precursors" and all(item in contents for item in parameter.choices):
        rows = substance_descriptors([contents[choice] for choice in parameter.choices])
    return CategoricalDimension(parameter.name, parameter.choices, rows, parameter.when)


def substance_descriptors(sets: Sequence[Sequence[str]]) -> tuple[tuple[float, ...], ...]:
    """Which substances each set contains: 1 or 0 for every substance, in alphabetical order.

    Returns:
        One row per set; empty where two different sets contain the same substances, because
        then the substances do not tell the sets apart.
    """
    if len({frozenset(item) for item in sets}) != len(sets):
        return ()
    substances = sorted({substance for item in sets for substance in item})
    return tuple(tuple(float(name in item) for name in substances) for item in sets)
