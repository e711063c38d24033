"""An ordered structure is claimed only where the data tell it from its disordered parent."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from matlab_ros.model.lab_words import Order, Verdict
from matlab_ros.share import share_dir
from matlab_ros.xrd.analyse import Analysis, analyse
from matlab_ros.xrd.library import Library
from matlab_ros.xrd.order import disordered, is_disordered
from matlab_ros.xrd.simulate import PhaseInMixture, Scan, simulate
from matlab_ros.xrd.structure import Structure, read_structure
from matlab_ros.xrd.verdict import verdict

STRUCTURES = share_dir() / "config" / "structures"
ELEMENTS = {"Mg", "Ti", "O"}


@lru_cache
def structure(name: str) -> Structure:
    return read_structure(Path(STRUCTURES) / f"{name}.cif")


def analysis_of(
    parts: dict[Structure, float], time_s: float = 10.0, phases: Sequence[str] | None = None
) -> Analysis:
    mixture = [PhaseInMixture(each, share) for each, share in parts.items()]
    pattern = simulate(mixture, np.random.default_rng(5), scan=Scan(counting_time_s=time_s))
    return analyse(pattern, Library(STRUCTURES), elements=ELEMENTS, phases=phases)


def test_metals_mix_only_where_their_surroundings_are_alike() -> None:
    assert [mixed for _, mixed in disordered(structure("MgTiO3"))] == [("Mg", "Ti")]
    assert [mixed for _, mixed in disordered(structure("CaMgC2O6-Dolomite"))] == [("Ca", "Mg")]
    # Octahedra and dodecahedra, tetrahedra and octahedra are no sites of one parent.
    for name in ("SrTiO3-Tausonite", "YBa2Cu3O6.9-YBCO", "ZnFe2O4-Franklinite", "TiO2-Rutile"):
        assert disordered(structure(name)) == ()


def test_disorder_changes_neither_composition_nor_density() -> None:
    for name in ("MgTiO3", "Li2TiO3-monoclinic", "MgTi2O5-Karrooite"):
        ordered = structure(name)
        for mixed, metals in disordered(ordered):
            amounts = {
                symbol: sum(
                    o for s, o in zip(mixed.symbols, mixed.occupancies, strict=True) if s == symbol
                )
                for symbol in ordered.composition
            }
            assert amounts == pytest.approx(dict(ordered.composition))
            assert is_disordered(mixed)
            assert not is_disordered(ordered)
            assert all(metal in mixed.name for metal in metals)


def test_true_order_is_found_to_be_order() -> None:
    analysis = analysis_of({structure("MgTiO3"): 0.6, structure("TiO2-Rutile"): 0.4})
    (test,) = analysis.order
    assert test.result is Order.ORDERED
    assert test.sentence in verdict(analysis).remarks


def test_disordered_sample_is_not_claimed_as_the_ordered_target() -> None:
    (parent, _), *_ = disordered(structure("MgTiO3"))
    analysis = analysis_of({parent: 0.6, structure("TiO2-Rutile"): 0.4})
    assert "MgTiO3" in {phase.structure.name for phase in analysis.phases}
    assert {test.result for test in analysis.order if test.phase == "MgTiO3"} == {Order.DISORDERED}
    judged = verdict(analysis)
    assert judged.kind is Verdict.NEEDS_HUMAN
    assert any("not ordered as its model says" in reason for reason in judged.reasons)


def test_order_that_the_data_do_not_show_is_not_proven() -> None:
    parts = {structure("MgTiO3"): 0.15, structure("TiO2-Rutile"): 0.85}
    analysis = analysis_of(parts, time_s=0.3, phases=["MgTiO3", "TiO2-Rutile"])
    (test,) = analysis.order
    assert test.result is Order.UNDECIDED
    judged = verdict(analysis)
    assert judged.kind is Verdict.PROVISIONAL
    assert any("order of MgTiO3 is not proven" in reason for reason in judged.reasons)
