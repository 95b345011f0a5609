"""``python -m models_runtime``: the runtime as a command, without database or services."""
