"""``matlab-ros precursors``: which powders of the stock make a target, ranked, with masses."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from matlab_ros.chemistry.campaign_snippet import campaign_snippet
from matlab_ros.chemistry.open_hull import Stability
from matlab_ros.chemistry.precursor_sets import PrecursorSet
from matlab_ros.chemistry.ranking import Ranked, Ranking
from matlab_ros.chemistry.thermodynamics import Thermodynamics
from matlab_ros.console import console
from matlab_ros.model.errors import ConfigError
from matlab_ros.precursors_question import (
    Question,
    add_question,
    judged_sets,
    question_of,
    rules_of,
)

DONE, NOTHING_ALLOWED = 0, 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command ``precursors``."""
    add_question(parser)
    parser.add_argument("--top", type=int, default=20, metavar="N", help="how many to show (20)")
    parser.add_argument(
        "--energies",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="energies of your own, see docs/chemistry.md; may be repeated",
    )
    parser.add_argument(
        "--write",
        type=Path,
        metavar="FILE",
        help="write the shown sets that are allowed as lines of a campaign's file",
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Carry the command out.

    Returns:
        0: there are sets; 1: none is allowed.

    Raises:
        ConfigError: an argument or a file cannot be used.
    """
    question = question_of(options)
    sets = judged_sets(question, rules_of(options))
    ranking = Ranking(
        question.target,
        Thermodynamics.default(*options.energies),
        question.temperature_c,
        question.atmosphere,
    )
    ranked = ranking.rank(sets)
    stability = ranking.target_stability()
    allowed = [item for item in ranked if item.candidate.is_allowed]
    if options.write is not None:
        _write(options.write, question, [item.candidate for item in allowed[: options.top]])
    if options.json:
        print(json.dumps(document(question, ranked, stability), indent=2, ensure_ascii=False))
    else:
        out = console()
        out.print(shown(question, ranked, stability, options.top))
        if options.write is not None:
            out.print(f"written to {options.write}")
    return DONE if allowed else NOTHING_ALLOWED


def _write(path: Path, question: Question, sets: Sequence[PrecursorSet]) -> None:
    heading = [
        f"Sets for {question.target} from the stock of {question.lab.name}, best first, as "
        f"matlab-ros precursors ranked them at {question.temperature_c:g} C in "
        f"{question.atmosphere.name}. Read them before you paste them into a campaign.",
        *(
            f"{item.name}: caution, {said.why}"
            for item in sets
            for said in item.judgements
            if not said.refuses
        ),
    ]
    try:
        path.write_text(campaign_snippet(sets, heading), encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            path, "", f"cannot be written ({error.strerror})", "a place that can"
        ) from error


def document(
    question: Question, ranked: Sequence[Ranked], stability: Stability | None
) -> dict[str, Any]:
    """The answer for programs."""
    return {
        "target": question.target,
        "temperature_c": question.temperature_c,
        "atmosphere": question.atmosphere.name,
        "target_mass_mg": question.mass_mg,
        "stability": None
        if stability is None
        else {
            "kj_per_mol_of_staying_atoms": round(stability.kj_per_mol_of_atoms, 3),
            "rivals": {name: round(n, 6) for name, n in stability.rivals.items()},
        },
        "sets": [_set_document(item) for item in ranked],
    }


def _set_document(item: Ranked) -> dict[str, Any]:
    energy, first = item.energy, item.first
    return {
        "name": item.candidate.name,
        "allowed": item.candidate.is_allowed,
        "reaction": str(item.candidate.reaction),
        "doses": [
            {
                "substance": dose.substance,
                "formula": dose.formula,
                "mass_mg": round(dose.mass_mg, 3),
                "excess_percent": dose.excess_percent,
                "why": dose.why,
            }
            for dose in item.candidate.doses
        ],
        "energy": None
        if energy is None
        else {
            "kj_per_mol": round(energy.kj_per_mol, 3),
            "uncertainty_kj_per_mol": round(energy.uncertainty_kj_per_mol, 3),
            "mev_per_atom": round(1000 * energy.ev_per_atom, 2),
            "left_mev_per_atom": round(1000 * item.left_ev_per_atom, 2),
            "sources": dict(energy.sources),
            "notes": list(energy.notes),
        },
        "unknown_energy": item.unknown,
        "first_reaction": None
        if first is None
        else {
            "reaction": str(first.reaction),
            "mev_per_atom": round(1000 * first.ev_per_atom, 2),
            "spent_share": round(first.spent_share, 4),
            "makes_target": first.makes_target,
        },
        "judgements": [
            {"rule": said.rule, "refuses": said.refuses, "why": said.why}
            for said in item.candidate.judgements
        ],
    }


def shown(
    question: Question, ranked: Sequence[Ranked], stability: Stability | None, top: int
) -> Group:
    """The answer for people."""
    allowed = [item for item in ranked if item.candidate.is_allowed]
    refused = [item for item in ranked if not item.candidate.is_allowed]
    parts: list[Any] = [_headline(question, stability, len(allowed), len(refused))]
    if allowed:
        parts.append(_table(allowed[:top]))
        if len(allowed) > top:
            parts.append(Text(f"… and {len(allowed) - top} more; --top shows them", style="dim"))
        parts.append(_legend(allowed[:top]))
    parts += _reasons("Cautions", allowed[:top], refuses=False)
    parts += _reasons("Refused", refused, refuses=True)
    if not ranked:
        stays = ", ".join(item.name for item in question.lab.stock)
        parts.append(
            Text(f"No set of {stays} makes {question.target}: an element is missing, or its ratio.")
        )
    return Group(*parts)


def _headline(question: Question, stability: Stability | None, allowed: int, refused: int) -> Text:
    text = Text()
    text.append(question.target, style="bold")
    text.append(
        f" at {question.temperature_c:g} °C in {question.atmosphere.name}, "
        f"{question.mass_mg:g} mg: {allowed} sets"
    )
    text.append(f", {refused} refused" if refused else "")
    text.append("\n")
    if stability is None:
        text.append("No energy of the target is known: nothing says whether it is stable.")
        return text
    rivals = " + ".join(f"{n:.2g} {name}" for name, n in stability.rivals.items())
    value = stability.kj_per_mol_of_atoms
    if value < 0:
        text.append(f"Stable by {-value:.1f} kJ per mol of cations against {rivals}.")
    else:
        text.append("Not stable: ", style="red")
        text.append(f"{value:.1f} kJ per mol of cations above {rivals}.")
    return text


def _table(items: Sequence[Ranked]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("", justify="right")
    table.add_column("mg of precursors")
    table.add_column("ΔG", justify="right", no_wrap=True)
    table.add_column("left", justify="right", no_wrap=True)
    table.add_column("what reacts first")
    table.add_column("gases", no_wrap=True)
    for number, item in enumerate(items, start=1):
        whole = left = Text("?", style="dim")
        if item.energy is not None:
            whole = _mev(item.energy.ev_per_atom)
            left = _mev(item.left_ev_per_atom)
        table.add_row(str(number), _doses(item), whole, left, _first(item), _gases(item))
    return table


def _mev(ev: float) -> Text:
    return Text(f"{1000 * ev:.0f}", style="" if ev < 0 else "red")


def _doses(item: Ranked) -> Text:
    text = Text()
    for index, dose in enumerate(item.candidate.doses):
        text.append(" + " if index else "")
        text.append(f"{dose.mass_mg:.1f} ", style="cyan")
        text.append(dose.substance, style="bold")
        if dose.excess_percent:
            text.append(f" (+{dose.excess_percent:g} %)", style="yellow")
    return text


def _first(item: Ranked) -> Text:
    if item.energy is None:
        return Text("energy not known", style="dim")
    first = item.first
    if first is None:
        alone = len(item.candidate.doses) == 1
        return Text("" if alone else "nothing", style="dim")
    if first.makes_target:
        return Text(f"{_powders(item)}the target", style="green")
    text = Text(f"{_powders(item)}{first.reaction.target.text}")
    share = f" takes {100 * first.spent_share:.0f} %"
    text.append(share, style="red" if first.spent_share > 0.5 else "yellow")
    return text


def _powders(item: Ranked) -> str:
    assert item.first is not None
    return f"{' + '.join(part.text for part in item.first.reaction.precursors)} → "


def _gases(item: Ranked) -> str:
    gases = item.candidate.reaction.gases.items()
    return " ".join(f"{'+' if n > 0 else '−'}{float(abs(n)):.3g} {gas}" for gas, n in gases)


def _legend(items: Sequence[Ranked]) -> Text:
    text = Text()
    text.append(
        "ΔG: driving force in meV per atom of the target; left: what remains of it, once powders "
        "have decomposed, after the first reaction of two.\n",
        style="dim",
    )
    sources: dict[str, list[str]] = {}
    notes: dict[str, None] = {}
    for item in items:
        if item.energy is not None:
            for name, source in item.energy.sources.items():
                sources.setdefault(source, [])
                if name not in sources[source]:
                    sources[source].append(name)
            notes.update(dict.fromkeys(item.energy.notes))
    sources.pop("element", None)
    for source, names in sources.items():
        text.append(f"Energies of {', '.join(names)}: {source}\n", style="dim")
    for note in notes:
        text.append(f"Note: {note}\n", style="dim")
    for unknown in dict.fromkeys(item.unknown for item in items if item.unknown):
        text.append(f"Note: {unknown}\n", style="dim")
    return text


def _reasons(title: str, items: Sequence[Ranked], refuses: bool) -> list[Text]:
    """Each rule that spoke, with its reason and to how many sets."""
    said: dict[tuple[str, str], int] = {}
    for item in items:
        for judgement in item.candidate.judgements:
            if judgement.refuses is refuses:
                key = (judgement.rule, judgement.why)
                said[key] = said.get(key, 0) + 1
    if not said:
        return []
    lines = [Text(title, style="bold red" if refuses else "bold yellow")]
    for (rule, why), n in sorted(said.items(), key=lambda pair: -pair[1]):
        line = Text(f"  {n:3d} by ")
        line.append(rule, style="bold")
        line.append(f": {why}")
        lines.append(line)
    return lines
