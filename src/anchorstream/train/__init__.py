"""Training: one typed configuration, the engine's glue, checkpoints, and the scoring of what was trained."""
