"""Batches as parquet files: in a local folder or on S3."""
