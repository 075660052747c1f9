"""Loads in the background, before anyone asks, what takes seconds: MLflow, the packages of drift, the registry."""

import logging
import threading

from pipeline_assets.mart_page.page import AppState
from pipeline_assets.mart_page.problem import Problem, attempt

_log = logging.getLogger(__name__)


def warm_up(app_state: AppState) -> threading.Thread:
    """Starts the loading and returns at once; the thread does not keep the process alive.

    A registry that does not answer is no fault here: whoever asks it later is told.
    """
    thread = threading.Thread(target=_load, args=[app_state], name="warm-up", daemon=True)
    thread.start()
    return thread


def _load(app_state: AppState) -> None:
    registry = app_state.stores["registry"]
    for task in app_state.tasks().known:
        found = attempt(registry.candidates, task)
        if isinstance(found, Problem):
            _log.warning("the registry could not be read ahead: %s", found.text)
            return
        if found:
            return
