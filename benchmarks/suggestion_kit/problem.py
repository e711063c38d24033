"""A synthesis space, a made-up landscape on it, and campaigns of any length."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from matlab_ros.planning.dimensions import CategoricalDimension, ContinuousDimension
from matlab_ros.planning.mixture import Mixture
from matlab_ros.planning.observation import Observation, ObservationStatus, Pending
from matlab_ros.planning.settings import Settings
from matlab_ros.planning.space import SearchSpace

POWDERS = ("li", "mn", "fe", "ti")
GASES = ("air", "oxygen", "nitrogen", "argon")
SHARED = ("temperature_c", "dwell_h", "atmosphere")
SPACE = SearchSpace(
    (
        *(ContinuousDimension(name, 0.0, 1.0) for name in POWDERS),
        ContinuousDimension("temperature_c", 600, 1200),
        ContinuousDimension("dwell_h", 0.5, 48, log=True),
        CategoricalDimension("atmosphere", GASES),
    ),
    (),
    (Mixture(POWDERS),),
)


@dataclass(frozen=True)
class History:
    """What was done, and what is under way."""

    observations: tuple[Observation, ...]
    pending: tuple[Pending, ...]


def yield_of(item: Settings, best: np.ndarray) -> float:
    """Between 0 and 1: smooth, with a best composition, temperature, dwell and atmosphere."""
    shares = np.array([item.number(name) for name in POWDERS])
    heat = (item.number("temperature_c") - 950.0) / 180.0
    time = math.log(item.number("dwell_h") / 8.0) / 1.6
    gas = (1.0, 0.9, 0.6, 0.7)[GASES.index(item.choice("atmosphere"))]
    away = float(((shares - best) ** 2).sum())
    return gas * math.exp(-5.0 * away - 0.7 * heat**2 - 0.4 * time**2)


def history(count: int, draw: int) -> History:
    """Random experiments with noise, and three that are under way."""
    rng = np.random.default_rng([count, draw])
    best = rng.dirichlet(np.full(4, 3.0))
    items = SPACE.sample(count + 3, rng)
    done = tuple(
        Observation(
            f"e{n:05d}",
            item,
            ObservationStatus.MEASURED,
            yield_of(item, best) + 0.02 * rng.standard_normal(),
            0.02,
        )
        for n, item in enumerate(items[:count])
    )
    waiting = tuple(Pending(f"f{n}", item) for n, item in enumerate(items[count:]))
    return History(done, waiting)
