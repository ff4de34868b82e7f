"""Tests that hold what describes the platform to the code that runs it."""
