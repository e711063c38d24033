"""What an analysis of a pattern says beyond fractions: values that mirror the ROS messages.

Where the messages hold NaN or infinity these hold None.
"""

from __future__ import annotations

from dataclasses import dataclass

from matlab_ros.model.lab_words import Order, SecondOutcome
from matlab_ros.model.scan_program import ScanProgram


@dataclass(frozen=True)
class ElementAmount:
    """How much of an element was weighed in."""

    element: str
    amount_mmol: float
    sigma_mmol: float


@dataclass(frozen=True)
class ElementBalance:
    """One element's share of the atoms that stay: weighed in, and found in the phases."""

    element: str
    dispensed: float
    found: float
    tolerance: float
    holds: bool


@dataclass(frozen=True)
class PossiblePhase:
    """A structure that explains something, and too little to be identified."""

    phase: str
    formula: str
    explains: float


@dataclass(frozen=True)
class AlternativePhase:
    """A structure that fits nearly as well as one that was identified."""

    phase: str
    alternative: str
    formula: str
    delta_bic: float
    """By how much Schwarz's criterion prefers the identified one."""
    contradicted: bool
    """By the elements that were weighed in."""


@dataclass(frozen=True)
class OrderTest:
    """An ordered structure against one whose metals share sites at random."""

    phase: str
    rival: str
    mixed: tuple[str, ...]
    delta_bic: float
    result: Order


@dataclass(frozen=True)
class SecondRefinement:
    """What a second, independent refinement says of the first."""

    outcome: SecondOutcome = SecondOutcome.NOT_ASKED
    software: str = ""
    reason: str = ""
    largest_difference: float | None = None
    rwp_percent: float | None = None
    goodness_of_fit: float | None = None


@dataclass(frozen=True)
class DecidingRange:
    """Angles where two models of a pattern differ."""

    first_deg: float
    last_deg: float
    delta_bic_per_s: float
    phase: str
    rival: str


@dataclass(frozen=True)
class LookAgain:
    """What a further scan would bring."""

    program: ScanProgram | None = None
    """The shortest that would decide what is open; None: there is none, or nothing is open."""
    ranges: tuple[DecidingRange, ...] = ()
    expected_delta_bic: float | None = None
    needed_s: float | None = None
    """None: no time helps, or nothing is open."""
