"""Drafts a task from what was seen of a file: every guess has its reason and its alternative beside it."""
