"""Our own methods, as the table of planners names them; torch is loaded only by what needs it."""

from __future__ import annotations

from collections.abc import Mapping

from matlab_ros.planning.baselines import GridProposer, RandomProposer, SobolProposer
from matlab_ros.planning.baselines_genetic import GeneticProposer
from matlab_ros.planning.baselines_simplex import NelderMeadProposer
from matlab_ros.planning.baselines_walk import ANNEALING, METROPOLIS, WalkProposer
from matlab_ros.planning.plugins import no_options
from matlab_ros.planning.proposer import Proposer
from matlab_ros.planning.settings import Value

Options = Mapping[str, Value]


def bayesian(options: Options) -> Proposer:
    """The default."""
    no_options("bayesian", options)
    from matlab_ros.planning.bayesian import BayesianProposer

    return BayesianProposer()


def random(options: Options) -> Proposer:
    """Uniformly random."""
    no_options("random", options)
    return RandomProposer()


def sobol(options: Options) -> Proposer:
    """Sobol's sequence."""
    no_options("sobol", options)
    return SobolProposer()


def grid(options: Options) -> Proposer:
    """A grid from coarse to fine."""
    no_options("grid", options)
    return GridProposer()


def nelder_mead(options: Options) -> Proposer:
    """The simplex of Nelder and Mead."""
    no_options("nelder-mead", options)
    return NelderMeadProposer()


def annealing(options: Options) -> Proposer:
    """Simulated annealing."""
    no_options("annealing", options)
    return WalkProposer(ANNEALING)


def mcmc(options: Options) -> Proposer:
    """Markov-chain Monte Carlo."""
    no_options("mcmc", options)
    return WalkProposer(METROPOLIS)


def genetic(options: Options) -> Proposer:
    """A genetic algorithm."""
    no_options("genetic", options)
    return GeneticProposer()


def chemistry(options: Options) -> Proposer:
    """Reactions learnt from products."""
    no_options("chemistry", options)
    from matlab_ros.planning.chemistry_policy import ChemistryProposer

    return ChemistryProposer()


def bayesian_with_chemistry(options: Options) -> Proposer:
    """The same as prior and features of Bayesian optimisation."""
    no_options("bayesian_with_chemistry", options)
    from matlab_ros.planning.chemistry_bayesian import ChemistryBayesianProposer

    return ChemistryBayesianProposer()
