"""The view ``marts``: page, queries, charts and texts."""
