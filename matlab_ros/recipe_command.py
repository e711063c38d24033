"""``matlab-ros recipe check``: whether a recipe makes sense, and whether a lab can carry it out."""

from __future__ import annotations

import argparse
from pathlib import Path

from matlab_ros.lab.recipe_limits import check_in_lab
from matlab_ros.model.expressions import Kind
from matlab_ros.model.lab_config import load_lab
from matlab_ros.model.recipe import Recipe, load_recipe
from matlab_ros.share import config_named


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command ``recipe`` with what it can do."""
    verbs = parser.add_subparsers(required=True, metavar="WHAT")
    check = verbs.add_parser("check", help="read a recipe whole and say what is wrong with it")
    check.add_argument("file", type=Path, help="the recipe, a YAML file")
    check.add_argument(
        "--lab", help="also see whether this lab can do it: a file, or a name in config/labs"
    )
    check.set_defaults(run=_check)


def _check(options: argparse.Namespace) -> int:
    recipe = load_recipe(options.file)
    if options.lab is not None:
        check_in_lab(recipe, options.file, load_lab(config_named("labs", options.lab, "--lab")))
    print("\n".join(description(recipe)))
    return 0


def description(recipe: Recipe) -> list[str]:
    """Lines that say what a recipe does, in the order in which it does it."""
    lines = [f"{recipe.name} version {recipe.version}, sha256 {recipe.sha256}"]
    words = {Kind.NUMBER: "number", Kind.WORD: "word", Kind.TRUTH: "truth"}
    for name, kind in sorted(recipe.kinds.items()):
        default = f", default {recipe.defaults[name]}" if name in recipe.defaults else ""
        lines.append(f"  ${name}: {words[kind]}{default}")
    for name in recipe.order:
        step = recipe.step(name)
        indent = "  " * (1 + len(recipe.graph.around[name]))
        needs = f" after {', '.join(step.needs)}" if step.needs else ""
        when = f", when {step.when}" if step.when is not None else ""
        lines.append(f"{indent}{name}: {step.action.value}{needs}{when}")
        if step.repeat is not None:
            until = f" until {step.repeat.until}" if step.repeat.until is not None else ""
            lines.append(
                f"{indent}  from {step.repeat.first} again{until}, "
                f"{step.repeat.at_most} times at most"
            )
    return lines
