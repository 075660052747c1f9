"""The view ``batches``: page, queries, charts and texts."""
