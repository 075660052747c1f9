"""The networks of the PyTorch trainer. Imports PyTorch: only what fits or loads such a model imports this module."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline_assets.ml.trainers.network_encoding import Encoded, Encoding, blocks
from pipeline_assets.ml.trainers.networks import Goal

if TYPE_CHECKING:
    import pandas as pd


class TabularModel(nn.Module):  # type: ignore[misc]  # torch has no types here
    """A network with all that it needs to predict from plain columns; what MLflow keeps.

    Attributes:
        encoding: how columns become numbers.
        goal: what the raw scores mean.
        network: takes numbers and codes, see :class:`pipeline_assets.ml.trainers.networks.Encoded`, and gives raw
            scores of shape (rows, outputs).
    """

    def __init__(self, encoding: Encoding, goal: Goal, network: nn.Module) -> None:
        super().__init__()
        self.encoding = encoding
        self.goal = goal
        self.network = network

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """Raw scores, shape (rows, outputs)."""
        scores: Tensor = self.network(numbers, codes)
        return scores

    def encode(self, frame: "pd.DataFrame") -> Encoded:
        """The features of a frame as the network takes them."""
        return self.encoding.encode(frame)

    def raw(self, encoded: Encoded) -> NDArray[np.float64]:
        """Raw scores, shape (rows, outputs); a row's do not depend on the other rows."""
        device = next((each.device for each in self.parameters()), torch.device("cpu"))
        self.eval()

        def score(part: Encoded) -> NDArray[Any]:
            numbers, codes = (torch.from_numpy(each).to(device) for each in (part.numbers, part.codes))
            scores: NDArray[Any] = self(numbers, codes.long()).cpu().numpy()
            return scores

        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with torch.inference_mode():
                return blocks(encoded, score)
        finally:
            torch.set_num_threads(threads)

    def predict(self, frame: "pd.DataFrame") -> NDArray[np.float64]:
        """Predictions for a frame that has the features as columns, as those of a trainer's model."""
        return self.goal.prediction(self.raw(self.encode(frame)))


class TabularNetwork(nn.Module):  # type: ignore[misc]  # torch has no types here
    """The default network: piecewise linear encoding, embeddings, normalised hidden layers and a linear part beside.

    Several members are fitted side by side, each with weights of its own; the mean of their raw scores predicts.

    Args:
        categories: number of codes of each categorical feature.
        bins: number of bins of each numeric feature.
        embeddings: for each categorical feature, how many numbers stand for a code.
        hidden: units of each hidden layer.
        dropout: share of the units that a step leaves out.
        members: how many.
        start: the first bias of the raw scores, one per output.
    """

    def __init__(
        self,
        *,
        categories: Sequence[int],
        bins: Sequence[int],
        embeddings: Sequence[int],
        hidden: Sequence[int],
        dropout: float,
        members: int,
        start: Sequence[float],
    ) -> None:
        super().__init__()
        self.embeddings = nn.ModuleList(
            nn.Embedding(count, size) for count, size in zip(categories, embeddings, strict=True)
        )
        for each in self.embeddings:
            nn.init.normal_(each.weight, std=each.embedding_dim**-0.5)
            nn.init.zeros_(each.weight[0])  # an unknown category says nothing until rare ones teach it
        steps = torch.arange(max(bins, default=1))
        self.register_buffer("bins", torch.tensor(bins, dtype=torch.float32))
        self.register_buffer("steps", steps.float())
        used = steps[None, :] < torch.tensor(bins, dtype=torch.int64)[:, None]
        self.register_buffer("used", used.flatten().nonzero().flatten())
        width = 2 * len(bins) + sum(bins) + sum(embeddings)
        self.linear = GroupedLinear(members, width, len(start))
        nn.init.zeros_(self.linear.weight)
        layers: list[nn.Module] = []
        for before, after in zip((width, *hidden), hidden, strict=False):
            layers += [GroupedLinear(members, before, after), nn.LayerNorm(after), nn.GELU(), nn.Dropout(dropout)]
        self.layers = nn.Sequential(*layers)
        self.last = GroupedLinear(members, (width, *hidden)[-1], len(start))
        nn.init.zeros_(self.last.weight)
        with torch.no_grad():
            self.last.bias.copy_(torch.tensor(start).expand_as(self.last.bias))

    def members(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """Raw scores of each member, shape (members, rows, outputs)."""
        inputs = self._inputs(numbers, codes).expand(self.last.weight.shape[0], -1, -1)
        scores: Tensor = self.last(self.layers(inputs)) + self.linear(inputs)
        return scores

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """Raw scores, shape (rows, outputs)."""
        return self.members(numbers, codes).mean(dim=0)

    def _inputs(self, numbers: Tensor, codes: Tensor) -> Tensor:
        scaled, quantile, missing = numbers.chunk(3, dim=1)
        position = quantile * self.bins
        encoded = (position[:, :, None] - self.steps).clamp(0, 1).flatten(1).index_select(1, self.used)
        embedded = [each(codes[:, place]) for place, each in enumerate(self.embeddings)]
        return torch.cat([scaled, missing, encoded, *embedded], dim=1)


class GroupedLinear(nn.Module):  # type: ignore[misc]  # torch has no types here
    """Linear layers side by side: from (members, rows, before) to (members, rows, after)."""

    def __init__(self, members: int, before: int, after: int) -> None:
        super().__init__()
        bound = max(before, 1) ** -0.5
        self.weight = nn.Parameter(torch.empty(members, before, after).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(members, 1, after))

    def forward(self, inputs: Tensor) -> Tensor:
        """Each member's inputs times its weights."""
        return torch.baddbmm(self.bias, inputs, self.weight)
