"""Real flights as a task: their parquet files, what came true of them, and the command that runs it all."""
