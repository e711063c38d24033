"""A second program's refinement agrees with a good fit, and says so of no other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from matlab_ros.model.lab_words import SecondOutcome, Verdict
from matlab_ros.share import share_dir
from matlab_ros.xrd import second_opinion as module
from matlab_ros.xrd.analyse import Analysis, analyse
from matlab_ros.xrd.fit import FitResult
from matlab_ros.xrd.library import Library
from matlab_ros.xrd.second_opinion import is_installed, second_opinion, tolerance_of
from matlab_ros.xrd.simulate import PhaseInMixture, simulate
from matlab_ros.xrd.structure import read_structure
from matlab_ros.xrd.verdict import is_worth_confirming, verdict

STRUCTURES = share_dir() / "config" / "structures"
needs_it = pytest.mark.skipif(not is_installed(), reason="rietx is not installed")


@lru_cache
def good() -> Analysis:
    parts = {"MgO-Periclase": 0.3, "MgTiO3": 0.7}
    phases = [
        PhaseInMixture(read_structure(Path(STRUCTURES) / f"{name}.cif"), share)
        for name, share in parts.items()
    ]
    pattern = simulate(phases, np.random.default_rng(11))
    return analyse(pattern, Library(STRUCTURES), elements={"Mg", "Ti", "O"})


def with_fractions(fit: FitResult, changed: Mapping[str, float]) -> FitResult:
    """A fit that claims other fractions."""
    phases = tuple(
        replace(phase, weight_fraction_uncorrected=changed[phase.structure.name])
        for phase in fit.phases
    )
    return replace(fit, phases=phases)


@needs_it
def test_good_fit_is_confirmed() -> None:
    analysis = good()
    assert is_worth_confirming(analysis)
    second = second_opinion(analysis.fit)
    assert second.outcome is SecondOutcome.AGREES, second.reason
    assert dict(second.fractions)["MgTiO3"] == pytest.approx(0.7, abs=0.02)
    judged = verdict(replace(analysis, second=second))
    assert judged.kind is Verdict.CONFIRMED
    assert judged.reasons == ()


@needs_it
def test_fractions_that_the_pattern_does_not_show_are_not_confirmed() -> None:
    fit = with_fractions(good().fit, {"MgTiO3": 0.78, "MgO-Periclase": 0.22})
    second = second_opinion(fit)
    assert second.outcome is SecondOutcome.DISAGREES
    assert second.largest_difference > tolerance_of(0.7)
    judged = verdict(replace(good(), second=second))
    assert judged.kind is Verdict.NEEDS_HUMAN
    assert "78.0" in judged.reasons[0]


@needs_it
def test_a_phase_too_few_is_not_confirmed() -> None:
    fit = good().fit
    (titanate,) = [phase for phase in fit.phases if phase.structure.name == "MgTiO3"]
    alone = replace(fit, phases=(replace(titanate, weight_fraction_uncorrected=1.0),))
    assert second_opinion(alone).outcome is SecondOutcome.DISAGREES


@needs_it
def test_a_wrong_cell_is_not_confirmed() -> None:
    fit = good().fit
    wider = np.array([1.002, 1.002, 1.002, 1.0, 1.0, 1.0])
    moved = tuple(replace(phase, cell=phase.cell * wider) for phase in fit.phases)
    second = second_opinion(replace(fit, phases=moved))
    assert second.outcome is SecondOutcome.DISAGREES
    assert "angstrom" in second.reason


@needs_it
def test_deadline_ends_it_and_the_result_stays_provisional() -> None:
    second = second_opinion(good().fit, deadline_s=0.0)
    assert second.outcome is SecondOutcome.FAILED
    judged = verdict(replace(good(), second=second))
    assert judged.kind is Verdict.PROVISIONAL
    assert "did not end within 0 s" in judged.reasons[0]


@needs_it
def test_error_of_the_other_program_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("matrix is singular\nsecond line")

    monkeypatch.setattr(module, "_refine", broken)
    second = second_opinion(good().fit)
    assert second.outcome is SecondOutcome.FAILED
    assert second.reason == "The second refinement failed: matrix is singular."


def test_without_the_program_a_result_stays_provisional(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SOFTWARE", "no_such_program")
    second = second_opinion(good().fit)
    assert second.outcome is SecondOutcome.NOT_INSTALLED
    judged = verdict(replace(good(), second=second))
    assert judged.kind is Verdict.PROVISIONAL
    assert judged.reasons == (second.reason,)
    assert "not installed" in second.reason
