"""The tasks: a folder each, whose ``defs.yaml`` is the whole description. Adding a task is adding a folder."""
