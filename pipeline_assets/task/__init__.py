"""The language of a task: its YAML as typed values, checked before any data is read. No Dagster, no input or output."""
