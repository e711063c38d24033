"""Calculated energies of the Materials Project, for who has a key to it.

Formation energies of 0 K become Gibbs energies by Bartel's descriptor. That of a carbonate is too
low by about 0.83 eV for each carbonate ion (fitted to measured ones by the library
reaction-network) and is raised by as much.
"""

from __future__ import annotations

import json
import logging
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from matlab_ros.chemistry import bartel
from matlab_ros.chemistry.energies import KJ_PER_MOL_PER_EV, Energy
from matlab_ros.chemistry.formula import Formula, FormulaError, parse_formula
from matlab_ros.chemistry.tables import elemental_energies_ev

KEY_VARIABLE = "MP_API_KEY"
"""Environment variable with the key, as the project's own client has it."""
ADDRESS = "https://api.materialsproject.org"
_FIELDS = "material_id,formula_pretty,formation_energy_per_atom,volume,nsites"
_MOST_ENTRIES = 1000
_LARGEST_ANSWER_BYTES = 20_000_000
_CARBONATE_EV = 0.83

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Entry:
    """The most stable structure of a formula."""

    material: str
    enthalpy_ev_per_atom: float
    volume_a3_per_atom: float


class MaterialsProjectEnergies:
    """What the Materials Project calculated; asked once for each formula or chemical system.

    Where it cannot be reached it is as if it knew nothing, and the log says so once.
    """

    name = "Materials Project"

    def __init__(self, key: str, address: str = ADDRESS, timeout_s: float = 20.0) -> None:
        """
        Args:
            key: personal key to the interface.
            address: where it is.
            timeout_s: for each answer.
        """
        self._key = key
        self._address = address.rstrip("/")
        self._timeout_s = timeout_s
        self._entries: dict[str, _Entry | None] = {}
        self._systems: dict[frozenset[str], tuple[str, ...]] = {}
        self._is_reachable = True

    def formation_energy(
        self, formula: Formula, temperature_k: float, phase: str | None = None
    ) -> Energy | None:
        """See `matlab_ros.chemistry.energies.EnergyProvider`; it knows no names of phases.

        Raises:
            MissingChemistryExtra: the descriptor needs the tables of the elements.
        """
        if phase is not None or len(formula.amounts) < 2:
            return None
        if formula.reduced not in self._entries:
            self._keep(self._ask({"formula": formula.reduced}))
        entry = self._entries.setdefault(formula.reduced, None)
        if entry is None:
            return None
        atoms = float(sum(formula.amounts.values()))
        per_atom = bartel.gibbs_ev_per_atom(
            formula,
            entry.enthalpy_ev_per_atom,
            entry.volume_a3_per_atom,
            temperature_k,
            elemental_energies_ev(temperature_k),
        )
        raised = _CARBONATE_EV * carbonate_ions(formula)
        return Energy(
            formula.text,
            temperature_k,
            (per_atom * atoms + raised) * KJ_PER_MOL_PER_EV,
            atoms * bartel.UNCERTAINTY_EV_PER_ATOM * KJ_PER_MOL_PER_EV,
            f"Materials Project {entry.material}; Bartel's descriptor",
            atoms,
            "carbonate, corrected by 0.83 eV" if raised else "",
        )

    def known_formulas(self, elements: frozenset[str]) -> Iterable[str]:
        """See `matlab_ros.chemistry.energies.EnergyProvider`."""
        if elements not in self._systems:
            systems = [
                "-".join(sorted(some))
                for n in range(2, len(elements) + 1)
                for some in combinations(sorted(elements), n)
            ]
            self._systems[elements] = self._keep(self._ask({"chemsys": ",".join(systems)}))
        return self._systems[elements]

    def _keep(self, answer: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
        """Remembers the most stable entry of each formula; their reduced formulas."""
        found = set()
        for item in answer:
            try:
                formula = parse_formula(str(item["formula_pretty"])).reduced
                entry = _Entry(
                    str(item["material_id"]),
                    float(item["formation_energy_per_atom"]),
                    float(item["volume"]) / float(item["nsites"]),
                )
            except (KeyError, TypeError, ValueError, ZeroDivisionError, FormulaError):
                continue  # an entry that was not calculated to the end
            found.add(formula)
            before = self._entries.get(formula)
            if before is None or entry.enthalpy_ev_per_atom < before.enthalpy_ev_per_atom:
                self._entries[formula] = entry
        return tuple(sorted(found))

    def _ask(self, criteria: Mapping[str, str]) -> list[Mapping[str, Any]]:
        if not self._is_reachable:
            return []
        query = urllib.parse.urlencode({**criteria, "_fields": _FIELDS, "_limit": _MOST_ENTRIES})
        request = urllib.request.Request(
            f"{self._address}/materials/summary/?{query}", headers={"X-API-KEY": self._key}
        )
        try:
            with urllib.request.urlopen(request, timeout=self._timeout_s) as answer:
                text = answer.read(_LARGEST_ANSWER_BYTES)
            data = json.loads(text)["data"]
            return [item for item in data if isinstance(item, dict)]
        except urllib.error.HTTPError as error:
            problem = f"it refused with {error.code} {error.reason}"
            error.close()
        except (OSError, ValueError, KeyError, TypeError) as error:
            problem = str(error)
        self._is_reachable = False
        _log.warning("the Materials Project is not asked any more: %s", problem)
        return []


def carbonate_ions(formula: Formula) -> float:
    """Carbonate ions in a formula unit: its carbon, where there is enough oxygen for it."""
    carbon = float(formula.amounts.get("C", 0))
    oxygen = float(formula.amounts.get("O", 0))
    return carbon if oxygen >= 3 * carbon else 0.0
