"""How batches and predictions change over time."""
