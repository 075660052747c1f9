"""Pure machine learning: dataset, split, training, selection, scoring. No Dagster, no input or output."""
