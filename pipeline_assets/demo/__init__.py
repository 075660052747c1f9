"""Real flights as a task: their parquet files, what came true, and the tour that runs it all."""
