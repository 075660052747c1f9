"""The view ``passport``: page, queries, charts and texts."""
