"""Other people's tools, each used as its documentation says, in `.venv-peers`: they import nothing of the pipeline."""
