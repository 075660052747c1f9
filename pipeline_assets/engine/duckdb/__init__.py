"""Row work on this machine, by DuckDB."""
