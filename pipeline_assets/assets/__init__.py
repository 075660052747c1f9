"""The Dagster graph of one task: from a batch's file to the marts."""
