"""The view ``drift``: page, queries, charts and texts."""
