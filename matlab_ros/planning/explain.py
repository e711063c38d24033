"""Why this experiment: what the model expects, what matters to it, and how often it was right.

Everything here is read from a campaign's observations and the suggestions that were made; nothing
here changes what is suggested next. The model is that of the default planner, fitted
once more to the same data, also for methods that use another one or none.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import beta, norm

from matlab_ros.planning.campaign import CampaignPlan
from matlab_ros.planning.dimensions import CategoricalDimension, Dimension
from matlab_ros.planning.ensemble import Ensemble, fit_ensemble
from matlab_ros.planning.observation import Observation, ObservationStatus
from matlab_ros.planning.proposer import derived_seed
from matlab_ros.planning.settings import Settings, Value
from matlab_ros.planning.space import Array, SearchSpace

LEVEL = 0.95
"""Of intervals."""

LEAST_MEASURED = 3
"""Values before which a model says nothing but its prior."""

IMPORTANCE_DRAWS = 512
"""Settings over which importance is averaged."""


@dataclass(frozen=True)
class Interval:
    """A belief about what an experiment gives, in the objective's own unit.

    Attributes:
        mean: expected value.
        sigma: standard deviation.
        level: chance of the value to lie between `low` and `high`.
    """

    mean: float
    sigma: float
    level: float = LEVEL

    @property
    def low(self) -> float:
        """Lower end."""
        return self.mean - _quantile(self.level) * self.sigma

    @property
    def high(self) -> float:
        """Upper end."""
        return self.mean + _quantile(self.level) * self.sigma


@dataclass(frozen=True)
class Neighbour:
    """An earlier experiment near a suggestion.

    Attributes:
        experiment_id: of the observation.
        settings: as carried out.
        status: how it ended.
        objective: NaN unless measured.
        distance: root of the summed squares of differences, a parameter's range being 1; different
            choices without descriptors are 1.4 apart.
    """

    experiment_id: str
    settings: Settings
    status: ObservationStatus
    objective: float
    distance: float


@dataclass(frozen=True)
class Importance:
    """How much of the objective's variation over the space a parameter accounts for.

    Attributes:
        name: of the parameter.
        total: with all its interactions, in parts of the whole (total Sobol' index).
        alone: without any (first-order index).
    """

    name: str
    total: float
    alone: float


@dataclass(frozen=True)
class Slice:
    """The model along one parameter, all others as at one experiment.

    Attributes:
        name: of the parameter.
        values: where it was looked at: numbers rising, or all choices.
        intervals: belief at each.
        allowed: whether the space contains each.
    """

    name: str
    values: tuple[Value, ...]
    intervals: tuple[Interval, ...]
    allowed: tuple[bool, ...]


@dataclass(frozen=True)
class Forecast:
    """What was expected of an experiment and what it gave."""

    experiment_id: str
    expected: Interval
    measured: float
    measured_sigma: float = math.nan

    @property
    def z(self) -> float:
        """Distance of the measured value from the expected one, in standard deviations of both."""
        known = 0.0 if math.isnan(self.measured_sigma) else self.measured_sigma
        sigma = math.hypot(self.expected.sigma, known)
        return (self.measured - self.expected.mean) / sigma if sigma > 0 else math.inf


@dataclass(frozen=True)
class Calibration:
    """How often what came was inside the interval that was expected.

    Attributes:
        count: experiments that were expected and measured.
        inside: of them, inside.
        level: what the share of these should be.
        rms_z: root mean square of the distances in standard deviations: 1 where uncertainties are
            right, larger where they are too small; NaN without any.
    """

    count: int
    inside: int
    level: float
    rms_z: float

    @property
    def share(self) -> float:
        """Part that was inside, NaN without any."""
        return self.inside / self.count if self.count else math.nan

    @property
    def share_range(self) -> tuple[float, float]:
        """Between what the long-run share is with 95% confidence (Clopper and Pearson, 1934)."""
        low = beta.ppf(0.025, self.inside, self.count - self.inside + 1) if self.inside else 0.0
        missed = self.count - self.inside
        high = beta.ppf(0.975, self.inside + 1, missed) if missed else 1.0
        return float(low), float(high)

    @property
    def is_consistent(self) -> bool:
        """Whether so few or many inside are what the level lets one expect."""
        low, high = self.share_range
        return self.count == 0 or low <= self.level <= high


@dataclass(frozen=True)
class Beliefs:
    """What a model makes of the observations of a campaign.

    Attributes:
        plan: of the campaign.
        observations: that it rests on, sorted by experiment id.
        model: fitted to them.
    """

    plan: CampaignPlan
    observations: tuple[Observation, ...]
    model: Ensemble

    @property
    def space(self) -> SearchSpace:
        """Of the campaign."""
        return self.plan.space

    def at(self, settings: Iterable[Mapping[str, Value]]) -> tuple[Interval, ...]:
        """Belief about what an experiment gives at each of some settings."""
        features = self.space.features(settings)
        if not len(features):
            return ()
        return _intervals(*self.model.predict(features))


def beliefs_of(plan: CampaignPlan, observations: Iterable[Observation]) -> Beliefs | None:
    """A model of what was measured, None before there are `LEAST_MEASURED` values."""
    known = tuple(sorted(observations, key=lambda item: item.experiment_id))
    measured = [item for item in known if item.has_value]
    if len(measured) < LEAST_MEASURED:
        return None
    model = fit_ensemble(
        plan.space,
        plan.space.features(item.settings for item in measured),
        np.array([item.objective for item in measured]),
        np.array([item.sigma for item in measured]),
        plan.direction.sign,
        derived_seed(plan.seed, "explain", str(len(known))),
    )
    return Beliefs(plan, known, model)


def best(beliefs: Beliefs) -> Observation:
    """The best experiment, through which `slices` go."""
    objectives = beliefs.plan.selection.objectives
    found = None if objectives is None else objectives.best(beliefs.observations)
    if found is not None:
        return found
    sign = beliefs.plan.direction.sign
    return max(
        (item for item in beliefs.observations if item.has_value),
        key=lambda item: sign * item.objective,
    )


def neighbours(
    space: SearchSpace,
    settings: Mapping[str, Value],
    observations: Iterable[Observation],
    count: int = 3,
) -> tuple[Neighbour, ...]:
    """The earlier experiments that are most like some settings, the nearest first."""
    known = list(observations)
    if not known:
        return ()
    here = space.features([settings])
    there = space.features(item.settings for item in known)
    distances = np.sqrt(((there - here) ** 2).sum(axis=1))
    order = np.argsort(distances, kind="stable")[:count]
    return tuple(
        Neighbour(
            known[index].experiment_id,
            known[index].settings,
            known[index].status,
            known[index].objective,
            float(distances[index]),
        )
        for index in order
    )


def importance(beliefs: Beliefs) -> tuple[Importance, ...]:
    """What the objective depends on, the most important parameter first.

    Sobol' indices of the model's mean over the space (estimators of Jansen, Comput. Phys. Commun.
    117, 35, 1999). Where parameters depend on each other (mixtures, constraints), each is exchanged
    alone all the same: the indices then rank, and need not add up.
    """
    space = beliefs.space
    rng = np.random.default_rng(derived_seed(beliefs.plan.seed, "importance"))
    first, second = (
        space.features(space.sample(IMPORTANCE_DRAWS, rng)) for _ in ("one draw", "another")
    )
    columns = _columns(space)
    mixed = [first.copy() for _ in columns]
    for rows, own in zip(mixed, columns.values(), strict=True):
        rows[:, own] = second[:, own]
    mean, _ = beliefs.model.predict(np.concatenate([first, second, *mixed]))
    parts = mean.reshape(-1, IMPORTANCE_DRAWS)
    variance = float(np.var(parts[:2]))
    found = []
    for name, values in zip(columns, parts[2:], strict=True):
        if variance <= 0:
            found.append(Importance(name, 0.0, 0.0))
            continue
        total = float(np.mean((parts[0] - values) ** 2)) / (2 * variance)
        alone = 1.0 - float(np.mean((parts[1] - values) ** 2)) / (2 * variance)
        found.append(Importance(name, min(total, 1.0), min(max(alone, 0.0), total, 1.0)))
    return tuple(sorted(found, key=lambda item: -item.total))


def slices(
    beliefs: Beliefs, at: Mapping[str, Value] | None = None, points: int = 41
) -> tuple[Slice, ...]:
    """The model along each parameter, in the order of the space.

    Args:
        beliefs: the model.
        at: what the other parameters are; None: as in the best experiment.
        points: values of a number, at most; fewer where it has fewer.
    """
    center = dict(best(beliefs).settings if at is None else at)
    found = []
    for dimension in beliefs.space.dimensions:
        if dimension.name not in center:
            continue
        values = _values(dimension, points)
        rows = [_moved(beliefs.space, center, dimension.name, value) for value in values]
        found.append(
            Slice(
                dimension.name,
                values,
                beliefs.at(rows),
                tuple(beliefs.space.contains(row) for row in rows),
            )
        )
    return tuple(found)


def forecasts(
    expected: Mapping[str, Interval], observations: Iterable[Observation]
) -> tuple[Forecast, ...]:
    """What was expected beside what came, of experiments that have both, by experiment id."""
    return tuple(
        Forecast(item.experiment_id, expected[item.experiment_id], item.objective, item.sigma)
        for item in sorted(observations, key=lambda item: item.experiment_id)
        if item.has_value and item.experiment_id in expected
    )


def calibration(of: Sequence[Forecast], level: float = LEVEL) -> Calibration:
    """How often the truth was inside, with the uncertainty of measuring it taken into account."""
    distances = [item.z for item in of]
    limit = _quantile(level)
    inside = sum(abs(z) <= limit for z in distances)
    rms = math.sqrt(float(np.mean(np.square(distances)))) if distances else math.nan
    return Calibration(len(distances), inside, level, rms)


def _quantile(level: float) -> float:
    return float(norm.ppf(0.5 + level / 2))


def _intervals(mean: Array, sigma: Array) -> tuple[Interval, ...]:
    return tuple(Interval(float(m), float(s)) for m, s in zip(mean, sigma, strict=True))


def _columns(space: SearchSpace) -> dict[str, slice]:
    """Which features belong to each parameter; none to a choice that has no alternative."""
    found = {item.name: slice(n, n + 1) for n, item in enumerate(space.numeric)}
    for item, block in zip(space.categorical, space.blocks, strict=True):
        found[item.name] = slice(block.start, block.stop)
    return found


def _values(dimension: Dimension, points: int) -> tuple[Value, ...]:
    count = dimension.count()
    if isinstance(dimension, CategoricalDimension) or (count is not None and count <= points):
        return tuple(dimension.values())
    return tuple(dict.fromkeys(dimension.from_unit(float(u)) for u in np.linspace(0, 1, points)))


def _moved(
    space: SearchSpace, center: Mapping[str, Value], name: str, value: Value
) -> dict[str, Value]:
    """Settings with another value of one parameter.

    The other shares of a mixture make room in proportion; a parameter that comes to exist with
    another choice is in the middle of its range.
    """
    values = {**center, name: value}
    for mixture in space.mixtures:
        if name not in mixture.components or isinstance(value, str):
            continue
        others = {
            item: float(values[item])
            for item in mixture.components
            if item != name and item in values
        }
        sum_before = sum(others.values())
        for item, share in others.items():
            part = share / sum_before if sum_before > 0 else 1 / len(others)
            values[item] = part * (mixture.total - value)
    for dimension in space.dimensions:
        values.setdefault(dimension.name, dimension.from_unit(0.5))
    return {item: values[item] for item in space.existing(values)}
