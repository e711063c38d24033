"""What an analysis may claim: never confirmed by one fit, and a person where anything is wrong."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from matlab_ros.model.lab_words import Verdict
from matlab_ros.xrd.analyse import Analysis, analyse
from matlab_ros.xrd.composition import formula_amounts
from matlab_ros.xrd.library import Library
from matlab_ros.xrd.readers import read_pattern
from matlab_ros.xrd.residual import Unexplained, UnexplainedPeak
from matlab_ros.xrd.search import Accepted
from matlab_ros.xrd.simulate import PhaseInMixture, Scan, simulate
from matlab_ros.xrd.structure import read_structure
from matlab_ros.xrd.verdict import STRONGEST_STRAY, WORST_GOF, verdict

ROOT = Path(__file__).parents[2]
STRUCTURES = ROOT / "config" / "structures"
DATASETS = Path(os.environ.get("MATLAB_ROS_DATA", ROOT.parent / "shared" / "datasets"))


@lru_cache(maxsize=1)
def good() -> Analysis:
    parts = {"MgO-Periclase": 0.6, "TiO2-Rutile": 0.4}
    phases = [PhaseInMixture(read_structure(STRUCTURES / f"{n}.cif"), w) for n, w in parts.items()]
    pattern = simulate(phases, np.random.default_rng(11))
    return analyse(pattern, Library(STRUCTURES), elements={"Mg", "Ti", "O"})


def test_perfect_fit_is_provisional_until_a_second_one_agrees() -> None:
    judged = verdict(good())
    assert judged.kind is Verdict.PROVISIONAL
    assert judged.reasons[-1] == "One refinement alone never confirms."


def test_bad_fit_needs_a_person() -> None:
    for gof in (WORST_GOF * 1.01, float("nan")):
        judged = verdict(replace(good(), fit=replace(good().fit, gof=gof)))
        assert judged.kind is Verdict.NEEDS_HUMAN
        assert "goodness of fit" in judged.reasons[0]
    fine = verdict(replace(good(), fit=replace(good().fit, gof=WORST_GOF * 0.99)))
    assert fine.kind is Verdict.PROVISIONAL


@pytest.mark.parametrize(
    ("share", "kind"),
    [
        (STRONGEST_STRAY * 1.1, Verdict.NEEDS_HUMAN),
        (STRONGEST_STRAY * 0.9, Verdict.PROVISIONAL),
    ],
)
def test_unexplained_peak_needs_a_person(share: float, kind: Verdict) -> None:
    stray = Unexplained((UnexplainedPeak(31.4, 100.0, share),), 0.01)
    judged = verdict(replace(good(), unexplained=stray))
    assert judged.kind is kind
    assert any("31.40" in reason for reason in judged.reasons) == (kind is Verdict.NEEDS_HUMAN)


def test_unfinished_fit_needs_a_person() -> None:
    judged = verdict(replace(good(), fit=replace(good().fit, converged=False)))
    assert judged.kind is Verdict.NEEDS_HUMAN


def test_cell_at_its_limit_needs_a_person_and_other_limits_are_told() -> None:
    cell = replace(good(), fit=replace(good().fit, bounds_hit=("asymmetry", "TiO2-Rutile: c")))
    judged = verdict(cell)
    assert judged.kind is Verdict.NEEDS_HUMAN
    assert "TiO2-Rutile: c" in judged.reasons[0]
    other = replace(good(), fit=replace(good().fit, bounds_hit=("asymmetry", "NiO: texture")))
    judged = verdict(other)
    assert judged.kind is Verdict.PROVISIONAL
    assert "asymmetry, NiO: texture" in judged.reasons[0]


def test_no_phase_needs_a_person() -> None:
    pattern = simulate([], np.random.default_rng(3), scan=Scan(amorphous=80.0))
    judged = verdict(analyse(pattern, Library(STRUCTURES), elements={"Mg", "Ti", "O"}))
    assert judged.kind is Verdict.NEEDS_HUMAN
    assert judged.reasons[0] == "No phase of the library explains the pattern."


def test_alternatives_are_told() -> None:
    first = good().accepted[0]
    doubtful = (Accepted(first.phase, first.gain, ("TiO2-Other",)), *good().accepted[1:])
    assert any(
        "TiO2-Other" in reason for reason in verdict(replace(good(), accepted=doubtful)).reasons
    )


@pytest.mark.skipif(
    not (DATASETS / "xrd" / "reactions").is_dir(), reason=f"no measured products in {DATASETS}"
)
def test_no_measured_product_is_confirmed_and_bad_fits_are_flagged() -> None:
    library = Library([STRUCTURES, DATASETS / "cifs"])
    kinds = []
    for path in sorted((DATASETS / "xrd" / "reactions").glob("*.xrdml"))[::3]:
        formulas = re.sub(r"(^|-)\d+(?=[A-Z])", r"\1", path.stem.split("_")[0]).split("-")
        elements = {"C", "H", "O"}.union(*(formula_amounts(formula) for formula in formulas))
        analysis = analyse(read_pattern(path), library, elements=elements)
        judged = verdict(analysis)
        kinds.append(judged.kind)
        assert judged.reasons
        stray = max((p.share_of_strongest for p in analysis.unexplained.peaks), default=0.0)
        if analysis.fit.gof > 3.0 or stray > 0.05 or not analysis.fit.converged:
            assert judged.kind is Verdict.NEEDS_HUMAN
    assert len(kinds) >= 5
    assert Verdict.CONFIRMED not in kinds
    assert Verdict.NEEDS_HUMAN in kinds
