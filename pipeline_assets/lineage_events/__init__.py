"""Lineage events for OpenLineage: what each step of a run read and wrote, sent to the server that is configured."""
