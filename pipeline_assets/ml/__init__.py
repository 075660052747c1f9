"""Pure logic: contract, preparation, training, selection, scoring. No Dagster, no input or output."""
