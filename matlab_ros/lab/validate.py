"""Whether a campaign can be carried out in a lab, asked before anything starts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from matlab_ros.chemistry.formula import parse_formula
from matlab_ros.chemistry.stoichiometry import precursor_mass_fractions
from matlab_ros.lab.binding import DOSE_STEP_MG, campaign_constants
from matlab_ros.lab.experiment_values import CampaignPlan, Mixture
from matlab_ros.lab.recipe_limits import Bounded, RecipeLimits, missing_in_lab
from matlab_ros.model.campaign_config import (
    CampaignConfig,
    CategoricalParameter,
    ContinuousParameter,
    DiscreteParameter,
    IntegerParameter,
)
from matlab_ros.model.errors import ConfigError, LabError, UnreachableComposition
from matlab_ros.model.expressions import Kind, parameters_in
from matlab_ros.model.lab_config import LabConfig, StationKind
from matlab_ros.model.lab_words import StepAction
from matlab_ros.model.recipe import Recipe
from matlab_ros.model.step_arguments import AnalyseArguments, referenced

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
    checker.check_conditions()
    checker.check_furnace()
    checker.check_phases()
    checked = checker.mixtures(mixtures)
    checker.check_containers()
    checker.check_doses(checked)
    checker.check_limits()
    return CampaignPlan(
        config=campaign,
        recipe=recipe,
        mixtures=checked,
        elements=checker.elements(checked),
        simulated=lab.simulated,
        scans=lab.scan_programs if campaign.costs is not None else (),
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
        self._limits = RecipeLimits(recipe, lab, self._range, self._key)

    def _error(self, key: str, problem: str, expected: str) -> ConfigError:
        return ConfigError(self._file, key, problem, expected)

    def check_recipe(self) -> None:
        """The recipe is the one that is named, and has an objective."""
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

    def check_devices(self) -> None:
        """The lab has a device for each action, an arm, and every place that a step names."""
        problem = missing_in_lab(self._recipe, self._lab)
        if problem is not None:
            raise self._error("recipe", problem.problem, problem.expected)

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
        for name, kind in self._recipe.kinds.items():
            found = self._campaign.parameter(name)
            if found is None:
                is_word = isinstance(constants.get(name), str)
            else:
                is_word = isinstance(found, CategoricalParameter)
            if is_word != (kind is Kind.WORD):
                users = ", ".join(self._users(name))
                raise self._error(
                    "parameters",
                    f"{name!r} is {'a word' if is_word else 'a number'}",
                    f"{kind.value} for {users}",
                )

    def check_conditions(self) -> None:
        """Parameters that do not always exist have defaults in the recipe."""
        for index, parameter in enumerate(self._campaign.parameters):
            if parameter.when and parameter.name not in self._recipe.defaults:
                raise self._error(
                    f"parameters.{index}.when",
                    f"{parameter.name!r} has no value where {parameter.when} does not hold",
                    f"a default of {parameter.name!r} in recipe {self._recipe.name!r}",
                )

    def check_furnace(self) -> None:
        """Samples that the planner places into one run are alike to the furnace, and fit."""
        furnace = self._campaign.furnace
        if furnace is None:
            return
        for step in self._recipe.steps_of(StepAction.HEAT):
            nodes = (node for several in step.arguments.numbers.values() for node in several)
            for name in {name for node in nodes for name in parameters_in(node)}:
                if self._campaign.parameter(name) is not None and name not in furnace.shared:
                    raise self._error(
                        "furnace.shared",
                        f"{name!r}, which step {step.id!r} heats by, is missing",
                        "every parameter that a heat step depends on, because only samples with "
                        "equal ones are fired together",
                    )
        largest = max(
            (
                station.grid.count
                for station in self._lab.stations
                if station.kind is StationKind.FURNACE
            ),
            default=0,
        )
        if furnace.slots > largest:
            raise self._error(
                "furnace.slots",
                f"{furnace.slots} crucibles do not fit into the largest furnace of lab "
                f"{self._lab.name!r}",
                f"at most {largest}",
            )

    def _users(self, name: str) -> list[str]:
        """Where a parameter is used, in words."""
        found = []
        for step in self._recipe.steps:
            for argument, text in step.arguments.texts.items():
                if referenced(text) == name:
                    found.append(f"{argument} of step {step.id!r}")
            for argument, nodes in step.arguments.numbers.items():
                if any(name in parameters_in(node) for node in nodes):
                    found.append(f"{argument} of step {step.id!r}")
        return found or ["a condition"]

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
                    excess = [item.excess_percent.get(name, 0.0) for name in item.substances]
                    shares = precursor_mass_fractions(
                        self._campaign.target.formula, formulas, excess_percent=excess
                    )
                except UnreachableComposition as error:
                    raise self._error(
                        key, _sentence(error), "powders that can make the target"
                    ) from error
                except LabError as error:
                    raise self._error(key, _sentence(error), "formulas in the stock") from error
                price = self._price_per_g(item.substances, shares)
                mixture = Mixture(item.name, item.substances, shares, price)
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

    def _price_per_g(self, substances: Sequence[str], shares: Sequence[float]) -> float | None:
        """Of a mixture; None where the stock does not know the price of one of its powders."""
        items = [self._lab.stock_item(name) for name in substances]
        prices = [None if item is None else item.price_per_g for item in items]
        known = [price for price in prices if price is not None]
        if len(known) < len(prices):
            return None
        return sum(price * share for price, share in zip(known, shares, strict=True))

    def check_doses(self, mixtures: Sequence[Mixture]) -> None:
        """The dispenser can weigh every dose, the crucible holds them, the stock lasts."""
        capacity = self._lab.containers.capacity_mg
        total = 0.0
        needed: dict[str, float] = {}
        for step in self._recipe.steps_of(StepAction.DISPENSE):
            values = list(self._limits.of(step, "mass_mg"))
            times = self._recipe.graph.times(step.id)
            total += times * max(value.high for value in values)
            for value in values:
                if value.low < 0 or not total <= capacity:
                    raise self._error(
                        value.key,
                        f"{total:g} mg{value.where} do not fit a crucible of {capacity:g} mg",
                        f"0 to {capacity:g}, all doses of a sample together",
                    )
                for mixture in mixtures:
                    self._check_doses_of(mixture, value)
            largest: dict[str, float] = {}
            for mixture in mixtures:
                for substance, share in zip(
                    mixture.substances, mixture.mass_fractions, strict=True
                ):
                    mass = share * max(value.high for value in values)
                    largest[substance] = max(largest.get(substance, 0.0), mass)
            for substance, mass in largest.items():
                needed[substance] = needed.get(substance, 0.0) + mass * times
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

    def _check_doses_of(self, mixture: Mixture, value: Bounded) -> None:
        """The dispenser can weigh each powder of a mixture."""
        limits = self._lab.dispenser
        names = [item.name for item in self._campaign.precursor_sets]
        key = f"precursor_sets.{names.index(mixture.name)}"
        for substance, share in zip(mixture.substances, mixture.mass_fractions, strict=True):
            if share * value.low < limits.min_dose_mg - DOSE_STEP_MG:
                raise self._error(
                    key,
                    f"needs {share * value.low:.2f} mg of {substance}{value.where}, less than the "
                    "dispenser can weigh",
                    f"at least {limits.min_dose_mg:g} mg: a larger sample_mass_mg",
                )
            if share * value.high > limits.max_dose_mg:
                raise self._error(
                    key,
                    f"needs {share * value.high:.2f} mg of {substance}{value.where}, more than the "
                    "dispenser gives at once",
                    f"at most {limits.max_dose_mg:g} mg: a smaller sample_mass_mg",
                )

    def check_limits(self) -> None:
        """Furnaces and mixers can do each step in every round at both ends of its ranges."""
        problem = self._limits.problem()
        if problem is not None:
            raise self._error(problem.key, problem.problem, problem.expected)

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

    def _range(self, name: str) -> tuple[float, float]:
        """Lowest and highest value of a numeric parameter."""
        found = self._campaign.parameter(name)
        if isinstance(found, (ContinuousParameter, DiscreteParameter, IntegerParameter)):
            return float(found.low), float(found.high)
        value = campaign_constants(self._campaign, self._recipe)[name]
        assert isinstance(value, float), "the kinds of the parameters were checked"
        return value, value

    def _key(self, names: tuple[str, ...]) -> str:
        """The campaign's key that has to do with parameters of the recipe."""
        for name in names:
            for index, parameter in enumerate(self._campaign.parameters):
                if parameter.name == name:
                    return f"parameters.{index}"
        return names[0] if names else "recipe"


def _sentence(error: Exception) -> str:
    return str(error).rstrip(".")


def _one_of(names: Sequence[str], otherwise: str) -> str:
    """The names that would do, as long as a person can read them."""
    return f"one of {', '.join(names)}" if 0 < len(names) <= 20 else otherwise
