"""Whether a lab can weigh and hold a set of precursors: dispenser, stock, crucible."""

from __future__ import annotations

from collections.abc import Mapping

from matlab_ros.chemistry.precursor_sets import Judgement, PrecursorSet
from matlab_ros.model.lab_config import LabConfig


def check_in_lab(
    candidate: PrecursorSet, lab: LabConfig, left_g: Mapping[str, float] | None = None
) -> tuple[Judgement, ...]:
    """What speaks against a set in a lab.

    Args:
        candidate: whose doses are checked.
        lab: with its dispenser, containers and stock.
        left_g: what is left of powders, in grams; the lab's file where it does not say.

    Returns:
        Refusals, with the mass of the target that would do where one would.
    """
    found = []
    limits = lab.dispenser
    for dose in candidate.doses:
        if dose.mass_mg < limits.min_dose_mg:
            factor = limits.min_dose_mg / dose.mass_mg
            found.append(
                Judgement(
                    "smallest_dose",
                    True,
                    f"{dose.mass_mg:.2f} mg of {dose.substance} are less than the "
                    f"{limits.min_dose_mg:g} mg that can be weighed; make {factor:.2g} times as "
                    "much",
                )
            )
        if dose.mass_mg > limits.max_dose_mg:
            found.append(
                Judgement(
                    "largest_dose",
                    True,
                    f"{dose.mass_mg:.0f} mg of {dose.substance} are more than the "
                    f"{limits.max_dose_mg:g} mg that can be weighed at once; make less",
                )
            )
        stock = lab.stock_item(dose.substance)
        there_g = (left_g or {}).get(dose.substance, stock.mass_g if stock is not None else 0.0)
        if dose.mass_mg > 1000.0 * there_g:
            found.append(
                Judgement(
                    "stock_left",
                    True,
                    f"{dose.mass_mg / 1000:.3g} g of {dose.substance} are needed and "
                    f"{there_g:.3g} g are left; refill it or make less",
                )
            )
    capacity = lab.containers.capacity_mg
    if candidate.mixture_mg > capacity:
        found.append(
            Judgement(
                "crucible",
                True,
                f"{candidate.mixture_mg:.0f} mg do not fit a crucible of {capacity:g} mg; "
                "make less",
            )
        )
    return tuple(found)
