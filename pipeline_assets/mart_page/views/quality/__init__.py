"""The view ``quality``: page, queries, charts and texts."""
