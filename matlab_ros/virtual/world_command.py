"""``matlab-ros world check``: read a virtual chemistry, and show what it would do."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from matlab_ros.chemistry.formula import FormulaError, parse_formula
from matlab_ros.model.campaign_config import load_campaign
from matlab_ros.model.errors import ConfigError
from matlab_ros.share import share_dir
from matlab_ros.virtual.gibbs import ZERO_CELSIUS_K
from matlab_ros.virtual.landscape import Landscape, phases_of, sets_for, survey
from matlab_ros.virtual.network import Chemistry
from matlab_ros.virtual.reactions import load_chemistry

ENERGIES_AT_C = (400.0, 800.0, 1200.0)
DWELLS_H = (0.5, 4.0, 24.0)
TEMPERATURES_C = tuple(range(500, 1401, 100))
FINE_TEMPERATURES_C = tuple(range(500, 1401, 25))
FINE_DWELLS_H = tuple(float(h) for h in np.geomspace(0.5, 24.0, 8))
# From dark violet over green to yellow, which differ in lightness too.
_SHADES = ("#440154", "#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39", "#fde725")
_DARK = 5
"""From this shade on, black letters are easier to read than white ones."""


def add_arguments(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe what ``world`` can do with a chemistry."""
    check = verbs.add_parser(
        "check", help="read a virtual chemistry and show its reactions and yields"
    )
    check.add_argument("file", type=Path, help="the chemistry, a YAML file")
    check.add_argument(
        "--target",
        help="formula to show yields of (default: that of the first campaign that fits)",
    )
    check.set_defaults(run=_check)


def _check(options: argparse.Namespace) -> int:
    chemistry = load_chemistry(options.file)
    target = options.target or _usual_target(chemistry)
    show(chemistry, options.file, target, Console(highlight=False))
    return 0


def show(chemistry: Chemistry, file: Path, target: str | None, console: Console) -> None:
    """Print what a chemistry does.

    Raises:
        ConfigError: the target cannot be made of its powders.
    """
    console.print(
        Text(
            f"{file}: {len(chemistry.species)} species, {len(chemistry.powders)} powders, "
            f"{len(chemistry.reaction_names)} reactions"
        )
    )
    console.print()
    console.print(_substances(chemistry))
    console.print()
    console.print(_reactions(chemistry))
    console.print()
    if target is None:
        console.print("Say --target FORMULA to see yields.")
        return
    try:
        parse_formula(target)
    except FormulaError as error:
        raise ConfigError(
            "command line", "--target", str(error).rstrip("."), "a chemical formula"
        ) from None
    sets = sets_for(chemistry, target)
    if not sets or not phases_of(chemistry, target):
        raise ConfigError(
            "command line",
            "--target",
            f"{target} cannot be made of {', '.join(chemistry.powders)}",
            "a species of this file that two of its powders make",
        )
    console.print(_yields(survey(chemistry, target, sets, TEMPERATURES_C, DWELLS_H)))
    fine = survey(chemistry, target, sets, FINE_TEMPERATURES_C, FINE_DWELLS_H)
    value, powders, temperature, dwell = fine.best
    console.print(
        f"Best: {100 * value:.1f} % with {' + '.join(powders)}, {temperature:g} C, {dwell:.1f} h. "
        f"{100 * fine.near_best:.1f} % of the choices come within 5 % of it; the best at "
        f"{fine.temperatures_c[-1]:g} C is {100 * fine.hottest:.1f} %."
    )


def _usual_target(chemistry: Chemistry) -> str | None:
    """The target of the first campaign of ours that this chemistry can run."""
    phases = {item.phase for item in chemistry.species}
    for file in sorted((share_dir() / "config" / "campaigns").glob("*.yaml")):
        campaign = load_campaign(file)
        needed = {name for item in campaign.precursor_sets for name in item.substances}
        if campaign.target.phase in phases and needed and needed <= chemistry.powders.keys():
            return campaign.target.formula
    return None


def _substances(chemistry: Chemistry) -> Table:
    table = Table(title="Species", title_justify="left", box=None, pad_edge=False)
    for column in ("species", "formula", "phase"):
        table.add_column(column, overflow="fold")
    table.add_column("melts", justify="right")
    table.add_column("in powders", overflow="fold")
    melting = chemistry.energies.melting_k[: len(chemistry.species)]
    for i, item in enumerate(chemistry.species):
        powders = [name for name, shares in chemistry.powders.items() if shares[i] > 0]
        melts = f"{melting[i] - ZERO_CELSIUS_K:.0f} °C" if np.isfinite(melting[i]) else ""
        table.add_row(item.name, item.formula, item.phase, melts, ", ".join(powders))
    return table


def _reactions(chemistry: Chemistry) -> Table:
    table = Table(
        title="Reactions and their Gibbs energies in kJ/mol (above zero, nothing happens)",
        title_justify="left",
        box=None,
        pad_edge=False,
    )
    table.add_column("reaction", overflow="fold")
    for temperature in ENERGIES_AT_C:
        table.add_column(f"{temperature:g} °C", justify="right")
    energies = np.array([chemistry.reaction_energies_kj_mol(t) for t in ENERGIES_AT_C])
    for r in range(energies.shape[1]):
        cells = [Text(f"{value:.0f}", style="" if value < 0 else "red") for value in energies[:, r]]
        table.add_row(_equation(chemistry, r), *cells)
    return table


def _equation(chemistry: Chemistry, r: int) -> str:
    rates = chemistry.rates
    names = [item.name for item in chemistry.species]
    made = rates.change[r] + rates.reactants[r]
    outside = [
        formula if is_gas else f"{formula} in the crucible"
        for formula, is_gas in zip(chemistry.leaving, chemistry.gaseous, strict=True)
    ]
    left = _side(names, rates.reactants[r]) + _side(outside, -rates.leaving[r])
    right = _side(names, made) + _side(outside, rates.leaving[r])
    return f"{' + '.join(left)} → {' + '.join(right)}"


def _side(names: Sequence[str], amounts: np.ndarray) -> list[str]:
    return [
        f"{'' if amount == 1 else f'{amount:g} '}{name}"
        for name, amount in zip(names, amounts, strict=True)
        if amount > 0
    ]


def _yields(landscape: Landscape) -> Table:
    table = Table(
        title=f"Yield of {landscape.target} in wt%, by dwell and temperature in °C",
        title_justify="left",
        box=None,
        padding=(0, 0),
        pad_edge=False,
    )
    table.add_column("powders", min_width=24, no_wrap=True)
    table.add_column("h ", justify="right")
    for temperature in landscape.temperatures_c:
        table.add_column(f"{temperature:g}", justify="right", min_width=5)
    for powders, rows in zip(landscape.sets, landscape.yields, strict=True):
        for k, dwell in enumerate(landscape.dwells_h):
            name = " + ".join(powders) if k == 0 else ""
            table.add_row(name, f"{dwell:g} ", *[_cell(value) for value in rows[:, k]])
    return table


def _cell(value: float) -> Text:
    shade = min(int(value * len(_SHADES)), len(_SHADES) - 1)
    ink = "black" if shade >= _DARK else "white"
    return Text(f"{100 * value:4.0f} ", style=f"{ink} on {_SHADES[shade]}")
