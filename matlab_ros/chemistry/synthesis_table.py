"""An adviser that knows syntheses of the literature and goes by the most similar targets.

The way of the A-Lab (Szymanski et al., Nature 624, 86, 2023): what was used for a similar target
is proposed for this one, element by element: where strontium titanate was made from its carbonate
and titania, barium titanate is tried from its carbonate and titania.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matlab_ros.chemistry.advice import Advice, Advised, Bounds
from matlab_ros.chemistry.formula import Formula, FormulaError, parse_formula
from matlab_ros.chemistry.precursor_sets import PrecursorSet
from matlab_ros.chemistry.similarity import element_likeness, similarity
from matlab_ros.chemistry.stoichiometry import VOLATILE
from matlab_ros.model.errors import ConfigError

_COLUMNS = ("target", "precursors", "temperature_c", "time_h", "atmosphere", "source")
_LEAST_SIMILARITY = 0.3
_LEAST_MATCH = 0.5
_MOST = 20
# Signs in a formula that tell what kind of precursor of a metal it is, the first that fits.
_KINDS = (
    ("nitrate", r"NO3"),
    ("oxalate", r"C2O4"),
    ("acetate", r"C2H3O2|CH3COO"),
    ("carbonate", r"CO3"),
    ("ammonium phosphate", r"NH4.*PO4"),
    ("phosphate", r"PO4"),
    ("sulphate", r"SO4"),
    ("hydroxide", r"OH"),
)


@dataclass(frozen=True)
class Synthesis:
    """One row of the table.

    Attributes:
        target: what was made.
        precursors: of what.
        temperature_c: highest.
        time_h: at it; None where it is not said.
        atmosphere: around it.
        source: citation.
    """

    target: Formula
    precursors: tuple[Formula, ...]
    temperature_c: float
    time_h: float | None
    atmosphere: str
    source: str


class SynthesisTable:
    """Syntheses by the similarity of their targets."""

    def __init__(self, name: str, syntheses: Sequence[Synthesis]) -> None:
        """
        Args:
            name: of the table, for people.
            syntheses: its rows.
        """
        self.name = name
        self.syntheses = tuple(syntheses)

    @classmethod
    def read(cls, path: Path) -> SynthesisTable:
        """A CSV with the columns target, precursors (separated by ``+``), temperature_c, time_h,
        atmosphere and source; time_h may be empty.

        Raises:
            ConfigError: it cannot be read; the line is named.
        """
        try:
            with path.open(encoding="utf-8", newline="") as file:
                reader = csv.DictReader(file)
                missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
                if missing:
                    raise ConfigError(
                        path, "line 1", f"lacks {missing[0]!r}", f"columns {', '.join(_COLUMNS)}"
                    )
                rows = [_synthesis(path, reader.line_num, row) for row in reader]
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise ConfigError(path, "", f"cannot be read ({error})", "a CSV file") from error
        return cls(path.stem, rows)

    def most_similar(self, target: str, n: int = _MOST) -> list[tuple[float, Synthesis]]:
        """Syntheses of the most similar targets, with the similarity, best first."""
        goal = parse_formula(target)
        scored = [(similarity(goal, known.target), known) for known in self.syntheses]
        scored.sort(key=lambda pair: -pair[0])
        return [pair for pair in scored[:n] if pair[0] >= _LEAST_SIMILARITY]

    def advise(self, target: str, candidates: Sequence[PrecursorSet], bounds: Bounds) -> Advised:
        """See `matlab_ros.chemistry.advice.Adviser`.

        Of each set the known synthesis counts that fits it best: its similarity times the share of
        the set's powders that are of the kind it used for the same or a kindred element.
        """
        known = self.most_similar(target)
        advice, rejected = [], []
        for candidate in candidates:
            scored = [(alike * _match(candidate, item), alike, item) for alike, item in known]
            scored = [item for item in scored if item[0] >= _LEAST_MATCH * item[1]]
            if not scored:
                continue
            weight, alike, item = max(scored, key=lambda entry: entry[0])
            refusals = [said for said in candidate.judgements if said.refuses]
            problem = bounds.problem(item.temperature_c, item.time_h)
            if refusals:
                problem = f"{refusals[0].rule}: {refusals[0].why}"
            if problem:
                rejected.append(f"{candidate.name} at {item.temperature_c:g} C: {problem}")
                continue
            powders = " + ".join(part.text for part in item.precursors)
            because = (
                f"{item.target.text} (similarity {alike:.2f}) was made from {powders} at "
                f"{item.temperature_c:g} C in {item.atmosphere}"
            )
            advice.append(
                Advice(candidate, item.temperature_c, item.time_h, because, item.source, weight)
            )
        advice.sort(key=lambda entry: (-entry.weight, entry.candidate.name))
        return Advised(tuple(advice), tuple(rejected))


def precursor_kind(formula: str) -> str:
    """What kind of precursor a formula is: ``carbonate``, ``oxide``, ``metal`` ..."""
    for name, sign in _KINDS:
        if re.search(sign, formula):
            return name
    elements = parse_formula(formula).elements
    if len(elements) == 1:
        return "metal"
    return "oxide" if "O" in elements else "salt"


def _match(candidate: PrecursorSet, known: Synthesis) -> float:
    """Share of the powders of a set that a known synthesis speaks for, from 0 to 1."""
    total = 0.0
    for part in candidate.reaction.precursors:
        mine = _metals(part)
        best = 0.0
        for other in known.precursors:
            if precursor_kind(other.text) != precursor_kind(part.text):
                continue
            theirs = _metals(other)
            if len(theirs) == len(mine):
                pairs = zip(sorted(mine), sorted(theirs), strict=True)
                likeness = min(element_likeness(a, b) for a, b in pairs)
                # The same powder is better evidence than another oxide of its metal.
                same = 1.0 if other.reduced == part.reduced else 0.9
                best = max(best, likeness * same)
        total += best
    return total / len(candidate.reaction.precursors)


def _metals(formula: Formula) -> frozenset[str]:
    return formula.elements - VOLATILE


def _synthesis(path: Path, line: int, row: dict[str, str | None]) -> Synthesis:
    """A row as a value."""

    def cell(name: str) -> str:
        return (row.get(name) or "").strip()

    where = f"line {line}"
    try:
        target = parse_formula(cell("target"))
        precursors = tuple(parse_formula(t.strip()) for t in cell("precursors").split("+"))
    except FormulaError as error:
        raise ConfigError(path, where, str(error).rstrip("."), "chemical formulas") from error
    try:
        temperature = float(cell("temperature_c"))
        time_h = float(cell("time_h")) if cell("time_h") else None
    except ValueError as error:
        raise ConfigError(path, where, str(error), "temperature_c and time_h as numbers") from error
    if not cell("source"):
        raise ConfigError(path, where, "has no source", "a citation for every synthesis")
    return Synthesis(
        target, precursors, temperature, time_h, cell("atmosphere") or "air", cell("source")
    )
