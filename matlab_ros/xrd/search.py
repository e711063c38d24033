"""Which of the candidates are in a pattern: forward search with the whole-pattern fit.

Each round asks of every candidate how much of chi^2 it would take away beside the phases found
so far (a short fit of it alone, the others free in scale), then fits the most promising ones
together with the found phases. The best is accepted if it takes away enough. At the end every
accepted phase must hold its place: it goes if the fit without it is nearly as good.

"Enough" has two parts. The decrease of chi^2 must be significant by Schwarz's criterion (BIC),
with chi^2 in units of what the better fit leaves, so that a model that is never perfect is not
taken at its word. And it must be a good share of what counting noise does not account for: what
texture and wrong peak shapes leave over is significant too, and a false phase will take some of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from matlab_ros.xrd.fit import FitResult, Problem, Solution, fit_pattern
from matlab_ros.xrd.fit_parameters import ALIGNMENT, FitSettings, PhaseState
from matlab_ros.xrd.library import Phase
from matlab_ros.xrd.pattern import FloatArray, Pattern
from matlab_ros.xrd.profile import Instrument, PhaseProfile, phase_profile
from matlab_ros.xrd.structure import Structure


@dataclass(frozen=True)
class SearchSettings:
    """When a phase is accepted, and how hard to look.

    Attributes:
        acceptance: share of the excess of chi^2 over its expectation that a phase must take away.
        evidence: how many times Schwarz's penalty the decrease of chi^2 must be.
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

    acceptance: float = 0.12
    evidence: float = 1.0
    smallest_fraction: float = 0.006
    most_phases: int = 6
    verified: int = 2
    alternative: float = 0.9
    search_step_deg: float = 0.03
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
        possible: phases that take away at least a third of what acceptance asks for, with their
            gain, best first.
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
    return search.finish(pattern)


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
    """What a phase does for a fit."""

    share: float
    significant: bool


