"""The view ``lineage``: page, queries, charts and texts."""
