"""How the batches of a task are watched: the key ``monitoring`` of a task."""

from pydantic import Field

from pipeline_assets.task.spec_model import SpecModel


class Truth(SpecModel):
    """How good predictions must have been, once their labels are known.

    Attributes:
        fail: by metric, the worst value that passes; a worse one fails the check, such as ``{roc_auc: 0.6}``.
        warn: the same of the check that only warns.
        minimum_rows: a batch with fewer known labels is not compared with these values, and a segment with fewer has
            no metrics.
    """

    fail: dict[str, float] = Field(default_factory=dict)
    warn: dict[str, float] = Field(default_factory=dict)
    minimum_rows: int = Field(default=100, ge=1)


class Monitoring(SpecModel):
    """What is measured of each batch, and from which value on a check warns or fails."""

    truth: Truth = Truth()
