"""From a pattern to a statement about the sample: phases, fractions, quality of the fit, doubts."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from matlab_ros.model.errors import DataError
from matlab_ros.xrd.eligibility import Atmosphere
from matlab_ros.xrd.fit import FitResult, FittedPhase
from matlab_ros.xrd.library import Excluded, Library, Phase
from matlab_ros.xrd.pattern import Pattern
from matlab_ros.xrd.residual import Unexplained, unexplained_peaks
from matlab_ros.xrd.search import Accepted, SearchSettings, fit_named_phases, search_phases

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
    """

    fit: FitResult
    accepted: tuple[Accepted, ...]
    possible: tuple[tuple[Phase, float], ...]
    unexplained: Unexplained
    n_candidates: int
    excluded: tuple[Excluded, ...]
    notes: tuple[str, ...]

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
        fit = self.fit
        document = {
            "file": fit.pattern.source,
            "sample": fit.pattern.sample_id,
            "two_theta_deg": [
                float(fit.pattern.two_theta_deg[0]),
                float(fit.pattern.two_theta_deg[-1]),
            ],
            "phases": [self._phase_document(phase) for phase in self.phases],
            "possible": [
                {"name": phase.name, "formula": phase.formula, "explains": gain}
                for phase, gain in self.possible
            ],
            "fit": {
                "rwp": fit.rwp,
                "rexp": fit.rexp,
                "gof": fit.gof,
                "converged": fit.converged,
                "displacement_deg": fit.instrument.displacement_deg,
                "roughness": fit.instrument.roughness,
                "bounds_hit": list(fit.bounds_hit),
            },
            "unexplained": {
                "share_of_intensity": self.unexplained.share_of_intensity,
                "peaks": [
                    {
                        "two_theta_deg": peak.two_theta_deg,
                        "height": peak.height,
                        "share_of_strongest": peak.share_of_strongest,
                    }
                    for peak in self.unexplained.peaks
                ],
            },
            "candidates": self.n_candidates,
            "excluded": [
                {"name": e.name, "formula": e.formula, "reason": e.reason} for e in self.excluded
            ],
            "notes": list(self.notes),
        }
        return json.dumps(document, indent=indent)

    def table(self) -> str:
        """The same for people, as plain text."""
        fit = self.fit
        lines = [f"{fit.pattern.source or 'pattern'}"]
        header = f"{'phase':<16} {'structure':<26} {'wt%':>6} {'+-':>5} {'size/nm':>8} {'cell':>8}"
        lines += [header, "-" * len(header)]
        for phase in self.phases:
            size = f"{phase.size_nm:.0f}" if phase.size_nm < 500 else "> 500"
            lines.append(
                f"{phase.structure.formula:<16} {phase.structure.name:<26} "
                f"{100 * phase.weight_fraction:6.1f} {100 * phase.sigma:5.1f} {size:>8} "
                f"{100 * phase.cell_shift:+7.2f}%"
            )
        if not fit.phases:
            lines.append("no phase found")
        lines.append(
            f"Rwp {100 * fit.rwp:.1f} %, Rexp {100 * fit.rexp:.1f} %, GoF {fit.gof:.2f}"
            f"{'' if fit.converged else ', not converged'}; {self.n_candidates} candidates"
        )
        for item in self.accepted:
            if item.alternatives:
                lines.append(f"instead of {item.phase.name}: {', '.join(item.alternatives)}")
        if self.possible:
            names = ", ".join(f"{phase.name} ({100 * g:.0f} %)" for phase, g in self.possible)
            lines.append(f"possible, but not needed: {names}")
        for peak in self.unexplained.peaks[:8]:
            lines.append(
                f"unexplained peak at {peak.two_theta_deg:.2f} deg, "
                f"{100 * peak.share_of_strongest:.1f} % of the strongest"
            )
        lines += self.notes
        return "\n".join(lines)

    def _phase_document(self, phase: FittedPhase) -> dict[str, object]:
        why = next((a for a in self.accepted if a.phase.structure is phase.structure), None)
        return {
            "name": phase.structure.name,
            "formula": phase.structure.formula,
            "space_group": phase.structure.space_group,
            "citation": phase.structure.citation,
            "weight_fraction": phase.weight_fraction,
            "sigma_statistical": phase.sigma_statistical,
            "sigma_systematic": phase.sigma_systematic,
            "weight_fraction_uncorrected": phase.weight_fraction_uncorrected,
            "cell": [float(value) for value in phase.cell],
            "cell_shift": phase.cell_shift,
            "size_nm": phase.size_nm if math.isfinite(phase.size_nm) else None,
            "texture": (
                {"axis": list(phase.state.axis), "march": phase.state.march}
                if phase.state.axis is not None
                else None
            ),
            "explains": why.gain if why else None,
            "alternatives": list(why.alternatives) if why else [],
        }


def analyse(
    pattern: Pattern,
    library: Library,
    *,
    elements: Iterable[str] | None = None,
    phases: Sequence[str] | None = None,
    atmosphere: Atmosphere = Atmosphere.AIR,
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
        settings: range of angles and the acceptance rule.

    Raises:
        DataError: the pattern has too few points in the range, or the library lacks a phase.
        ValueError: neither elements nor phases are given.
    """
    settings = settings or AnalysisSettings()
    pattern = _cropped(pattern, settings)
    if phases:
        choices = [library.named(name) for name in dict.fromkeys(phases)]
        known = fit_named_phases(pattern, choices, settings.search)
        return _analysis(known.fit, (), (), sum(len(choice) for choice in choices), ())
    if elements is None:
        raise ValueError("either the elements or the phases must be given")
    candidates = library.candidates(elements, atmosphere)
    found = search_phases(pattern, candidates.phases, settings.search)
    return _analysis(
        found.fit, found.accepted, found.possible, len(candidates.phases), candidates.excluded
    )


def _analysis(
    fit: FitResult,
    accepted: tuple[Accepted, ...],
    possible: tuple[tuple[Phase, float], ...],
    n_candidates: int,
    excluded: tuple[Excluded, ...],
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
    return Analysis(fit, accepted, possible, unexplained, n_candidates, excluded, tuple(notes))


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