@dataclass(frozen=True, eq=False)
class _Trial:
    """A candidate beside the accepted phases."""

    gain: _Gain
    phase: Phase
    state: PhaseState
    instrument: Instrument


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
        self.solution = Problem(self._pattern, settings.fit).minimise([])

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
                _, best, solution = verified[0]
                phase = best.phase
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

    def finish(self, pattern: Pattern) -> SearchResult:
        """The last fit, at the full resolution of the pattern."""
        structures = [accepted.phase.structure for accepted in self.accepted]
        settings = replace(self._settings.fit, instrument=self.solution.instrument)
        fit = fit_pattern(pattern, structures, settings, self.solution.phases)
        return SearchResult(tuple(self.accepted), tuple(self.possible), fit, self.fits + 1)

    def _trials(self, eligible: set[int] | None = None) -> list[_Trial]:
        """Gain of each candidate beside the accepted phases, best first."""
        chosen = {id(accepted.phase) for accepted in self.accepted}
        known: FloatArray | None = None
        refine: tuple[int, ...] = ALIGNMENT
        if chosen:
            known = Problem(self._pattern, self._loose()).curves(self.solution)
            known = known[:, self.solution.scales > 0]
            refine = ()
        settings = replace(self._loose(), refine=refine, max_iterations=4)
        problem = Problem(self._pattern, settings, known)
        trials = []
        for phase in self._candidates:
            if id(phase) in chosen or (eligible is not None and id(phase) not in eligible):
                continue
            found = problem.minimise([self._profiles[id(phase)]])
            self.fits += 1
            if found.scales[0] > 0:
                gain = self._gain(problem.chi2_background, found.chi2, found.n_parameters + 1)
                trials.append(_Trial(gain, phase, found.phases[0], found.instrument))
        trials.sort(key=lambda trial: (-trial.gain.share, trial.phase.name))
        return trials

    def _accept_best(self, trials: list[_Trial]) -> bool:
        """Fits the first trials together with the accepted phases and keeps the best, if any."""
        settings = self._settings
        hopeful = [t for t in trials if t.gain.share >= settings.acceptance / 10]
        verified = self._verify(hopeful[: settings.verified])
        gains = {id(trial.phase): trial.gain.share for trial in trials}
        gains |= {id(trial.phase): gain.share for gain, trial, _ in verified}
        self.possible = [
            (trial.phase, gain.share)
            for gain, trial, _ in verified
            if gain.share >= settings.acceptance / 3 and gain.significant
        ]
        if not verified:
            return False
        best_gain, best, solution = verified[0]
        gain = best_gain.share
        fraction = Problem(self._pattern, self._loose()).result(solution).phases[-1].weight_fraction
        # So broad a pattern is as good a picture of an amorphous halo as of a phase.
        halo = solution.phases[-1].size_deg > 0.8 * settings.fit.size_limit_deg
        if (
            gain < settings.acceptance
            or not best_gain.significant
            or fraction < settings.smallest_fraction
            or halo
        ):
            return False
        self.possible = []
        alternatives = tuple(
            trial.phase.name
            for trial in trials
            if trial.phase is not best.phase
            and gains[id(trial.phase)] >= settings.alternative * gain
        )
        self.accepted.append(Accepted(best.phase, gain, alternatives))
        self.solution = solution
        return True

    def _verify(self, trials: Sequence[_Trial]) -> list[tuple[_Gain, _Trial, Solution]]:
        """Fits each trial together with the accepted phases; the best fit first."""
        verified: list[tuple[_Gain, _Trial, Solution]] = []
        for trial in trials:
            solution = self._minimise_with(trial.phase, trial.state, trial.instrument)
            added = solution.n_parameters - self.solution.n_parameters + 1
            verified.append((self._gain(self.solution.chi2, solution.chi2, added), trial, solution))
        verified.sort(key=lambda item: (item[2].chi2, item[1].phase.name))
        return verified

    def _minimise_with(self, phase: Phase, state: PhaseState, instrument: Instrument) -> Solution:
        """The accepted phases and one more."""
        self.fits += 1
        return Problem(self._pattern, replace(self._loose(), instrument=instrument)).minimise(
            [*self.solution.profiles, self._profiles[id(phase)]], [*self.solution.phases, state]
        )

    def _drop_needless(self) -> None:
        """Drops, one at a time, phases that later ones have made needless."""
        while len(self.accepted) > 1:
            weakest: tuple[_Gain, int, Solution] | None = None
            for i in range(len(self.accepted)):
                rest = [j for j in range(len(self.accepted)) if j != i]
                without = Problem(self._pattern, self._loose()).minimise(
                    [self.solution.profiles[j] for j in rest],
                    [self.solution.phases[j] for j in rest],
                )
                self.fits += 1
                added = self.solution.n_parameters - without.n_parameters + 1
                gain = self._gain(without.chi2, self.solution.chi2, added)
                if weakest is None or gain.share < weakest[0].share:
                    weakest = (gain, i, without)
            if weakest is None:
                return
            gain, i, without = weakest
            if gain.share >= self._settings.acceptance and gain.significant:
                return
            self.possible.append((self.accepted[i].phase, gain.share))
            del self.accepted[i]
            self.solution = without

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
                solution = Problem(self._pattern, self._loose()).minimise(profiles, states)
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

    def _gain(self, before: float, after: float, parameters: int) -> _Gain:
        """What a decrease of chi^2 that took some more parameters is worth."""
        n = self._pattern.counts.size
        decrease = before - after
        excess = max(before - n, decrease, 1e-9)
        penalty = parameters * math.log(n) * max(after / n, 1.0)
        return _Gain(max(decrease, 0.0) / excess, decrease > self._settings.evidence * penalty)

    def _loose(self) -> FitSettings:
        """Settings of the fits within the search, from where it stands."""
        return replace(
            self._settings.fit,
            instrument=self.solution.instrument,
            cell_limit=min(self._settings.fit.cell_limit, 0.008),
            max_iterations=8,
            tolerance=1e-3,
        )
