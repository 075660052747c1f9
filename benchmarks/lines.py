"""The lines of the table, in the order of a run."""

from benchmarks import features_back, features_in, mart_load, preparation, scoring, whole

LINES = {
    module.LINE.name: module.LINE for module in (preparation, mart_load, features_in, features_back, scoring, whole)
}
