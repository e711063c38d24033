"""What an analysis may claim: nothing by one fit, and a person where anything is wrong."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from matlab_ros.model.lab_words import SecondOutcome, Verdict
from matlab_ros.xrd.alternatives import Alternative, alternatives_to
from matlab_ros.xrd.analyse import Analysis, analyse
from matlab_ros.xrd.composition import formula_amounts
from matlab_ros.xrd.evidence import WORST_GOF
from matlab_ros.xrd.fit import fit_pattern
from matlab_ros.xrd.library import Library, Phase
from matlab_ros.xrd.mass_balance import ElementShare
from matlab_ros.xrd.readers import read_pattern
from matlab_ros.xrd.refit import refitted
from matlab_ros.xrd.residual import Unexplained, UnexplainedPeak
from matlab_ros.xrd.search import Accepted
from matlab_ros.xrd.second_opinion import SecondOpinion
from matlab_ros.xrd.simulate import Background, Hump, PhaseInMixture, Scan, simulate
from matlab_ros.xrd.structure import read_structure
from matlab_ros.xrd.verdict import STRONGEST_STRAY, Assessment, verdict

ROOT = Path(__file__).parents[2]
STRUCTURES = ROOT / "config" / "structures"
DATASETS = Path(os.environ.get("MATLAB_ROS_DATA", ROOT.parent / "shared" / "datasets"))
YES = SecondOpinion(SecondOutcome.AGREES, largest_difference=0.01, rwp=0.1, rwp_ratio=1.0, gof=1.1)


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
    assert judged.reasons[0] == "At a limit: NiO: texture."
    assert "At a limit: asymmetry." in judged.remarks


def test_no_phase_needs_a_person() -> None:
    scan = Scan(background=Background(humps=(Hump(80.0),)))
    pattern = simulate([], np.random.default_rng(3), scan=scan)
    judged = verdict(analyse(pattern, Library(STRUCTURES), elements={"Mg", "Ti", "O"}))
    assert judged.kind is Verdict.NEEDS_HUMAN
    assert judged.reasons[0] == "No phase of the library explains the pattern."


def test_alternative_is_open_unless_the_pattern_or_what_was_weighed_in_speaks_against_it() -> None:
    anatase = read_structure(STRUCTURES / "TiO2-Anatase.cif")
    own = refitted(good().fit)

    def with_alternative(delta_bic: float, contradicted: bool) -> Assessment:
        other = Alternative("TiO2-Rutile", anatase, delta_bic, contradicted, own)
        return verdict(replace(good(), alternatives=(other,), second=YES))

    judged = with_alternative(3.0, False)
    assert judged.kind is Verdict.PROVISIONAL
    assert judged.reasons == ("Instead of TiO2-Rutile it may be TiO2-Anatase.",)
    for struck in (with_alternative(3.0, True), with_alternative(50.0, False)):
        assert struck.kind is Verdict.CONFIRMED
        assert any("TiO2-Anatase" in remark for remark in struck.remarks)


def test_what_was_weighed_in_strikes_an_alternative_of_other_elements() -> None:
    spinel, magnetite = (
        read_structure(STRUCTURES / f"{name}.cif")
        for name in ("ZnFe2O4-Franklinite", "Fe3O4-Magnetite")
    )
    scan = Scan(counting_time_s=0.2)
    pattern = simulate([PhaseInMixture(spinel, 1.0)], np.random.default_rng(4), scan=scan)
    fit = fit_pattern(pattern, [spinel])
    accepted = (Accepted(Phase(spinel), 0.9, (magnetite.name, spinel.name)),)
    for weighed, contradicted in (({"Zn": (1.0, 0.01), "Fe": (2.0, 0.01)}, True), ({}, False)):
        (found,) = alternatives_to(fit, accepted, [spinel, magnetite], weighed)
        assert found.name == "Fe3O4-Magnetite"
        assert found.contradicted is contradicted


def test_phase_that_is_there_is_no_alternative_to_another() -> None:
    names = {phase.structure.name for phase in good().fit.phases}
    assert not names & {item.name for item in good().alternatives}


def test_missing_element_needs_a_person_and_a_wrong_ratio_is_an_open_question() -> None:
    missing = replace(good(), balance=(ElementShare("Nb", 0.3, 0.0, 0.01),), second=YES)
    judged = verdict(missing)
    assert judged.kind is Verdict.NEEDS_HUMAN
    assert judged.reasons[0].startswith("Nb was weighed in and no phase holds it")
    off = (ElementShare("Mg", 0.5, 0.7, 0.02), ElementShare("Ti", 0.5, 0.3, 0.02))
    judged = verdict(replace(good(), balance=off, second=YES))
    assert judged.kind is Verdict.PROVISIONAL
    assert "70 % Mg (50 % weighed in)" in judged.reasons[0]


def test_metal_that_another_may_hide_is_told() -> None:
    shares = (ElementShare("Ti", 0.4, 0.4, 0.02), ElementShare("V", 0.6, 0.6, 0.02))
    judged = verdict(replace(good(), balance=shares, second=YES))
    assert any("hardly tell Ti from V" in remark for remark in judged.remarks)


def test_disagreement_of_two_refinements_needs_a_person() -> None:
    no = SecondOpinion(SecondOutcome.DISAGREES, "They differ.")
    judged = verdict(replace(good(), second=no))
    assert judged.kind is Verdict.NEEDS_HUMAN
    assert judged.reasons == ("They differ.",)


def test_agreement_confirms_nothing_that_is_wrong_or_open() -> None:
    bad = replace(good(), fit=replace(good().fit, gof=WORST_GOF * 1.01), second=YES)
    assert verdict(bad).kind is Verdict.NEEDS_HUMAN
    stray = Unexplained((UnexplainedPeak(31.4, 100.0, STRONGEST_STRAY * 1.1),), 0.01)
    assert verdict(replace(good(), unexplained=stray, second=YES)).kind is Verdict.NEEDS_HUMAN
    assert verdict(replace(good(), second=YES)).kind is Verdict.CONFIRMED


def test_many_weak_peaks_that_nothing_explains_need_a_person() -> None:
    peaks = tuple(UnexplainedPeak(20.0 + i, 10.0, 0.03) for i in range(9))
    judged = verdict(replace(good(), unexplained=Unexplained(peaks, 0.2)))
    assert judged.kind is Verdict.NEEDS_HUMAN
    assert "9 peaks, 20 % of the intensity" in judged.reasons[0]


def test_nothing_is_ever_called_new() -> None:
    unknown = simulate([], np.random.default_rng(3))
    peaks = tuple(UnexplainedPeak(20.0 + i, 10.0, 0.9) for i in range(9))
    for analysis in (
        good(),
        replace(good(), second=YES),
        replace(good(), unexplained=Unexplained(peaks, 0.9)),
        analyse(unknown, Library(STRUCTURES), elements={"Mg", "Ti", "O"}),
    ):
        judged = verdict(analysis)
        told = " ".join((*judged.reasons, *judged.remarks, *analysis.notes, analysis.table()))
        assert not re.search(r"\b(new|novel|discover\w*|unprecedented)\b", told, re.IGNORECASE)


@pytest.mark.skipif(
    not (DATASETS / "xrd" / "reactions").is_dir(), reason=f"no measured products in {DATASETS}"
)
def test_bad_fits_of_measured_products_are_flagged_even_where_a_second_one_agrees() -> None:
    library = Library([STRUCTURES, DATASETS / "cifs"])
    kinds = []
    for path in sorted((DATASETS / "xrd" / "reactions").glob("*.xrdml"))[::3]:
        parts = re.findall(r"(\d*)([A-Z][^-]*)", path.stem.split("_")[0])
        weighed: dict[str, float] = {}
        for number, formula in parts:
            for element, n in formula_amounts(formula).items():
                weighed[element] = weighed.get(element, 0.0) + n * int(number or 1)
        analysis = analyse(
            read_pattern(path),
            library,
            elements={"C", "H", "O", *weighed},
            dispensed_mmol={element: (n, 0.01 * n) for element, n in weighed.items()},
        )
        judged = verdict(analysis)
        kinds.append(judged.kind)
        assert judged.reasons
        assert judged.kind is not Verdict.CONFIRMED
        agreed = verdict(replace(analysis, second=YES))
        stray = max((p.share_of_strongest for p in analysis.unexplained.peaks), default=0.0)
        if analysis.fit.gof > 3.0 or stray > 0.05 or not analysis.fit.converged:
            assert judged.kind is Verdict.NEEDS_HUMAN
            assert agreed.kind is Verdict.NEEDS_HUMAN
    assert len(kinds) >= 5
    assert Verdict.NEEDS_HUMAN in kinds
