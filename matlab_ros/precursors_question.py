"""What is to be made, in which lab and how: the arguments of commands about precursors."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from matlab_ros.chemistry.energies import ATMOSPHERES, Atmosphere
from matlab_ros.chemistry.formula import FormulaError, parse_formula
from matlab_ros.chemistry.limits import check_in_lab
from matlab_ros.chemistry.precursor_sets import PrecursorSet, precursor_sets
from matlab_ros.chemistry.safety_rules import Powder, PrecursorRules, judge, load_rules
from matlab_ros.model.errors import ConfigError
from matlab_ros.model.lab_config import LabConfig, StockItem, load_lab
from matlab_ros.share import config_file, config_named

_PLENTY_G = 1e6


@dataclass(frozen=True)
class Question:
    """What is to be made, where and how.

    Attributes:
        target: formula.
        lab: whose stock, dispenser and crucibles count.
        temperature_c: of the furnace.
        atmosphere: in it.
        mass_mg: of the target.
        left_g: what is left of powders, where the lab's file is out of date.
        most_powders: in a set; None for as many as balance.
    """

    target: str
    lab: LabConfig
    temperature_c: float
    atmosphere: Atmosphere
    mass_mg: float
    left_g: dict[str, float]
    most_powders: int | None = None


def add_question(parser: argparse.ArgumentParser, with_target: bool = True) -> None:
    """The arguments that `question_of` reads, and ``--rules``."""
    if with_target:
        parser.add_argument("target", help="formula of what is to be made, such as BaTiO3")
    parser.add_argument(
        "--lab",
        default="virtual_lab",
        help="its stock and limits count: a file, or a name in config/labs (default: virtual_lab)",
    )
    parser.add_argument(
        "--stock",
        metavar="FORMULA,...",
        help="powders instead of the lab's stock, of which there is plenty",
    )
    parser.add_argument(
        "--temperature", type=float, default=900.0, metavar="C", help="of the furnace (900)"
    )
    parser.add_argument(
        "--atmosphere", choices=sorted(ATMOSPHERES), default="air", help="default: air"
    )
    parser.add_argument(
        "--mass", type=float, default=500.0, metavar="MG", help="of the target (500)"
    )
    parser.add_argument(
        "--left",
        action="append",
        default=[],
        metavar="NAME=GRAMS",
        help="what is left of a powder, instead of the lab's file; may be repeated",
    )
    parser.add_argument(
        "--powders",
        type=int,
        metavar="N",
        help="at most so many in a set; one more than elements that stay also finds those that "
        "need no oxygen of the air (default: as many as these elements)",
    )
    parser.add_argument("--rules", type=Path, metavar="FILE", help="safety rules of your own")


def question_of(options: argparse.Namespace) -> Question:
    """What the arguments of `add_question` ask.

    Raises:
        ConfigError: one of them cannot be used.
    """
    lab = load_lab(config_named("labs", options.lab, "--lab"))
    if options.stock is not None:
        lab = lab.model_copy(update={"stock": _plenty_of(options.stock)})
    for value, option in ((options.mass, "--mass"), (options.powders or 1, "--powders")):
        if not 0 < value < math.inf:
            raise ConfigError("command line", option, f"is {value:g}", "a number above 0")
    if not -273 < options.temperature < 3000:
        raise ConfigError(
            "command line", "--temperature", f"is {options.temperature:g}", "degrees Celsius"
        )
    try:
        parse_formula(options.target)
    except FormulaError as error:
        raise ConfigError("command line", "TARGET", str(error).rstrip("."), "a formula") from error
    return Question(
        options.target,
        lab,
        options.temperature,
        Atmosphere.named(options.atmosphere),
        options.mass,
        _left(options.left, lab),
        options.powders,
    )


def _plenty_of(given: str) -> tuple[StockItem, ...]:
    found = []
    for slot, text in enumerate(dict.fromkeys(filter(None, given.split(","))), start=1):
        try:
            parse_formula(text)
        except FormulaError as error:
            raise ConfigError(
                "command line", "--stock", str(error).rstrip("."), "formulas with commas"
            ) from error
        # The number of a slot means nothing here, and there may be more powders than slots.
        found.append(StockItem(name=text, formula=text, slot=1 + slot % 64, mass_g=_PLENTY_G))
    if not found:
        raise ConfigError("command line", "--stock", "is empty", "formulas with commas")
    return tuple(found)


def _left(given: Sequence[str], lab: LabConfig) -> dict[str, float]:
    found = {}
    for item in given:
        name, separator, grams = item.rpartition("=")
        try:
            value = float(grams)
        except ValueError:
            separator = ""
            value = math.nan
        if not separator or not 0 <= value < math.inf:
            raise ConfigError("command line", "--left", repr(item), "NAME=GRAMS")
        if lab.stock_item(name) is None:
            known = ", ".join(entry.name for entry in lab.stock)
            raise ConfigError("command line", "--left", f"{name!r} is unknown", f"one of {known}")
        found[name] = value
    return found


def rules_of(options: argparse.Namespace) -> PrecursorRules:
    """The rules that the arguments of `add_question` name, or ours.

    Raises:
        ConfigError: they cannot be read.
    """
    return load_rules(options.rules or config_file("precursors", "rules"))


def judged_sets(question: Question, rules: PrecursorRules) -> list[PrecursorSet]:
    """Every set that makes the target, with what rules and limits say of it."""
    lab = question.lab
    found = []
    for item in precursor_sets(
        question.target,
        lab.stock,
        question.mass_mg,
        question.temperature_c,
        rules.excess,
        question.most_powders,
    ):
        powders = [_powder(lab, dose.substance, dose.formula) for dose in item.doses]
        said = judge(rules, powders, question.temperature_c, lab.safeguards)
        said += check_in_lab(item, lab, question.left_g)
        found.append(replace(item, judgements=said))
    return found


def _powder(lab: LabConfig, name: str, formula: str) -> Powder:
    stock = lab.stock_item(name)
    return Powder(name, formula, stock.hazard if stock is not None else "none")
