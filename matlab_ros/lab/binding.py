"""From a recipe's step and an experiment's settings to the numbers of a goal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matlab_ros.lab.experiment_values import CampaignPlan, Setting
from matlab_ros.lab.goals import Dose, HeatProfile, HeatSegment
from matlab_ros.model.campaign_config import CampaignConfig
from matlab_ros.model.errors import LabError
from matlab_ros.model.expressions import Surroundings, evaluate, parameters_in, write
from matlab_ros.model.lab_config import DeviceKind, LabConfig
from matlab_ros.model.recipe import Recipe, Step
from matlab_ros.model.step_arguments import (
    AnalyseArguments,
    CoolArguments,
    DispenseArguments,
    GrindArguments,
    HeatArguments,
    MeasureArguments,
    MixArguments,
    WaitArguments,
    at_round,
    expression_of,
    referenced,
)

Value = float | str
Argument = float | str | tuple[float | str, ...]
"""A number, an expression, or one for each round."""

DOSE_STEP_MG = 0.01
"""Doses are rounded to this."""


class BindingError(LabError):
    """A step's argument has no usable value for this experiment."""


def campaign_constants(config: CampaignConfig, recipe: Recipe) -> dict[str, Value]:
    """Values of names beside the search space: the recipe's defaults and the campaign's own."""
    constants: dict[str, Value] = {
        **recipe.defaults,
        "sample_mass_mg": config.sample_mass_mg,
        "target_phase": config.target.phase,
    }
    if len(config.precursor_sets) == 1:
        constants["precursors"] = config.precursor_sets[0].name
    return constants


def values_of(plan: CampaignPlan, settings: Sequence[Setting]) -> dict[str, Value]:
    """Every name a recipe's steps may refer to, for one experiment."""
    values = campaign_constants(plan.config, plan.recipe)
    for setting in settings:
        values[setting.name] = setting.choice if setting.value is None else setting.value
    return values


def number(argument: Argument, values: Mapping[str, Value], round_: int = 0) -> float:
    """A numeric argument in one round of its loop.

    Raises:
        BindingError: it refers to nothing or to a word, or cannot be computed.
    """
    node = expression_of(at_round(argument, round_))
    for name in parameters_in(node):
        if isinstance(_look_up(f"${name}", values), str):
            raise BindingError(f"${name} is {values[name]!r}; a number is needed there.")
    value = evaluate(node, Surroundings(values.get, lambda _: None, round_))
    if not isinstance(value, float):
        raise BindingError(f"{write(node)} gives no number; it divides by zero or is too large.")
    return value


def text(argument: str, values: Mapping[str, Value]) -> str:
    """A textual argument, or what it refers to.

    Raises:
        BindingError: it refers to nothing, or to a number.
    """
    value = _look_up(argument, values)
    if not isinstance(value, str):
        raise BindingError(f"{argument} is the number {value:g}; a word is needed there.")
    return value


def _look_up(argument: str, values: Mapping[str, Value]) -> Value:
    name = referenced(argument)
    if name is None:
        return argument
    if name not in values:
        raise BindingError(f"${name} has no value; the settings or the campaign must provide it.")
    return values[name]


def doses_of(
    plan: CampaignPlan,
    lab: LabConfig,
    arguments: DispenseArguments,
    values: Mapping[str, Value],
    round_: int = 0,
) -> tuple[Dose, ...]:
    """Doses of a dispense step, in the order of the precursor set.

    Returns:
        Milligrams, rounded to `DOSE_STEP_MG`; tolerances are the dispenser's.

    Raises:
        BindingError: an argument has no value, or the precursor set is unknown.
    """
    name = text(arguments.precursors, values)
    try:
        mixture = plan.mixture(name)
    except KeyError:
        known = ", ".join(item.name for item in plan.mixtures)
        raise BindingError(f"Precursor set {name!r} is unknown; known are {known}.") from None
    total = number(arguments.mass_mg, values, round_)
    doses = []
    for substance, fraction in zip(mixture.substances, mixture.mass_fractions, strict=True):
        mass = round(fraction * total / DOSE_STEP_MG) * DOSE_STEP_MG
        mass = round(mass, 6)
        tolerance = round(mass * lab.dispenser.tolerance_percent / 100.0, 6)
        doses.append(Dose(substance, mass, tolerance))
    return tuple(doses)


