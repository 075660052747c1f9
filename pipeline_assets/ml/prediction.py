"""What a model says of some rows, before a kind makes score columns of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HALF = 0.5


@dataclass(frozen=True)
class Prediction:
    """The output of a model for some rows.

    Attributes:
        output: shape (rows,) for the kinds ``binary``, the probability of label 1, and ``regression``, in the target's
            own unit; shape (rows, classes) for ``multiclass``, the probability of each class.
        classes: for ``multiclass``, the name of each column of ``output``; otherwise empty.
        threshold: for ``binary``, the probability from which on a row's predicted label is 1.
    """

    output: NDArray[np.float64]
    classes: tuple[str, ...] = ()
    threshold: float = HALF

    def __len__(self) -> int:
        return len(self.output)
