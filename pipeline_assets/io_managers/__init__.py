"""Arrow streams in and out of the stores, a batch at a time, as Dagster's IO managers."""
