"""What a person does with a task beside running it, as Dagster jobs: each names its task in the run's config."""
