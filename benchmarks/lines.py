"""The lines of the table, in the order of a run."""

from benchmarks import features_back, features_in, mart_load, preparation, scoring, startup, training, whole

_FIRST = (preparation.LINE, mart_load.LINE, features_in.LINE, features_back.LINE)
LINES = {line.name: line for line in (*_FIRST, *scoring.LINES, training.LINE, whole.LINE, *startup.LINES)}
