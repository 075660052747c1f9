"""The component types that a ``defs.yaml`` may name."""

from pipeline_assets.components.ml_task import MLTask

__all__ = ["MLTask"]
