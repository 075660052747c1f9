"""Stores: one module per outside system. Each one replaces a batch whole or not at all. No Dagster."""
