"""Safety rules: which powders must not be mixed or heated, and why, from a file of rules.

config/precursors/rules.yaml has those that come with the package. A rule names what it is about
(classes of substances, elements, hazards of the stock, a temperature), says whether it refuses or
cautions, and which safeguards of the lab lift it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from matlab_ros.chemistry.formula import FormulaError, parse_formula
from matlab_ros.chemistry.precursor_sets import Judgement
from matlab_ros.chemistry.volatility import ExcessRule
from matlab_ros.model.lab_config import Safeguard
from matlab_ros.model.yaml_file import Strict, load_yaml

RatioName = Annotated[str, Field(pattern=r"^[A-Z][a-z]?/[A-Z][a-z]?$")]


class SubstanceClass(Strict):
    """A kind of substance, recognised by its formula; any of the signs is enough."""

    name: str = Field(min_length=1)
    groups: tuple[str, ...] = ()
    """Written in the formula, such as NO3; a digit must not follow."""
    formulas: tuple[str, ...] = ()
    """Of substances that belong to it, however they are written."""
    elements: tuple[str, ...] = ()
    """All of which it holds ..."""
    ratios: dict[RatioName, float] = Field(default_factory=dict)
    """... with at least so many atoms of one for each of another, such as ``O/N: 3`` ..."""
    other_than: tuple[str, ...] = ()
    """... where none of these groups is written."""

    @field_validator("formulas")
    @classmethod
    def _are_formulas(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        for text in texts:
            try:
                parse_formula(text)
            except FormulaError as error:
                raise ValueError(f"{error}; expected chemical formulas") from error
        return texts

    def holds(self, formula: str) -> bool:
        """Whether a substance belongs to it."""
        parsed = parse_formula(formula)
        if _writes_one(formula, self.groups):
            return True
        if any(parse_formula(known).reduced == parsed.reduced for known in self.formulas):
            return True
        if not self.elements or _writes_one(formula, self.other_than):
            return False
        if not parsed.elements >= set(self.elements):
            return False
        pairs = ((name.split("/"), least) for name, least in self.ratios.items())
        return all(
            parsed.amounts.get(one, 0) >= least * parsed.amounts.get(other, 0)
            for (one, other), least in pairs
        )


def _writes_one(formula: str, groups: Sequence[str]) -> bool:
    return any(re.search(rf"{re.escape(group)}(?!\d)", formula) for group in groups)


class SafetyRule(Strict):
    """A rule; it speaks when everything that it names is there."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    refuses: bool = True
    """Otherwise it is a caution."""
    together: tuple[str, ...] = ()
    """Classes, each of which some powder belongs to."""
    any_element: tuple[str, ...] = ()
    """Elements, one of which some powder holds."""
    hazards: tuple[Literal["oxidiser", "toxic", "corrosive"], ...] = ()
    """Of the stock, one of which some powder has."""
    above_c: float | None = None
    """Only when heated above it."""
    unless: tuple[Safeguard, ...] = ()
    """Any of these safeguards of the lab lifts it."""
    why: str = Field(min_length=1)

    @model_validator(mode="after")
    def _is_about_something(self) -> SafetyRule:
        if not (self.together or self.any_element or self.hazards):
            raise ValueError(
                f"rule {self.name!r} is about nothing; expected together, any_element or hazards"
            )
        return self


class PrecursorRules(Strict):
    """A file of rules."""

    classes: tuple[SubstanceClass, ...] = ()
    safety: tuple[SafetyRule, ...] = ()
    excess: tuple[ExcessRule, ...] = ()

    @model_validator(mode="after")
    def _classes_are_known(self) -> PrecursorRules:
        known = [item.name for item in self.classes]
        names = [*known, *(rule.name for rule in self.safety)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{twice[0]!r} stands twice; expected unique names")
        for rule in self.safety:
            unknown = [name for name in rule.together if name not in known]
            if unknown:
                raise ValueError(
                    f"rule {rule.name!r} names the unknown class {unknown[0]!r}; "
                    f"expected one of {', '.join(known)}"
                )
        return self


@dataclass(frozen=True)
class Powder:
    """A powder as rules see it."""

    name: str
    formula: str
    hazard: str = "none"


def load_rules(path: Path) -> PrecursorRules:
    """Read a file of rules.

    Raises:
        ConfigError: it cannot be read or contradicts itself.
    """
    return load_yaml(path, PrecursorRules)


def judge(
    rules: PrecursorRules,
    powders: Sequence[Powder],
    temperature_c: float,
    safeguards: Collection[Safeguard] = (),
) -> tuple[Judgement, ...]:
    """What the safety rules say of heating a mixture.

    Raises:
        FormulaError: a formula cannot be read.
    """
    found = []
    classes = {item.name: item for item in rules.classes}
    for rule in rules.safety:
        if rule.above_c is not None and temperature_c <= rule.above_c:
            continue
        if set(rule.unless) & set(safeguards):
            continue
        guilty = _guilty(rule, classes, powders)
        if guilty:
            lifted = f"; a lab with {' or '.join(rule.unless)} may" if rule.unless else ""
            found.append(
                Judgement(rule.name, rule.refuses, f"{', '.join(guilty)}: {rule.why}{lifted}")
            )
    return tuple(found)


def _guilty(
    rule: SafetyRule, classes: dict[str, SubstanceClass], powders: Sequence[Powder]
) -> list[str]:
    """Names of the powders that a rule is about, empty where it does not speak."""
    guilty: dict[str, None] = {}
    for name in rule.together:
        members = [powder.name for powder in powders if classes[name].holds(powder.formula)]
        if not members:
            return []
        guilty.update(dict.fromkeys(members))
    if rule.any_element:
        wanted = set(rule.any_element)
        members = [p.name for p in powders if parse_formula(p.formula).elements & wanted]
        if not members:
            return []
        guilty.update(dict.fromkeys(members))
    if rule.hazards:
        members = [powder.name for powder in powders if powder.hazard in rule.hazards]
        if not members:
            return []
        guilty.update(dict.fromkeys(members))
    return list(guilty)
