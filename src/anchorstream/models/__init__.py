"""Streaming networks: a whole pass equals its steps."""
