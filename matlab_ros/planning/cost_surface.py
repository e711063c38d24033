"""The logarithm of cost as a smooth function of features, so that a search can follow its slope."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from matlab_ros.planning.costs import CostModel
from matlab_ros.planning.settings import Settings
from matlab_ros.planning.space import Array

_MOST = 512
_SMOOTHING = 1e-8


class CostSurface:
    """Cubic radial basis functions with a linear part through the costs of some settings.

    Args:
        costs: of settings.
        settings: all over the space; the first `_MOST` count.
        features: theirs, ``n x width``.
    """

    def __init__(self, costs: CostModel, settings: Sequence[Settings], features: Array) -> None:
        self._centers = torch.as_tensor(np.asarray(features[:_MOST]))
        logs = np.array([math.log(costs(item)) for item in settings[:_MOST]])
        n = len(self._centers)
        linear = self._linear(self._centers).numpy()
        cubes = torch.cdist(self._centers, self._centers).pow(3).numpy()
        corner = np.zeros((linear.shape[1], linear.shape[1]))
        system = np.block([[cubes + _SMOOTHING * np.eye(n), linear], [linear.T, corner]])
        right = np.concatenate([logs, np.zeros(len(corner))])
        # Columns of a choice add up to the constant: least squares take the smallest weights.
        solved = np.linalg.lstsq(system, right, rcond=1e-12)[0]
        self._weights = torch.as_tensor(solved[:n])
        self._slopes = torch.as_tensor(solved[n:])
        self._range = float(logs.min()), float(logs.max())

    def __call__(self, points: Tensor) -> Tensor:
        """Logarithm of the cost at points ``n x width`` -> ``n``."""
        cubes = torch.cdist(points, self._centers).pow(3)
        value = cubes @ self._weights + self._linear(points) @ self._slopes
        return value.clamp(*self._range)

    @staticmethod
    def _linear(points: Tensor) -> Tensor:
        return torch.cat([points, torch.ones_like(points[:, :1])], dim=-1)
