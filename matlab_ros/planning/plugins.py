"""Who may propose experiments: our own methods, outside planners, and plug-ins by entry point.

A plug-in is a package with an entry point of the group ``matlab_ros.planners``. Its name is what a
campaign's file says as ``method``; it loads a callable that takes the options of the file and gives
a `Proposer`::

    [project.entry-points."matlab_ros.planners"]
    hill-climber = "my_package.climbing:climber"
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version

from matlab_ros.model.errors import PlanningError
from matlab_ros.planning.proposer import Proposer
from matlab_ros.planning.settings import Value

GROUP = "matlab_ros.planners"
"""Of entry points."""

Factory = Callable[[Mapping[str, Value]], Proposer]
"""Takes the options of a campaign's file; raises `PlanningError` where they mean nothing."""


@dataclass(frozen=True)
class Planner:
    """One method of proposing experiments.

    Attributes:
        name: as a campaign's file says it.
        about: what it is, in a few words.
        place: ``module:name`` of its `Factory`.
        packages: whose versions belong to what it suggests.
        needs: package that has to be installed, as pip calls it; empty: nothing.
    """

    name: str
    about: str
    place: str
    packages: tuple[str, ...] = ()
    needs: str = ""

    @property
    def is_installed(self) -> bool:
        """Whether the package is there that it needs."""
        if not self.needs:
            return True
        try:
            version(self.needs)
        except PackageNotFoundError:
            return False
        return True

    def proposer(self, options: Mapping[str, Value]) -> Proposer:
        """The method, ready to propose.

        Raises:
            PlanningError: its package is missing or broken, or the options mean nothing to it.
        """
        if not self.is_installed:
            raise PlanningError(
                f"The planner {self.name!r} needs the package {self.needs}, which is not "
                f"installed; install it by `pip install {self.needs}`, or choose another method."
            )
        module, _, name = self.place.partition(":")
        try:
            factory: Factory = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise PlanningError(
                f"The planner {self.name!r} cannot be loaded from {self.place}: {error}; "
                "mend or remove its package, or choose another method."
            ) from error
        proposer = factory(options)
        if not callable(getattr(proposer, "propose", None)):
            raise PlanningError(
                f"The planner {self.name!r} gave a {type(proposer).__name__} from {self.place}; "
                "expected an object with a method propose(request)."
            )
        return proposer

    def software(self) -> str:
        """Versions of its packages, as ``name version`` and commas."""
        return ", ".join(_version(package) for package in ("matlab_ros", *self.packages))


_OWN = "matlab_ros.planning.plugins_own"
_MODEL = ("numpy", "scipy", "torch", "gpytorch", "botorch")
_PLAIN = ("numpy", "scipy")

PLANNERS = (
    Planner("bayesian", "Bayesian optimisation, the default", f"{_OWN}:bayesian", _MODEL),
    Planner("random", "uniformly random", f"{_OWN}:random", ("numpy",)),
    Planner("sobol", "Sobol's sequence", f"{_OWN}:sobol", _PLAIN),
    Planner("grid", "full-factorial grid, from coarse to fine", f"{_OWN}:grid", _PLAIN),
    Planner("nelder-mead", "simplex of Nelder and Mead", f"{_OWN}:nelder_mead", _PLAIN),
    Planner("annealing", "simulated annealing", f"{_OWN}:annealing", _PLAIN),
    Planner("mcmc", "Markov-chain Monte Carlo (Metropolis)", f"{_OWN}:mcmc", _PLAIN),
    Planner("genetic", "genetic algorithm", f"{_OWN}:genetic", _PLAIN),
    Planner("chemistry", "reactions learnt from products, alone", f"{_OWN}:chemistry", _PLAIN),
    Planner(
        "bayesian_with_chemistry",
        "Bayesian optimisation on learned chemistry",
        f"{_OWN}:bayesian_with_chemistry",
        _PLAIN,
    ),
    Planner(
        "nimo",
        "algorithms of NIMO (option algorithm: PHYSBO, RE, BLOX, ...)",
        "matlab_ros.planning.plugins_nimo:nimo",
        ("nimo", "physbo", "numpy"),
        "nimo",
    ),
    Planner(
        "nimo-loop",
        "our lab as the robot of a NIMO loop (options folder, proposals)",
        "matlab_ros.planning.nimo_loop:nimo_loop",
        ("numpy",),
    ),
    Planner(
        "baybe",
        "recommenders of BayBE",
        "matlab_ros.planning.plugins_baybe:baybe",
        ("baybe", "botorch", "torch", "numpy"),
        "baybe",
    ),
    Planner(
        "ax",
        "Ax, with its default generation strategy",
        "matlab_ros.planning.plugins_ax:ax",
        ("ax-platform", "botorch", "torch", "numpy"),
        "ax-platform",
    ),
)
"""Our own, and the outside planners that we know how to ask."""


def planner_named(name: str) -> Planner:
    """The planner of a campaign's file.

    Raises:
        PlanningError: there is none of this name.
    """
    known = {item.name: item for item in planners()}
    if name not in known:
        raise PlanningError(
            f"The planner {name!r} is unknown; expected one of {', '.join(known)}, or the name of "
            f"a plug-in (entry point of the group {GROUP}) that is installed."
        )
    return known[name]


def planners() -> tuple[Planner, ...]:
    """All planners, installed or not; a plug-in cannot take the name of one of ours."""
    ours = {item.name for item in PLANNERS}
    found = sorted(entry_points(group=GROUP), key=lambda item: item.name)
    return PLANNERS + tuple(_of(item) for item in found if item.name not in ours)


def no_options(name: str, options: Mapping[str, Value], known: tuple[str, ...] = ()) -> None:
    """Refuse options that a planner does not know.

    Raises:
        PlanningError: there is one.
    """
    for option in options:
        if option not in known:
            expected = f"one of {', '.join(known)}" if known else "none"
            raise PlanningError(
                f"The planner {name!r} has the option {option!r}, which means nothing to it; "
                f"expected {expected}."
            )


def _of(entry: EntryPoint) -> Planner:
    package = "" if entry.dist is None else entry.dist.name
    return Planner(
        entry.name,
        f"plug-in of {package or 'an unknown package'}",
        f"{entry.module}:{entry.attr}",
        (package,) if package else (),
    )


def _version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"{package} not installed"
