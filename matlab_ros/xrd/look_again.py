"""Which angles would decide between models that a scan does not tell apart, and how long it takes.

The expected difference of chi^2 between two models grows with the counts: where their curves
differ by d(2theta) and y is counted, by d^2 / y in each point. So a scan says itself which angles
are worth a longer look, and what any other scan would bring.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from matlab_ros.model.scan_program import ScanProgram
from matlab_ros.xrd.evidence import (
    STRONG_EVIDENCE,
    WORST_GOF,
    correlation_length,
    difference,
    misfit_where,
)
from matlab_ros.xrd.pattern import FloatArray
from matlab_ros.xrd.refit import Refit

DECISIVE = 2.0 * STRONG_EVIDENCE
"""Expected dBIC at which a scan is likely enough to end above `STRONG_EVIDENCE`.

An expected difference D scatters by about 2 sqrt(D).
"""
_WINDOW_DEG = 1.0
_SHARE = 0.8
_MOST_RANGES = 6


@dataclass(frozen=True, eq=False)
class Question:
    """Two models that a scan does not tell apart.

    Attributes:
        between: their names.
        first, second: their fits of the same points.
    """

    between: tuple[str, str]
    first: Refit
    second: Refit


@dataclass(frozen=True)
class DecidingRange:
    """Angles where models differ.

    Attributes:
        first_deg, last_deg: 2 theta.
        per_s: dBIC to be expected for each second that a scan of these angles alone takes.
        between: names of the models.
    """

    first_deg: float
    last_deg: float
    per_s: float
    between: tuple[str, str]


@dataclass(frozen=True)
class LookAgain:
    """What a further measurement would bring.

    Attributes:
        program: the shortest that decides every question within the budget; None: there is none.
        ranges: where the models differ, the most telling first.
        expected: smallest dBIC of all questions to be expected of the scans together, with the
            program if there is one, else with the best within the budget.
        needed_s: seconds that a scan of the deciding angles alone would take; inf where the
            misfit of both models is what hides the difference, so that no time helps.
    """

    program: ScanProgram | None
    ranges: tuple[DecidingRange, ...]
    expected: float
    needed_s: float


def look_again(
    questions: Sequence[Question],
    seconds_per_degree: float,
    programs: Sequence[ScanProgram],
    budget_s: float,
) -> LookAgain:
    """Which of the programs would decide the questions.

    Args:
        questions: at least one.
        seconds_per_degree: of the scan that the fits are of.
        programs: to choose from; those that would count so long that what is wrong with the model
            anyhow makes its fit a bad one are passed over.
        budget_s: longest that the further scan may take.
    """
    ranges = [
        found for question in questions for found in deciding_ranges(question, seconds_per_degree)
    ]
    ranges.sort(key=lambda item: -item.per_s)
    own = questions[0].first
    affordable = sorted(
        (
            program
            for program in programs
            if program.duration_s <= budget_s
            and _expected_gof(own, seconds_per_degree, program) <= WORST_GOF
        ),
        key=lambda program: (program.duration_s, program.name),
    )
    gains = [
        min(_expected(question, seconds_per_degree, program) for question in questions)
        for program in affordable
    ]
    chosen = next((p for p, g in zip(affordable, gains, strict=True) if g >= DECISIVE), None)
    if chosen is not None:
        expected = gains[affordable.index(chosen)]
    else:
        present = min(_expected(question, seconds_per_degree, None) for question in questions)
        expected = max([present, *gains])
    needed = max(_needed_s(question, seconds_per_degree) for question in questions)
    return LookAgain(chosen, tuple(ranges[:_MOST_RANGES]), expected, needed)


def deciding_ranges(question: Question, seconds_per_degree: float) -> tuple[DecidingRange, ...]:
    """Where two models differ most relative to counting noise, in windows of about a degree.

    Taken are the best windows until they hold four fifths of the whole difference; neighbours are
    one range.

    Args:
        question: the models.
        seconds_per_degree: of the scan that the fits are of.
    """
    angles = question.first.two_theta_deg
    density = _difference(question)
    total = float(density.sum())
    if total <= 0:
        return ()
    window = np.floor((angles - angles[0]) / _WINDOW_DEG).astype(np.int64)
    sums = np.bincount(window, weights=density)
    best = np.argsort(-sums)
    enough = int(np.searchsorted(np.cumsum(sums[best]), _SHARE * total)) + 1
    chosen = np.sort(best[:enough])
    scale = 1.0 / (_scatter(question).inflation(1.0) * seconds_per_degree)
    found = []
    for part in np.split(chosen, np.flatnonzero(np.diff(chosen) > 1) + 1):
        first = float(angles[0] + part[0] * _WINDOW_DEG)
        last = min(float(angles[0] + (part[-1] + 1) * _WINDOW_DEG), float(angles[-1]))
        per_s = float(sums[part].sum()) * scale / (last - first)
        found.append(DecidingRange(first, last, per_s, question.between))
    found.sort(key=lambda item: -item.per_s)
    return tuple(found)


def _difference(question: Question) -> FloatArray:
    return difference(question.first.calculated, question.second.calculated)


def _expected_gof(own: Refit, seconds_per_degree: float, program: ScanProgram) -> float:
    """Goodness of fit to be expected of the scan there is and one of a program together."""
    angles, squares = own.two_theta_deg, own.residual**2
    inside = (angles >= program.first_deg) & (angles <= program.last_deg)
    if not inside.any():
        return math.sqrt(own.chi2 / own.n)
    exposure = 1.0 + program.seconds_per_degree / seconds_per_degree
    even = np.ones(int(inside.sum()))
    misfit = (misfit_where(even, own.residual[inside], allowance=1.0) - 1.0) * exposure
    total = float(squares[~inside].sum()) + even.size * (1.0 + misfit)
    return math.sqrt(total / own.n)


@dataclass(frozen=True)
class _Scatter:
    """What hides the difference of two models.

    Attributes:
        misfit: mean squared residual beyond noise where they differ, as far as it is sure to be
            more than noise; it grows with the counts.
        length: how many neighbouring points say the same.
    """

    misfit: float
    length: float

    def inflation(self, exposure: float) -> float:
        """What a difference of chi^2 is divided by after `exposure` times as many counts."""
        return (1.0 + self.misfit * exposure) * self.length


def _scatter(question: Question) -> _Scatter:
    better = min(question.first, question.second, key=lambda item: item.chi2)
    misfit = misfit_where(_difference(question), better.residual, allowance=1.0) - 1.0
    return _Scatter(misfit, correlation_length(better.residual))


def _expected(question: Question, seconds_per_degree: float, program: ScanProgram | None) -> float:
    """dBIC to be expected of the scan there is and one of a program together."""
    density = _difference(question)
    now = float(density.sum())
    scatter = _scatter(question)
    if program is None or now <= 0:
        return now / scatter.inflation(1.0)
    angles = question.first.two_theta_deg
    inside = (angles >= program.first_deg) & (angles <= program.last_deg)
    more = program.seconds_per_degree / seconds_per_degree
    gained = more * float(density[inside].sum())
    return (now + gained) / scatter.inflation(1.0 + gained / now)


def _needed_s(question: Question, seconds_per_degree: float) -> float:
    """Seconds of a scan of the deciding ranges alone, until it is likely enough to decide."""
    total = float(_difference(question).sum())
    scatter = _scatter(question)
    # x total / ((1 + x misfit) length) = DECISIVE, with x times the present exposure.
    room = total - DECISIVE * scatter.length * scatter.misfit
    if room <= 0:
        return math.inf
    more = max(DECISIVE * scatter.length / room - 1.0, 0.0)
    width = sum(r.last_deg - r.first_deg for r in deciding_ranges(question, seconds_per_degree))
    return more / _SHARE * width * seconds_per_degree
