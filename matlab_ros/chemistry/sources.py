"""The sources of energies in the order in which they are asked."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from matlab_ros.chemistry import tables
from matlab_ros.chemistry.energies import EnergyProvider
from matlab_ros.chemistry.known_energies import KnownEnergies
from matlab_ros.chemistry.materials_project import KEY_VARIABLE, MaterialsProjectEnergies
from matlab_ros.chemistry.thermodynamics import Thermodynamics
from matlab_ros.share import config_file


def default_providers(files: Sequence[Path]) -> tuple[tuple[EnergyProvider, ...], str]:
    """Your files, ours, FREED, NIST-JANAF, and the Materials Project where there is a key.

    Returns:
        The providers, and what would help where none of them knows a substance.

    Raises:
        ConfigError: a file makes no sense.
    """
    measured: tuple[EnergyProvider, ...] = ()
    hint = f"{tables.INSTALL} brings the tables FREED and NIST-JANAF."
    ours = KnownEnergies.configuration(config_file("precursors", "energies"))
    if tables.is_installed():
        distrusted = [(item.table, item.formula) for item in ours.distrusted]
        measured = (tables.CrossCheckedTables(tables.freed_and_janaf(), distrusted),)
        hint = (
            f"add it to a file of energies, with its source, or set {KEY_VARIABLE} to a key of the "
            "Materials Project."
        )
    found: tuple[EnergyProvider, ...] = measured
    known = [("literature", ours)]
    known += [(path.stem, KnownEnergies.configuration(path)) for path in reversed(files)]
    for name, entries in known:
        others = Thermodynamics(found, hint).gibbs
        found = (KnownEnergies(name, entries.energies, others), *found)
    if key := os.environ.get(KEY_VARIABLE):
        found = (*found, MaterialsProjectEnergies(key))
    return found, hint
