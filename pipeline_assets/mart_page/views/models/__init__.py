"""The view ``models``: page, queries, charts and texts."""
