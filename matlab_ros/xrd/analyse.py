"""From a pattern to a statement about the sample: phases, fractions, quality of the fit, doubts."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from matlab_ros.model.errors import DataError
from matlab_ros.xrd.alternatives import Alternative, alternatives_to
from matlab_ros.xrd.eligibility import Atmosphere
from matlab_ros.xrd.fit import FitResult, FittedPhase
from matlab_ros.xrd.library import Excluded, Library, Phase
from matlab_ros.xrd.look_again import LookAgain
from matlab_ros.xrd.mass_balance import ElementShare, Fraction, mass_balance
from matlab_ros.xrd.order import OrderTest, order_of
from matlab_ros.xrd.pattern import Pattern
from matlab_ros.xrd.residual import Unexplained, unexplained_peaks
from matlab_ros.xrd.search import Accepted, SearchSettings, fit_named_phases, search_phases
from matlab_ros.xrd.second_opinion import SecondOpinion
from matlab_ros.xrd.telling import document_of, table_of

MIN_POINTS = 100


@dataclass(frozen=True)
class AnalysisSettings:
    """What an analysis looks at.

    Attributes:
        low_deg: angles below are left out: air scatter, beam wider than the sample.
        high_deg: angles above are left out.
        search: how phases are found and fitted.
    """

    low_deg: float = 12.0
    high_deg: float = 120.0
    search: SearchSettings = field(default_factory=SearchSettings)


@dataclass(frozen=True, eq=False)
class Analysis:
    """What a pattern says about a sample.

    Attributes:
        fit: the final fit; its phases are the ones found or named.
        accepted: why each phase is there, for phases that were searched; otherwise empty.
        possible: further phases too weak to be accepted, with the share of chi^2 they explain.
        unexplained: peaks of no phase.
        n_candidates: how many structures competed.
        excluded: structures of the library that did not compete, and why.
        notes: what a reader must know, in sentences.
        alternatives: structures that may be there instead of an accepted one.
        balance: elements found against those weighed in; empty where nothing can be compared.
        order: ordered phases against their disordered parents.
        second: what a second refinement says.
        again: what a further scan would bring; None where it was not asked for, or there is
            nothing to decide.
    """

    fit: FitResult
    accepted: tuple[Accepted, ...]
    possible: tuple[tuple[Phase, float], ...]
    unexplained: Unexplained
    n_candidates: int
    excluded: tuple[Excluded, ...]
    notes: tuple[str, ...]
    alternatives: tuple[Alternative, ...] = ()
    balance: tuple[ElementShare, ...] = ()
    order: tuple[OrderTest, ...] = ()
    second: SecondOpinion = field(default_factory=SecondOpinion)
    again: LookAgain | None = None

    @property
    def phases(self) -> tuple[FittedPhase, ...]:
        """Phases with their weight fractions, most abundant first."""
        return tuple(sorted(self.fit.phases, key=lambda phase: -phase.weight_fraction))

    def weight_fraction(self, formula: str) -> float:
        """Weight fraction of all phases of a reduced formula together; 0 if there is none."""
        return math.fsum(
            phase.weight_fraction for phase in self.fit.phases if phase.structure.formula == formula
        )

    def to_json(self, indent: int | None = 2) -> str:
        """All of it but the curves, as JSON; angles in degrees, lengths in angstrom."""
        return json.dumps(document_of(self), indent=indent)

    def table(self) -> str:
        """The same for people, as plain text."""
        return table_of(self)


def analyse(
    pattern: Pattern,
    library: Library,
    *,
    elements: Iterable[str] | None = None,
    phases: Sequence[str] | None = None,
    atmosphere: Atmosphere = Atmosphere.AIR,
    dispensed_mmol: Mapping[str, tuple[float, float]] | None = None,
    settings: AnalysisSettings | None = None,
) -> Analysis:
    """Finds phases and weight fractions.

    Args:
        pattern: as measured.
        library: structures that may be there.
        elements: what can be in the sample; the best-fitting subset of all structures made of
            them is searched for. Ignored when `phases` is given.
        phases: names or formulas of the phases; they are fitted and nothing is searched.
        atmosphere: what the sample was fired in.
        dispensed_mmol: amount and standard uncertainty of each element that was weighed in, for
            the balance; None where it is not known.
        settings: range of angles and the acceptance rule.

    Raises:
        DataError: the pattern has too few points in the range, or the library lacks a phase.
        ValueError: neither elements nor phases are given.
    """
    settings = settings or AnalysisSettings()
    pattern = _cropped(pattern, settings)
    weighed = dispensed_mmol or {}
    if phases:
        choices = [library.named(name) for name in dict.fromkeys(phases)]
        named = [phase for choice in choices for phase in choice]
        known = fit_named_phases(pattern, choices, settings.search)
        return _analysis(known.fit, (), (), named, (), weighed)
    if elements is None:
        raise ValueError("either the elements or the phases must be given")
    candidates = library.candidates(elements, atmosphere, pattern)
    found = search_phases(pattern, candidates.phases, settings.search)
    return _analysis(
        found.fit,
        found.accepted,
        found.possible,
        candidates.phases,
        candidates.excluded,
        weighed,
    )


def _analysis(
    fit: FitResult,
    accepted: tuple[Accepted, ...],
    possible: tuple[tuple[Phase, float], ...],
    candidates: Sequence[Phase],
    excluded: tuple[Excluded, ...],
    dispensed_mmol: Mapping[str, tuple[float, float]],
) -> Analysis:
    unexplained = unexplained_peaks(fit)
    notes = ["Fractions are of the crystalline part; the amorphous share is not measured."]
    if not fit.converged:
        notes.append("The fit has not converged.")
    if fit.bounds_hit:
        notes.append(f"At a limit: {', '.join(fit.bounds_hit)}.")
    corrected = [
        phase.structure.formula
        for phase in fit.phases
        if abs(phase.weight_fraction - phase.weight_fraction_uncorrected) > 0.03
    ]
    for phase in fit.phases:
        if phase.state.axis is not None:
            axis = " ".join(str(i) for i in phase.state.axis)
            notes.append(
                f"{phase.structure.formula} is textured along ({axis}), r = "
                f"{phase.state.march:.2f}."
            )
    if corrected:
        notes.append(
            f"Absorption differs much between the phases ({', '.join(corrected)}): the fractions "
            f"depend on the size of the grains, which is assumed."
        )
    notes += fit.pattern.remarks
    structures = [s for phase in candidates for s in (phase.structure, *phase.others)]
    fractions = [Fraction(p.structure, p.weight_fraction, p.sigma) for p in fit.phases]
    return Analysis(
        fit,
        accepted,
        possible,
        unexplained,
        len(candidates),
        excluded,
        tuple(notes),
        alternatives=alternatives_to(fit, accepted, structures, dispensed_mmol),
        balance=mass_balance(fractions, dispensed_mmol),
        order=order_of(fit, structures),
    )


def _cropped(pattern: Pattern, settings: AnalysisSettings) -> Pattern:
    angles = pattern.two_theta_deg
    inside = (angles >= settings.low_deg) & (angles <= settings.high_deg)
    if int(inside.sum()) < MIN_POINTS:
        raise DataError(
            pattern.source or "pattern",
            f"only {int(inside.sum())} of its points lie between {settings.low_deg:g} and "
            f"{settings.high_deg:g} degrees",
            f"give a scan with at least {MIN_POINTS}",
        )
    return pattern.cropped(settings.low_deg, settings.high_deg)
