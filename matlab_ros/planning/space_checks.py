"""What a search space may not say: conditions, constraints and mixtures that do not fit it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matlab_ros.model.errors import PlanningError
from matlab_ros.model.expressions import Kind, Ranges, possible
from matlab_ros.planning.constraints import Constraint
from matlab_ros.planning.dimensions import CategoricalDimension, Dimension
from matlab_ros.planning.mixture import Mixture


def check_conditions(dimensions: Sequence[Dimension]) -> None:
    """See that the conditions of parameters speak of choices that stand before them.

    Raises:
        PlanningError: one does not.
    """
    before: dict[str, Sequence[str]] = {}
    for item in dimensions:
        if item.when:
            condition = Constraint(item.when)
            kinds = dict.fromkeys(before, Kind.WORD)
            unknown = [name for name in condition.names if name not in kinds]
            if unknown:
                raise PlanningError(
                    f"Parameter {item.name!r} exists where {item.when!r}, and ${unknown[0]} is no "
                    "categorical parameter that stands before it; expected conditions on such."
                )
            condition.check(kinds, before)
        if isinstance(item, CategoricalDimension):
            before[item.name] = item.choices


def check_constraints(dimensions: Sequence[Dimension], constraints: Sequence[Constraint]) -> None:
    """See that constraints speak of the parameters and can be obeyed inside their bounds.

    Raises:
        PlanningError: one cannot; it is named.
    """
    choices = {
        item.name: item.choices for item in dimensions if isinstance(item, CategoricalDimension)
    }
    kinds = {item.name: Kind.WORD if item.name in choices else Kind.NUMBER for item in dimensions}
    ranges = {
        item.name: (float(item.low), float(item.high))
        for item in dimensions
        if not isinstance(item, CategoricalDimension)
    }
    for constraint in constraints:
        constraint.check(kinds, choices)
        if True not in possible(constraint.node, _ranges(ranges)) and not any(
            item.when for item in dimensions if item.name in constraint.names
        ):
            shown = ", ".join(
                f"{name} {low:g} to {high:g}"
                for name, (low, high) in ranges.items()
                if name in constraint.names
            )
            raise PlanningError(
                f"Constraint {constraint.text!r} cannot hold inside the bounds ({shown})."
            )


def _ranges(known: Mapping[str, tuple[float, float]]) -> Ranges:
    return Ranges(lambda name: known[name], lambda _: (0.0, 0.0))


def check_mixtures(dimensions: Sequence[Dimension], mixtures: Sequence[Mixture]) -> None:
    """See that mixtures are of parameters that there are, each in one mixture only.

    Raises:
        PlanningError: one is not.
    """
    named = {item.name: item for item in dimensions}
    seen: set[str] = set()
    for mixture in mixtures:
        mixture.check(named)
        twice = seen.intersection(mixture.components)
        if twice:
            raise PlanningError(
                f"Parameter {min(twice)!r} is in two mixtures; expected at most one."
            )
        seen.update(mixture.components)
