"""A module of one's own for training.package: pytorch."""

import torch
from torch import Tensor, nn


class Wide(nn.Module):  # type: ignore[misc]  # torch has no types here
    """One hidden layer over the numbers and an embedding of each category.

    Args:
        numbers: columns of the first input.
        categories: for each column of the second input, the number of its codes.
        outputs: raw scores per row.
        width: units of the hidden layer.
    """

    def __init__(self, numbers: int, categories: tuple[int, ...], outputs: int, width: int = 32) -> None:
        super().__init__()
        self.embeddings = nn.ModuleList(nn.Embedding(count, 4) for count in categories)
        self.hidden = nn.Linear(numbers + 4 * len(categories), width)
        self.last = nn.Linear(width, outputs)

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        embedded = [each(codes[:, place]) for place, each in enumerate(self.embeddings)]
        scores: Tensor = self.last(torch.relu(self.hidden(torch.cat([numbers, *embedded], dim=1))))
        return scores


def no_module(numbers: int, categories: tuple[int, ...], outputs: int) -> str:
    """No network at all."""
    return f"{numbers} {categories} {outputs}"
