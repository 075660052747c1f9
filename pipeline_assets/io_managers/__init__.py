"""Dagster IO managers: they write and read Arrow streams in the stores, one batch at a time."""
