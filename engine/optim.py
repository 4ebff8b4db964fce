"""The optimizers: AdamW for everything, or Muon for the matrices inside the blocks and AdamW for the rest.

Both decay weights only where there is a matrix: a gain or a bias pulled to zero helps nobody. State is saved as tensors under
the names of the parameters, so a checkpoint says what belongs to what.
"""

from __future__ import annotations

import math
import operator
from collections import defaultdict
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

from models.compiled_muon import CompiledMuon, Trained
from models.learning import Learner

# The quintic that pushes singular values towards 1 fastest (Jordan et al. 2024, "Muon").
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
STEPS = 5


class Optimizer:
    """One or two optimizers behind one step.

    Args:
        model: its parameters are updated in place.
        muon: use Muon for the 2-D weights inside `blocks`.
        lr: peak learning rate of AdamW.
        muon_lr: peak learning rate of Muon.
        weight_decay, muon_weight_decay: decoupled, per unit of learning rate.
        betas: of AdamW.
        momentum: of Muon.
        dtype: of the Newton-Schulz products.
        learner: what computes them in place of torch.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        muon: bool,
        lr: float,
        muon_lr: float,
        weight_decay: float,
        muon_weight_decay: float,
        betas: tuple[float, float],
        momentum: float,
        dtype: torch.dtype = torch.float32,
        learner: Learner | None = None,
    ) -> None:
        named = list(model.named_parameters())
        matrices = [(n, p) for n, p in named if muon and n.startswith("blocks.") and p.ndim == 2]
        taken = {n for n, _ in matrices}
        rest = [(n, p) for n, p in named if n not in taken]
        self.lr, self.muon_lr = lr, muon_lr
        self._names: dict[Tensor, str] = {p: n for n, p in named}
        self._adamw = AdamW((p for _, p in rest), betas, weight_decay, eps=1e-10 if muon else 1e-8)
        self._muon = (
            Muon((p for _, p in matrices), momentum, muon_weight_decay, dtype, learner) if matrices else None
        )

    def step(self, factor: float) -> None:
        """One update with every learning rate multiplied by `factor`, the schedule's value for this step."""
        self._adamw.step(self.lr * factor)
        if self._muon:
            self._muon.step(self.muon_lr * factor)

    def state(self) -> dict[str, Tensor]:
        """Everything to be saved, as `optimizer.quantity.parameter` -> tensor."""
        tensors = {
            f"adamw.{key}.{self._names[p]}": value
            for p, state in self._adamw.state.items()
            for key, value in state.items()
        }
        if self._muon:
            for p, momentum in self._muon.momentum.items():
                tensors[f"muon.momentum.{self._names[p]}"] = momentum
        return tensors

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Takes back what `state` gave. Raises KeyError or ValueError when a tensor is missing or has another shape."""
        updated = any(key.startswith("adamw.") for key in tensors)  # else no update had happened yet
        for p in self._adamw.parameters if updated else ():
            name = self._names[p]
            step = tensors[f"adamw.step.{name}"]
            self._adamw.state[p] = {
                # The fused kernel wants its counter beside the weights.
                "step": _like(torch.zeros((), device=p.device), step),
                "exp_avg": _like(p, tensors[f"adamw.exp_avg.{name}"]),
                "exp_avg_sq": _like(p, tensors[f"adamw.exp_avg_sq.{name}"]),
            }
        if self._muon:
            for p in self._muon.momentum:
                self._muon.momentum[p].copy_(_like(p, tensors[f"muon.momentum.{self._names[p]}"]))


class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019), by torch's fused kernel.

    `torch.optim.AdamW` is the same around the same kernel, but the first optimizer that is built loads torch's compiler, which takes
    a second of every run.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], betas: tuple[float, float], weight_decay: float, eps: float
    ) -> None:
        self.parameters = list(parameters)
        self.state: dict[Tensor, dict[str, Tensor]] = {}  # begins with a parameter's first gradient
        self._betas, self._weight_decay, self._eps = betas, weight_decay, eps

    @torch.no_grad()
    def step(self, lr: float) -> None:
        for weight_decay, least, most in ((self._weight_decay, 2, math.inf), (0.0, 0, 1)):
            moved = [p for p in self.parameters if p.grad is not None and least <= p.ndim <= most]
            states = [self._state(p) for p in moved]
            adamw(
                list(moved), [p.grad for p in moved if p.grad is not None], [s["exp_avg"] for s in states],
                [s["exp_avg_sq"] for s in states], [], [s["step"] for s in states], fused=True, amsgrad=False, maximize=False,
                beta1=self._betas[0], beta2=self._betas[1], lr=lr, weight_decay=weight_decay, eps=self._eps,
            )  # fmt: skip

    def _state(self, parameter: Tensor) -> dict[str, Tensor]:
        if parameter not in self.state:
            self.state[parameter] = {
                "step": torch.zeros((), device=parameter.device),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }
        return self.state[parameter]


class Muon:
    """Momentum, then the nearest orthogonal matrix (Jordan et al. 2024).

    Every singular direction of the update gets the same length, so rare directions learn as fast as common ones. Matrices of
    one shape are stacked and orthogonalised in one batch, since many small products cost more than one large one; the fused
    query-key-value matrix counts as three.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        momentum: float,
        weight_decay: float,
        dtype: torch.dtype,
        learner: Learner | None = None,
    ) -> None:
        self.momentum = {p: torch.zeros_like(p) for p in parameters}
        self._beta, self._weight_decay, self._dtype, self._learner = momentum, weight_decay, dtype, learner
        self._compiled: CompiledMuon | None = None
        self._gradients: list[Tensor | None] = []  # which `_compiled` reads

    @torch.no_grad()
    def step(self, lr: float) -> None:
        if self._learner is not None:
            self._bound(self._learner).step(
                [NEWTON_SCHULZ] * STEPS, lr=lr, momentum=self._beta, weight_decay=self._weight_decay
            )
            return
        batches: dict[tuple[int, int], list[tuple[Tensor, Tensor]]] = defaultdict(list)
        for p, buffer in self.momentum.items():
            if p.grad is None:
                continue
            buffer.lerp_(p.grad, 1 - self._beta)
            update = p.grad.lerp(buffer, self._beta)  # Nesterov: look one step ahead
            for weight, piece in zip(_squares(p.data), _squares(update), strict=True):
                rows, columns = piece.shape
                wide = piece if rows <= columns else piece.T
                batches[(wide.size(0), wide.size(1))].append((weight, wide))
        for pairs in batches.values():
            orthogonal = orthogonalize([u for _, u in pairs], self._dtype)
            for (weight, _), update in zip(pairs, orthogonal, strict=True):
                rows, columns = weight.shape
                weight.mul_(1 - lr * self._weight_decay)
                update = update if rows <= columns else update.T
                # A tall matrix needs a longer step for the same change of its output (Bernstein 2024).
                weight.add_(update.to(weight.dtype), alpha=-lr * math.sqrt(max(1.0, rows / columns)))

    def _bound(self, learner: Learner) -> CompiledMuon:
        """The compiled step of these very tensors: laid out once, since a learner's gradients lie where they lay."""
        gradients = [p.grad for p in self.momentum]
        if self._compiled is None or not all(map(operator.is_, gradients, self._gradients)):
            self._gradients = gradients
            self._compiled = learner.muon(
                [
                    Trained(*squares)
                    for p, momentum in self.momentum.items()
                    if p.grad is not None
                    for squares in zip(_squares(p.data), _squares(p.grad), _squares(momentum), strict=True)
                ]
            )
        return self._compiled


def orthogonalize(matrices: list[Tensor], dtype: torch.dtype, steps: int = STEPS) -> Tensor:
    """The approximate orthogonal factor U V^T of each matrix U S V^T, by Newton-Schulz iteration.

    Args:
        matrices: n of shape (rows, columns), rows <= columns.
        dtype: of the products.
        steps: iterations.

    Returns:
        (n, rows, columns) with singular values near 1 (between about 0.7 and 1.2).
    """
    a, b, c = NEWTON_SCHULZ
    x = torch.stack(matrices)
    x = (x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)).to(dtype)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x


def _squares(matrix: Tensor) -> tuple[Tensor, ...]:
    """The fused query-key-value matrix (3 C, C) as its three squares; any other as it is."""
    rows, columns = matrix.shape
    return matrix.chunk(3) if rows == 3 * columns else (matrix,)


def _like(parameter: Tensor, tensor: Tensor) -> Tensor:
    """A copy of `tensor` on the device and in the dtype of `parameter`, whose shape it must have."""
    if tensor.shape != parameter.shape:
        raise ValueError(f"expected a tensor of shape {tuple(parameter.shape)}, found {tuple(tensor.shape)}")
    return tensor.to(parameter.device, parameter.dtype, copy=True)
