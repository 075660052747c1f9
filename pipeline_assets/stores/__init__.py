"""One module an outside system; each swaps a batch in whole or not at all. No Dagster."""
