"""Prepared rows for models: in parquet files or in Tarantool."""
