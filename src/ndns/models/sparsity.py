"""Magnitude pruning during training: which weights take part, and how many at which moment.

Straight-through (`ste`): the forward pass sees masked weights, all weights receive the gradient and stay alive below
the mask. Iterative hard thresholding (`iht`): pruned weights are set to zero before each step, and return only if one
step lifts them over the threshold; released sparse S5 recipes do this under the name of the former.
"""

import torch

from ndns.config import Sparsity

EVERY = 4
"""Steps between two looks at the magnitudes; the schedule is slow against it."""


class Sparsifier(torch.nn.Module):
    """Masks of named weights.

    Args:
        shapes: name -> shape; a leading 2 means real and imaginary part, pruned together.
        settings: none keeps every weight.
    """

    def __init__(self, shapes: dict[str, tuple[int, ...]], settings: Sparsity | None) -> None:
        super().__init__()
        self.settings = settings
        if settings:
            self.register_buffer("calls", torch.zeros((), dtype=torch.int64))
            self._calls = 0  # the same number, known without waiting for a GPU
            self._thinned = False  # whether the masks keep as few weights as they shall in the end
            self.densities = layer_densities(shapes, settings.density, settings.distribution)
            for name, shape in shapes.items():
                self.register_buffer(_key(name), torch.ones(shape[-2:], dtype=torch.bool))

    def masked(self, name: str, weight: torch.Tensor) -> torch.Tensor:
        """Return the weight as the forward pass sees it, differentiable as the method says."""
        if self.settings is None:
            return weight
        kept = weight * self.get_buffer(_key(name))
        return weight + (kept - weight).detach()

    @torch.no_grad()
    def update(self, progress: float, weights: dict[str, torch.Tensor]) -> None:
        """Set the masks for `progress` in [0, 1]; with `iht` also zero the weights that they drop.

        The density falls from 1 to its target between `start` and `end` as `1 - (1 - density) (1 - (1 - p)^3)`. Masks
        follow at every `EVERY`th call, and at the first one from `end` on if that density is not yet met.
        """
        if self.settings is None:
            return
        s = self.settings
        p = min(max((progress - s.start) / (s.end - s.start), 0.0), 1.0)
        self.calls += 1
        self._calls += 1
        if self._calls % EVERY == 1 or progress >= 1 or (p >= 1 and not self._thinned):
            kept = {name: self._kept(name, p) for name in weights}
            for name, weight in weights.items():
                self.get_buffer(_key(name)).copy_(largest(weight, kept[name]))
            self._thinned = all(kept[name] <= self._kept(name, 1.0) for name in weights)
        if s.method == "iht":
            for name, weight in weights.items():
                weight.mul_(self.get_buffer(_key(name)))

    def _kept(self, name: str, p: float) -> int:
        """Return how many entries of a weight stay at the share `p` of the way to the final density."""
        share = 1 - (1 - self.densities[name]) * (1 - (1 - p) ** 3)
        return max(round(share * self.get_buffer(_key(name)).numel()), 1)

    def _load_from_state_dict(self, *arguments, **keywords) -> None:
        super()._load_from_state_dict(*arguments, **keywords)
        if self.settings:
            self._calls = int(self.calls)
            masks = {name: self.get_buffer(_key(name)) for name in self.densities}
            self._thinned = all(int(mask.sum()) <= self._kept(name, 1.0) for name, mask in masks.items())


def largest(weight: torch.Tensor, count: int) -> torch.Tensor:
    """Return the mask `(rows, columns)` of the `count` largest entries; `(2, rows, columns)` is complex."""
    size = weight.abs() if weight.ndim == 2 else torch.hypot(weight[0], weight[1])
    if count >= size.numel():
        return torch.ones_like(size, dtype=torch.bool)
    threshold = torch.kthvalue(size.flatten(), size.numel() - count).values
    return size > threshold


def layer_densities(shapes: dict[str, tuple[int, ...]], density: float, distribution: str) -> dict[str, float]:
    """Spread a total density over layers.

    `uniform` gives each layer the same; `erk` (Erdos-Renyi kernel) gives `eps (rows + columns) / (rows columns)`, at
    most 1, with eps such that the total is met (Evci et al. 2020, arXiv 1911.11134).

    >>> layer_densities({"a": (10, 10), "b": (40, 40)}, 0.1, "erk")["a"] > 0.1
    True
    """
    if distribution == "uniform":
        return dict.fromkeys(shapes, density)
    numbers = {name: shape[-2] * shape[-1] * (2 if len(shape) == 3 else 1) for name, shape in shapes.items()}
    raw = {name: (shape[-2] + shape[-1]) / (shape[-2] * shape[-1]) for name, shape in shapes.items()}
    dense: set[str] = set()
    while True:
        budget = density * sum(numbers.values()) - sum(numbers[name] for name in dense)
        sparse = [name for name in shapes if name not in dense]
        eps = budget / sum(raw[name] * numbers[name] for name in sparse)
        over = {name for name in sparse if eps * raw[name] > 1}
        if not over:
            return {name: 1.0 if name in dense else eps * raw[name] for name in shapes}
        dense |= over


def _key(name: str) -> str:
    return "mask_" + name.replace(".", "_")
