"""How the batches of a task are watched: the key ``monitoring`` of a task."""

from pipeline_assets.task.spec_model import SpecModel


class Monitoring(SpecModel):
    """What is measured of each batch, and from which value on a check warns or fails."""
