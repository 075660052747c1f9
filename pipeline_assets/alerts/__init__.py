"""Tells people of runs that failed, checks that did not pass and batches that are late."""
