"""The metrics by which predictions are judged once their labels are known: those of the kind and of the decision."""

from collections.abc import Mapping

from pipeline_assets.task import plugins

# How good the decision about each row was, for a binary target; more is better.
PRECISION, RECALL = "precision", "recall"


def judged_metrics(kind: str) -> Mapping[str, bool]:
    """By metric, whether greater is better: every metric of a kind, for a binary one also precision and recall.

    Args:
        kind: the value of ``target.kind`` of a task.
    """
    terms = plugins.kind(kind)
    of_decision = (PRECISION, RECALL) if terms.objective == "binary" else ()
    return {**dict.fromkeys(of_decision, True), **terms.metrics}
