"""The language of a task: its YAML as typed values, checked before any data. Pure: no Dagster, no input or output."""
