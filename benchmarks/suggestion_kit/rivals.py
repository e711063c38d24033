"""The same acquisition on the same model, made large by BoTorch's own optimisers."""

from __future__ import annotations

import torch
from botorch.acquisition import AcquisitionFunction
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.models import SingleTaskGP
from botorch.optim import optimize_acqf, optimize_acqf_mixed
from botorch.optim.optimize_mixed import optimize_acqf_mixed_alternating
from botorch.sampling.normal import SobolQMCNormalSampler
from botorch.utils.sampling import manual_seed
from torch import Tensor

Q = 4
NUMBERS = 6
CHOICES = 4


def improvement(
    gp: SingleTaskGP, pending: Tensor, seed: int, samples: int = 128
) -> AcquisitionFunction:
    """BoTorch's qLogNEI as it comes, its baseline pruned."""
    with manual_seed(seed):
        return qLogNoisyExpectedImprovement(
            gp,
            X_baseline=gp.train_inputs[0],
            X_pending=pending,
            sampler=SobolQMCNormalSampler(torch.Size([samples]), seed=seed),
            prune_baseline=True,
        )


def _simplex() -> list[tuple[Tensor, Tensor, float]]:
    return [(torch.arange(4), torch.ones(4, dtype=torch.float64), 1.0)]


def _box(width: int) -> Tensor:
    return torch.stack([torch.zeros(width), torch.ones(width)]).double()


def mixed(acquisition: AcquisitionFunction, restarts: int, raw: int, seed: int) -> Tensor:
    """`optimize_acqf_mixed`: every choice enumerated, the simplex as an equality (SLSQP)."""
    choices = [
        {NUMBERS + n: float(n == chosen) for n in range(CHOICES)} for chosen in range(CHOICES)
    ]
    with manual_seed(seed):
        found, _ = optimize_acqf_mixed(
            acquisition,
            _box(NUMBERS + CHOICES),
            Q,
            num_restarts=restarts,
            fixed_features_list=choices,
            raw_samples=raw,
            equality_constraints=_simplex(),
        )
    return found


class _Coded(AcquisitionFunction):
    """An acquisition over the number of a choice in place of one column for each."""

    def __init__(self, inner: AcquisitionFunction) -> None:
        super().__init__(inner.model)
        self.inner = inner

    @property
    def X_pending(self) -> Tensor | None:
        """As BoTorch calls it; in the coding of here."""
        return self._pending

    def set_X_pending(self, X_pending: Tensor | None = None) -> None:
        """See BoTorch."""
        self._pending = X_pending
        self.inner.set_X_pending(None if X_pending is None else _one_hot(X_pending))

    def forward(self, X: Tensor) -> Tensor:
        """See BoTorch."""
        return self.inner(_one_hot(X))


def _one_hot(points: Tensor) -> Tensor:
    codes = points[..., NUMBERS].round().long()
    hot = torch.nn.functional.one_hot(codes, CHOICES).to(points)
    return torch.cat([points[..., :NUMBERS], hot], dim=-1)


def alternating(
    acquisition: AcquisitionFunction, pending: Tensor, restarts: int, raw: int, seed: int
) -> Tensor:
    """`optimize_acqf_mixed_alternating`, the choices as one column of codes."""
    coded = _Coded(acquisition)
    coded.set_X_pending(
        torch.cat(
            [pending[:, :NUMBERS], pending[:, NUMBERS:].argmax(-1, keepdim=True).to(pending)], -1
        )
    )
    bounds = _box(NUMBERS + 1)
    bounds[1, NUMBERS] = CHOICES - 1
    with manual_seed(seed):
        found, _ = optimize_acqf_mixed_alternating(
            coded,
            bounds,
            cat_dims={NUMBERS: [float(n) for n in range(CHOICES)]},
            q=Q,
            raw_samples=raw,
            num_restarts=restarts,
            equality_constraints=_simplex(),
        )
    return _one_hot(found)


def shared_run(acquisition: AcquisitionFunction, restarts: int, raw: int, seed: int) -> Tensor:
    """A furnace batch by BoTorch: equalities between points, each atmosphere in turn."""
    equal = [
        (torch.tensor([[0, column], [n, column]]), torch.tensor([1.0, -1.0]).double(), 0.0)
        for column in (4, 5)
        for n in range(1, Q)
    ]
    sums = [
        (torch.tensor([[n, column] for column in range(4)]), torch.ones(4).double(), 1.0)
        for n in range(Q)
    ]
    best: tuple[float, Tensor] | None = None
    for chosen in range(CHOICES):
        fixed = {NUMBERS + n: float(n == chosen) for n in range(CHOICES)}
        with manual_seed(seed):
            found, value = optimize_acqf(
                acquisition,
                _box(NUMBERS + CHOICES),
                Q,
                num_restarts=restarts,
                raw_samples=raw,
                equality_constraints=[*equal, *sums],
                fixed_features=fixed,
            )
        if best is None or float(value) > best[0]:
            best = float(value), found
    assert best is not None
    return best[1]
