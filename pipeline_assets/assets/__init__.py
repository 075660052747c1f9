"""The Dagster graph of one task: a batch's way from file to mart, read down this folder."""
