"""Model versions in MLflow."""
