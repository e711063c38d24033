"""``matlab-ros advice``: asks an adviser for syntheses, and accepts what a person has read."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from matlab_ros.chemistry.advice import Advised, Adviser, Bounds
from matlab_ros.chemistry.campaign_snippet import campaign_snippet
from matlab_ros.chemistry.chat_adviser import ChatAdviser
from matlab_ros.chemistry.precursor_sets import PrecursorSet
from matlab_ros.chemistry.proposal_file import load_proposals, substances_of, write_proposals
from matlab_ros.chemistry.safety_rules import PrecursorRules
from matlab_ros.chemistry.synthesis_table import SynthesisTable
from matlab_ros.console import console
from matlab_ros.model.errors import ConfigError
from matlab_ros.model.lab_config import LabConfig
from matlab_ros.precursors_question import (
    Question,
    add_question,
    judged_sets,
    question_of,
    rules_of,
)
from matlab_ros.share import config_file

DONE, NOTHING = 0, 1
KEY_VARIABLE = "MATLAB_ROS_CHAT_KEY"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command ``advice`` with what it can do."""
    verbs = parser.add_subparsers(required=True, metavar="WHAT")
    ask = verbs.add_parser("ask", help="how a target might be made; nothing is done with it")
    add_question(ask)
    ask.add_argument(
        "--table", type=Path, metavar="CSV", help="syntheses of your own instead of the few of ours"
    )
    ask.add_argument(
        "--chat",
        metavar="URL",
        help=f"ask a chat endpoint of OpenAI's kind instead, such as http://localhost:8000/v1; its "
        f"key is in the environment variable {KEY_VARIABLE}",
    )
    ask.add_argument("--model", help="which model the chat endpoint shall use")
    ask.add_argument(
        "--deadline", type=float, default=60.0, metavar="S", help="for its answer (60 s)"
    )
    ask.add_argument("--top", type=int, default=10, metavar="N", help="how many to show (10)")
    ask.add_argument("--write", type=Path, metavar="FILE", help="write a file of proposals")
    ask.add_argument("--json", action="store_true", help="for programs")
    ask.set_defaults(run=_ask)
    accept = verbs.add_parser(
        "accept", help="turn proposals that you have read into lines of a campaign's file"
    )
    accept.add_argument("file", type=Path, help="the file of proposals")
    accept.add_argument("--by", required=True, metavar="NAME", help="who has read them")
    accept.add_argument("--write", type=Path, required=True, metavar="FILE", help="the lines")
    add_question(accept, with_target=False)
    accept.set_defaults(run=_accept)


def _ask(options: argparse.Namespace) -> int:
    question = question_of(options)
    rules = rules_of(options)
    adviser = _adviser(options)
    candidates = judged_sets(question, rules)
    advised = safe_at_its_temperature(
        adviser.advise(question.target, candidates, bounds_of(question.lab)), question, rules
    )
    if options.json:
        print(json.dumps(_document(question, adviser, advised), indent=2, ensure_ascii=False))
    else:
        _show(question, adviser, advised, options.top)
    if options.write is not None and advised.advice:
        _written(
            options.write,
            lambda path: write_proposals(
                path, question.target, adviser.name, advised, question.lab.name
            ),
        )
    return DONE if advised.advice else NOTHING


def safe_at_its_temperature(advised: Advised, question: Question, rules: PrecursorRules) -> Advised:
    """What an adviser said, each set judged and weighed again for the temperature it proposed."""
    advice, rejected = [], list(advised.rejected)
    judged: dict[float, dict[frozenset[str], PrecursorSet]] = {}
    for item in advised.advice:
        t = item.temperature_c
        if t not in judged:
            judged[t] = _by_powders(judged_sets(replace(question, temperature_c=t), rules))
        candidate = judged[t][_powders(item.candidate)]
        refusals = [said for said in candidate.judgements if said.refuses]
        if refusals:
            rejected.append(f"{candidate.name} at {t:g} C: {refusals[0].rule}: {refusals[0].why}")
        else:
            advice.append(replace(item, candidate=candidate))
    return Advised(tuple(advice), tuple(rejected))


def _by_powders(sets: Iterable[PrecursorSet]) -> dict[frozenset[str], PrecursorSet]:
    return {_powders(item): item for item in sets}


