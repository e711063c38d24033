"""Whether a campaign can be carried out in a lab, asked before anything starts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from matlab_ros.chemistry.formula import parse_formula
from matlab_ros.chemistry.stoichiometry import precursor_mass_fractions
from matlab_ros.lab.binding import DOSE_STEP_MG, campaign_constants
from matlab_ros.lab.experiment_values import CampaignPlan, Mixture
from matlab_ros.lab.floor import ACTING_KIND
from matlab_ros.model.campaign_config import (
    CampaignConfig,
    CategoricalParameter,
    ContinuousParameter,
    IntegerParameter,
)
from matlab_ros.model.errors import ConfigError, LabError, UnreachableComposition
from matlab_ros.model.lab_config import DeviceConfig, DeviceKind, LabConfig
from matlab_ros.model.lab_words import StepAction
from matlab_ros.model.recipe import (
    AnalyseArguments,
    DispenseArguments,
    HeatArguments,
    Recipe,
    referenced,
)

_SUM_TOLERANCE = 1e-6


def check_campaign(
    campaign: CampaignConfig,
    lab: LabConfig,
    recipe: Recipe,
    phases: Collection[str],
    file: str | Path,
    mixtures: Sequence[Mixture] = (),
) -> CampaignPlan:
    """Check a campaign against its lab and work out what it needs.

    Args:
        campaign: as its file or message says.
        lab: where it is to run.
        recipe: that the campaign names.
        phases: names in the structure library.
        file: named in errors; where the campaign came from.
        mixtures: shares of the powders where somebody gives them; empty: they follow from the
            target's formula.

    Returns:
        The plan that the engine runs.

    Raises:
        ConfigError: the first thing that cannot be done, by key of the campaign's file.
    """
    checker = _Checker(campaign, lab, recipe, phases, file)
    checker.check_recipe()
    checker.check_devices()
    checker.check_parameters()
    checker.check_phases()
    checked = checker.mixtures(mixtures)
    checker.check_containers()
    checker.check_doses(checked)
    checker.check_heat()
    return CampaignPlan(
        config=campaign,
        recipe=recipe,
        mixtures=checked,
        elements=checker.elements(checked),
        simulated=lab.simulated,
    )


class _Checker:
    """The single checks; each raises the first problem it finds."""

    def __init__(
        self,
        campaign: CampaignConfig,
        lab: LabConfig,
        recipe: Recipe,
        phases: Collection[str],
        file: str | Path,
    ) -> None:
        self._campaign = campaign
        self._lab = lab
        self._recipe = recipe
        self._phases = phases
        self._file = file

    def _error(self, key: str, problem: str, expected: str) -> ConfigError:
        return ConfigError(self._file, key, problem, expected)

    def check_recipe(self) -> None:
        """The recipe is the one that is named, and looks before it judges."""
        if self._campaign.recipe != self._recipe.name:
            raise self._error(
                "recipe", f"is {self._campaign.recipe!r}", f"the recipe {self._recipe.name!r}"
            )
        if not self._recipe.steps_of(StepAction.ANALYSE):
            raise self._error(
                "recipe",
                f"{self._recipe.name!r} has no analyse step, so there is no objective",
                "a recipe with one",
            )
        measured: set[str] = set()
        for step_id in self._recipe.order:
            step = self._recipe.step(step_id)
            if step.action is StepAction.MEASURE or any(name in measured for name in step.needs):
                measured.add(step_id)
            if step.action is StepAction.ANALYSE and step_id not in measured:
                raise self._error(
                    "recipe",
                    f"step {step_id!r} of {self._recipe.name!r} analyses before it measures",
                    "that it needs a measure step",
                )

    def check_devices(self) -> None:
        """The lab has a device for each action, and an arm to carry between them."""
        kinds = [device.kind for device in self._lab.devices]
        for step in self._recipe.steps:
            kind = ACTING_KIND.get(step.action, DeviceKind.ARM)
            if kind not in kinds:
                raise self._error(
                    "recipe",
                    f"step {step.id!r} of {self._recipe.name!r} needs a device of kind "
                    f"{kind.value}, which lab {self._lab.name!r} does not have",
                    "a lab with one",
                )
        if DeviceKind.ARM not in kinds:
            raise self._error("lab", f"{self._lab.name!r} has no arm", "a lab with one")

    def check_parameters(self) -> None:
        """The campaign provides every name of the recipe, of the kind that is needed there."""
        constants = campaign_constants(self._campaign, self._recipe)
        for name in self._recipe.parameters:
            if name not in constants and self._campaign.parameter(name) is None:
                raise self._error(
                    "parameters",
                    f"{name!r}, which recipe {self._recipe.name!r} needs, is missing",
                    f"a parameter of that name beside {', '.join(sorted(constants))}",
                )
        for parameter in self._campaign.parameters:
            if parameter.name not in self._recipe.parameters:
                raise self._error(
                    "parameters",
                    f"{parameter.name!r} changes nothing in recipe {self._recipe.name!r}",
                    f"one of {', '.join(self._recipe.parameters)}",
                )
        words = {"precursors", "program", "target"}
        for step in self._recipe.steps:
            for argument, name in step.references.items():
                found = self._campaign.parameter(name)
                if found is None:
                    is_word = isinstance(constants.get(name), str)
                else:
                    is_word = isinstance(found, CategoricalParameter)
                if is_word != (argument in words):
                    raise self._error(
                        "parameters",
                        f"{name!r} is {'a word' if is_word else 'a number'}",
                        f"{'a word' if argument in words else 'a number'} for {argument} of step "
                        f"{step.id!r}",
                    )

    def check_phases(self) -> None:
        """Every phase that is to be found has a structure."""
        wanted = [("target.phase", self._campaign.target.phase)]
        for step in self._recipe.steps:
            if isinstance(step.arguments, AnalyseArguments):
                name = step.arguments.target
                if referenced(name) is None:
                    wanted.append(("recipe", name))
        for key, name in wanted:
            if name not in self._phases:
                raise self._error(
                    key,
                    f"{name!r} has no CIF in the structure library",
                    _one_of(sorted(self._phases), "the name of a CIF there"),
                )
        for index, item in enumerate(self._campaign.precursor_sets):
            for substance in item.substances:
                stock = self._lab.stock_item(substance)
                structure = stock.structure if stock is not None else None
                if structure is not None and structure not in self._phases:
                    raise self._error(
                        f"precursor_sets.{index}.substances",
                        f"{structure!r}, the structure of {substance}, has no CIF in the "
                        "structure library",
                        "that CIF there, or no structure for the stock item",
                    )

    def mixtures(self, given: Sequence[Mixture]) -> tuple[Mixture, ...]:
        """Shares of the powders of each precursor set."""
        try:
            parse_formula(self._campaign.target.formula)
        except LabError as error:
            raise self._error("target.formula", _sentence(error), "a formula") from error
        by_name = {mixture.name: mixture for mixture in given}
        found = []
        for index, item in enumerate(self._campaign.precursor_sets):
            key = f"precursor_sets.{index}.substances"
            formulas = []
            for substance in item.substances:
                stock = self._lab.stock_item(substance)
                if stock is None:
                    names = [entry.name for entry in self._lab.stock]
                    raise self._error(
                        key,
                        f"{substance!r} is not in the stock of lab {self._lab.name!r}",
                        _one_of(names, "a stocked powder"),
                    )
                formulas.append(stock.formula)
            mixture = by_name.get(item.name)
            if mixture is None:
                try:
                    shares = precursor_mass_fractions(self._campaign.target.formula, formulas)
                except UnreachableComposition as error:
                    raise self._error(
                        key, _sentence(error), "powders that can make the target"
                    ) from error
                except LabError as error:
                    raise self._error(key, _sentence(error), "formulas in the stock") from error
                mixture = Mixture(item.name, item.substances, shares)
            elif (
                mixture.substances != item.substances
                or len(mixture.mass_fractions) != len(item.substances)
                or abs(sum(mixture.mass_fractions) - 1.0) > _SUM_TOLERANCE
            ):
                raise self._error(
                    key, "has mass fractions that do not fit", "one for each, together 1"
                )
            found.append(mixture)
        return tuple(found)

    def check_doses(self, mixtures: Sequence[Mixture]) -> None:
        """The dispenser can weigh every dose, the crucible holds them, the stock lasts."""
        limits = self._lab.dispenser
        names = [item.name for item in self._campaign.precursor_sets]
        needed: dict[str, float] = {}
        for step in self._recipe.steps_of(StepAction.DISPENSE):
            assert isinstance(step.arguments, DispenseArguments)
            low, high, key = self._range(step.arguments.mass_mg)
            if high > self._lab.containers.capacity_mg:
                raise self._error(
                    key,
                    f"{high:g} mg do not fit a crucible of {self._lab.containers.capacity_mg:g} mg",
                    f"at most {self._lab.containers.capacity_mg:g}",
                )
            largest: dict[str, float] = {}
            for mixture in mixtures:
                for substance, share in zip(
                    mixture.substances, mixture.mass_fractions, strict=True
                ):
                    key = f"precursor_sets.{names.index(mixture.name)}"
                    if share * low < limits.min_dose_mg - DOSE_STEP_MG:
                        raise self._error(
                            key,
                            f"needs {share * low:.2f} mg of {substance}, less than the dispenser "
                            "can weigh",
                            f"at least {limits.min_dose_mg:g} mg: a larger sample_mass_mg",
                        )
                    if share * high > limits.max_dose_mg:
                        raise self._error(
                            key,
                            f"needs {share * high:.2f} mg of {substance}, more than the dispenser "
                            "gives at once",
                            f"at most {limits.max_dose_mg:g} mg: a smaller sample_mass_mg",
                        )
                    largest[substance] = max(largest.get(substance, 0.0), share * high)
            for substance, mass in largest.items():
                needed[substance] = needed.get(substance, 0.0) + mass
        for substance, mass in needed.items():
            stock = self._lab.stock_item(substance)
            assert stock is not None
            total_g = mass * self._campaign.budget.experiments / 1000.0
            if total_g > stock.mass_g:
                raise self._error(
                    "budget.experiments",
                    f"{self._campaign.budget.experiments} experiments may need {total_g:.1f} g of "
                    f"{substance} and {stock.mass_g:g} g are in stock",
                    "fewer experiments, a smaller sample_mass_mg, or more stock",
                )

    def check_heat(self) -> None:
        """Some furnace can do each heat step at both ends of its ranges."""
        furnaces = self._lab.devices_of(DeviceKind.FURNACE)
        for step in self._recipe.steps_of(StepAction.HEAT):
            assert isinstance(step.arguments, HeatArguments)
            low, high, key = self._range(step.arguments.temperature_c)
            for value in (low, high):
                if not any(_allows(furnace, value) for furnace in furnaces):
                    raise self._error(
                        key,
                        f"{value:g} C is outside of what the furnaces of lab {self._lab.name!r} do",
                        _furnace_ranges(furnaces),
                    )
            _, ramp, key = self._range(step.arguments.ramp_c_per_min)
            able = [item for item in furnaces if _allows(item, low) and _allows(item, high)]
            if not able:
                raise self._error(
                    key,
                    f"no single furnace of lab {self._lab.name!r} does {low:g} C and {high:g} C",
                    _furnace_ranges(furnaces),
                )
            fastest = max(item.furnace.max_ramp_c_per_min for item in able if item.furnace)
            if not 0 < ramp <= fastest:
                raise self._error(
                    key,
                    f"the ramp {ramp:g} C/min of step {step.id!r} is more than the furnaces do",
                    f"more than 0 and at most {fastest:g}",
                )
            dwell, _, key = self._range(step.arguments.dwell_h)
            if dwell < 0:
                raise self._error(key, f"the dwell {dwell:g} h is negative", "0 or more")

    def check_containers(self) -> None:
        """Every experiment gets a crucible of its own."""
        count, experiments = self._lab.containers.count, self._campaign.budget.experiments
        if count < experiments:
            raise self._error(
                "budget.experiments",
                f"{experiments} experiments need as many crucibles and lab {self._lab.name!r} "
                f"has {count}",
                f"at most {count}",
            )

    def elements(self, mixtures: Sequence[Mixture]) -> tuple[str, ...]:
        """Elements that may be in a crucible: of powders, target, and oxygen of the air."""
        found = {"O"} | parse_formula(self._campaign.target.formula).elements
        for mixture in mixtures:
            for substance in mixture.substances:
                stock = self._lab.stock_item(substance)
                assert stock is not None
                found |= parse_formula(stock.formula).elements
        return tuple(sorted(found))

    def _range(self, argument: float | str) -> tuple[float, float, str]:
        """Lowest and highest value of a numeric argument, and the key that says so."""
        name = referenced(argument)
        if name is None:
            assert isinstance(argument, float)
            return argument, argument, "recipe"
        for index, parameter in enumerate(self._campaign.parameters):
            if parameter.name == name:
                assert isinstance(parameter, (ContinuousParameter, IntegerParameter))
                return float(parameter.low), float(parameter.high), f"parameters.{index}"
        value = campaign_constants(self._campaign, self._recipe)[name]
        assert isinstance(value, float)
        return value, value, name


def _allows(furnace: DeviceConfig, temperature_c: float) -> bool:
    limits = furnace.furnace
    return (
        limits is not None and limits.min_temperature_c <= temperature_c <= limits.max_temperature_c
    )


def _furnace_ranges(furnaces: Sequence[DeviceConfig]) -> str:
    """What each furnace does, in words."""
    return ", ".join(
        f"{item.furnace.min_temperature_c:g} to {item.furnace.max_temperature_c:g} C ({item.name})"
        for item in furnaces
        if item.furnace is not None
    )


def _sentence(error: Exception) -> str:
    return str(error).rstrip(".")


def _one_of(names: Sequence[str], otherwise: str) -> str:
    """The names that would do, as long as a person can read them."""
    return f"one of {', '.join(names)}" if 0 < len(names) <= 20 else otherwise
