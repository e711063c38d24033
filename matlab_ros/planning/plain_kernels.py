"""Covariances of a fitted process as plain functions of two sets of points.

GPyTorch evaluates a kernel through several layers that are made for learning and for large
structured matrices. While an acquisition is searched the kernel is fixed and asked hundreds of
times for a few points: then these layers are most of the time.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import torch
from gpytorch.kernels import (
    AdditiveKernel,
    Kernel,
    MaternKernel,
    ProductKernel,
    RBFKernel,
    ScaleKernel,
)
from torch import Tensor

Covariance = Callable[[Tensor, Tensor], Tensor]

LEAST_SQUARE = 1e-20
"""Squared distances below this count as it: the root has no slope at 0."""


def plain(kernel: Kernel) -> Covariance:
    """A kernel as a function of points ``... x n x d`` and ``... x m x d``.

    Sums and products of scaled Matern-5/2 and Gaussian kernels without batches are written out;
    any other kernel is asked itself. No gradient reaches the kernel's parameters.
    """
    fixed = copy.deepcopy(kernel).requires_grad_(False)
    return _plain(fixed) or (lambda one, other: fixed(one, other).to_dense())


def _plain(kernel: Kernel) -> Covariance | None:
    if isinstance(kernel, (AdditiveKernel, ProductKernel)):
        parts = [_plain(part) for part in kernel.kernels]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        return _sum(known) if isinstance(kernel, AdditiveKernel) else _product(known)
    if isinstance(kernel, ScaleKernel):
        # Its columns, where it has any, are those of what it scales.
        inner, scale = _plain(kernel.base_kernel), kernel.outputscale.detach()
        return None if inner is None or scale.dim() else _scaled(inner, scale)
    if type(kernel) is MaternKernel and kernel.nu == 2.5:
        return _stationary(kernel, _matern)
    if type(kernel) is RBFKernel:
        return _stationary(kernel, _gaussian)
    return None


def _sum(parts: list[Covariance]) -> Covariance:
    def total(one: Tensor, other: Tensor) -> Tensor:
        found = parts[0](one, other)
        for part in parts[1:]:
            found = found + part(one, other)
        return found

    return total


def _product(parts: list[Covariance]) -> Covariance:
    def total(one: Tensor, other: Tensor) -> Tensor:
        found = parts[0](one, other)
        for part in parts[1:]:
            found = found * part(one, other)
        return found

    return total


def _scaled(inner: Covariance, scale: Tensor) -> Covariance:
    return lambda one, other: scale * inner(one, other)


def _stationary(kernel: Kernel, shape: Callable[[Tensor], Tensor]) -> Covariance | None:
    lengths = kernel.lengthscale.detach()
    if lengths.dim() > 2:
        return None
    lengths = lengths.reshape(-1)
    columns = kernel.active_dims

    def covariance(one: Tensor, other: Tensor) -> Tensor:
        if columns is not None:
            one, other = one[..., columns], other[..., columns]
        one, other = one / lengths, other / lengths
        squares = (
            one.square().sum(-1, keepdim=True)
            + other.square().sum(-1).unsqueeze(-2)
            - 2.0 * one @ other.transpose(-1, -2)
        )
        return shape(squares.clamp_min(LEAST_SQUARE))

    return covariance


def _matern(squares: Tensor) -> Tensor:
    distance = math.sqrt(5.0) * torch.sqrt(squares)
    return (1.0 + distance + 5.0 / 3.0 * squares) * torch.exp(-distance)


def _gaussian(squares: Tensor) -> Tensor:
    return torch.exp(-0.5 * squares)