def _powders(candidate: PrecursorSet) -> frozenset[str]:
    return frozenset(dose.substance for dose in candidate.doses)


def _adviser(options: argparse.Namespace) -> Adviser:
    if options.chat is None:
        return SynthesisTable.read(
            options.table or config_file("precursors", "syntheses", suffix=".csv")
        )
    if options.table is not None:
        raise ConfigError("command line", "--chat", "given with --table", "one of them")
    if not options.model:
        raise ConfigError("command line", "--model", "is missing", "the name of a model")
    if not options.deadline > 0:
        raise ConfigError("command line", "--deadline", f"is {options.deadline:g}", "above 0")
    return ChatAdviser(options.chat, options.model, os.environ.get(KEY_VARIABLE), options.deadline)


def bounds_of(lab: LabConfig) -> Bounds:
    """What the furnaces of a lab can do."""
    highest = [d.furnace.max_temperature_c for d in lab.devices if d.furnace is not None]
    return Bounds(max(highest, default=0.0))


def _accept(options: argparse.Namespace) -> int:
    file = load_proposals(options.file)
    options.target = file.target
    # The hottest of them decides about safety and excess.
    options.temperature = max(item.temperature_c for item in file.proposals)
    question = question_of(options)
    known = _by_powders(judged_sets(question, rules_of(options)))
    bounds = bounds_of(question.lab)
    accepted: list[PrecursorSet] = []
    for number, proposal in enumerate(file.proposals):
        problem = bounds.problem(proposal.temperature_c, proposal.dwell_h)
        if problem:
            raise ConfigError(
                options.file, f"proposals.{number}.temperature_c", problem, "another, or none"
            )
    for number, names in enumerate(substances_of(file.proposals)):
        found = known.get(names)
        problem = "is no set of stocked powders that balances" if found is None else ""
        refusals = [said for said in found.judgements if said.refuses] if found else []
        if refusals:
            problem = f"is refused by {refusals[0].rule}: {refusals[0].why}"
        if found is None or problem:
            raise ConfigError(
                options.file,
                f"proposals.{number}.substances",
                f"{' + '.join(sorted(names))} {problem}",
                "a set without it",
            )
        accepted.append(found)
    heading = [
        f"Sets for {file.target}, proposed by {file.adviser}, read and accepted by {options.by}."
    ]
    heading += [
        f"{' + '.join(p.substances)}: {p.temperature_c:g} C"
        + (f", {p.dwell_h:g} h" if p.dwell_h is not None else "")
        + f". {p.because} ({p.source})"
        for p in file.proposals
    ]
    snippet = campaign_snippet(accepted, heading)
    _written(options.write, lambda path: path.write_text(snippet, encoding="utf-8"))
    return DONE


def _written(path: Path, write: Callable[[Path], object]) -> None:
    try:
        write(path)
    except OSError as error:
        raise ConfigError(
            path, "", f"cannot be written ({error.strerror})", "a place that can"
        ) from error
    print(f"written to {path}")


def _document(question: Question, adviser: Adviser, advised: Advised) -> dict[str, Any]:
    return {
        "target": question.target,
        "adviser": adviser.name,
        "advice": [
            {
                "substances": [dose.substance for dose in item.candidate.doses],
                "temperature_c": item.temperature_c,
                "dwell_h": item.dwell_h,
                "because": item.because,
                "source": item.source,
                "weight": round(item.weight, 4),
            }
            for item in advised.advice
        ],
        "rejected": list(advised.rejected),
    }


def _show(question: Question, adviser: Adviser, advised: Advised, top: int) -> None:
    out = console()
    out.print(Text.assemble((question.target, "bold"), f", as {adviser.name} would make it"))
    if advised.advice:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in ("precursors", "°C", "h", "because", "source"):
            table.add_column(name, justify="right" if name in ("°C", "h") else "left")
        for item in advised.advice[:top]:
            table.add_row(
                Text(item.candidate.name, style="bold"),
                f"{item.temperature_c:g}",
                "" if item.dwell_h is None else f"{item.dwell_h:g}",
                Text(item.because),
                Text(item.source, style="dim"),
            )
        out.print(table)
    else:
        out.print("Nothing to propose.")
    for reason in dict.fromkeys(advised.rejected[:top]):
        out.print(Text(f"thrown away: {reason}", style="yellow"))
