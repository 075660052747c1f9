"""The engine for this machine: DuckDB does the row work."""
