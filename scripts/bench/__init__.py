"""Measurements of a running platform, each a command of its own."""
