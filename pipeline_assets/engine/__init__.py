"""Engines: they do the row work over the pieces of a batch."""
