"""A Dagster asset-based ML pipeline: parquet in, parquet out, everything between to be looked at."""
