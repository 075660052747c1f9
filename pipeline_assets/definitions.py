"""What Dagster loads: every task under ``defs/``, over the stores that the environment names."""

import os
import warnings

import dagster as dg

import pipeline_assets.defs
from pipeline_assets.components.tasks import load_tasks
from pipeline_assets.resources import resources
from pipeline_assets.settings import Settings

# Dagster says this of what it does itself whenever it puts checks and assets together; no user can act on it.
warnings.filterwarnings("ignore", "Parameter `execution_type` of function `AssetsDefinition", dg.BetaWarning)


@dg.definitions
def defs() -> dg.Definitions:
    """The code location.

    A broken task is marked and leaves the others alone, but for those who ask for the truth: ``dg check defs``
    sets ``DAGSTER_IS_DEFS_VALIDATION_CLI``, and a CI may set ``PIPELINE_STRICT``.
    """
    strict = any(os.environ.get(name) == "1" for name in ("PIPELINE_STRICT", "DAGSTER_IS_DEFS_VALIDATION_CLI"))
    shared = dg.Definitions(resources=dict(resources(Settings.from_env())), executor=dg.in_process_executor)
    return load_tasks(pipeline_assets.defs, shared, strict=strict)
