"""Which of the candidates are in a pattern: forward search with the whole-pattern fit.

Each round asks of every candidate how much of chi^2 it would take away beside the phases found
so far (a short fit of it alone, the others free in scale), then fits the most promising ones
together with the found phases. Of those for which there is enough evidence the one that fits best
is accepted. At the end every accepted phase must hold its place: it goes if there is not enough
evidence against the fit without it. What evidence is stands in `matlab_ros.xrd.presence`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import compress

from matlab_ros.xrd.evidence import STRONG_EVIDENCE
from matlab_ros.xrd.fit import FitResult, fit_pattern, visible_fraction
from matlab_ros.xrd.fit_parameters import ALIGNMENT, FitSettings, PhaseState
from matlab_ros.xrd.least_squares import Problem, Solution
from matlab_ros.xrd.library import Phase
from matlab_ros.xrd.pattern import FloatArray, Pattern
from matlab_ros.xrd.presence import evidence_of_presence
from matlab_ros.xrd.profile import Instrument, PhaseProfile, phase_profile
from matlab_ros.xrd.structure import Structure


@dataclass(frozen=True)
class SearchSettings:
    """When a phase is accepted, and how hard to look.

    Attributes:
        evidence: twice the logarithm of the odds for it that a phase must have to be accepted.
        hint: the same to be reported as possible.
        smallest_fraction: weight fraction below which a phase is not reported.
        most_phases: where to stop.
        verified: how many of a round's candidates are fitted together with the found phases.
        alternative: a candidate that would take away at least this share of what the accepted one
            did is reported as its alternative.
        search_step_deg: the search sums points up to about this step; the last fit does not.
        most_determinations: how many other determinations of an accepted structure compete.
        clearly_better: by what share of chi^2 one must be better than the preferred one.
        fit: of the last fit; the search loosens it.
    """

    evidence: float = 3.0 * STRONG_EVIDENCE
    hint: float = STRONG_EVIDENCE
    smallest_fraction: float = 0.006
    most_phases: int = 6
    verified: int = 2
    alternative: float = 0.9
    search_step_deg: float = 0.045
    most_determinations: int = 3
    clearly_better: float = 0.02
    fit: FitSettings = field(default_factory=FitSettings)


@dataclass(frozen=True)
class Accepted:
    """Why a phase is in the result.

    Attributes:
        phase: the phase.
        gain: share of the excess of chi^2 that it took away when it was accepted, 0 to 1.
        alternatives: names of candidates that would have done nearly as well in its place.
    """

    phase: Phase
    gain: float
    alternatives: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class SearchResult:
    """The phases of a pattern and the final fit with them.

    Attributes:
        accepted: in the order of the fit's phases.
        possible: phases with some evidence, but not enough, with their gain, best first.
        fit: with all accepted phases, at the pattern's full resolution.
        fits: how many fits the search took.
    """

    accepted: tuple[Accepted, ...]
    possible: tuple[tuple[Phase, float], ...]
    fit: FitResult
    fits: int


def search_phases(
    pattern: Pattern, candidates: Sequence[Phase], settings: SearchSettings | None = None
) -> SearchResult:
    """Finds the subset of the candidates that a pattern asks for.

    Args:
        pattern: measured counts.
        candidates: distinct phases; see `matlab_ros.xrd.library.distinct_phases`.
        settings: acceptance rule and limits.
    """
    settings = settings or SearchSettings()
    search = _Search(pattern, candidates, settings)
    search.run()
    return search.finish(pattern, settings.smallest_fraction)


def fit_named_phases(
    pattern: Pattern, choices: Sequence[Sequence[Phase]], settings: SearchSettings | None = None
) -> SearchResult:
    """Fits phases that are known to be there, of each choice the best-fitting one.

    They enter the fit one after another, the most visible first, which finds the right minimum
    more surely than fitting all from the start.

    Args:
        pattern: measured counts.
        choices: for each phase the structures that may stand for it, such as the polymorphs of
            a formula.
        settings: limits of the fit; the acceptance rule is not used.
    """
    settings = settings or SearchSettings()
    search = _Search(pattern, [phase for choice in choices for phase in choice], settings)
    search.run_all(choices)
    return search.finish(pattern)


@dataclass(frozen=True)
class _Gain:
    """What a phase does for a fit.

    Attributes:
        share: of the excess of chi^2 over its expectation that it takes away, 0 to 1.
        evidence: that it is there; see `matlab_ros.xrd.presence`.
    """

    share: float
    evidence: float


@dataclass(frozen=True, eq=False)
class _Trial:
    """A candidate beside the accepted phases."""

    gain: _Gain
    phase: Phase
    state: PhaseState
    instrument: Instrument


@dataclass(frozen=True, eq=False)
class _Verified:
    """A candidate fitted together with the accepted phases."""

    gain: _Gain
    trial: _Trial
    solution: Solution


class _Search:
    """State of one search: what is accepted, and the fit that goes with it."""

    def __init__(
        self, pattern: Pattern, candidates: Sequence[Phase], settings: SearchSettings
    ) -> None:
        factor = max(int(settings.search_step_deg / pattern.step_deg), 1)
        self._pattern = pattern.rebinned(factor) if factor > 1 else pattern
        self._settings = settings
        last = float(pattern.two_theta_deg[-1])
        self._profiles: dict[int, PhaseProfile] = {}
        self._candidates: list[Phase] = []
        for phase in candidates:
            profile = phase_profile(
                phase.structure, pattern.radiation, last, settings.fit.instrument
            )
            self._profiles[id(phase)] = profile
            if profile.strength.size:
                self._candidates.append(phase)
        self.accepted: list[Accepted] = []
        self.possible: list[tuple[Phase, float]] = []
        self.fits = 0
        self._problem = Problem(self._pattern, settings.fit)
        self.solution = self._problem.minimise([])

    def run(self) -> None:
        """Accepts phases until none takes away enough, then drops those not needed."""
        while len(self.accepted) < self._settings.most_phases:
            trials = self._trials()
            if not self._accept_best(trials):
                break
        self._drop_needless()
        self._choose_determinations()

    def run_all(self, choices: Sequence[Sequence[Phase]]) -> None:
        """Accepts one phase of each choice, the most visible first."""
        open_choices = [list(choice) for choice in choices]
        while open_choices:
            eligible = {id(phase) for choice in open_choices for phase in choice}
            trials = self._trials(eligible)
            if trials:
                verified = self._verify(trials[: self._settings.verified])
                phase, solution = verified[0].trial.phase, verified[0].solution
            else:
                # Nothing left improves the fit; the rest is there by name only.
                phase = open_choices[0][0]
                solution = self._minimise_with(phase, PhaseState(), self.solution.instrument)
            before = max(self.solution.chi2, 1e-300)
            self.accepted.append(Accepted(phase, max(1.0 - solution.chi2 / before, 0.0), ()))
            self.solution = solution
            open_choices = [
                choice for choice in open_choices if all(other is not phase for other in choice)
            ]

    def finish(self, pattern: Pattern, smallest_fraction: float = 0.0) -> SearchResult:
        """The last fit, at the full resolution of the pattern.

        Args:
            pattern: all of it.
            smallest_fraction: phases below it go, such as one that was accepted for what a texture
                of another does, which only this fit knows of.
        """
        settings = replace(self._settings.fit, instrument=self.solution.instrument)
        starts = list(self.solution.phases)
        while True:
            structures = [accepted.phase.structure for accepted in self.accepted]
            fit = fit_pattern(pattern, structures, settings, starts)
            self.fits += 1
            present = [phase.weight_fraction >= smallest_fraction for phase in fit.phases]
            if all(present) or not any(present):
                return SearchResult(tuple(self.accepted), tuple(self.possible), fit, self.fits)
            self.accepted = list(compress(self.accepted, present))
            starts = list(compress(starts, present))

    def _trials(self, eligible: set[int] | None = None) -> list[_Trial]:
        """Gain of each candidate beside the accepted phases, best first."""
        chosen = {id(accepted.phase) for accepted in self.accepted}
        problem = self._problem
        refine: tuple[int, ...] = ALIGNMENT
        known = problem.curves(self.solution)
        if chosen:
            problem = problem.beside(known[self.solution.scales > 0])
            refine = ()
        settings = replace(self._loose(), refine=refine, max_iterations=4)
        calculated = self.solution.scales @ known
        trials = []
        for phase in self._candidates:
            if id(phase) in chosen or (eligible is not None and id(phase) not in eligible):
                continue
            found = problem.minimise([self._profiles[id(phase)]], settings=settings)
            self.fits += 1
            if found.scales[0] > 0:
                own = found.scales[0] * self._problem.curves(found)[0]
                gain = self._gain(self.solution, found, calculated, own, found.n_parameters + 1)
                trials.append(_Trial(gain, phase, found.phases[0], found.instrument))
        trials.sort(key=lambda trial: (-trial.gain.share, trial.phase.name))
        return trials

    def _accept_best(self, trials: list[_Trial]) -> bool:
        """Fits the first trials together with the accepted phases and keeps the best, if any."""
        settings = self._settings
        verified = self._verify(self._hopeful(trials))
        gains = {id(trial.phase): trial.gain.share for trial in trials}
        gains |= {id(item.trial.phase): item.gain.share for item in verified}
        good = [item for item in verified if self._is_phase(item)]
        if not good:
            self.possible = [
                (item.trial.phase, item.gain.share)
                for item in verified
                if item.gain.evidence >= settings.hint
            ]
            return False
        best = good[0]
        alternatives = tuple(
            trial.phase.name
            for trial in trials
            if trial.phase is not best.trial.phase
            and gains[id(trial.phase)] >= settings.alternative * best.gain.share
        )
        self.accepted.append(Accepted(best.trial.phase, best.gain.share, alternatives))
        self.solution = best.solution
        return True

    def _hopeful(self, trials: Sequence[_Trial]) -> list[_Trial]:
        """The trials that do most for chi^2, and the one there is most evidence for."""
        hopeful = [trial for trial in trials if trial.gain.evidence > 0]
        chosen = hopeful[: self._settings.verified]
        surest = max(hopeful, key=lambda trial: trial.gain.evidence, default=None)
        if surest is not None and all(trial is not surest for trial in chosen):
            chosen.append(surest)
        return chosen

    def _is_phase(self, item: _Verified) -> bool:
        """Whether what was fitted is a phase beyond doubt, and enough of it."""
        if item.gain.evidence < self._settings.evidence:
            return False
        # So broad a pattern is as good a picture of an amorphous halo as of a phase.
        if item.solution.phases[-1].size_deg > 0.8 * self._settings.fit.size_limit_deg:
            return False
        return visible_fraction(item.solution, -1) >= self._settings.smallest_fraction

    def _verify(self, trials: Sequence[_Trial]) -> list[_Verified]:
        """Fits each trial together with the accepted phases; the best fit first."""
        verified = []
        for trial in trials:
            solution = self._minimise_with(trial.phase, trial.state, trial.instrument)
            added = solution.n_parameters - self.solution.n_parameters + 1
            curves = self._problem.curves(solution) * solution.scales[:, None]
            gain = self._gain(self.solution, solution, curves[:-1].sum(axis=0), curves[-1], added)
            verified.append(_Verified(gain, trial, solution))
        verified.sort(key=lambda item: (item.solution.chi2, item.trial.phase.name))
        return verified

    def _minimise_with(self, phase: Phase, state: PhaseState, instrument: Instrument) -> Solution:
        """The accepted phases and one more."""
        self.fits += 1
        return self._problem.minimise(
            [*self.solution.profiles, self._profiles[id(phase)]],
            [*self.solution.phases, state],
            instrument,
            self._loose(),
        )

    def _drop_needless(self) -> None:
        """Drops, one at a time, phases that later ones have made needless."""
        # The last one was tested when it was accepted.
        asked = len(self.accepted) - 1
        while len(self.accepted) > 1:
            weakest: tuple[_Gain, int, Solution] | None = None
            curves = self._problem.curves(self.solution) * self.solution.scales[:, None]
            for i in range(asked):
                rest = [j for j in range(len(self.accepted)) if j != i]
                without = self._problem.minimise(
                    [self.solution.profiles[j] for j in rest],
                    [self.solution.phases[j] for j in rest],
                    settings=self._loose(),
                )
                self.fits += 1
                added = self.solution.n_parameters - without.n_parameters + 1
                others = curves[rest].sum(axis=0)
                gain = self._gain(without, self.solution, others, curves[i], added)
                if weakest is None or gain.evidence < weakest[0].evidence:
                    weakest = (gain, i, without)
            if weakest is None:
                return
            gain, i, without = weakest
            if gain.evidence >= self._settings.evidence:
                return
            if gain.evidence >= self._settings.hint:
                self.possible.append((self.accepted[i].phase, gain.share))
            del self.accepted[i]
            self.solution = without
            asked = len(self.accepted)

    def _choose_determinations(self) -> None:
        """Lets the other determinations of each accepted structure compete by their fit.

        Among them may be an ordered and a disordered model of one compound.
        """
        last = float(self._pattern.two_theta_deg[-1])
        for i, accepted in enumerate(self.accepted):
            own_chi2 = self.solution.chi2
            tried: list[tuple[float, Structure, Solution]] = []
            for structure in accepted.phase.others[: self._settings.most_determinations]:
                profile = phase_profile(
                    structure, self._pattern.radiation, last, self._settings.fit.instrument
                )
                profiles = list(self.solution.profiles)
                profiles[i] = profile
                states = list(self.solution.phases)
                states[i] = PhaseState(states[i].size_deg)
                solution = self._problem.minimise(profiles, states, settings=self._loose())
                self.fits += 1
                tried.append((solution.chi2, structure, solution))
            if not tried:
                continue
            members = [(own_chi2, accepted.phase.structure)] + [(c, s) for c, s, _ in tried]
            chi2, best, solution = min(tried, key=lambda item: item[0])
            chosen = accepted.phase.structure
            # The preferred determination stays unless another is clearly better.
            if chi2 < own_chi2 * (1.0 - self._settings.clearly_better):
                chosen = best
                self.solution = solution
            limit = min(c for c, _ in members) * 1.1
            close = [
                s
                for c, s in members
                if s is not chosen and c <= limit and s.space_group != chosen.space_group
            ]
            alternatives = (*accepted.alternatives, *(s.name for s in close))
            others = tuple(s for _, s in members if s is not chosen)
            self.accepted[i] = Accepted(Phase(chosen, others), accepted.gain, alternatives)

    def _gain(
        self, before: Solution, after: Solution, known: FloatArray, own: FloatArray, added: int
    ) -> _Gain:
        """What a phase does for a fit.

        Args:
            before: without it.
            after: with it.
            known: counts of all other phases, shape (n,).
            own: counts of the phase, shape (n,).
            added: parameters that it brings.
        """
        problem = self._problem
        decrease = max(before.chi2 - after.chi2, 0.0)
        excess = max(before.chi2 - problem.n_points, decrease, 1e-9)
        return _Gain(
            decrease / excess,
            evidence_of_presence(
                before.residual,
                after.residual,
                known * problem.weight,
                own * problem.weight,
                self._pattern.step_deg,
                added,
                len(self._candidates),
            ),
        )

    def _loose(self) -> FitSettings:
        """Settings of the fits within the search, from where it stands."""
        return replace(
            self._settings.fit,
            instrument=self.solution.instrument,
            cell_limit=min(self._settings.fit.cell_limit, 0.008),
            max_iterations=8,
            tolerance=1e-3,
        )
