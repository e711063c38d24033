"""A random forest (Breiman, Machine Learning 45, 5, 2001) that is grown in milliseconds.

Regression trees on bootstrap samples, split where the variance falls most, down to single points.
Beside the trees' predictions it tells what each tree says of the points that it was not grown from:
an honest account of how good the forest is that costs no second fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

TREES = 100


@dataclass(frozen=True)
class Trees:
    """Grown trees, each a row of nodes; node 0 is the root.

    Attributes:
        feature: that a node splits, -1 for a leaf; ``trees x nodes``.
        threshold: up to which points go to the first child.
        child: the first child; the second is the one after it.
        value: mean of the points in a node.
    """

    feature: npt.NDArray[np.int64]
    threshold: Array
    child: npt.NDArray[np.int64]
    value: Array

    def predict(self, features: Array) -> Array:
        """What every tree says of points ``m x width``; ``trees x m``."""
        points = np.ascontiguousarray(features, dtype=np.float64)
        found = _predict(self.feature, self.threshold, self.child, self.value, points)
        return np.asarray(found, dtype=np.float64)


@dataclass(frozen=True)
class Forest:
    """A grown forest.

    Attributes:
        trees: of it.
        unseen_by: how many trees did not see each training point.
        out_of_bag_mean: of every training point by the trees that did not see it; NaN where all
            trees saw it.
        out_of_bag_variance: between these trees; NaN likewise.
    """

    trees: Trees
    unseen_by: npt.NDArray[np.int64]
    out_of_bag_mean: Array
    out_of_bag_variance: Array

    def predict(self, features: Array) -> tuple[Array, Array]:
        """Mean over the trees and their standard deviation at points ``m x width``."""
        each = self.trees.predict(features)
        return each.mean(axis=0), each.std(axis=0)


def grow_forest(features: Array, values: Array, seed: int, trees: int = TREES) -> Forest:
    """Grow a forest.

    Args:
        features: ``n x width``, n at least 1.
        values: n.
        seed: of the bootstrap samples and of the order in which features are tried.
        trees: how many.
    """
    points = np.ascontiguousarray(features, dtype=np.float64)
    targets = np.ascontiguousarray(values, dtype=np.float64)
    drawn, *arrays = _grow(points, targets, trees, seed)
    grown = Trees(*arrays)
    unseen = drawn == 0
    count = unseen.sum(axis=0)
    each = grown.predict(points)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(unseen, each, 0.0).sum(axis=0) / count
        variance = np.where(unseen, (each - mean) ** 2, 0.0).sum(axis=0) / count
    return Forest(grown, count, mean, variance)


@numba.njit(cache=True)
def _grow(points: Any, values: Any, trees: int, seed: int) -> Any:
    np.random.seed(seed)
    n = len(values)
    nodes = 2 * n
    drawn = np.zeros((trees, n), np.int64)
    feature = np.full((trees, nodes), -1, np.int64)
    threshold = np.zeros((trees, nodes))
    child = np.zeros((trees, nodes), np.int64)
    value = np.zeros((trees, nodes))
    for tree in range(trees):
        rows = np.random.randint(0, n, n)
        for row in rows:
            drawn[tree, row] += 1
        _grow_tree(points, values, rows, feature[tree], threshold[tree], child[tree], value[tree])
    return drawn, feature, threshold, child, value


@numba.njit(cache=True)
def _grow_tree(
    points: Any, values: Any, rows: Any, feature: Any, threshold: Any, child: Any, value: Any
) -> None:
    n, width = len(rows), points.shape[1]
    order = np.arange(width)
    spare = np.empty(n, np.int64)
    column = np.empty(n)
    starts = np.empty(2 * n, np.int64)
    stops = np.empty(2 * n, np.int64)
    waiting = np.empty(2 * n, np.int64)
    starts[0], stops[0], waiting[0] = 0, n, 0
    left_to_do, nodes = 1, 1
    while left_to_do:
        left_to_do -= 1
        start, stop, node = starts[left_to_do], stops[left_to_do], waiting[left_to_do]
        count = stop - start
        total = 0.0
        squares = 0.0
        for at in range(start, stop):
            one = values[rows[at]]
            total += one
            squares += one * one
        value[node] = total / count
        if count < 2 or squares - total * total / count <= 1e-12 * max(1.0, squares):
            continue
        np.random.shuffle(order)
        best, best_feature, best_threshold = -1.0, -1, 0.0
        for tried in order:
            for at in range(count):
                column[at] = points[rows[start + at], tried]
            ranks = np.argsort(column[:count])
            below = 0.0
            for at in range(count - 1):
                below += values[rows[start + ranks[at]]]
                low, high = column[ranks[at]], column[ranks[at + 1]]
                if high <= low + 1e-12:
                    continue
                above = total - below
                # What remains of the sum of squares falls as this rises.
                gain = below * below / (at + 1) + above * above / (count - at - 1)
                if gain > best:
                    best, best_feature, best_threshold = gain, tried, 0.5 * (low + high)
        if best_feature < 0:
            continue
        kept, moved = start, 0
        for at in range(start, stop):
            if points[rows[at], best_feature] <= best_threshold:
                rows[kept] = rows[at]
                kept += 1
            else:
                spare[moved] = rows[at]
                moved += 1
        rows[kept:stop] = spare[:moved]
        feature[node], threshold[node], child[node] = best_feature, best_threshold, nodes
        starts[left_to_do], stops[left_to_do], waiting[left_to_do] = start, kept, nodes
        left_to_do += 1
        starts[left_to_do], stops[left_to_do], waiting[left_to_do] = kept, stop, nodes + 1
        left_to_do += 1
        nodes += 2


@numba.njit(cache=True)
def _predict(feature: Any, threshold: Any, child: Any, value: Any, points: Any) -> Any:
    trees, count = len(feature), len(points)
    found = np.empty((trees, count))
    for tree in range(trees):
        for at in range(count):
            node = 0
            while feature[tree, node] >= 0:
                step = 0 if points[at, feature[tree, node]] <= threshold[tree, node] else 1
                node = child[tree, node] + step
            found[tree, at] = value[tree, node]
    return found