def profile_of(
    arguments: HeatArguments, values: Mapping[str, Value], round_: int = 0
) -> HeatProfile:
    """Temperature profile of a heat step in one round of its loop.

    Raises:
        BindingError: an argument has no value.
    """
    return HeatProfile(
        segments=(
            HeatSegment(
                target_c=number(arguments.temperature_c, values, round_),
                ramp_c_per_min=number(arguments.ramp_c_per_min, values, round_),
                dwell_min=round(60.0 * number(arguments.dwell_h, values, round_), 6),
            ),
        ),
        unload_below_c=number(arguments.unload_below_c, values, round_),
        atmosphere=arguments.atmosphere,
    )


def minutes_of(step: Step, values: Mapping[str, Value], round_: int = 0) -> float:
    """How long a step mixes, grinds, waits or cools in one round of its loop.

    Raises:
        BindingError: it has no value, or one below zero.
    """
    arguments = step.arguments
    if isinstance(arguments, DispenseArguments):
        found = number(arguments.mix_min, values, round_)
    else:
        assert isinstance(
            arguments, (MixArguments, GrindArguments, WaitArguments, CoolArguments)
        ), "only such steps have minutes"
        found = number(arguments.minutes, values, round_)
    if found < 0:
        raise BindingError(f"step {step.id!r} would last {found:g} min; 0 or more are needed.")
    return found


def check_binding(plan: CampaignPlan, lab: LabConfig, settings: Sequence[Setting]) -> None:
    """Bind every step in every round once, so that what cannot be done is refused early.

    Raises:
        BindingError: a step's argument has no usable value.
    """
    values = values_of(plan, settings)
    for step in plan.recipe.steps:
        for round_ in range(plan.recipe.graph.rounds(step.id)):
            _check_step(plan, lab, step, values, round_)


def _check_step(
    plan: CampaignPlan, lab: LabConfig, step: Step, values: Mapping[str, Value], round_: int
) -> None:
    arguments = step.arguments
    if isinstance(arguments, DispenseArguments):
        doses_of(plan, lab, arguments, values, round_)
        minutes_of(step, values, round_)
    elif isinstance(arguments, HeatArguments):
        _check_profile(lab, step, profile_of(arguments, values, round_))
    elif isinstance(arguments, MeasureArguments):
        program = text(arguments.program, values)
        if lab.scan_programs and lab.scan_program(program) is None:
            known = ", ".join(scan.name for scan in lab.scan_programs)
            raise BindingError(
                f"step {step.id!r} measures with {program!r}, which no diffractometer of "
                f"{lab.name!r} has; known are {known}."
            )
    elif isinstance(arguments, AnalyseArguments):
        text(arguments.target, values)
    elif isinstance(arguments, (MixArguments, GrindArguments, WaitArguments, CoolArguments)):
        minutes_of(step, values, round_)


def _check_profile(lab: LabConfig, step: Step, profile: HeatProfile) -> None:
    """Some furnace can do it; else the experiment would wait for one for ever."""
    segment = profile.segments[0]
    for furnace in lab.devices_of(DeviceKind.FURNACE):
        limits = furnace.furnace
        if (
            limits is not None
            and limits.min_temperature_c <= segment.target_c <= limits.max_temperature_c
            and 0 < segment.ramp_c_per_min <= limits.max_ramp_c_per_min
            and segment.dwell_min >= 0
        ):
            return
    raise BindingError(
        f"no furnace of lab {lab.name!r} does {segment.target_c:g} C at "
        f"{segment.ramp_c_per_min:g} C/min for {segment.dwell_min:g} min, as "
        f"step {step.id!r} wants."
    )
