"""The lines of the table, in the order of a run."""

from benchmarks import features_back, features_in, mart_load, preparation, scoring, startup, training, whole

LINES = {
    line.name: line
    for line in (
        *(module.LINE for module in (preparation, mart_load, features_in, features_back, scoring, training, whole)),
        *startup.LINES,
    )
}
